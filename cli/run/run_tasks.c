/* run_tasks.c - the tasks that come of one program, from their first stop to their end.
 *
 * One thread serves them all, one stop at a time: so a call is finished before the next is looked
 * at, whichever thread makes it, and books are copied at the very moment of a fork.
 *
 * SPDX-License-Identifier: MIT */
#if defined(__linux__) && defined(__x86_64__)
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "run/run.h"
#include "target/event.h"

enum { BUCKETS = 1024 };

struct task {
	struct task *next;
	pid_t tid;
	struct run_process *process; /* NULL: not served */
};

struct tasks {
	const struct run_options *options;
	struct run_counts *counts;
	struct task *buckets[BUCKETS];
};

/* ---- Tasks ----------------------------------------------------------------------------------- */

static struct task **find(struct tasks *tasks, pid_t tid)
{
	struct task **at = &tasks->buckets[(unsigned)tid % BUCKETS];

	while (*at && (*at)->tid != tid)
		at = &(*at)->next;
	return at;
}

static struct task *add(struct tasks *tasks, pid_t tid)
{
	struct task **at = find(tasks, tid), *task = *at;

	if (!task) {
		task = calloc(1, sizeof(*task));
		if (!task) {
			fputs("vas run: out of memory\n", stderr);
			exit(3);
		}
		*at = task;
		task->tid = tid;
		tasks->counts->tasks++;
	}
	return task;
}

static void drop(struct tasks *tasks, pid_t tid)
{
	struct task **at = find(tasks, tid), *task = *at;

	if (!task)
		return;
	*at = task->next;
	run_process_put(task->process);
	free(task);
}

/* ---- Children -------------------------------------------------------------------------------- */

/* A child that nobody traces would have every memory call refused: the flag is taken out. */
static uint64_t clone_flags(struct remote *remote)
{
	const uint64_t untraced = CLONE_UNTRACED;
	struct user_regs_struct *regs = &remote->regs;
	uint64_t flags = 0;
	struct iovec here = {&flags, sizeof(flags)};
	struct iovec there = {(void *)(uintptr_t)regs->rdi, sizeof(flags)}; // NOLINT

	switch (remote_number(remote)) {
	case SYS_vfork:
		return CLONE_VM;
	case SYS_clone:
		flags = regs->rdi;
		regs->rdi &= ~untraced;
		if (flags & untraced)
			ptrace(PTRACE_SETREGS, remote->tid, NULL, regs);
		return flags;
	case SYS_clone3:
		if (process_vm_readv(remote->tid, &here, 1, &there, 1, 0) != sizeof(flags))
			return 0;
		if (flags & untraced) {
			flags &= ~untraced;
			(void)process_vm_writev(remote->tid, &here, 1, &there, 1, 0);
		}
		return flags;
	}
	return 0;
}

static void add_child(struct tasks *tasks, struct task *parent, pid_t child, bool shares)
{
	struct run_process *process = parent->process;

	if (process && shares)
		process->users++;
	else if (process)
		process = run_process_fork(process, tasks->counts);
	add(tasks, child)->process = process;
}

/* From the stop before a call that makes a child to the child, or to its refusal. */
static void make_child(struct tasks *tasks, struct task *task, struct remote *remote)
{
	bool shares = clone_flags(remote) & CLONE_VM;
	int status = remote_resume(remote, true);
	unsigned long child;

	if (status >= 0 && status >> 16 && event_message(task->tid, status >> 16, &child))
		add_child(tasks, task, (pid_t)child, shares);
	if (status >= 0)
		remote_go(remote);
}

/* ---- Stops ----------------------------------------------------------------------------------- */

static bool makes_child(const struct remote *remote)
{
	switch (remote_number(remote)) {
	case SYS_clone:
	case SYS_clone3:
	case SYS_fork:
	case SYS_vfork:
		return true;
	}
	return false;
}

static void serve(struct tasks *tasks, struct task *task)
{
	struct remote remote;

	if (!remote_begin(&remote, task->tid))
		return;
	if (makes_child(&remote)) {
		make_child(tasks, task, &remote);
		return;
	}
	if (!task->process) {
		ptrace(PTRACE_CONT, task->tid, NULL, NULL);
		return;
	}
	run_serve(task->process, &remote);
}

/* All but the one that has executed are gone, and it has the number of the first. */
static void execute(struct tasks *tasks, pid_t tid)
{
	unsigned long former;
	struct task *task;

	if (event_message(tid, PTRACE_EVENT_EXEC, &former) && (pid_t)former != tid)
		drop(tasks, (pid_t)former);
	task = add(tasks, tid);
	run_process_put(task->process);
	task->process = run_process_begin(tasks->options, tid, tasks->counts);
	ptrace(PTRACE_CONT, tid, NULL, NULL);
}

/* A child that the filter has not seen being made is one of a 32-bit program. */
static void adopt(struct tasks *tasks, pid_t tid, int event)
{
	unsigned long child;

	if (event_message(tid, event, &child))
		add(tasks, (pid_t)child);
	ptrace(PTRACE_CONT, tid, NULL, NULL);
}

static bool is_group_stop(int status)
{
	int signo = WSTOPSIG(status);

	return signo == SIGSTOP || signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU;
}

static void handle_stop(struct tasks *tasks, pid_t tid, int status)
{
	struct task *task = *find(tasks, tid);
	int event = status >> 16;

	if (event == PTRACE_EVENT_SECCOMP && task)
		serve(tasks, task);
	else if (event == PTRACE_EVENT_EXEC)
		execute(tasks, tid);
	else if (event == PTRACE_EVENT_STOP && is_group_stop(status))
		ptrace(PTRACE_LISTEN, tid, NULL, NULL);
	else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
	         event == PTRACE_EVENT_CLONE)
		adopt(tasks, tid, event);
	else
		ptrace(PTRACE_CONT, tid, NULL, event ? 0 : WSTOPSIG(status));
}

int run_tasks(const struct run_options *options, pid_t root, struct run_counts *counts)
{
	struct tasks *tasks = calloc(1, sizeof(*tasks));
	int status, last = 0;
	pid_t tid;

	if (!tasks) {
		fputs("vas run: out of memory\n", stderr);
		exit(3);
	}
	tasks->options = options;
	tasks->counts = counts;
	add(tasks, root);
	while ((tid = remote_wait(&status)) > 0) {
		if (WIFSTOPPED(status)) {
			handle_stop(tasks, tid, status);
			continue;
		}
		drop(tasks, tid);
		if (tid == root)
			last = status;
	}
	free(tasks);
	return last;
}
#endif
