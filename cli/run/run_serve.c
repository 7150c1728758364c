/* run_serve.c - one memory call at its stop: which of the books' it is.
 *
 * SPDX-License-Identifier: MIT */
#if defined(__linux__) && defined(__x86_64__)
#include <stdio.h>

#include "host.h"
#include "process.h"
#include "raw.h"
#include "run/run.h"
#include "target/numbers.h"

const uint32_t run_calls[] = {
	__NR_mmap,    __NR_munmap, __NR_mremap,   __NR_mprotect,         __NR_pkey_mprotect,
	__NR_madvise, __NR_mlock,  __NR_mlock2,   __NR_munlock,          __NR_mlockall,
	__NR_brk,     __NR_msync,  __NR_mincore,  __NR_munlockall,       __NR_mseal,
	__NR_shmat,   __NR_shmdt,  __NR_io_setup, __NR_io_destroy,       __NR_remap_file_pages,
	__NR_clone,   __NR_clone3, __NR_fork,     __NR_map_shadow_stack, __NR_vfork,
};
const size_t run_ncalls = sizeof(run_calls) / sizeof(run_calls[0]);

static void look(struct run_process *process, struct remote *remote)
{
	if (!run_process_look(process, remote->tid))
		fprintf(stderr, "vas run: no memory to write down what process %d has mapped\n",
		        remote->tid);
}

/* The host does it by itself, and the books look what it was. */
static int64_t pass(struct run_process *process, struct remote *remote)
{
	int64_t answer = remote_same(remote);

	process_count(&process->books.stats->passed, 1);
	if (!remote->gone)
		look(process, remote);
	return answer;
}

/* A key other than none is the host's affair; the rights are in the books, too. */
static int64_t protect_with_key(struct run_process *process, struct remote *remote,
                                const uint64_t *a)
{
	int64_t answer;

	if ((int)a[3] == -1)
		return process_mprotect(a[0], a[1], a[2]);
	answer = remote_same(remote);
	process_count(&process->books.stats->passed, 1);
	if (answer == 0) {
		process->books.muted = true;
		vas_mprotect(process->books.space, a[0], a[1], a[2]);
		process->books.muted = false;
	}
	return answer;
}

static int64_t serve(struct run_process *process, struct remote *remote, const uint64_t *a)
{
	switch (remote_number(remote)) {
	case __NR_mmap:
		return process_mmap(a[0], a[1], a[2], a[3], (int)a[4], a[5]);
	case __NR_munmap:
		return process_munmap(a[0], a[1]);
	case __NR_mremap:
		return process_mremap(a[0], a[1], a[2], a[3], a[4]);
	case __NR_mprotect:
		return process_mprotect(a[0], a[1], a[2]);
	case __NR_pkey_mprotect:
		return protect_with_key(process, remote, a);
	case __NR_madvise:
		return process_advise(a[0], a[1], (uint32_t)a[2]);
	case __NR_mlock:
		return process_mlock(a[0], a[1], 0);
	case __NR_mlock2:
		return process_mlock(a[0], a[1], (uint32_t)a[2]);
	case __NR_munlock:
		return process_munlock(a[0], a[1]);
	case __NR_mlockall:
		return process_mlockall((uint32_t)a[0]);
	case __NR_munlockall:
		return process_munlockall();
	case __NR_msync:
		return process_msync(a[0], a[1], (uint32_t)a[2]);
	case __NR_mincore:
		return process_mincore(a[0], a[1], a[2]);
	case __NR_mseal:
		return process_mseal(a[0], a[1], a[2]);
	case __NR_brk:
		return process_brk(a[0]);
	}
	return pass(process, remote);
}

/* The host makes a stack grow by itself. */
static bool meets_stack(const struct run_process *process, const uint64_t *a)
{
	return a[0] < process->stack_at && a[0] + a[1] > process->stack_low;
}

/* Where files are mapped again, a page of the process's memory that its program has not: the names
 * that they are opened by stand there. */
static void need_scratch(struct run_process *process)
{
	uint64_t page = host_page_size();
	int64_t addr;

	if (!process->books.portable || process->scratch)
		return;
	addr = process_raw(__NR_mmap, 0, page, VAS_PROT_READ | VAS_PROT_WRITE,
	                   VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS, UINT64_MAX, 0);
	if (addr >= 0 &&
	    process_note((uint64_t)addr, (uint64_t)addr + page, VAS_VM_READ | VAS_VM_WRITE))
		process->scratch = (uint64_t)addr;
}

void run_serve(struct run_process *process, struct remote *remote)
{
	uint64_t args[6];

	the_process = &process->books;
	remote_now = remote;
	remote_args(remote, args);
	need_scratch(process);
	if (meets_stack(process, args))
		look(process, remote);
	remote_answer(remote, serve(process, remote, args));
}
#endif
