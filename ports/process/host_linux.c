/* host_linux.c - the host's memory calls as Linux takes them, without a C library.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <sys/syscall.h>

#include "host.h"
#include "raw.h"
#include "vas/vas.h"

int64_t host_mmap(uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags, int fd,
                  uint64_t offset)
{
	int lent = fd;
	int64_t result;

	if (!host_lend(&lent))
		return -VAS_ENOMEM;
	result = process_raw(SYS_mmap, addr, len, prot, flags, (uint64_t)(int64_t)lent, offset);
	host_take_back(fd, lent);

	/* Before 4.17 NOREPLACE is a hint. */
	if (result >= 0 && (flags & VAS_MAP_FIXED_NOREPLACE) && !(flags & VAS_MAP_FIXED) &&
	    (uint64_t)result != addr) {
		process_raw(SYS_munmap, (uint64_t)result, len, 0, 0, 0, 0);
		return -VAS_EEXIST;
	}
	return result;
}

int64_t host_munmap(uint64_t addr, uint64_t len)
{
	return process_raw(SYS_munmap, addr, len, 0, 0, 0, 0);
}

int64_t host_mprotect(uint64_t addr, uint64_t len, uint64_t prot)
{
	return process_raw(SYS_mprotect, addr, len, prot, 0, 0, 0);
}

int64_t host_mlock(uint64_t addr, uint64_t len, bool on_fault)
{
	if (on_fault)
		return process_raw(SYS_mlock2, addr, len, VAS_MLOCK_ONFAULT, 0, 0, 0);
	return process_raw(SYS_mlock, addr, len, 0, 0, 0, 0);
}

int64_t host_munlock(uint64_t addr, uint64_t len)
{
	return process_raw(SYS_munlock, addr, len, 0, 0, 0, 0);
}

int64_t host_mlockall(uint64_t flags)
{
	return process_raw(SYS_mlockall, flags, 0, 0, 0, 0, 0);
}

int64_t host_munlockall(void)
{
	return process_raw(SYS_munlockall, 0, 0, 0, 0, 0, 0);
}

int64_t host_msync(uint64_t addr, uint64_t len, uint64_t flags)
{
	return process_raw(SYS_msync, addr, len, flags, 0, 0, 0);
}

int64_t host_mincore(uint64_t addr, uint64_t len, uint64_t vec)
{
	return process_raw(SYS_mincore, addr, len, vec, 0, 0, 0);
}

int64_t host_mremap(uint64_t old_addr, uint64_t old_len, uint64_t new_len, uint64_t flags,
                    uint64_t new_addr)
{
	return process_raw(SYS_mremap, old_addr, old_len, new_len, flags, new_addr, 0);
}

int64_t host_madvise(uint64_t addr, uint64_t len, uint64_t advice)
{
	return process_raw(SYS_madvise, addr, len, advice, 0, 0, 0);
}
