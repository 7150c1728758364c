/* files.c - descriptors and the calls on them.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"

enum { AT_EMPTY_PATH = 0x1000, AT_NOFOLLOW = 0x100, AT_REMOVEDIR = 0x200 };

/* ---- Descriptors ----------------------------------------------------------------------------- */

struct file *file_get(int fd)
{
	struct process *p = current()->process;

	if (fd < 0 || fd >= MAX_FILES || !p->file[fd])
		return NULL;
	p->file[fd]->users++;
	return p->file[fd];
}

static void file_path(struct file *file)
{
	struct text path = {0};

	node_path(file->node, &path);
	text_add(&path, "", 1);
	file->path = path.bytes;
}

int64_t file_open(struct node *n, uint32_t flags, struct file **file)
{
	*file = kmalloc(sizeof(**file));
	if (!*file)
		return -ENOMEM;
	**file = (struct file){.users = 1, .flags = flags, .node = n};
	n->users++;
	file_path(*file);
	if (n->kind == NODE_PROC && n->show) {
		struct process *p = process_find(n->pid);

		(*file)->text = kmalloc(sizeof(struct text));
		if (p && !p->zombie && (*file)->text)
			n->show(p, (*file)->text);
	}
	return 0;
}

/* A mapping holds the vas_file, and that the path: it stays for as long. */
void file_put(struct file *file)
{
	struct node *n = file->node;

	if (--file->users > 0)
		return;
	if (file->pipe)
		pipe_close(file);
	if (file->mapped)
		vas_file_put(file->mapped);
	else
		kfree(file->path);
	if (file->text)
		kfree(file->text->bytes);
	kfree(file->text);
	if (n && --n->users == 0 && n->links == 0)
		node_free(n);
	kfree(file);
}

int64_t fd_install(struct file *file, int lowest, bool cloexec)
{
	struct process *p = current()->process;

	for (int fd = lowest; fd < MAX_FILES; fd++)
		if (!p->file[fd]) {
			p->file[fd] = file;
			p->close_on_exec &= ~((uint64_t)1 << fd);
			p->close_on_exec |= (uint64_t)cloexec << fd;
			return fd;
		}
	file_put(file);
	return -EMFILE;
}

int64_t fd_close(int fd)
{
	struct process *p = current()->process;

	if (fd < 0 || fd >= MAX_FILES || !p->file[fd])
		return -EBADF;
	file_put(p->file[fd]);
	p->file[fd] = NULL;
	return 0;
}

SYSCALL(close)
{
	big_lock();
	int64_t result = fd_close((int)a[0]);
	big_unlock();
	return result;
}

static int64_t duplicate(int fd, int to, bool exact, bool cloexec)
{
	struct process *p = current()->process;
	int64_t result = -EBADF;

	big_lock();
	struct file *file = file_get(fd);
	if (file && exact && (to < 0 || to >= MAX_FILES)) {
		file_put(file);
	} else if (file) {
		if (exact && p->file[to])
			fd_close(to);
		result = fd_install(file, to, cloexec);
	}
	big_unlock();
	return result;
}

SYSCALL(dup)
{
	return duplicate((int)a[0], 0, false, false);
}

SYSCALL(dup3)
{
	return a[0] == a[1] ? -EINVAL : duplicate((int)a[0], (int)a[1], true, a[2] & O_CLOEXEC);
}

SYSCALL(dup2)
{
	if (a[0] == a[1])
		return (int)a[0] >= 0 && a[0] < MAX_FILES && current()->process->file[a[0]]
		               ? (int64_t)a[0]
		               : -EBADF;
	return sys_dup3((const uint64_t[6]){a[0], a[1]});
}

SYSCALL(fcntl)
{
	struct process *p = current()->process;
	const uint64_t bit = (uint64_t)1 << (a[0] & 63);

	if (a[0] >= MAX_FILES || !p->file[a[0]])
		return -EBADF;
	switch (a[1]) {
	case 0: /* F_DUPFD */
	case 1030:
		return a[2] < MAX_FILES ? duplicate((int)a[0], (int)a[2], false, a[1] == 1030)
		                        : -EINVAL;
	case 1: /* F_GETFD */
		return (p->close_on_exec & bit) != 0;
	case 2: /* F_SETFD */
		p->close_on_exec = a[2] & 1 ? p->close_on_exec | bit : p->close_on_exec & ~bit;
		return 0;
	case 3: /* F_GETFL */
		return p->file[a[0]]->flags;
	case 4: /* F_SETFL */
		p->file[a[0]]->flags = (p->file[a[0]]->flags & ~(uint32_t)(O_APPEND | O_NONBLOCK)) |
		                       (a[2] & (O_APPEND | O_NONBLOCK));
		return 0;
	}
	return -EINVAL;
}

/* ---- Paths ----------------------------------------------------------------------------------- */

/* The node that a directory's descriptor and a path mean; the lock is held when it returns. */
struct node *path_find(int64_t fd, uint64_t addr, bool follow, char path[256], int64_t *err)
{
	struct process *p = current()->process;
	struct node *from = p->cwd;

	*err = copy_string(path, addr, 256);
	big_lock();
	if (*err < 0)
		return NULL;
	if ((int)fd != AT_FDCWD && path[0] != '/') {
		if (fd < 0 || fd >= MAX_FILES || !p->file[fd] || !p->file[fd]->node) {
			*err = -EBADF;
			return NULL;
		}
		from = p->file[fd]->node;
	}
	return node_find(from, path, follow, err);
}

/* The directory that `path` ends in, and the last word of it. */
static struct node *find_parent(int64_t fd, char path[256], const char **last, int64_t *err)
{
	struct process *p = current()->process;
	struct node *from = (int)fd == AT_FDCWD || path[0] == '/' ? p->cwd : p->file[fd]->node;
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		path[--len] = 0;
	while (len > 0 && path[len - 1] != '/')
		len--;
	*last = path + len;
	if (len == 0)
		return from;
	char kept = path[len];
	path[len] = 0;
	struct node *dir = node_find(from, path, true, err);
	path[len] = kept;
	return dir;
}

static int64_t create(int64_t fd, char path[256], enum node_kind kind, uint32_t mode,
                      struct node **n)
{
	const char *last;
	int64_t err = 0;
	struct node *dir = find_parent(fd, path, &last, &err);

	if (!dir)
		return err;
	if (dir->kind != NODE_DIR || dir->pid || !*last)
		return dir->kind == NODE_DIR ? -EACCES : -ENOTDIR;
	*n = node_create(dir, last, kind, mode);
	return *n ? 0 : -ENOMEM;
}

static int64_t open_node(struct node *n, uint32_t flags)
{
	struct file *file;
	int64_t err;

	if (n->kind == NODE_DIR && (flags & O_ACCESS))
		return -EISDIR;
	if (flags & ARCH_O_DIRECTORY && n->kind != NODE_DIR)
		return -ENOTDIR;
	if (n->kind == NODE_LINK)
		return -ELOOP;
	if (flags & O_TRUNC && n->kind == NODE_FILE && n->size) {
		if (n->object && vas_object_resize(n->object, 0))
			return -ENOMEM;
		n->size = n->data_len = 0;
	}
	err = file_open(n, flags & ~(uint32_t)O_CLOEXEC, &file);
	return err ? err : fd_install(file, 0, flags & O_CLOEXEC);
}

SYSCALL(openat)
{
	const uint32_t flags = (uint32_t)a[2];
	char path[256];
	int64_t err;
	struct node *n = path_find((int64_t)a[0], a[1], true, path, &err);

	if (n && flags & O_CREAT && flags & O_EXCL)
		err = -EEXIST;
	else if (!n && err == -ENOENT && flags & O_CREAT)
		err = create((int64_t)a[0], path, NODE_FILE, 0100000 | (a[3] & 0777), &n);
	if (!err)
		err = open_node(n, flags);
	big_unlock();
	return err;
}

SYSCALL(open)
{
	return sys_openat((const uint64_t[6]){(uint64_t)AT_FDCWD, a[0], a[1], a[2]});
}

SYSCALL(memfd_create)
{
	char name[256] = "memfd:";
	int64_t len = copy_string(name + 6, a[0], sizeof(name) - 6 - 10), result;
	struct file *file;

	if (len < 0)
		return len == -ENAMETOOLONG ? -EINVAL : len;
	memcpy(name + 6 + len, " (deleted)", 11);
	big_lock();
	struct node *n = node_create(&(struct node){0}, name, NODE_FILE, 0100777);
	result = -ENOMEM;
	if (n) {
		n->links = 0;
		n->parent = n->next = NULL;
		n->parent = root_dir;
		result = file_open(n, 2, &file);
	}
	if (!result)
		result = fd_install(file, 0, a[1] & 1);
	big_unlock();
	return result;
}

SYSCALL(mkdirat)
{
	char path[256];
	int64_t err;
	struct node *n = path_find((int64_t)a[0], a[1], true, path, &err);

	if (n)
		err = -EEXIST;
	else if (err == -ENOENT)
		err = create((int64_t)a[0], path, NODE_DIR, 0040000 | (a[2] & 0777), &n);
	big_unlock();
	return err;
}

SYSCALL(mkdir)
{
	return sys_mkdirat((const uint64_t[6]){(uint64_t)AT_FDCWD, a[0], a[1]});
}

static int64_t node_unlink(struct node *n, bool is_dir)
{
	struct node **at;

	if (!n->parent || n->pid || n->kind == NODE_CONSOLE)
		return -EPERM;
	if ((n->kind == NODE_DIR) != is_dir)
		return is_dir ? -ENOTDIR : -EISDIR;
	if (n->children)
		return -ENOTEMPTY;
	for (at = &n->parent->children; *at != n; at = &(*at)->next)
		;
	*at = n->next;
	n->links = 0;
	if (n->users == 0)
		node_free(n);
	return 0;
}

SYSCALL(unlinkat)
{
	char path[256];
	int64_t err;
	struct node *n = path_find((int64_t)a[0], a[1], false, path, &err);

	if (n)
		err = node_unlink(n, a[2] & AT_REMOVEDIR);
	big_unlock();
	return err;
}

SYSCALL(unlink)
{
	return sys_unlinkat((const uint64_t[6]){(uint64_t)AT_FDCWD, a[0]});
}

SYSCALL(readlinkat)
{
	char path[256];
	int64_t result;
	struct node *n = path_find((int64_t)a[0], a[1], false, path, &result);
	struct text text = {0};

	if (n && n->kind == NODE_LINK) {
		text_add(&text, (const char *)n->data, n->data_len);
	} else if (n && n->kind == NODE_PROC && !n->show && n->pid > 0) {
		struct process *p = process_find(n->pid); /* exe */

		if (p && p->mm && p->mm->executable)
			node_path(p->mm->executable->node, &text);
	} else if (n) {
		result = -EINVAL;
	}
	big_unlock();
	if (text.len) {
		result = (int64_t)(text.len < a[3] ? text.len : a[3]);
		if (copy_out(a[2], text.bytes, (size_t)result))
			result = -EFAULT;
	}
	kfree(text.bytes);
	return result;
}

SYSCALL(readlink)
{
	return sys_readlinkat((const uint64_t[6]){(uint64_t)AT_FDCWD, a[0], a[1], a[2]});
}

SYSCALL(faccessat)
{
	char path[256];
	int64_t err;

	path_find((int64_t)a[0], a[1], true, path, &err);
	big_unlock();
	return err;
}

SYSCALL(faccessat2)
{
	return sys_faccessat(a);
}

SYSCALL(access)
{
	return sys_faccessat((const uint64_t[6]){(uint64_t)AT_FDCWD, a[0]});
}

SYSCALL(chdir)
{
	char path[256];
	int64_t err;
	struct node *n = path_find(AT_FDCWD, a[0], true, path, &err);

	if (n && n->kind != NODE_DIR)
		err = -ENOTDIR;
	else if (n)
		current()->process->cwd = n;
	big_unlock();
	return err;
}

SYSCALL(getcwd)
{
	struct text text = {0};
	int64_t result;

	big_lock();
	node_path(current()->process->cwd, &text);
	big_unlock();
	text_add(&text, "", 1);
	result = text.len > a[1]                        ? -ERANGE
	         : copy_out(a[0], text.bytes, text.len) ? -EFAULT
	                                                : (int64_t)text.len;
	kfree(text.bytes);
	return result;
}

static int64_t stat_out(const struct node *n, uint64_t to)
{
	uint8_t stat[160];

	return copy_out(to, stat, arch_stat(n, stat));
}

SYSCALL(newfstatat)
{
	char path[256] = "";
	int64_t err = 0;

	if (a[3] & AT_EMPTY_PATH && (!a[1] || (!copy_in(path, a[1], 1) && !path[0])))
		return sys_fstat((const uint64_t[6]){a[0], a[2]});
	struct node *n = path_find((int64_t)a[0], a[1], !(a[3] & AT_NOFOLLOW), path, &err);
	if (n)
		err = stat_out(n, a[2]);
	big_unlock();
	return err;
}

SYSCALL(stat)
{
	return sys_newfstatat((const uint64_t[6]){(uint64_t)AT_FDCWD, a[0], a[1], 0});
}

SYSCALL(lstat)
{
	return sys_newfstatat((const uint64_t[6]){(uint64_t)AT_FDCWD, a[0], a[1], AT_NOFOLLOW});
}

SYSCALL(fstat)
{
	static const struct node of_a_pipe = {.mode = 0010600, .links = 1};
	int64_t result = -EBADF;

	big_lock();
	struct file *file = file_get((int)a[0]);
	if (file) {
		result = stat_out(file->node ? file->node : &of_a_pipe, a[1]);
		file_put(file);
	}
	big_unlock();
	return result;
}

SYSCALL(getdents64)
{
	uint64_t to = a[1], index = 0;
	int64_t result = -EBADF;

	big_lock();
	struct file *file = file_get((int)a[0]);
	if (!file || !file->node || file->node->kind != NODE_DIR) {
		if (file)
			file_put(file);
		big_unlock();
		return file ? -ENOTDIR : -EBADF;
	}
	result = 0;
	for (struct node *n = file->node->children; n && result >= 0; n = n->next, index++) {
		const size_t len = (19 + strlen(n->name) + 1 + 7) & ~(size_t)7;
		uint8_t entry[288] = {0};

		if (index < file->at || len > sizeof(entry))
			continue;
		if (to + len > a[1] + a[2]) {
			result = to == a[1] ? -EINVAL : 0;
			break;
		}
		memcpy(entry, &(uint64_t){n->inode}, 8);
		memcpy(entry + 8, &(uint64_t){index + 1}, 8);
		memcpy(entry + 16, &(uint16_t){(uint16_t)len}, 2);
		entry[18] = (uint8_t)(n->mode >> 12 & 15);
		memcpy(entry + 19, n->name, strlen(n->name));
		result = copy_out(to, entry, len);
		to += len;
		file->at = index + 1;
	}
	file_put(file);
	big_unlock();
	return result < 0 ? result : (int64_t)(to - a[1]);
}
