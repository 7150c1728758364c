/* io.c - read, write and what goes with them: positions, vectors, truncation, poll.
 *
 * The big lock is held while bytes move, so a reader sees all of a write or nothing.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"

#define CHUNK 4096u

static int64_t read_text(struct file *file, uint64_t at, uint64_t to, size_t len)
{
	const struct text *text = file->text;

	if (!text || at >= text->len)
		return 0;
	if (len > text->len - at)
		len = text->len - at;
	return copy_out(to, text->bytes + at, len) ? -EFAULT : (int64_t)len;
}

static int64_t fill_zero(uint64_t to, size_t len)
{
	static const uint8_t zeros[CHUNK];

	for (size_t done = 0; done < len; done += CHUNK)
		if (copy_out(to + done, zeros, len - done < CHUNK ? len - done : CHUNK))
			return done ? (int64_t)done : -EFAULT;
	return (int64_t)len;
}

static int64_t file_bytes(struct node *n, uint64_t at, uint64_t user, size_t len, bool write)
{
	static uint8_t bounce[CHUNK]; /* the big lock is held */
	size_t done = 0;

	while (done < len) {
		const size_t part = len - done < CHUNK ? len - done : CHUNK;
		int64_t moved;

		if (write && copy_in(bounce, user + done, part))
			return done ? (int64_t)done : -EFAULT;
		moved = write ? node_write(n, at + done, bounce, part)
		              : node_read(n, at + done, bounce, part);
		if (moved <= 0)
			return done ? (int64_t)done : moved;
		if (!write && copy_out(user + done, bounce, (size_t)moved))
			return done ? (int64_t)done : -EFAULT;
		done += (size_t)moved;
		if ((size_t)moved < part)
			break;
	}
	return (int64_t)done;
}

static int64_t file_read(struct file *file, uint64_t at, uint64_t to, size_t len)
{
	if ((file->flags & O_ACCESS) == 1)
		return -EBADF;
	if (file->pipe)
		return pipe_read(file, to, len);
	switch (file->node->kind) {
	case NODE_CONSOLE:
		return console_read(to, len, !(file->flags & O_NONBLOCK));
	case NODE_NULL:
		return 0;
	case NODE_ZERO:
		return fill_zero(to, len);
	case NODE_PROC:
		return file->text ? read_text(file, at, to, len)
		                  : proc_pagemap(file->node->pid, at, to, len);
	case NODE_DIR:
		return -EISDIR;
	default:
		return file_bytes(file->node, at, to, len, false);
	}
}

static int64_t file_write(struct file *file, uint64_t at, uint64_t from, size_t len)
{
	if ((file->flags & O_ACCESS) == 0)
		return -EBADF;
	if (file->pipe)
		return pipe_write(file, from, len);
	switch (file->node->kind) {
	case NODE_CONSOLE:
		return console_write(from, len);
	case NODE_NULL:
	case NODE_ZERO:
		return (int64_t)len;
	case NODE_FILE:
	case NODE_DISK:
		return file_bytes(file->node, at, from, len, true);
	default:
		return -EINVAL;
	}
}

/* at: an offset, or the file's own position. */
#define OWN_POSITION (~(uint64_t)0)

static int64_t transfer(int fd, uint64_t user, uint64_t len, uint64_t at, bool write)
{
	int64_t result = -EBADF;

	big_lock();
	struct file *file = file_get(fd);
	if (file) {
		const bool own = at == OWN_POSITION;

		if (len > 0x7ffff000)
			len = 0x7ffff000;
		if (own)
			at = write && file->flags & O_APPEND && file->node ? file->node->size
			                                                   : file->at;
		else if (file->pipe)
			at = OWN_POSITION;
		result = at == OWN_POSITION ? -ESPIPE
		         : write            ? file_write(file, at, user, len)
		                            : file_read(file, at, user, len);
		if (own && result > 0)
			file->at = at + (uint64_t)result;
		file_put(file);
	}
	big_unlock();
	return result;
}

SYSCALL(read)
{
	return transfer((int)a[0], a[1], a[2], OWN_POSITION, false);
}

SYSCALL(write)
{
	return transfer((int)a[0], a[1], a[2], OWN_POSITION, true);
}

SYSCALL(pread64)
{
	return (int64_t)a[3] < 0 ? -EINVAL : transfer((int)a[0], a[1], a[2], a[3], false);
}

SYSCALL(pwrite64)
{
	return (int64_t)a[3] < 0 ? -EINVAL : transfer((int)a[0], a[1], a[2], a[3], true);
}

static int64_t transfer_vector(const uint64_t a[6], bool write)
{
	int64_t done = 0;

	if (a[2] > 1024)
		return -EINVAL;
	for (uint64_t i = 0; i < a[2]; i++) {
		uint64_t part[2];
		int64_t moved;

		if (copy_in(part, a[1] + i * 16, sizeof(part)))
			return done ? done : -EFAULT;
		if (part[1] == 0)
			continue;
		moved = transfer((int)a[0], part[0], part[1], OWN_POSITION, write);
		if (moved < 0)
			return done ? done : moved;
		done += moved;
		if ((uint64_t)moved < part[1])
			break;
	}
	return done;
}

SYSCALL(readv)
{
	return transfer_vector(a, false);
}

SYSCALL(writev)
{
	return transfer_vector(a, true);
}

SYSCALL(lseek)
{
	int64_t result = -EBADF;

	big_lock();
	struct file *file = file_get((int)a[0]);
	if (file) {
		const int64_t base = a[2] == 0    ? 0
		                     : a[2] == 1  ? (int64_t)file->at
		                     : file->node ? (int64_t)file->node->size
		                                  : 0;

		result = file->pipe || file->node->kind == NODE_CONSOLE ? -ESPIPE
		         : a[2] > 2 || base + (int64_t)a[1] < 0         ? -EINVAL
		                                                        : base + (int64_t)a[1];
		if (result >= 0)
			file->at = (uint64_t)result;
		file_put(file);
	}
	big_unlock();
	return result;
}

static int64_t node_truncate(struct node *n, uint64_t size)
{
	if (n->kind != NODE_FILE || (int64_t)size < 0 || size > (uint64_t)1 << 40)
		return -EINVAL;
	if (n->data && size < n->data_len)
		n->data_len = size; /* what comes back after it are zeros */
	if (n->object && vas_object_resize(n->object, size))
		return -ENOMEM;
	n->size = size;
	return 0;
}

SYSCALL(ftruncate)
{
	int64_t result = -EBADF;

	big_lock();
	struct file *file = file_get((int)a[0]);
	if (file) {
		result = !file->node || !(file->flags & O_ACCESS) ? -EINVAL
		                                                  : node_truncate(file->node, a[1]);
		file_put(file);
	}
	big_unlock();
	return result;
}

SYSCALL(truncate)
{
	char path[256];
	int64_t err;
	struct node *n = path_find(AT_FDCWD, a[0], true, path, &err);

	if (n)
		err = node_truncate(n, a[1]);
	big_unlock();
	return err;
}

SYSCALL(fsync)
{
	int64_t result = -EBADF;

	big_lock();
	struct file *file = file_get((int)a[0]);
	if (file) {
		result = !file->node          ? -EINVAL
		         : file->node->object ? vas_object_sync(file->node->object)
		                              : 0;
		file_put(file);
	}
	big_unlock();
	return result;
}

SYSCALL(sync)
{
	(void)a;
	big_lock();
	files_sync();
	big_unlock();
	return 0;
}

SYSCALL(fdatasync)
{
	return sys_fsync(a);
}

SYSCALL(ioctl)
{
	int64_t result = -EBADF;

	big_lock();
	struct file *file = file_get((int)a[0]);
	if (file) {
		result = file->node && file->node->kind == NODE_CONSOLE
		                 ? console_control(a[1], a[2])
		                 : -ENOTTY;
		file_put(file);
	}
	big_unlock();
	return result;
}

/* ---- poll ------------------------------------------------------------------------------------ */

static uint16_t ready_for(const struct file *file, uint16_t events)
{
	uint16_t out = 0;

	if (!file)
		return 32; /* POLLNVAL */
	if (file->pipe) {
		if ((file->flags & O_ACCESS) == 0)
			out = (uint16_t)((file->pipe->len ? 1 : 0) |
			                 (file->pipe->writers ? 0 : 16));
		else
			out = (uint16_t)((file->pipe->len < sizeof(file->pipe->bytes) ? 4 : 0) |
			                 (file->pipe->readers ? 0 : 8));
	} else if (file->node->kind == NODE_CONSOLE) {
		out = (uint16_t)(4 | (console_is_ready() ? 1 : 0));
	} else {
		out = 5;
	}
	return out & (events | 8 | 16);
}

static int64_t poll(uint64_t fds, uint64_t n, uint64_t until, bool wait)
{
	struct process *p = current()->process;

	for (;;) {
		int64_t found = 0;

		for (uint64_t i = 0; i < n; i++) {
			struct {
				int32_t fd;
				uint16_t events, got;
			} one;

			if (copy_in(&one, fds + i * 8, 8))
				return -EFAULT;
			one.got = one.fd < 0
			                  ? 0
			                  : ready_for(one.fd < MAX_FILES ? p->file[one.fd] : NULL,
			                              one.events);
			found += one.got != 0;
			if (copy_out(fds + i * 8, &one, 8))
				return -EFAULT;
		}
		if (found || !wait || (until && arch_clock() >= until))
			return found;
		if (interrupted())
			return -EINTR;
		const uint64_t soon = arch_clock() +
		                      10000000; /* there is no list of who waits for what */
		sleep_until(&poll, until && until < soon ? until : soon);
	}
}

SYSCALL(poll)
{
	const int32_t ms = (int32_t)a[2];

	big_lock();
	int64_t result = poll(a[0], a[1], ms > 0 ? arch_clock() + (uint64_t)ms * 1000000 : 0,
	                      ms != 0);
	big_unlock();
	return result;
}

SYSCALL(ppoll)
{
	uint64_t time[2] = {0}, until = 0;

	if (a[2] && copy_in(time, a[2], sizeof(time)))
		return -EFAULT;
	if (time[0] || time[1])
		until = arch_clock() + time[0] * 1000000000 + time[1];
	big_lock();
	int64_t result = poll(a[0], a[1], until, !a[2] || until);
	big_unlock();
	return result;
}
