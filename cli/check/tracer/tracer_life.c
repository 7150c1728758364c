/* tracer_life.c - birth, exec and death of tasks, and the spaces they have.
 *
 * A new task's first stop and its parent's fork event come in either order; it runs on after both.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/audit.h>
#include <linux/kcmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

#include "check/tracer/tracer_internal.h"

static void *must(void *memory)
{
	if (!memory) {
		fputs("vas: out of memory\n", stderr);
		exit(3); /* EXITKILL ends the program too */
	}
	return memory;
}

/* ---- Tasks, processes, spaces ---------------------------------------------------------------- */

static struct task *task_new(struct tracer *tracer, pid_t tid, enum task_state state)
{
	struct task *task = must(calloc(1, sizeof(*task)));
	struct task **bucket = &tracer->tasks[(unsigned)tid % TASK_BUCKETS];
	task->tid = tid;
	task->state = state;
	task->file.fd = -1;
	task->next = *bucket;
	*bucket = task;
	return task;
}

static void task_unlink(struct tracer *tracer, struct task *task)
{
	struct task **at = &tracer->tasks[(unsigned)task->tid % TASK_BUCKETS];
	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
}

static struct proc *proc_new(struct tracer *tracer, pid_t pid)
{
	struct proc *proc = must(calloc(1, sizeof(*proc)));
	proc->pid = pid;
	proc->next = tracer->procs;
	tracer->procs = proc;
	return proc;
}

static struct mm *mm_new(void)
{
	struct mm *mm = must(calloc(1, sizeof(*mm)));
	mm->queue_end = &mm->queue;
	mm->maps_fd = mm->pagemap_fd = -1;
	mm->procs = 1;
	return mm;
}

static void enter(struct task *task, struct proc *proc, struct mm *mm)
{
	task->proc = proc;
	task->mm = mm;
	proc->tasks++;
	mm->refs++;
	mm->tasks++;
}

static void mm_release(struct task *task)
{
	struct mm *mm = task->mm;
	task->mm = NULL;
	if (!mm || --mm->refs)
		return;
	proc_close(mm);
	free(mm);
}

static void emit_exit(struct tracer *tracer, const struct proc *proc)
{
	struct event event = {.kind = EVENT_EXIT, .pid = proc->pid};
	if (model_known(tracer->model, proc->pid))
		emit(tracer, &event);
}

static void proc_gone(struct tracer *tracer, struct proc *proc)
{
	struct proc **at = &tracer->procs;
	while (*at != proc)
		at = &(*at)->next;
	*at = proc->next;
	emit_exit(tracer, proc);
	files_sweep(tracer);
	free(proc);
}

/* The task will make no more calls. Its proc may go before it does. */
static void task_ends(struct tracer *tracer, struct task *task, bool readable)
{
	struct mm *mm = task->mm;
	struct proc *proc = task->proc;
	if (task->state == TASK_EXITING || !proc)
		return;
	if (task->state == TASK_QUEUED)
		call_leave_queue(task);
	call_done(tracer, task);
	inner_gone(tracer, task);
	file_forget(&task->file);
	task->state = TASK_EXITING;
	if (--mm->tasks == 0 && mm->followed) {
		struct event note = {.kind = EVENT_NOTE,
		                     .pid = proc->pid,
		                     .text = "killed before its last map could be read"};
		if (readable)
			image_compare(tracer, task, true);
		else
			emit(tracer, &note);
	}
	task->proc = NULL;
	if (--proc->tasks == 0) {
		mm->procs--;
		proc_gone(tracer, proc);
	}
}

/* ---- Birth ----------------------------------------------------------------------------------- */

bool life_start(struct tracer *tracer, pid_t tid)
{
	return task_new(tracer, tid, TASK_RUNNING) != NULL;
}

void life_first_stop(struct tracer *tracer, struct task *task, pid_t tid)
{
	if (!task) {
		task_new(tracer, tid, TASK_HELD);
	} else if (task->state == TASK_AWAITED) {
		task->state = TASK_RUNNING;
		clone_restore(task);
		if (task->stopper)
			inner_stopped(task, 0);
		else
			resume(task, 0);
	}
}

static void born_sharing(struct tracer *tracer, struct task *parent, struct task *child)
{
	uint64_t pid = 0;
	proc_status(child->tid, "Tgid", 10, &pid);
	if ((pid_t)pid == parent->proc->pid) {
		enter(child, parent->proc, parent->mm);
		return;
	}
	struct proc *proc = proc_new(tracer, child->tid);
	struct event event = {.kind = EVENT_SHARE, .pid = parent->proc->pid, .child = child->tid};
	proc->caps = parent->proc->caps;
	memcpy(proc->limit, parent->proc->limit, sizeof(proc->limit));
	enter(child, proc, parent->mm);
	parent->mm->procs++;
	if (model_known(tracer->model, parent->proc->pid))
		emit(tracer, &event);
}

static void born_copying(struct tracer *tracer, struct task *parent, struct task *child)
{
	struct mm *mm = mm_new(), *old = parent->mm;
	struct proc *proc = proc_new(tracer, child->tid);
	struct event event = {.kind = EVENT_FORK, .pid = parent->proc->pid, .child = child->tid};
	proc->caps = parent->proc->caps;
	memcpy(proc->limit, parent->proc->limit, sizeof(proc->limit));
	mm->brk = old->brk;
	mm->caps = old->caps;
	memcpy(mm->limit, old->limit, sizeof(mm->limit));
	mm->growsdown = old->growsdown;
	mm->credit = old->credit;
	mm->followed = old->followed;
	enter(child, proc, mm);
	if (!model_known(tracer->model, parent->proc->pid))
		return;
	if (old->followed) {
		touch_all(tracer, parent);
		image_compare(tracer, parent, false);
		if (model_adrift(tracer->model, parent->proc->pid))
			image_resync(tracer, parent);
	}
	emit(tracer, &event);
	mm->followed = mm->followed && model_space(tracer->model, proc->pid);
	if (mm->followed && !proc_open(mm, child->tid))
		life_stop_following(tracer, child, "its map in /proc cannot be read");
	image_compare(tracer, child, false);
	if (mm->followed && model_adrift(tracer->model, proc->pid))
		image_resync(tracer, child);
}

void life_forked(struct tracer *tracer, struct task *parent, int event)
{
	unsigned long tid = 0;
	ptrace(PTRACE_GETEVENTMSG, parent->tid, NULL, &tid);
	struct task *child = task_find(tracer, (pid_t)tid);
	bool held = child && child->state == TASK_HELD;
	bool shares = syscall(SYS_kcmp, parent->tid, (pid_t)tid, KCMP_VM, 0, 0) == 0;
	(void)event; /* which of the three says nothing about the space: clone has flags for it */
	if (!child)
		child = task_new(tracer, (pid_t)tid, TASK_AWAITED);
	clone_inherit(parent, child, shares);
	clone_restore(parent);
	if (parent->proc && shares)
		born_sharing(tracer, parent, child);
	else if (parent->proc)
		born_copying(tracer, parent, child);
	if (held) {
		child->state = TASK_RUNNING;
		clone_restore(child);
		resume(child, 0);
	}
	/* A parent in vfork runs on only after its child's exec: its turn is over now. */
	resume(parent, 0);
	call_done(tracer, parent);
}

/* ---- Exec ------------------------------------------------------------------------------------ */

static bool is_foreign(pid_t tid)
{
	struct __ptrace_syscall_info info;
	return ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) > 0 &&
	       info.arch != AUDIT_ARCH_X86_64;
}

/* The thread that made the call has become the leader, whoever it was; the others are gone. */
static struct task *take_leadership(struct tracer *tracer, pid_t tid)
{
	unsigned long former = 0;
	ptrace(PTRACE_GETEVENTMSG, tid, NULL, &former);
	struct task *task = task_find(tracer, (pid_t)former);
	if ((pid_t)former == tid || !task)
		return task_find(tracer, tid);
	struct task *leader = task_find(tracer, tid);
	if (leader) {
		task_ends(tracer, leader, false);
		mm_release(leader);
		task_unlink(tracer, leader);
		free(leader);
	}
	task_unlink(tracer, task);
	task->tid = tid;
	struct task **bucket = &tracer->tasks[(unsigned)tid % TASK_BUCKETS];
	task->next = *bucket;
	*bucket = task;
	return task;
}

/* Takes the task out of its old space, which may live on in the parent of a vfork. */
static struct proc *leave_space(struct tracer *tracer, struct task *task, pid_t tid)
{
	struct proc *proc = task->proc;
	struct mm *mm = task->mm;
	if (!proc) {
		proc = proc_new(tracer, tid);
	} else {
		call_done(tracer, task);
		mm->tasks--;
		mm->procs--;
		proc->tasks--;
		mm_release(task);
		emit_exit(tracer, proc);
	}
	return proc;
}

void life_exec(struct tracer *tracer, pid_t tid)
{
	struct task *task = take_leadership(tracer, tid);
	if (!task) /* cannot be: it has stopped before */
		task = task_new(tracer, tid, TASK_RUNNING);
	struct proc *proc = leave_space(tracer, task, tid);
	task->state = TASK_RUNNING;
	enter(task, proc, mm_new());
	if (is_foreign(tid)) {
		char name[32];
		struct event event = {.kind = EVENT_IMAGE, .pid = tid, .text = name};
		proc_comm(tid, name, sizeof(name));
		emit(tracer, &event);
		life_stop_following(tracer, task, "a 32-bit program: not supported");
	} else {
		image_emit(tracer, task);
	}
	files_sweep(tracer);
	resume(task, 0);
}

/* ---- Death ----------------------------------------------------------------------------------- */

/* A call that was interrupted by death has taken effect or not: its answer is in the register. */
static void finish_call(struct tracer *tracer, struct task *task)
{
	errno = 0;
	long value = ptrace(PTRACE_PEEKUSER, task->tid,
	                    offsetof(struct user, regs) + offsetof(struct user_regs_struct, rax),
	                    NULL);
	if (errno == 0 && value != -ENOSYS)
		call_answer(tracer, task, value);
}

void life_exiting(struct tracer *tracer, struct task *task)
{
	if (task->state == TASK_CALLING)
		finish_call(tracer, task);
	task_ends(tracer, task, true);
	resume(task, 0);
}

/* Children whose parent died before it could tell of them are let run, unfollowed. */
static void free_orphans(struct tracer *tracer)
{
	for (size_t i = 0; i < TASK_BUCKETS; i++) {
		for (struct task *task = tracer->tasks[i]; task; task = task->next) {
			uint64_t parent = 0;
			if (task->state != TASK_HELD)
				continue;
			proc_status(task->tid, "PPid", 10, &parent);
			if (task_find(tracer, (pid_t)parent))
				continue;
			task->state = TASK_RUNNING;
			resume(task, 0);
		}
	}
}

void life_gone(struct tracer *tracer, pid_t tid, int status)
{
	struct task *task = task_find(tracer, tid);
	if (tid == tracer->first)
		tracer->first_status = status;
	if (!task)
		return;
	task_ends(tracer, task, false);
	mm_release(task);
	task_unlink(tracer, task);
	free(task);
	free_orphans(tracer);
}

void life_stop_following(struct tracer *tracer, struct task *task, const char *why)
{
	struct event event = {.kind = EVENT_STOP, .pid = task->proc->pid, .text = why};
	if (model_known(tracer->model, task->proc->pid))
		emit(tracer, &event);
	task->mm->followed = false;
}
