/* tracer_progress.c - how far it is, on the terminal, apart from what the program writes there.
 *
 * While it is shown, the filter also stops the program at calls that may write to a terminal or
 * read from it. The line is erased before such a call is made, and comes back when it is over, but
 * only if what was written ended a line: a prompt, or a screen being drawn, stays as it is.
 *
 * SPDX-License-Identifier: MIT */
#include <asm/unistd.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "check/model/process_model_report.h"
#include "check/tracer/tracer_internal.h"

#define SHOW_EVERY_NS 200000000u
#define MEMORY_DEVICES 1 /* major number: /dev/null and the like */

const long terminal_calls[TERMINAL_CALLS] = {__NR_read,   __NR_write,    __NR_readv,
	                                     __NR_writev, __NR_sendfile, __NR_splice};

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Whether what is written to `fd` is seen by nobody now: a file, /dev/null. */
static bool goes_to_a_file(int fd)
{
	struct stat stat;
	return fstat(fd, &stat) == 0 &&
	       (S_ISREG(stat.st_mode) ||
	        (S_ISCHR(stat.st_mode) && major(stat.st_rdev) == MEMORY_DEVICES));
}

/* Whether a descriptor of a process is the terminal that progress is shown on. */
static bool is_terminal(const struct progress *progress, pid_t pid, uint64_t fd)
{
	char path[64];
	struct stat status;
	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, (int)fd);
	return stat(path, &status) == 0 && S_ISCHR(status.st_mode) &&
	       (status.st_rdev == progress->terminal || status.st_rdev == makedev(5, 0));
}

void progress_start(struct tracer *tracer)
{
	struct progress *progress = &tracer->progress;
	bool elsewhere = !tracer->options.attach && goes_to_a_file(STDOUT_FILENO) &&
	                 goes_to_a_file(STDERR_FILENO);
	progress->fd = -1;
	if (tracer->options.progress || elsewhere)
		progress->fd = open("/dev/tty", O_WRONLY | O_CLOEXEC | O_NOCTTY);
	progress->shown_at = now_ns();
	unsigned terminal = 0;
	if (progress->fd >= 0 && ioctl(progress->fd, TIOCGDEV, &terminal) != 0)
		progress_end(tracer); /* what is written to it could not be told */
	progress->terminal = terminal;
	/* What runs already may be at a prompt. */
	for (uint64_t fd = 0; tracer->options.attach && progress->fd >= 0 && fd < 3; fd++)
		progress->inside |= is_terminal(progress, tracer->options.attach, fd);
}

static bool peek(const struct task *task, uint64_t from, void *to, size_t len)
{
	struct iovec local = {to, len}, remote = {(void *)(uintptr_t)from, len};
	return process_vm_readv(task->tid, &local, 1, &remote, 1, 0) == (ssize_t)len;
}

/* Whether the last of `len` bytes at `from` ends a line; what cannot be read does not. */
static bool ends_line(const struct task *task, uint64_t from, uint64_t len)
{
	char last;
	return len > 0 && peek(task, from + len - 1, &last, 1) && last == '\n';
}

static bool ends_line_of(const struct task *task, uint64_t nr)
{
	const uint64_t *args = task->args;
	struct iovec piece;
	if (nr == __NR_write)
		return ends_line(task, args[1], args[2]);
	for (uint64_t i = args[2]; nr == __NR_writev && i > 0; i--) {
		if (!peek(task, args[1] + (i - 1) * sizeof(piece), &piece, sizeof(piece)))
			return false;
		if (piece.iov_len)
			return ends_line(task, (uint64_t)(uintptr_t)piece.iov_base, piece.iov_len);
	}
	return false;
}

bool progress_call(struct tracer *tracer, struct task *task, uint64_t nr)
{
	struct progress *progress = &tracer->progress;
	bool reads = nr == __NR_read || nr == __NR_readv;
	unsigned known = 0;
	while (known < TERMINAL_CALLS && (uint64_t)terminal_calls[known] != nr)
		known++;
	if (progress->fd < 0 || known == TERMINAL_CALLS ||
	    !is_terminal(progress, task->tid, nr == __NR_splice ? task->args[2] : task->args[0]))
		return false;
	progress_erase(tracer);
	if (!reads)
		progress->inside = !ends_line_of(task, nr);
	task->at_terminal = true;
	return true;
}

void progress_erase(struct tracer *tracer)
{
	struct progress *progress = &tracer->progress;
	if (progress->shown)
		dprintf(progress->fd, "\r\033[K");
	progress->shown = false;
}

/* Somebody's output may be on its way, or somebody waits for what is typed. */
static bool terminal_in_use(const struct tracer *tracer)
{
	for (size_t i = 0; i < TASK_BUCKETS; i++)
		for (const struct task *task = tracer->tasks[i]; task; task = task->next)
			if (task->at_terminal)
				return true;
	return false;
}

void progress_show(struct tracer *tracer)
{
	struct progress *progress = &tracer->progress;
	if (progress->fd < 0 || progress->inside)
		return;
	uint64_t now = now_ns();
	if (now - progress->shown_at < SHOW_EVERY_NS)
		return;
	progress->shown_at = now;
	/* Another job may have the terminal: an editor that the program, a shell, has started. */
	if (terminal_in_use(tracer) || tcgetpgrp(progress->fd) != getpgrp())
		return;
	dprintf(progress->fd, "\rvas check: %" PRIu64 " calls, %" PRIu64 " differences\033[K",
	        tracer->calls, report_differences(tracer->model));
	progress->shown = true;
}

void progress_end(struct tracer *tracer)
{
	progress_erase(tracer);
	if (tracer->progress.fd >= 0)
		close(tracer->progress.fd);
	tracer->progress.fd = -1;
}
