/* plain.c - the functions of vas/process.h under their plain names: to be preloaded, or for systems
 * that have none.
 *
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <sys/types.h>

#include "vas/process.h"

/* Declared here, not by the system's headers: those give some of them other names, or none. */
void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
int munmap(void *addr, size_t len);
void *mremap(void *old_address, size_t old_size, size_t new_size, int flags, ...);
int mprotect(void *addr, size_t len, int prot);
int madvise(void *addr, size_t len, int advice);
int mlock(const void *addr, size_t len);
int mlock2(const void *addr, size_t len, unsigned flags);
int munlock(const void *addr, size_t len);
int mlockall(int flags);
int munlockall(void);
int msync(void *addr, size_t len, int flags);
int mincore(void *addr, size_t len, unsigned char *vec);
int brk(void *addr);
void *sbrk(intptr_t increment);

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	return vas_mmap_host(addr, len, prot, flags, fd, offset);
}

void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	return vas_mmap_host(addr, len, prot, flags, fd, offset);
}

int munmap(void *addr, size_t len)
{
	return vas_munmap_host(addr, len);
}

void *mremap(void *old_address, size_t old_size, size_t new_size, int flags, ...)
{
	void *new_address = NULL;

	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		va_list list;

		va_start(list, flags);
		new_address = va_arg(list, void *);
		va_end(list);
	}
	return vas_mremap_host(old_address, old_size, new_size, flags, new_address);
}

int mprotect(void *addr, size_t len, int prot)
{
	return vas_mprotect_host(addr, len, prot);
}

int madvise(void *addr, size_t len, int advice)
{
	return vas_madvise_host(addr, len, advice);
}

int mlock(const void *addr, size_t len)
{
	return vas_mlock_host(addr, len);
}

int mlock2(const void *addr, size_t len, unsigned flags)
{
	return vas_mlock2_host(addr, len, flags);
}

int munlock(const void *addr, size_t len)
{
	return vas_munlock_host(addr, len);
}

int mlockall(int flags)
{
	return vas_mlockall_host(flags);
}

int munlockall(void)
{
	return vas_munlockall_host();
}

int msync(void *addr, size_t len, int flags)
{
	return vas_msync_host(addr, len, flags);
}

int mincore(void *addr, size_t len, unsigned char *vec)
{
	return vas_mincore_host(addr, len, vec);
}

int brk(void *addr)
{
	return vas_brk_host(addr);
}

void *sbrk(intptr_t increment)
{
	return vas_sbrk_host(increment);
}
