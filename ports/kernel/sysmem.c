/* sysmem.c - the memory calls: vas has the names and the answers of Linux, so a line each.
 *
 * None takes the big lock for longer than it takes to look up a descriptor.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"

static struct vas *space(void)
{
	return current()->process->mm->space;
}

SYSCALL(mmap)
{
	struct vas_file *mapped = NULL;
	struct file *file = NULL;
	int64_t result = 0;

	if (!(a[3] & VAS_MAP_ANONYMOUS)) {
		big_lock();
		file = file_get((int)a[4]);
		if (file)
			mapped = file_mapping(file, &result);
		big_unlock();
		if (!file)
			return -EBADF;
	}
	if (!result)
		result = vas_mmap(space(), a[0], a[1], a[2], a[3], mapped, a[5]);
	if (file) {
		big_lock();
		file_put(file);
		big_unlock();
	}
	return result;
}

SYSCALL(munmap)
{
	return vas_munmap(space(), a[0], a[1]);
}

SYSCALL(mremap)
{
	return vas_mremap(space(), a[0], a[1], a[2], a[3], a[4]);
}

SYSCALL(mprotect)
{
	return vas_mprotect(space(), a[0], a[1], a[2]);
}

SYSCALL(brk)
{
	return vas_brk(space(), a[0]);
}

SYSCALL(madvise)
{
	return vas_madvise(space(), a[0], a[1], a[2]);
}

SYSCALL(mlock)
{
	return vas_mlock(space(), a[0], a[1]);
}

SYSCALL(mlock2)
{
	return vas_mlock2(space(), a[0], a[1], a[2]);
}

SYSCALL(munlock)
{
	return vas_munlock(space(), a[0], a[1]);
}

SYSCALL(mlockall)
{
	return vas_mlockall(space(), a[0]);
}

SYSCALL(munlockall)
{
	(void)a;
	return vas_munlockall(space());
}

SYSCALL(msync)
{
	return vas_msync(space(), a[0], a[1], a[2]);
}

SYSCALL(mincore)
{
	return vas_mincore(space(), a[0], a[1], a[2]);
}

SYSCALL(mseal)
{
	return vas_mseal(space(), a[0], a[1], a[2]);
}
