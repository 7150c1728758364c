/* remote_host.c - what ports/process asks about its host (host.h), for a process that is served
 * from outside: its descriptors and its memory as they are seen from here.
 *
 * A file that may have to be mapped again (portable) is held open by this process, not by the one
 * that is served, where it would be in the way. To map it there it is lent: opened by its name
 * under this process's /proc, mapped, closed.
 *
 * SPDX-License-Identifier: MIT */
#if defined(__linux__) && defined(__x86_64__)
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host.h"
#include "process.h"
#include "raw.h"
#include "run/remote.h"
#include "run/run.h"

#define CHUNK ((size_t)2 << 20)

uint64_t host_page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

void host_yield(void)
{
	(void)sched_yield();
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

static bool read_flags(int fd, int *flags)
{
	char path[64], line[64];
	FILE *file;
	bool found;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", remote_now->tid, fd);
	file = fopen(path, "re");
	if (!file)
		return false;
	found = fgets(line, sizeof(line), file) && fgets(line, sizeof(line), file) &&
	        sscanf(line, "flags: %o", (unsigned *)flags) == 1;
	fclose(file);
	return found;
}

static void describe(const struct stat *st, int flags, struct host_file *file)
{
	int way = flags & O_ACCMODE;

	*file = (struct host_file){
		.device = (uint64_t)major(st->st_dev) << 32 | minor(st->st_dev),
		.inode = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mode = (way != O_WRONLY ? VAS_FILE_READ : 0) |
	                (way != O_RDONLY ? VAS_FILE_WRITE : 0) | VAS_FILE_SHMEM,
	};
	/* A device may want its mappings where and how it says. */
	if (!S_ISREG(st->st_mode))
		file->mode |= VAS_FILE_OWN_AREA;
}

int64_t host_identify(int fd, struct host_file *file)
{
	struct stat st;
	char path[64];
	int flags;

	if (fd >= 0 && (fd & REMOTE_HELD)) {
		flags = fcntl(fd & ~REMOTE_HELD, F_GETFL);
		if (flags < 0 || fstat(fd & ~REMOTE_HELD, &st) != 0)
			return -errno;
	} else {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", remote_now->tid, fd);
		if (fd < 0 || stat(path, &st) != 0 || !read_flags(fd, &flags))
			return -VAS_EBADF;
		if (flags & O_PATH)
			return -VAS_EBADF;
	}
	describe(&st, flags, file);
	return 0;
}

static int64_t hold(int fd)
{
	return fd < 0 ? -errno : fd | REMOTE_HELD;
}

int64_t host_duplicate(int fd)
{
	char path[64];
	int flags;

	if (!read_flags(fd, &flags))
		return -VAS_EBADF;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", remote_now->tid, fd);
	return hold(open(path, (flags & O_ACCMODE) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

void host_close(int fd)
{
	close(fd & ~REMOTE_HELD);
}

int64_t host_shared_memory(uint64_t len)
{
	int fd = memfd_create("vas", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, (off_t)len) != 0) {
		int err = errno;

		close(fd);
		return -err;
	}
	return hold(fd);
}

/* ---- Lending --------------------------------------------------------------------------------- */

bool host_lend(int *fd)
{
	struct run_process *run = run_of(the_process);
	struct iovec here, there;
	int64_t lent;
	char path[64];
	int flags;

	if (*fd < 0 || !(*fd & REMOTE_HELD))
		return true;
	flags = fcntl(*fd & ~REMOTE_HELD, F_GETFL);
	if (flags < 0 || !run->scratch)
		return false;
	memset(path, 0, sizeof(path));
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), *fd & ~REMOTE_HELD);
	here = (struct iovec){path, sizeof(path)};
	there = (struct iovec){(void *)(uintptr_t)run->scratch, sizeof(path)}; // NOLINT
	if (process_vm_writev(remote_now->tid, &here, 1, &there, 1, 0) != sizeof(path))
		return false;
	lent = process_raw(SYS_openat, (uint64_t)AT_FDCWD, run->scratch,
	                   (uint64_t)((flags & O_ACCMODE) | O_CLOEXEC), 0, 0, 0);
	*fd = (int)lent;
	return lent >= 0;
}

void host_take_back(int fd, int lent)
{
	if (fd != lent)
		process_raw(SYS_close, (uint64_t)lent, 0, 0, 0, 0, 0);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static bool transfer(bool write, void *here, uint64_t there, size_t len)
{
	struct iovec mine = {here, len}, its = {(void *)(uintptr_t)there, len}; // NOLINT
	ssize_t done = write ? process_vm_writev(remote_now->tid, &mine, 1, &its, 1, 0)
	                     : process_vm_readv(remote_now->tid, &mine, 1, &its, 1, 0);

	return done == (ssize_t)len;
}

/* Writes the pages of *from that are not as those of *to, in runs. */
static bool write_changes(const uint8_t *from, const uint8_t *to, uint64_t addr, size_t len)
{
	size_t page = host_page_size(), start = 0, at;

	for (at = 0; at <= len; at += page) {
		if (at < len && memcmp(from + at, to + at, page) != 0)
			continue;
		if (at > start &&
		    !transfer(true, (void *)(uintptr_t)(from + start), addr + start, at - start))
			return false;
		start = at + page;
	}
	return true;
}

int64_t host_copy(uint64_t from, uint64_t to, uint64_t len)
{
	uint8_t *buffer = malloc(2 * CHUNK);
	bool good = buffer != NULL;

	for (uint64_t done = 0; good && done < len; done += CHUNK) {
		size_t part = len - done < CHUNK ? len - done : CHUNK;

		good = transfer(false, buffer, from + done, part) &&
		       transfer(false, buffer + CHUNK, to + done, part) &&
		       write_changes(buffer, buffer + CHUNK, to + done, part);
	}
	free(buffer);
	return good ? 0 : -VAS_ENOMEM;
}

int64_t host_touch(uint64_t start, uint64_t end, bool write)
{
	return host_madvise(start, end - start,
	                    write ? VAS_MADV_POPULATE_WRITE : VAS_MADV_POPULATE_READ);
}
#endif
