/* host_posix.c - the host's calls as POSIX has them: for systems that are not Linux, and on Linux
 * to show that no more is needed.
 *
 * SPDX-License-Identifier: MIT */
#ifdef __linux__
#define _DEFAULT_SOURCE /* MAP_ANON; macOS and the BSDs show it to everybody */
#endif
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "errnos.h"
#include "host.h"

static int64_t answer(int result)
{
	return result < 0 ? -errno_to_vas(errno) : result;
}

static void *pointer(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

int64_t host_mmap(uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags, int fd,
                  uint64_t offset)
{
	const bool noreplace = (flags & VAS_MAP_FIXED_NOREPLACE) && !(flags & VAS_MAP_FIXED);
	int type = (flags & VAS_MAP_TYPE) == VAS_MAP_PRIVATE ? MAP_PRIVATE : MAP_SHARED;
	void *result;

	if (flags & (VAS_MAP_HUGETLB | VAS_MAP_GROWSDOWN))
		return -VAS_EINVAL;
	if (flags & VAS_MAP_ANONYMOUS)
		type |= MAP_ANON;
	if (flags & VAS_MAP_FIXED)
		type |= MAP_FIXED;
#ifdef MAP_NORESERVE
	if (flags & VAS_MAP_NORESERVE)
		type |= MAP_NORESERVE;
#endif
	result = mmap(pointer(addr), (size_t)len, (int)prot, type, fd, (off_t)offset);
	if (result == MAP_FAILED)
		return -errno_to_vas(errno);
	/* A hint is followed where nothing is. */
	if (noreplace && result != pointer(addr)) {
		(void)munmap(result, (size_t)len);
		return -VAS_EEXIST;
	}
	if ((flags & VAS_MAP_LOCKED) && mlock(result, (size_t)len) != 0) {
		int64_t err = -errno_to_vas(errno);

		if (flags & VAS_MAP_FIXED)
			return (int64_t)(uintptr_t)result; /* Linux does not tell either */
		(void)munmap(result, (size_t)len);
		return err;
	}
	return (int64_t)(uintptr_t)result;
}

int64_t host_munmap(uint64_t addr, uint64_t len)
{
	return answer(munmap(pointer(addr), (size_t)len));
}

int64_t host_mprotect(uint64_t addr, uint64_t len, uint64_t prot)
{
	return answer(mprotect(pointer(addr), (size_t)len, (int)prot));
}

int64_t host_mlock(uint64_t addr, uint64_t len, bool on_fault)
{
	(void)on_fault; /* locked at once is locked, too */
	return answer(mlock(pointer(addr), (size_t)len));
}

int64_t host_munlock(uint64_t addr, uint64_t len)
{
	return answer(munlock(pointer(addr), (size_t)len));
}

int64_t host_mlockall(uint64_t flags)
{
	int mcl = (flags & VAS_MCL_CURRENT ? MCL_CURRENT : 0) |
	          (flags & VAS_MCL_FUTURE ? MCL_FUTURE : 0);

	return flags & ~(uint64_t)(VAS_MCL_CURRENT | VAS_MCL_FUTURE) ? -VAS_EINVAL
	                                                             : answer(mlockall(mcl));
}

int64_t host_munlockall(void)
{
	return answer(munlockall());
}

int64_t host_msync(uint64_t addr, uint64_t len, uint64_t flags)
{
	int ms = (flags & VAS_MS_SYNC ? MS_SYNC : MS_ASYNC) |
	         (flags & VAS_MS_INVALIDATE ? MS_INVALIDATE : 0);

	return answer(msync(pointer(addr), (size_t)len, ms));
}

/* mincore's vector has another type on every system. */
int64_t host_mincore(uint64_t addr, uint64_t len, uint64_t vec)
{
	(void)addr;
	(void)len;
	(void)vec;
	return -VAS_ENOSYS;
}

int64_t host_mremap(uint64_t old_addr, uint64_t old_len, uint64_t new_len, uint64_t flags,
                    uint64_t new_addr)
{
	(void)old_addr;
	(void)old_len;
	(void)new_len;
	(void)flags;
	(void)new_addr;
	return -VAS_ENOSYS;
}

/* Only what is but a hint: DONTNEED means another thing to POSIX. */
int64_t host_madvise(uint64_t addr, uint64_t len, uint64_t advice)
{
	static const int advices[] = {POSIX_MADV_NORMAL, POSIX_MADV_RANDOM, POSIX_MADV_SEQUENTIAL,
	                              POSIX_MADV_WILLNEED};

	if (advice >= sizeof(advices) / sizeof(advices[0]))
		return -VAS_EINVAL;
	return -errno_to_vas(posix_madvise(pointer(addr), (size_t)len, advices[advice]));
}

int64_t host_identify(int fd, struct host_file *file)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno_to_vas(errno);
	*file = (struct host_file){
		.device = (uint64_t)st.st_dev,
		.inode = (uint64_t)st.st_ino,
		.size = (uint64_t)st.st_size,
		.mode = ((flags & O_ACCMODE) != O_WRONLY ? VAS_FILE_READ : 0) |
	                ((flags & O_ACCMODE) != O_RDONLY ? VAS_FILE_WRITE : 0) | VAS_FILE_SHMEM,
	};
	if (!S_ISREG(st.st_mode))
		file->mode |= VAS_FILE_OWN_AREA;
	return 0;
}

int64_t host_duplicate(int fd)
{
	return answer(fcntl(fd, F_DUPFD_CLOEXEC, 512));
}

void host_close(int fd)
{
	(void)close(fd);
}

/* The name lives from one call to the next, with signals blocked. It is one for all processes of a
 * user: nobody opens what is there, so what a process left that was killed between the two calls
 * (or has open by now) is taken away by the next. */
int64_t host_shared_memory(uint64_t len)
{
	char name[32];
	int fd;

#ifdef SHM_ANON
	(void)name;
	fd = shm_open(SHM_ANON, O_RDWR, 0600);
#else
	snprintf(name, sizeof(name), "/vas-%ld", (long)geteuid());
	do
		fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	while (fd < 0 && errno == EEXIST && (shm_unlink(name) == 0 || errno == ENOENT));
	if (fd >= 0)
		(void)shm_unlink(name);
#endif
	if (fd >= 0 && ftruncate(fd, (off_t)len) != 0) {
		int64_t err = -errno_to_vas(errno);

		(void)close(fd);
		return err;
	}
	return fd < 0 ? -errno_to_vas(errno) : fd;
}

void host_block_signals(struct host_signals *before)
{
	sigset_t all, *set = (sigset_t *)(void *)before;

	_Static_assert(sizeof(sigset_t) <= sizeof(*before), "a set of signals fits");
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, set);
}

void host_restore_signals(const struct host_signals *before)
{
	(void)pthread_sigmask(SIG_SETMASK, (const sigset_t *)(const void *)before, NULL);
}

void host_yield(void)
{
	(void)sched_yield();
}

uint32_t host_linux_version(void)
{
	return 0;
}
