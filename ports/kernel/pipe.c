/* pipe.c - pipes.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"

static struct file *pipe_end(struct pipe *pipe, uint32_t flags)
{
	struct file *file = kmalloc(sizeof(*file));

	if (file)
		*file = (struct file){.users = 1, .flags = flags, .pipe = pipe};
	return file;
}

SYSCALL(pipe2)
{
	int32_t fd[2] = {-1, -1};
	int64_t err = -ENOMEM;

	big_lock();
	struct pipe *pipe = kmalloc(sizeof(*pipe));
	struct file *in = pipe ? pipe_end(pipe, a[1] & O_NONBLOCK) : NULL;
	struct file *out = in ? pipe_end(pipe, 1 | (a[1] & O_NONBLOCK)) : NULL;
	if (out) {
		pipe->readers = pipe->writers = 1;
		err = fd[0] = (int32_t)fd_install(in, 0, a[1] & O_CLOEXEC);
		if (err >= 0)
			err = fd[1] = (int32_t)fd_install(out, 0, a[1] & O_CLOEXEC);
		else
			file_put(out);
		if (err < 0 && fd[0] >= 0)
			fd_close(fd[0]);
		else if (err >= 0)
			err = copy_out(a[0], fd, sizeof(fd));
	} else {
		kfree(in);
		kfree(pipe);
	}
	big_unlock();
	return err;
}

SYSCALL(pipe)
{
	return sys_pipe2((const uint64_t[6]){a[0]});
}

void pipe_close(struct file *file)
{
	struct pipe *pipe = file->pipe;

	if ((file->flags & O_ACCESS) == 0)
		pipe->readers--;
	else
		pipe->writers--;
	wake(pipe);
	if (!pipe->readers && !pipe->writers)
		kfree(pipe);
}

int64_t pipe_read(struct file *file, uint64_t to, size_t len)
{
	struct pipe *pipe = file->pipe;
	size_t done = 0;

	while (pipe->len == 0 && len > 0) {
		if (!pipe->writers)
			return 0;
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (interrupted())
			return -ERESTART;
		sleep_on(pipe);
	}
	while (done < len && pipe->len > 0) {
		size_t part = sizeof(pipe->bytes) - pipe->start;

		part = part < pipe->len ? part : pipe->len;
		part = part < len - done ? part : len - done;
		if (copy_out(to + done, pipe->bytes + pipe->start, part))
			return done ? (int64_t)done : -EFAULT;
		pipe->start = (uint32_t)((pipe->start + part) % sizeof(pipe->bytes));
		pipe->len -= (uint32_t)part;
		done += part;
	}
	wake(pipe);
	return (int64_t)done;
}

int64_t pipe_write(struct file *file, uint64_t from, size_t len)
{
	struct pipe *pipe = file->pipe;
	size_t done = 0;

	while (done < len) {
		const size_t end = (pipe->start + pipe->len) % sizeof(pipe->bytes);
		size_t room = sizeof(pipe->bytes) - pipe->len;

		if (!pipe->readers) {
			signal_process(current()->process, SIGPIPE);
			return done ? (int64_t)done : -EPIPE;
		}
		if (room == 0 || (len <= PAGE && room < len)) {
			if (file->flags & O_NONBLOCK)
				return done ? (int64_t)done : -EAGAIN;
			if (interrupted())
				return done ? (int64_t)done : -ERESTART;
			sleep_on(pipe);
			continue;
		}
		room = room < sizeof(pipe->bytes) - end ? room : sizeof(pipe->bytes) - end;
		room = room < len - done ? room : len - done;
		if (copy_in(pipe->bytes + end, from + done, room))
			return done ? (int64_t)done : -EFAULT;
		pipe->len += (uint32_t)room;
		done += room;
		wake(pipe);
	}
	return (int64_t)done;
}
