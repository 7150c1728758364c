/* tracer_inner.c - a task that stops the others of its own address space, as a tracer of theirs.
 *
 * LeakSanitizer makes a child that has the process's memory; it attaches to every thread, reads
 * the registers and lets them go. But a thread has one tracer, and that is us. So what the child
 * asks of ptrace for this is done here, in its name, and so is the wait between. Every other use
 * of ptrace on a program that is followed the kernel refuses, and the summary says so.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/tracer/tracer_internal.h"
#include "target/cpu.h"

#define GETREGS 12       /* x86-64's; others have GETREGSET alone */
#define REGSET_MAX 16384 /* more than any state that XSAVE writes */
#define STATUS_STOPPED (SIGSTOP << 8 | 0x7f)

/* ---- The helper's calls ---------------------------------------------------------------------- */

/* Ends the call that the task is about to make, with this answer. */
static void answer(struct task *task, int64_t value)
{
	(void)cpu_answer_instead(task->tid, (uint64_t)value);
	resume(task, 0);
}

static bool write_memory(const struct task *task, uint64_t at, void *bytes, size_t len)
{
	struct iovec here = {bytes, len}, there = {(void *)(uintptr_t)at, len};
	return process_vm_writev(task->tid, &here, 1, &there, 1, 0) == (ssize_t)len;
}

static bool read_memory(const struct task *task, uint64_t at, void *bytes, size_t len)
{
	struct iovec here = {bytes, len}, there = {(void *)(uintptr_t)at, len};
	return process_vm_readv(task->tid, &here, 1, &there, 1, 0) == (ssize_t)len;
}

static int64_t answer_wait(const struct task *task, const struct task *of)
{
	int status = STATUS_STOPPED;
	if (task->status_at && !write_memory(task, task->status_at, &status, sizeof(status)))
		return -EFAULT;
	return of->tid;
}

static int64_t get_regs(const struct task *task, const struct task *of, uint64_t at)
{
	struct user_regs_struct regs;
	if (!cpu_get(of->tid, &regs))
		return -errno;
	return write_memory(task, at, &regs, sizeof(regs)) ? 0 : -EFAULT;
}

static int64_t get_regset(const struct task *task, const struct task *of, uint64_t set, uint64_t at)
{
	uint8_t bytes[REGSET_MAX];
	struct iovec theirs, mine = {bytes, sizeof(bytes)};
	if (!read_memory(task, at, &theirs, sizeof(theirs)))
		return -EFAULT;
	if (theirs.iov_len < mine.iov_len)
		mine.iov_len = theirs.iov_len;
	if (ptrace(PTRACE_GETREGSET, of->tid, set, &mine) != 0)
		return -errno;
	theirs.iov_len = mine.iov_len;
	if (!write_memory(task, (uintptr_t)theirs.iov_base, bytes, mine.iov_len) ||
	    !write_memory(task, at, &theirs, sizeof(theirs)))
		return -EFAULT;
	return 0;
}

/* ---- Stopping and going on ------------------------------------------------------------------- */

static int64_t attach(struct task *task, struct task *to)
{
	if (to->stopper)
		return -EPERM;
	to->stopper = task;
	if (to->state == TASK_QUEUED)
		to->frozen = true;
	else if (to->state != TASK_AWAITED) /* that one is on its way to a stop */
		ptrace(PTRACE_INTERRUPT, to->tid, NULL, NULL);
	return 0;
}

static void detach(struct tracer *tracer, struct task *from)
{
	bool frozen = from->frozen;
	from->stopper = NULL;
	from->frozen = false;
	if (frozen && from->state == TASK_QUEUED)
		call_next(tracer, from->turn);
	else if (frozen)
		resume_stopped(from, from->frozen_by);
}

void inner_stopped(struct task *task, int signal)
{
	struct task *stopper = task->stopper;
	task->frozen = true;
	task->frozen_by = signal;
	if (stopper->awaits != task)
		return;
	stopper->awaits = NULL;
	answer(stopper, answer_wait(stopper, task));
}

/* Whoever was stopped by it goes on; whoever waits for it learns that there is nothing to wait
 * for any more. */
void inner_gone(struct tracer *tracer, struct task *task)
{
	struct task *stopper = task->stopper;
	if (stopper && stopper->awaits == task) {
		stopper->awaits = NULL;
		answer(stopper, -ECHILD);
	}
	task->stopper = NULL;
	task->frozen = false;
	task->awaits = NULL;
	for (size_t i = 0; i < TASK_BUCKETS; i++)
		for (struct task *other = tracer->tasks[i]; other; other = other->next)
			if (other->stopper == task)
				detach(tracer, other);
}

/* ---- A call of the helper's ------------------------------------------------------------------ */

static bool take_ptrace(struct tracer *tracer, struct task *task, const uint64_t *args)
{
	struct task *of = task_find(tracer, (pid_t)args[1]);
	if (!of || of->mm != task->mm || of->proc == task->proc)
		return false;
	if (args[0] == PTRACE_ATTACH) {
		answer(task, attach(task, of));
		return true;
	}
	if (of->stopper != task || !of->frozen)
		return false; /* the kernel's answer is right: ESRCH */
	switch (args[0]) {
	case GETREGS:
		answer(task, get_regs(task, of, args[3]));
		return true;
	case PTRACE_GETREGSET:
		answer(task, get_regset(task, of, args[2], args[3]));
		return true;
	case PTRACE_DETACH:
		if (args[3])
			syscall(SYS_tgkill, of->proc->pid, of->tid, (int)args[3]);
		detach(tracer, of);
		answer(task, 0);
		return true;
	default:
		return false;
	}
}

static bool take_wait(struct tracer *tracer, struct task *task, const uint64_t *args)
{
	struct task *of = task_find(tracer, (pid_t)args[0]);
	if (!of || of->stopper != task || args[3] != 0)
		return false;
	task->status_at = args[1];
	if (of->frozen)
		answer(task, answer_wait(task, of));
	else if (args[2] & WNOHANG)
		answer(task, 0);
	else
		task->awaits = of;
	return true;
}

bool inner_takes(struct tracer *tracer, struct task *task, uint64_t nr)
{
	return (nr == SYS_ptrace && task->mm && take_ptrace(tracer, task, task->args)) ||
	       (nr == SYS_wait4 && take_wait(tracer, task, task->args));
}
