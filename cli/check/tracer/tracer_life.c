/* tracer_life.c - birth, exec and death of tasks, and the spaces they have.
 *
 * A new task's first stop and its parent's fork event come in either order; it runs on after both.
 *
 * A task is let go of when it begins to exit: nothing it does then is of interest, and its parent
 * must find the dead child as soon as the kernel tells of it (a pidfd, SIGCHLD). A tracer that
 * still had it would be told first, and until it had asked, waitpid(WNOHANG) would find no child.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check/tracer/tracer_internal.h"
#include "target/cpu.h"
#include "target/event.h"

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
	task->every_call = tracer->attached;
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

/* What fork and exec leave of prctl's settings. The first process has ours. */
static void inherit(struct mm *mm, const struct task *from)
{
	int mdwe = from->mm ? (int)from->mm->mdwe : prctl(66 /* PR_GET_MDWE */, 0, 0, 0, 0);
	int merges = from->mm ? (int)from->mm->merges
	                      : prctl(68 /* PR_GET_MEMORY_MERGE */, 0, 0, 0, 0);
	mm->mdwe = mdwe > 0 && !(mdwe & (int)VAS_MDWE_NO_INHERIT) ? (uint32_t)mdwe : 0;
	mm->merges = merges > 0;
}

static void enter(struct task *task, struct proc *proc, struct mm *mm)
{
	task->proc = proc;
	task->mm = proc->mm = mm;
	proc->tasks++;
	mm->refs++;
	mm->tasks++;
}

void mm_put(struct mm *mm)
{
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

/* The task will make no more calls. */
static void leave_proc(struct tracer *tracer, struct task *task, bool readable)
{
	struct mm *mm = task->mm;
	struct proc *proc = task->proc;
	if (task->state == TASK_QUEUED)
		call_leave_queue(task);
	call_done(tracer, task);
	inner_gone(tracer, task);
	file_forget(&task->file);
	if (--mm->tasks == 0 && mm->followed) {
		struct event note = {.kind = EVENT_NOTE,
		                     .pid = proc->pid,
		                     .text = "killed before its last map could be read"};
		if (readable)
			image_compare_last(tracer, task);
		else
			emit(tracer, &note);
	}
	if (--proc->tasks == 0) {
		mm->procs--;
		proc_gone(tracer, proc);
	}
	mm_put(mm);
}

static void task_forget(struct tracer *tracer, struct task *task, bool readable)
{
	if (task->proc)
		leave_proc(tracer, task, readable);
	tracer->nheld -= task->state == TASK_HELD;
	task_unlink(tracer, task);
	free(task);
}

static void release_held(struct tracer *tracer, struct task *task)
{
	task->state = TASK_RUNNING;
	tracer->nheld--;
}

/* A process of which nothing can be followed. */
static void stop_at_once(struct tracer *tracer, struct task *task, const char *why)
{
	char name[32];
	struct event event = {.kind = EVENT_IMAGE, .pid = task->proc->pid, .text = name};
	proc_comm(task->tid, name, sizeof(name));
	emit(tracer, &event);
	life_stop_following(tracer, task, why);
}

/* What a task does after its first stop, once its creator has told of it. */
static void begin_life(struct tracer *tracer, struct task *task)
{
	clone_restore(task);
	if (task->at_exit)
		life_exiting(tracer, task);
	else if (task->stopper)
		inner_stopped(task, 0);
	else
		resume(task, 0);
}

static void born_thread(struct tracer *tracer, struct proc *proc, struct task *thread)
{
	struct event event = {.kind = EVENT_THREAD, .pid = proc->pid, .child = thread->tid};
	enter(thread, proc, proc->mm);
	if (model_known(tracer->model, proc->pid))
		emit(tracer, &event);
}

/* ---- Orphans --------------------------------------------------------------------------------- */

static pid_t status_pid(const struct task *task, const char *field)
{
	uint64_t pid = 0;
	proc_status(task->tid, field, 10, &pid);
	return (pid_t)pid;
}

/* Whether the task may still tell of this child. One that is not followed may be making a child at
 * any time, unseen. */
static bool can_tell(const struct task *task, const struct task *child)
{
	if (!task->proc)
		return false;
	if (task->mm->followed)
		return task->state == TASK_CALLING && task->follow == FOLLOW_FORK;
	pid_t parent = status_pid(child, "PPid");
	return task->proc->pid == parent || task->proc->pid == status_pid(child, "Tgid") ||
	       parent == status_pid(task, "PPid"); /* CLONE_PARENT */
}

/* A thread whose creator was killed goes with it, or is one of a process that lives on. A process
 * is followed from the map it has: it has not run yet. */
static void free_orphan(struct tracer *tracer, struct task *task)
{
	pid_t pid = status_pid(task, "Tgid");
	struct proc *proc = tracer->procs;
	while (proc && proc->pid != pid)
		proc = proc->next;
	proc_caps(task);
	if (proc) {
		born_thread(tracer, proc, task);
	} else {
		enter(task, proc_new(tracer, pid), mm_new());
		image_emit(tracer, task);
	}
	release_held(tracer, task);
	begin_life(tracer, task);
}

/* A child that is held and whose creator cannot tell of it any more, or NULL. */
static struct task *find_orphan(struct tracer *tracer)
{
	for (size_t i = 0; i < TASK_BUCKETS; i++) {
		for (struct task *held = tracer->tasks[i]; held; held = held->next) {
			bool told = held->state != TASK_HELD;
			for (size_t k = 0; k < TASK_BUCKETS && !told; k++)
				for (struct task *task = tracer->tasks[k]; task && !told;
				     task = task->next)
					told = can_tell(task, held);
			if (!told)
				return held;
		}
	}
	return NULL;
}

static void free_orphans(struct tracer *tracer)
{
	struct task *orphan;
	while (tracer->nheld && (orphan = find_orphan(tracer)) != NULL)
		free_orphan(tracer, orphan);
}

/* ---- Birth ----------------------------------------------------------------------------------- */

bool life_start(struct tracer *tracer, pid_t tid)
{
	return task_new(tracer, tid, TASK_RUNNING) != NULL;
}

/* What happened before is not known. */
static void mark_all(struct tracer *tracer, struct task *task)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region region = {.end = 0};
	while (vas && vas_next_region(vas, region.end, &region))
		if (region.touched)
			touch_unsure(tracer, task, region.start);
}

void life_attach(struct tracer *tracer, pid_t pid, const pid_t *tids, size_t n)
{
	struct proc *proc = proc_new(tracer, pid);
	struct task *first = task_new(tracer, tids[0], TASK_RUNNING);
	enter(first, proc, mm_new());
	image_emit(tracer, first);
	mark_all(tracer, first);
	for (size_t i = 1; i < n; i++) {
		struct task *task = task_new(tracer, tids[i], TASK_RUNNING);
		proc_caps(task);
		born_thread(tracer, proc, task);
	}
}

void life_first_stop(struct tracer *tracer, struct task *task, pid_t tid, int event)
{
	bool at_exit = event == PTRACE_EVENT_EXIT;
	if (!task) {
		task_new(tracer, tid, TASK_HELD)->at_exit = at_exit;
		tracer->nheld++;
		free_orphans(tracer);
	} else if (task->state == TASK_AWAITED) {
		task->state = TASK_RUNNING;
		task->at_exit = at_exit;
		begin_life(tracer, task);
	} else {
		task->at_exit = task->at_exit || at_exit; /* killed while it was held */
	}
}

static void born_sharing(struct tracer *tracer, struct task *parent, struct task *child,
                         bool thread)
{
	if (thread) {
		born_thread(tracer, parent->proc, child);
		return;
	}
	struct proc *proc = proc_new(tracer, child->tid);
	struct event event = {.kind = EVENT_SHARE, .pid = parent->proc->pid, .child = child->tid};
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
	memcpy(proc->limit, parent->proc->limit, sizeof(proc->limit));
	mm->brk = old->brk;
	mm->brk_guessed = old->brk_guessed;
	mm->caps = old->caps;
	inherit(mm, parent);
	memcpy(mm->limit, old->limit, sizeof(mm->limit));
	mm->growsdown = old->growsdown;
	mm->forked = true;
	mm->followed = old->followed;
	enter(child, proc, mm);
	if (!model_known(tracer->model, parent->proc->pid))
		return;
	touch_end(parent);
	if (old->followed) {
		touch_window(tracer, parent);
		touch_all(tracer, parent);
		image_compare_due(tracer, parent);
	}
	emit(tracer, &event);
	mm->followed = mm->followed && model_space(tracer->model, proc->pid);
	if (mm->followed && !proc_open(mm, child->tid))
		life_stop_following(tracer, child, "its map in /proc cannot be read");
	if (mm->followed)
		image_forked(tracer, parent, child);
}

void life_forked(struct tracer *tracer, struct task *parent, int event)
{
	unsigned long tid;
	if (!event_message(parent->tid, event, &tid)) { /* its child is an orphan, then */
		resume(parent, 0);
		call_done(tracer, parent);
		return;
	}
	struct task *child = task_find(tracer, (pid_t)tid);
	bool held = child && child->state == TASK_HELD;
	bool shares = syscall(SYS_kcmp, parent->tid, (pid_t)tid, KCMP_VM, 0, 0) == 0;
	/* Which of the three events it is says nothing about the space: clone has flags for it. */
	if (!child)
		child = task_new(tracer, (pid_t)tid, TASK_AWAITED);
	bool said = parent->state == TASK_CALLING && parent->follow == FOLLOW_FORK;
	child->caps = parent->caps;
	child->placed = parent->placed;
	if (!said || (parent->clone_flags & CLONE_NEWUSER))
		proc_caps(child);
	clone_inherit(parent, child, shares);
	clone_restore(parent);
	if (parent->proc && shares)
		born_sharing(tracer, parent, child,
		             said ? parent->clone_flags & CLONE_THREAD
		                  : status_pid(child, "Tgid") == parent->proc->pid);
	else if (parent->proc)
		born_copying(tracer, parent, child);
	if (held) {
		release_held(tracer, child);
		begin_life(tracer, child);
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
	       info.arch != cpu_audit;
}

/* The thread that made the call has become the leader, whoever it was; the others are gone. */
static struct task *take_leadership(struct tracer *tracer, pid_t tid)
{
	unsigned long former = 0;
	bool known = event_message(tid, PTRACE_EVENT_EXEC, &former);
	struct task *task = known ? task_find(tracer, (pid_t)former) : NULL;
	if ((pid_t)former == tid || !task)
		return task_find(tracer, tid);
	struct task *leader = task_find(tracer, tid);
	if (leader)
		task_forget(tracer, leader, false);
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
		mm_put(mm);
		emit_exit(tracer, proc);
	}
	return proc;
}

void life_exec(struct tracer *tracer, pid_t tid)
{
	struct task *task = take_leadership(tracer, tid);
	if (!task) /* cannot be: it has stopped before */
		task = task_new(tracer, tid, TASK_RUNNING);
	struct mm *mm = mm_new();
	inherit(mm, task);
	struct proc *proc = leave_space(tracer, task, tid);
	task->state = TASK_RUNNING;
	enter(task, proc, mm);
	if (is_foreign(tid))
		stop_at_once(tracer, task, "a 32-bit program: not supported");
	else
		image_emit(tracer, task);
	files_sweep(tracer);
	resume(task, 0);
}

/* ---- Death ----------------------------------------------------------------------------------- */

/* A call that was interrupted by death has taken effect or not: its answer is in the register. */
static void finish_call(struct tracer *tracer, struct task *task)
{
	uint64_t value;
	if (cpu_result(task->tid, &value) && (int64_t)value != -ENOSYS)
		call_answer(tracer, task, (int64_t)value);
}

void life_exiting(struct tracer *tracer, struct task *task)
{
	pid_t tid = task->tid;
	if (task->state == TASK_CALLING)
		finish_call(tracer, task);
	task_forget(tracer, task, true);
	ptrace(PTRACE_DETACH, tid, NULL, NULL);
	free_orphans(tracer);
}

void life_gone(struct tracer *tracer, pid_t tid, int status)
{
	struct task *task = task_find(tracer, tid);
	if (tid == tracer->first)
		tracer->first_status = status;
	if (!task)
		return;
	task_forget(tracer, task, false);
	free_orphans(tracer);
}

void life_stop_following(struct tracer *tracer, struct task *task, const char *why)
{
	struct event event = {.kind = EVENT_STOP, .pid = task->proc->pid, .text = why};
	if (model_known(tracer->model, task->proc->pid))
		emit(tracer, &event);
	task->mm->followed = false;
}
