/* both.h - the same steps in a process of the running kernel and in a space of vas, and what each
 * then shows of itself.
 *
 * Steps work in a window of pages, named by number. The native side runs in a child process, which
 * maps nothing else meanwhile; a fork step goes on in the child of that.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_BOTH_H
#define VAS_BOTH_H

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#define BOTH_WINDOW 4096u /* pages */
#define BOTH_TEXT ((size_t)1 << 20)

enum both_step {
	BOTH_MAP,     /* `page`, `npages`, a: prot, b: MAP_* or BOTH_FILE: the file, from 0 */
	BOTH_UNMAP,   /* `page`, `npages` */
	BOTH_READ,    /* touches each page */
	BOTH_WRITE,
	BOTH_PROTECT, /* a: prot */
	BOTH_LOCK,
	BOTH_ADVISE,  /* a: advice */
	BOTH_MOVE,    /* to page a */
	BOTH_SYNC,    /* msync */
	BOTH_FORK,    /* goes on in the child */
};

#define BOTH_FILE 0x80000000u /* in b of BOTH_MAP */

struct both_op {
	enum both_step step;
	uint64_t page, npages, a, b;
};

/* What a side shows at the end. */
struct both_look {
	char smaps[BOTH_TEXT];
	char before[8192], status[8192]; /* native: before the first step */
	uint64_t words[BOTH_WINDOW];
	int64_t results[256];
	bool done;
};

/* ---- The kernel ----------------------------------------------------------------------------- */

static inline void both_slurp(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	while (fd >= 0 && len + 1 < size && (n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(fd);
}

static inline int64_t native_map(const struct both_op *op, int fd)
{
	int flags = (int)(op->b & ~BOTH_FILE) | MAP_FIXED;
	bool file = op->b & BOTH_FILE;

	return mmap((void *)at(op->page), op->npages * UNIT_PAGE, (int)op->a, flags,
	            file ? fd : -1, 0) == MAP_FAILED ? -1 : 0;
}

static inline int64_t native_touch(const struct both_op *op)
{
	for (uint64_t i = 0; i < op->npages; i++) {
		volatile uint8_t *byte = (volatile uint8_t *)at(op->page + i);

		if (op->step == BOTH_WRITE)
			*byte = 1;
		else
			(void)*byte;
	}
	return 0;
}

/* A child that goes on; the parent waits for it and leaves as it does. */
static inline int64_t native_fork(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid > 0) {
		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
	return pid < 0 ? -1 : 0;
}

static inline int64_t native_op(const struct both_op *op, int fd)
{
	void *addr = (void *)at(op->page);
	size_t len = op->npages * UNIT_PAGE;

	switch (op->step) {
	case BOTH_MAP:
		return native_map(op, fd);
	case BOTH_UNMAP:
		return munmap(addr, len);
	case BOTH_READ:
	case BOTH_WRITE:
		return native_touch(op);
	case BOTH_PROTECT:
		return mprotect(addr, len, (int)op->a);
	case BOTH_LOCK:
		return syscall(SYS_mlock, addr, len); /* sanitizers make mlock do nothing */
	case BOTH_ADVISE:
		return madvise(addr, len, (int)op->a);
	case BOTH_MOVE:
		return mremap(addr, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)at(op->a)) ==
		       MAP_FAILED ? -1 : 0;
	case BOTH_SYNC:
		return msync(addr, len, MS_SYNC);
	case BOTH_FORK:
		return native_fork();
	}
	return -1;
}

/* Only a kernel of the version that vas answers as shows the same lines and flags. */
static inline void both_need_judge(void)
{
	struct utsname name;

	if (uname(&name) < 0 || strncmp(name.release, "6.18.", 5) != 0) {
		print_message("skipped: only Linux 6.18 can be the judge\n");
		skip();
	}
}

/* Keeps the blocks of smaps that lie in the window. */
static inline void both_filter(char *text)
{
	char *to = text, *line = text;
	bool inside = false;

	while (*line) {
		size_t len = strcspn(line, "\n") + 1;
		char *end;
		uint64_t start = strtoull(line, &end, 16);

		if (*end == '-' && end > line)
			inside = start >= at(0) && start < at(BOTH_WINDOW);
		if (inside) {
			memmove(to, line, len);
			to += len;
		}
		line += len;
	}
	*to = '\0';
}

static inline void native_look(struct both_look *look)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	both_slurp("/proc/self/status", look->status, sizeof(look->status));
	both_slurp("/proc/self/smaps", look->smaps, sizeof(look->smaps));
	both_filter(look->smaps);
	if (pread(fd, look->words, sizeof(look->words), (off_t)(at(0) / UNIT_PAGE * 8)) < 0)
		look->words[0] = ~(uint64_t)0;
	close(fd);
	look->done = true;
}

/* Runs the steps in a child, which shows itself through shared memory. */
static inline struct both_look *both_native(const struct both_op *ops, unsigned n, int fd)
{
	struct both_look *look = mmap(NULL, sizeof(*look), PROT_READ | PROT_WRITE,
	                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	assert_true(look != MAP_FAILED);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		memset(look, 0, sizeof(*look)); /* present before anything is measured */
		both_slurp("/proc/self/status", look->before, sizeof(look->before));
		for (unsigned i = 0; i < n; i++)
			look->results[i] = native_op(&ops[i], fd);
		native_look(look);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	assert_true(look->done);
	return look;
}

/* ---- vas ------------------------------------------------------------------------------------ */

struct both_sink {
	char *text;
	size_t len, size;
};

static inline void both_sink(void *ctx, const char *text, size_t len)
{
	struct both_sink *sink = ctx;

	assert_true(sink->len + len < sink->size);
	memcpy(sink->text + sink->len, text, len);
	sink->len += len;
	sink->text[sink->len] = '\0';
}

static inline int64_t vas_op(struct vas **space, const struct both_op *op, struct vas_file *file)
{
	uint64_t addr = at(op->page), len = op->npages * UNIT_PAGE;
	int64_t err = 0;

	switch (op->step) {
	case BOTH_MAP:
		err = vas_mmap(*space, addr, len, op->a, (op->b & ~BOTH_FILE) | VAS_MAP_FIXED,
		               op->b & BOTH_FILE ? file : NULL, 0);
		return err < 0 ? -1 : 0;
	case BOTH_UNMAP:
		return vas_munmap(*space, addr, len) < 0 ? -1 : 0;
	case BOTH_READ:
	case BOTH_WRITE:
		for (uint64_t i = 0; i < op->npages && !err; i++) {
			uint8_t byte = 1;

			err = op->step == BOTH_WRITE
				      ? vas_write(*space, at(op->page + i), &byte, 1, NULL)
				      : vas_read(*space, &byte, at(op->page + i), 1, NULL);
		}
		return err;
	case BOTH_PROTECT:
		return vas_mprotect(*space, addr, len, op->a) < 0 ? -1 : 0;
	case BOTH_LOCK:
		return vas_mlock(*space, addr, len) < 0 ? -1 : 0;
	case BOTH_ADVISE:
		return vas_madvise(*space, addr, len, op->a) < 0 ? -1 : 0;
	case BOTH_MOVE:
		err = vas_mremap(*space, addr, len, len, VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED,
		                 at(op->a));
		return err < 0 ? -1 : 0;
	case BOTH_SYNC:
		return vas_msync(*space, addr, len, VAS_MS_SYNC) < 0 ? -1 : 0;
	case BOTH_FORK:
		assert_int_equal(vas_fork(*space, space), 0);
		return 0;
	}
	return -1;
}

static inline void vas_look(struct vas *space, struct both_look *look)
{
	struct both_sink smaps = {.text = look->smaps, .size = sizeof(look->smaps)};
	struct both_sink status = {.text = look->status, .size = sizeof(look->status)};

	vas_smaps(space, both_sink, &smaps);
	vas_status_text(space, both_sink, &status);
	assert_int_equal(vas_pagemap(space, at(0), BOTH_WINDOW, look->words), BOTH_WINDOW);
}

/* The policy of the running kernel, so that both get the same large pages. */
static inline uint32_t both_thp(void)
{
	char text[256];

	both_slurp("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text));
	if (strstr(text, "[always]"))
		return VAS_THP_ALWAYS;
	return strstr(text, "[madvise]") ? VAS_THP_MADVISE : VAS_THP_NEVER;
}

#endif
