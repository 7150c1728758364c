/* tracer_attach.c - follows a process that runs already: taken hold of thread by thread, looked at
 * while all of them stand still, and let go of at the end.
 *
 * A running process cannot be given a filter, so it stops at each of its calls, of whichever kind.
 *
 * SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "check/tracer/tracer_internal.h"
#include "target/cpu.h"

#define OPTIONS                                                                                   \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | \
	 PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT)
#define THREADS_MAX 4096

struct hold {
	pid_t tid;
	int status; /* of its stop, if that was another one than ours */
};

static volatile sig_atomic_t asked_to_end;

static void ask_to_end(int signal)
{
	(void)signal;
	asked_to_end = 1;
}

bool attach_asked_to_end(void)
{
	return asked_to_end;
}

/* Takes hold of one thread and waits until it stands still. 0: it has gone meanwhile; -1: errno. */
static int take(struct hold *hold)
{
	if (ptrace(PTRACE_SEIZE, hold->tid, NULL, (long)OPTIONS) != 0)
		return errno == ESRCH ? 0 : -1;
	ptrace(PTRACE_INTERRUPT, hold->tid, NULL, NULL);
	while (waitpid(hold->tid, &hold->status, __WALL) < 0)
		if (errno != EINTR)
			return -1;
	return WIFSTOPPED(hold->status) ? 1 : 0;
}

static bool is_held(const struct hold *holds, size_t n, pid_t tid)
{
	while (n > 0)
		if (holds[--n].tid == tid)
			return true;
	return false;
}

/* Those in /proc/PID/task that are not yet held. More may come while the others are still running.
 * -1: errno. */
static int take_new(pid_t pid, struct hold *holds, size_t *n)
{
	char path[64];
	int taken = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *dir = opendir(path);
	if (!dir)
		return -1;
	for (struct dirent *entry; taken >= 0 && *n < THREADS_MAX && (entry = readdir(dir));) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (tid <= 0 || is_held(holds, *n, tid))
			continue;
		holds[*n] = (struct hold){.tid = tid};
		int got = take(&holds[*n]);
		*n += got > 0;
		taken = got < 0 ? -1 : taken + got;
	}
	closedir(dir);
	return taken;
}

static void let_go(const struct hold *holds, size_t n)
{
	while (n > 0)
		ptrace(PTRACE_DETACH, holds[--n].tid, NULL, NULL);
}

static bool is_native(pid_t tid)
{
	struct __ptrace_syscall_info info;
	return ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) > 0 &&
	       info.arch == cpu_audit;
}

bool attach_start(struct tracer *tracer, pid_t pid)
{
	static struct hold holds[THREADS_MAX];
	static pid_t tids[THREADS_MAX];
	struct sigaction end = {.sa_handler = ask_to_end}; /* interrupts waitpid */
	size_t n = 0;
	int taken;
	while ((taken = take_new(pid, holds, &n)) > 0)
		;
	if (taken < 0 || n == 0 || !is_native(holds[0].tid)) {
		fprintf(stderr, "vas check: process %d: %s\n", (int)pid,
		        taken < 0 ? strerror(errno)
		        : n == 0  ? "it has ended"
		                  : "a 32-bit program: not supported");
		let_go(holds, n);
		return false;
	}
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	tracer->attached = true;
	tracer->first = pid;
	for (size_t i = 0; i < n; i++)
		tids[i] = holds[i].tid;
	life_attach(tracer, pid, tids, n);
	for (size_t i = 0; i < n; i++) {
		if (holds[i].status >> 16 == PTRACE_EVENT_STOP)
			resume_stopped(task_find(tracer, tids[i]), WSTOPSIG(holds[i].status));
		else
			tracer_stopped(tracer, tids[i], holds[i].status);
	}
	return true;
}

/* ---- The end --------------------------------------------------------------------------------- */

/* Whether each task is in a stop of its own, no call under way, so that the map can be read. */
static bool is_still(struct tracer *tracer)
{
	for (size_t i = 0; i < TASK_BUCKETS; i++)
		for (struct task *task = tracer->tasks[i]; task; task = task->next)
			if (task->state == TASK_CALLING)
				return false;
	return true;
}

/* Waits until the task stands still; what was to be delivered to it is handed on with the letting
 * go. */
static int stop_signal(pid_t tid)
{
	int status;
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	while (waitpid(tid, &status, __WALL) < 0)
		if (errno != EINTR)
			return -1;
	if (!WIFSTOPPED(status))
		return -1;
	int signal = WSTOPSIG(status);
	return status >> 16 || signal == (SIGTRAP | 0x80) ? 0 : signal;
}

void attach_end(struct tracer *tracer)
{
	bool still = is_still(tracer);
	for (size_t i = 0; i < TASK_BUCKETS; i++)
		for (struct task *task = tracer->tasks[i]; task; task = task->next)
			task->left_with = task->state == TASK_QUEUED || task->state == TASK_HELD
			                          ? 0
			                          : stop_signal(task->tid);
	for (struct proc *proc = tracer->procs; proc && still; proc = proc->next) {
		struct task *task = task_find(tracer, proc->pid);
		if (task && task->mm && task->mm->followed && task->left_with >= 0)
			image_compare(tracer, task, true);
	}
	for (size_t i = 0; i < TASK_BUCKETS; i++)
		for (struct task *task = tracer->tasks[i]; task; task = task->next)
			if (task->left_with >= 0)
				ptrace(PTRACE_DETACH, task->tid, NULL, (long)task->left_with);
}
