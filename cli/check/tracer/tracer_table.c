/* tracer_table.c - the calls that are traced, and how each is followed.
 *
 * The seccomp filter is made from this table (tracer_start.c).
 *
 * SPDX-License-Identifier: MIT */
#include "check/tracer/tracer_internal.h"
#include "target/numbers.h"

#define SAME(call, NAME, nargs) {__NR_##call, #call, FOLLOW_SAME, CALL_##NAME, nargs}
#define LOOK(call, NAME, nargs) {__NR_##call, #call, FOLLOW_LOOK, CALL_##NAME, nargs}
#define AS(call, how) {__NR_##call, #call, FOLLOW_##how, CALL_NAMES, 0}

const struct traced_call traced_calls[] = {
	{__NR_mmap, "mmap", FOLLOW_MMAP, CALL_MMAP, 6},
	SAME(munmap, MUNMAP, 2),
	SAME(mprotect, MPROTECT, 3),
	SAME(mremap, MREMAP, 5),
	SAME(brk, BRK, 1),
	SAME(madvise, MADVISE, 3),
	SAME(mlock, MLOCK, 2),
	SAME(mlock2, MLOCK2, 3),
	SAME(munlock, MUNLOCK, 2),
	SAME(mlockall, MLOCKALL, 1),
	SAME(munlockall, MUNLOCKALL, 0),
	SAME(mseal, MSEAL, 3),
	LOOK(msync, MSYNC, 3),
	LOOK(mincore, MINCORE, 3),
	{__NR_pkey_mprotect, "pkey_mprotect", FOLLOW_SAME, CALL_MPROTECT, 3},
	AS(ftruncate, SIZE),
	AS(clone, FORK),
	AS(clone3, FORK),
#ifdef __NR_fork /* younger architectures have clone alone */
	AS(fork, FORK),
	AS(vfork, FORK),
#endif
	AS(execve, EXEC),
	AS(execveat, EXEC),
	AS(prlimit64, LIMITS),
#ifdef __NR_setrlimit
	AS(setrlimit, LIMITS),
#endif
	AS(capset, CAPS),
	AS(setuid, CAPS),
	AS(setreuid, CAPS),
	AS(setresuid, CAPS),
	AS(shmat, ATTACH),
	AS(shmdt, DETACH),
	SAME(remap_file_pages, REMAP_FILE_PAGES, 5),
	AS(mbind, ADOPT),
	AS(set_mempolicy_home_node, ADOPT),
	AS(io_setup, ADOPT),
	AS(io_destroy, ADOPT),
	AS(map_shadow_stack, ADOPT),
	AS(sched_getaffinity, CPUS),
	AS(sched_setaffinity, CPUS),
	AS(ptrace, PTRACE),
	AS(wait4, PASS),  /* only with WNOHANG, and with __WALL for tracer_inner.c */
	AS(waitid, PASS), /* only with WNOHANG */
	AS(process_madvise, ADVISE),
	AS(userfaultfd, NOTE),
	AS(ioctl, ADOPT), /* only userfaultfd's; the filter sorts them out */
	AS(prctl, ADOPT), /* only some options: likewise */
#ifdef __NR_arch_prctl
	AS(arch_prctl, ADOPT), /* only shadow stacks: likewise */
#endif
	AS(personality, END), /* only if it changes how memory is mapped */
};

const size_t traced_ncalls = sizeof(traced_calls) / sizeof(traced_calls[0]);

const struct traced_call *traced_find(long nr)
{
	for (size_t i = 0; i < traced_ncalls; i++)
		if (traced_calls[i].nr == nr)
			return &traced_calls[i];
	return NULL;
}
