/* nodes.c - the tree of files: what the boot archive brought, what programs made since, /proc,
 * /dev.
 *
 * A regular file's pages live in an object of vas, so that read, write, ftruncate and mappings
 * agree at once. A file of the archive is read from there when a page is first used.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"

enum {
	S_DIR = 0040000,
	S_CHR = 0020000,
	S_BLK = 0060000,
	S_REG = 0100000,
	S_LNK = 0120000,
	S_FMT = 0170000
};

struct node *root_dir;
static uint32_t last_inode;
static struct node *disk;
static struct vas *window; /* in which the kernel itself reads and writes files */

/* ---- The tree -------------------------------------------------------------------------------- */

static struct node *node_new(const char *name, size_t len, enum node_kind kind, uint32_t mode)
{
	struct node *n = kmalloc(sizeof(*n));
	char *copy = kmalloc(len + 1);

	if (!n || !copy) {
		kfree(n);
		kfree(copy);
		return NULL;
	}
	memcpy(copy, name, len);
	*n = (struct node){.name = copy,
	                   .kind = kind,
	                   .mode = mode,
	                   .inode = ++last_inode,
	                   .links = kind == NODE_DIR ? 2 : 1};
	return n;
}

static struct node *node_add(struct node *dir, const char *name, size_t len, enum node_kind kind,
                             uint32_t mode)
{
	struct node *n = node_new(name, len, kind, mode);

	if (n) {
		n->parent = dir;
		n->next = dir->children;
		dir->children = n;
	}
	return n;
}

struct node *node_create(struct node *dir, const char *name, enum node_kind kind, uint32_t mode)
{
	return node_add(dir, name, strlen(name), kind, mode);
}

/* Nobody has it open and no directory names it. */
void node_free(struct node *n)
{
	if (n->all)
		vas_file_put(n->all);
	if (n->object)
		vas_object_put(n->object);
	kfree(n->name);
	kfree(n);
}

static struct node *node_child(struct node *dir, const char *name, size_t len)
{
	if (len == 1 && name[0] == '.')
		return dir;
	if (len == 2 && name[0] == '.' && name[1] == '.')
		return dir->parent ? dir->parent : dir;
	for (struct node *n = dir->children; n; n = n->next)
		if (strlen(n->name) == len && !memcmp(n->name, name, len))
			return n;
	return dir->kind == NODE_DIR && dir->pid == -1 ? proc_find(name, len) : NULL;
}

static struct node *walk(struct node *from, const char *path, bool follow, unsigned links,
                         int64_t *err)
{
	struct node *n = *path == '/' ? root_dir : from;

	while (*path) {
		while (*path == '/')
			path++;
		size_t len = 0;
		while (path[len] && path[len] != '/')
			len++;
		if (len == 0)
			break;
		*err = -ENOTDIR;
		if (n->kind != NODE_DIR)
			return NULL;
		*err = -ENOENT;
		struct node *child = node_child(n, path, len);
		if (!child)
			return NULL;
		path += len;
		if (child->kind == NODE_LINK && (follow || *path)) {
			char text[256] = {0};

			*err = -ELOOP;
			if (links == 0 || child->data_len >= sizeof(text))
				return NULL;
			memcpy(text, child->data, child->data_len);
			child = walk(n, text, true, links - 1, err);
			if (!child)
				return NULL;
		}
		n = child;
	}
	*err = 0;
	return n;
}

struct node *node_find(struct node *from, const char *path, bool follow, int64_t *err)
{
	if (!*path) {
		*err = -ENOENT;
		return NULL;
	}
	return walk(from, path, follow, 8, err);
}

void node_path(const struct node *n, struct text *out)
{
	if (n->parent && n->parent->parent)
		node_path(n->parent, out);
	text_print(out, "/%s", n->parent ? n->name : "");
}

/* ---- Pages ----------------------------------------------------------------------------------- */

static int64_t archive_page(void *ctx, uint64_t index, void *page)
{
	const struct node *n = ctx;
	const uint64_t at = index * PAGE;

	if (at < n->data_len)
		memcpy(page, n->data + at, n->data_len - at < PAGE ? n->data_len - at : PAGE);
	return 0;
}

static int64_t disk_read_page(void *ctx, uint64_t index, void *page)
{
	(void)ctx;
	return disk_io(index, page, false);
}

static int64_t disk_write_page(void *ctx, uint64_t index, const void *page)
{
	(void)ctx;
	return disk_io(index, (void *)(uintptr_t)page, true);
}

static const struct vas_object_ops archive_ops = {.read_page = archive_page};
static const struct vas_object_ops disk_ops = {.read_page = disk_read_page,
	                                       .write_page = disk_write_page};

static bool node_has_object(struct node *n)
{
	const struct vas_object_ops *ops = n->kind == NODE_DISK ? &disk_ops
	                                   : n->data            ? &archive_ops
	                                                        : NULL;
	const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE, .path = ""};

	if (n->all)
		return true;
	if (!n->object && vas_object_create(vas_of_kernel, ops, n, n->size, &n->object))
		return false;
	return vas_file_open(n->object, &info, &n->all) == 0;
}

/* One page, or a part of it, by way of a mapping of the kernel's own. */
static int64_t page_io(struct node *n, uint64_t at, void *bytes, size_t len, bool write)
{
	const uint64_t prot = VAS_PROT_READ | VAS_PROT_WRITE;
	int64_t addr, err;

	if (!window && vas_create(vas_of_kernel, NULL, &window))
		return -ENOMEM;
	if (!node_has_object(n))
		return -ENOMEM;
	addr = vas_mmap(window, 0, PAGE, prot, VAS_MAP_SHARED, n->all, at - at % PAGE);
	if (addr < 0)
		return -ENOMEM;
	if (write)
		err = vas_write(window, (uint64_t)addr + at % PAGE, bytes, len, NULL);
	else
		err = vas_read(window, bytes, (uint64_t)addr + at % PAGE, len, NULL);
	vas_munmap(window, (uint64_t)addr, PAGE);
	return err == -VAS_EFAULT ? -EIO : err;
}

static int64_t node_io(struct node *n, uint64_t at, uint8_t *bytes, size_t len, bool write)
{
	size_t done = 0;

	while (done < len) {
		size_t part = PAGE - (at + done) % PAGE;
		int64_t err;

		if (part > len - done)
			part = len - done;
		err = page_io(n, at + done, bytes + done, part, write);
		if (err)
			return done ? (int64_t)done : err;
		done += part;
	}
	return (int64_t)done;
}

int64_t node_read(struct node *n, uint64_t at, void *to, size_t len)
{
	if (at >= n->size)
		return 0;
	return node_io(n, at, to, len < n->size - at ? len : n->size - at, false);
}

int64_t node_write(struct node *n, uint64_t at, const void *from, size_t len)
{
	if (at + len > n->size) {
		if (n->kind == NODE_DISK)
			return -EFBIG;
		if (at + len > (uint64_t)1 << 40 || !node_has_object(n))
			return -EFBIG;
		if (vas_object_resize(n->object, at + len))
			return -ENOMEM;
		n->size = at + len;
	}
	return node_io(n, at, (uint8_t *)(uintptr_t)from, len, true);
}

/* ---- The archive: cpio, "newc" --------------------------------------------------------------- */

static uint32_t hex(const uint8_t *digits)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < 8; i++) {
		const uint8_t c = digits[i];

		n = n << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
	}
	return n;
}

static void archive_add(const char *path, uint32_t mode, const uint8_t *data, uint32_t len)
{
	struct node *dir = root_dir, *n;
	const char *slash;

	for (; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
		const size_t part = (size_t)(slash - path);

		if (part == 0)
			continue;
		n = node_child(dir, path, part);
		if (!n)
			n = node_add(dir, path, part, NODE_DIR, S_DIR | 0755);
		dir = n;
	}
	n = node_child(dir, path, strlen(path));
	if (n || !*path || !strcmp(path, ".boot"))
		return;
	n = node_create(dir, path,
	                (mode & S_FMT) == S_DIR   ? NODE_DIR
	                : (mode & S_FMT) == S_LNK ? NODE_LINK
	                                          : NODE_FILE,
	                mode);
	if ((mode & S_FMT) != S_DIR) {
		n->data = data;
		n->data_len = n->size = len;
	}
}

static void archive_read(const uint8_t *at)
{
	while (!memcmp(at, "070701", 6)) {
		const uint32_t mode = hex(at + 14), len = hex(at + 54), name_len = hex(at + 94);
		const char *name = (const char *)at + 110;
		const uint8_t *data = at + ((110 + name_len + 3) & ~3u);

		if (!strcmp(name, "TRAILER!!!"))
			return;
		archive_add(name, mode, data, len);
		at = data + ((len + 3) & ~3u);
	}
	panic("the boot archive is not one");
}

void files_init(const uint8_t *archive)
{
	struct node *dev, *n;

	root_dir = node_new("", 0, NODE_DIR, S_DIR | 0755);
	archive_read(archive);
	dev = node_create(root_dir, "dev", NODE_DIR, S_DIR | 0755);
	node_create(dev, "console", NODE_CONSOLE, S_CHR | 0600);
	node_create(dev, "tty", NODE_CONSOLE, S_CHR | 0600);
	node_create(dev, "null", NODE_NULL, S_CHR | 0666);
	node_create(dev, "zero", NODE_ZERO, S_CHR | 0666);
	if (disk_init()) {
		n = disk = node_create(dev, "vda", NODE_DISK, S_BLK | 0600);
		n->size = disk_size();
	}
	if (!node_child(root_dir, "tmp", 3))
		node_create(root_dir, "tmp", NODE_DIR, S_DIR | 01777);
	proc_init();
}

int64_t files_sync(void)
{
	return disk && disk->object ? vas_object_sync(disk->object) : 0;
}

/* What mmap gets: a file of its own for each opening, as on Linux, where two never merge. */
struct vas_file *file_mapping(struct file *file, int64_t *err)
{
	const uint32_t access = file->flags & O_ACCESS;
	struct node *n = file->node;
	struct vas_file_info info = {.mode = (access != 1 ? VAS_FILE_READ : 0) |
	                                     (access != 0 ? VAS_FILE_WRITE : 0)};

	if (!n || (n->kind != NODE_FILE && n->kind != NODE_DISK)) {
		*err = -VAS_ENODEV;
		return NULL;
	}
	if (file->mapped)
		return file->mapped;
	*err = -ENOMEM;
	if (!node_has_object(n))
		return NULL;
	if (!n->data && n->kind == NODE_FILE)
		info.mode |= VAS_FILE_SHMEM;
	info.minor = 1;
	info.inode = n->inode;
	info.path = file->path;
	if (vas_file_open(n->object, &info, &file->mapped))
		return NULL;
	*err = 0;
	return file->mapped;
}
