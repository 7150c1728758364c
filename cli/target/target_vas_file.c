/* target_vas_file.c - the vas side's descriptors: memory, scratch and the machine's own files.
 *
 * Scratch files live in memory and are only named like files; the machine's own are read, never
 * written. The answers are those of a process that may open whatever it likes.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "filesystem.h"
#include "strace/strace_names.h"
#include "target/target_vas_internal.h"

/* Far from the numbers that vas itself gives to shared anonymous memory. */
#define FIRST_INODE ((uint64_t)1 << 32)

enum { MFD_KNOWN = 0x1b, MFD_NOEXEC_AND_EXEC = 0x18, MFD_NAME_MAX = 249 };

/* ---- Nodes ----------------------------------------------------------------------------------- */

static struct node *node_create(struct vas_target *vas, const char *path,
                                const struct vas_object_ops *ops, void *ctx, uint64_t size)
{
	size_t path_size = strlen(path) + 1;
	struct node *node = calloc(1, sizeof(*node) + path_size);
	int64_t result = node ? vas_object_create(vas->system, ops, ctx, size, &node->object)
	                      : -VAS_ENOMEM;
	if (result < 0) {
		fprintf(stderr, "vas: %s: %s\n", path, errno_name(-result));
		free(node);
		return NULL;
	}
	memcpy(node->path, path, path_size);
	node->minor = 1;
	node->inode = FIRST_INODE + vas->last_inode++;
	node->next = vas->nodes;
	vas->nodes = node;
	return node;
}

static struct node *node_find(struct vas_target *vas, const char *path)
{
	struct node *node = vas->nodes;
	while (node && !(node->named && strcmp(node->path, path) == 0))
		node = node->next;
	return node;
}

/* What the file system at `path` does to mappings of its files. vas makes holes (MADV_REMOVE) only
 * in files of its `own`. */
static uint32_t filesystem_mode(const struct vas_target *vas, const char *path, bool own)
{
	const struct filesystem *fs = vas_host_filesystem_at(path);
	uint32_t mode = vas_host_noexec_at(path) ? VAS_FILE_NOEXEC : 0;
	struct stat info;
	if (!fs)
		return mode;
	bool aligns = fs->aligns || (fs->memory && stat(path, &info) == 0 &&
	                             machine_aligns_memory(vas->machine, info.st_dev));
	return mode | (aligns ? VAS_FILE_THP_ALIGN : 0) |
	       (fs->memory || (own && fs->punches) ? VAS_FILE_SHMEM : 0);
}

/* ---- Files of the machine -------------------------------------------------------------------- */

struct host_file {
	int fd;
	size_t page_size; /* vas's */
};

static int64_t read_host_page(void *ctx, uint64_t index, void *page)
{
	const struct host_file *file = ctx;
	ssize_t n = pread(file->fd, page, file->page_size, (off_t)(index * file->page_size));
	return n < 0 ? -errno : 0;
}

static void close_host(void *ctx)
{
	(void)close(((struct host_file *)ctx)->fd);
	free(ctx);
}

static struct node *open_host(struct vas_target *vas, const char *path, int64_t *error)
{
	static const struct vas_object_ops ops = {.read_page = read_host_page,
	                                          .release = close_host};
	struct stat info;
	struct node *node;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	*error = fd < 0 || fstat(fd, &info) < 0 ? -errno : -VAS_ENOMEM;
	struct host_file *file = *error == -VAS_ENOMEM ? malloc(sizeof(*file)) : NULL;
	if (!file) {
		if (fd >= 0)
			(void)close(fd);
		return NULL;
	}
	*file = (struct host_file){fd, vas->target.page_size};
	node = node_create(vas, path, &ops, file, (uint64_t)info.st_size);
	if (!node) {
		close_host(file);
		return NULL;
	}
	node->mode = filesystem_mode(vas, path, false);
	node->major = major(info.st_dev);
	node->minor = minor(info.st_dev);
	node->inode = info.st_ino;
	node->named = true;
	return node;
}

/* maps shows the path behind all symbolic links. */
static struct node *find_host(struct vas_target *vas, const char *path, int64_t *error)
{
	char *real = realpath(path, NULL);
	struct node *node = real ? node_find(vas, real) : NULL;
	*error = real ? 0 : -errno;
	if (real && !node)
		node = open_host(vas, real, error);
	free(real);
	return node;
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

/* The kernel takes descriptors as 32-bit numbers. */
static struct opening *descriptor_at(struct vas_target *vas, uint64_t number)
{
	uint32_t index = (uint32_t)number;
	return index < DESCRIPTORS ? vas->now->descriptor[index] : NULL;
}

struct vas_file *descriptor_file(struct vas_target *vas, uint64_t number)
{
	struct opening *opening = descriptor_at(vas, number);
	return opening ? opening->file : NULL;
}

static int64_t descriptor_take(struct vas_target *vas, struct node *node, uint32_t access)
{
	const struct vas_file_info info = {.mode = node->mode | access,
	                                   .major = node->major,
	                                   .minor = node->minor,
	                                   .inode = node->inode,
	                                   .path = node->path};
	unsigned i = 0;
	while (i < DESCRIPTORS && vas->now->descriptor[i])
		i++;
	if (i == DESCRIPTORS)
		return -EMFILE;
	struct opening *opening = malloc(sizeof(*opening));
	if (!opening)
		return -VAS_ENOMEM;
	*opening = (struct opening){.node = node, .descriptors = 1};
	int64_t result = vas_file_open(node->object, &info, &opening->file);
	if (result < 0) {
		free(opening);
		return result;
	}
	vas->now->descriptor[i] = opening;
	node->openings++;
	return i;
}

static void node_forget(struct node *node)
{
	if (node->named || node->openings || !node->object)
		return;
	vas_object_put(node->object);
	node->object = NULL;
}

static void opening_put(struct opening *opening)
{
	if (--opening->descriptors)
		return;
	vas_file_put(opening->file);
	opening->node->openings--;
	node_forget(opening->node);
	free(opening);
}

int64_t descriptor_close(struct vas_target *vas, uint64_t number)
{
	struct opening *opening = descriptor_at(vas, number);
	if (!opening)
		return -VAS_EBADF;
	vas->now->descriptor[(uint32_t)number] = NULL;
	opening_put(opening);
	return 0;
}

void descriptors_fork(const struct vas_process *parent, struct vas_process *child)
{
	for (unsigned i = 0; i < DESCRIPTORS; i++) {
		child->descriptor[i] = parent->descriptor[i];
		if (child->descriptor[i])
			child->descriptor[i]->descriptors++;
	}
}

void descriptors_close(struct vas_process *process)
{
	for (unsigned i = 0; i < DESCRIPTORS; i++) {
		if (process->descriptor[i])
			opening_put(process->descriptor[i]);
		process->descriptor[i] = NULL;
	}
}

int64_t descriptor_memfd(struct vas_target *vas, const char *name, uint64_t flags)
{
	char path[CALL_TEXT_MAX + 32];
	struct node *node;
	int64_t number;
	if ((uint32_t)flags & ~(uint32_t)MFD_KNOWN || strlen(name) > MFD_NAME_MAX ||
	    (flags & MFD_NOEXEC_AND_EXEC) == MFD_NOEXEC_AND_EXEC)
		return -VAS_EINVAL;
	(void)snprintf(path, sizeof(path), "/memfd:%s (deleted)", name);
	node = node_create(vas, path, NULL, NULL, 0);
	if (!node)
		return -VAS_ENOMEM;
	node->mode = VAS_FILE_SHMEM | (vas->machine->settings.shmem_thp ? VAS_FILE_THP_ALIGN : 0);
	number = descriptor_take(vas, node, VAS_FILE_READ | VAS_FILE_WRITE);
	if (number < 0)
		node_forget(node);
	return number;
}

/* The node that a path names, created if that is wished. */
static struct node *resolve(struct vas_target *vas, const char *path, uint64_t flags,
                            int64_t *error)
{
	static const char fds[] = "/proc/self/fd/";
	bool scratch = strncmp(path, SCRATCH_DIR, strlen(SCRATCH_DIR)) == 0;
	struct opening *opening;
	struct node *node;
	*error = -ENOENT;
	if (strncmp(path, fds, strlen(fds)) == 0) {
		opening = descriptor_at(vas, strtoull(path + strlen(fds), NULL, 10));
		node = opening ? opening->node : NULL;
	} else if (!scratch) {
		return find_host(vas, path, error);
	} else {
		node = node_find(vas, path);
	}
	if (node && (flags & O_CREAT) && (flags & O_EXCL)) {
		*error = -VAS_EEXIST;
		return NULL;
	}
	if (node || !scratch || !(flags & O_CREAT))
		return node;
	*error = -VAS_ENOMEM;
	node = node_create(vas, path, NULL, NULL, 0);
	if (node) {
		node->mode = filesystem_mode(vas, "/tmp", true);
		node->named = true;
	}
	return node;
}

int64_t descriptor_open(struct vas_target *vas, const char *path, uint64_t flags)
{
	static const uint32_t access[] = {[O_RDONLY] = VAS_FILE_READ,
	                                  [O_WRONLY] = VAS_FILE_WRITE,
	                                  [O_RDWR] = VAS_FILE_READ | VAS_FILE_WRITE,
	                                  [O_ACCMODE] = 0};
	int64_t error;
	struct node *node = resolve(vas, path, flags, &error);
	if (!node)
		return error;
	if ((flags & O_TRUNC) && !(node->mode & VAS_FILE_NOMAP)) {
		error = vas_object_resize(node->object, 0);
		if (error < 0)
			return error;
	}
	return descriptor_take(vas, node, access[flags & O_ACCMODE]);
}

int64_t descriptor_truncate(struct vas_target *vas, uint64_t number, uint64_t len)
{
	struct opening *opening = descriptor_at(vas, number);
	if (len > INT64_MAX)
		return -VAS_EINVAL;
	if (!opening)
		return -VAS_EBADF;
	if (!(vas_file_info(opening->file)->mode & VAS_FILE_WRITE) ||
	    (opening->node->mode & VAS_FILE_NOMAP))
		return -VAS_EINVAL;
	return vas_object_resize(opening->node->object, len);
}

/* ---- The beginning and the end --------------------------------------------------------------- */

struct vas_file *descriptor_plain_file(struct vas_target *vas, const struct vas_file_info *info,
                                       uint64_t size)
{
	struct vas_file_info lasting = *info;
	struct vas_file *file = NULL;
	struct node *node = node_create(vas, info->path, NULL, NULL, size);
	if (!node)
		return NULL;
	lasting.path = node->path;
	int64_t result = vas_file_open(node->object, &lasting, &file);
	node_forget(node);
	if (result == 0)
		return file;
	fprintf(stderr, "vas: %s: %s\n", info->path, errno_name(-result));
	return NULL;
}

bool descriptors_start(struct vas_target *vas)
{
	struct node *node = node_create(vas, "/dev/null", NULL, NULL, 0);
	if (!node)
		return false;
	node->named = true;
	node->mode = VAS_FILE_NOMAP;
	for (int i = 0; i < 3; i++)
		if (descriptor_take(vas, node, VAS_FILE_READ | VAS_FILE_WRITE) != i)
			return false;
	return true;
}

void descriptors_forget(struct vas_target *vas)
{
	for (struct node *node = vas->nodes; node; node = node->next) {
		node->named = false;
		node_forget(node);
	}
}

void descriptors_free(struct vas_target *vas)
{
	for (struct node *node = vas->nodes, *next; node; node = next) {
		next = node->next;
		free(node);
	}
}
