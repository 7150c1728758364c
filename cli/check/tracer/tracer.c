/* tracer.c - the loop: what stopped, and who deals with it.
 *
 * Signals are passed on as they come, stops of a whole process (SIGSTOP, job control) stay stops:
 * the program behaves as it would alone. An interrupt from the terminal reaches it without us.
 *
 * SPDX-License-Identifier: MIT */
#include "check/tracer/tracer.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/model/process_model_report.h"
#include "check/tracer/tracer_internal.h"

#define SYSCALL_STOP (SIGTRAP | 0x80) /* PTRACE_O_TRACESYSGOOD */

/* ---- Events ---------------------------------------------------------------------------------- */

/* Of a map in which nothing differs the log only has a digest, unless it is a last one. */
static void log_event(struct tracer *tracer, const struct event *event)
{
	bool maps = event->kind == EVENT_MAPS;
	bool last = event->lines.n && event->lines.line[0].has_flags;
	if (!tracer->log.file)
		return;
	if (!maps || last || model_adrift(tracer->model, event->pid)) {
		log_write(&tracer->log, event);
		return;
	}
	struct event digest = {.kind = EVENT_DIGEST,
	                       .pid = event->pid,
	                       .id = (uint32_t)event->lines.n,
	                       .number = map_lines_digest(&event->lines)};
	log_write(&tracer->log, &digest);
}

void emit(struct tracer *tracer, const struct event *event)
{
	char why[MODEL_WHY];
	if (tracer->blind)
		return;
	tracer->calls += event->kind == EVENT_CALL && event->call.name != CALL_TOUCH;
	if (!model_apply(tracer->model, event, why)) {
		progress_erase(tracer);
		fprintf(stderr, "vas check: process %d: %s; nothing is checked from here on\n",
		        event->pid, why);
		tracer->blind = true;
		return;
	}
	log_event(tracer, event);
}

/* ---- Tasks ----------------------------------------------------------------------------------- */

struct task *task_find(struct tracer *tracer, pid_t tid)
{
	struct task *task = tracer->tasks[(unsigned)tid % TASK_BUCKETS];
	while (task && task->tid != tid)
		task = task->next;
	return task;
}

/* A task that does not exist any more cannot be resumed; waitpid will tell. An interrupt that is
 * still to stop it for another task (tracer_inner.c) was lost at the stop that it is in now. */
void resume(struct task *task, int signal)
{
	if (task->stopper)
		ptrace(PTRACE_INTERRUPT, task->tid, NULL, NULL);
	ptrace(task->every_call ? PTRACE_SYSCALL : PTRACE_CONT, task->tid, NULL, (long)signal);
}

void resume_call(struct task *task)
{
	ptrace(PTRACE_SYSCALL, task->tid, NULL, NULL);
}

void resume_stopped(struct task *task, int signal)
{
	bool stopping = signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN ||
	                signal == SIGTTOU;
	enum __ptrace_request go_on = task->every_call ? PTRACE_SYSCALL : PTRACE_CONT;
	ptrace(stopping ? PTRACE_LISTEN : go_on, task->tid, NULL, NULL);
}

/* ---- Stops ----------------------------------------------------------------------------------- */

static void call_ended(struct tracer *tracer, struct task *task)
{
	struct __ptrace_syscall_info info;
	clone_restore(task);
	task->at_terminal = false;
	if (task->state != TASK_CALLING) {
		resume(task, 0);
		return;
	}
	if (ptrace(PTRACE_GET_SYSCALL_INFO, task->tid, sizeof(info), &info) > 0 &&
	    info.op == PTRACE_SYSCALL_INFO_EXIT)
		call_answer(tracer, task, info.exit.rval);
	resume(task, 0);
	call_done(tracer, task);
}

/* A stop at a call, of a task without a filter. */
static void call_begins_or_ends(struct tracer *tracer, struct task *task)
{
	struct __ptrace_syscall_info info;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, task->tid, sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		call_ended(tracer, task);
	else if (start_wants((long)info.entry.nr, (const uint64_t *)info.entry.args))
		call_stop(tracer, task);
	else {
		for (int i = 0; i < 6; i++)
			task->args[i] = info.entry.args[i];
		(void)progress_call(tracer, task, info.entry.nr);
		resume(task, 0);
	}
}

void tracer_stopped(struct tracer *tracer, pid_t tid, int status)
{
	struct task *task = task_find(tracer, tid);
	int signal = WSTOPSIG(status), event = status >> 16;
	if (event == PTRACE_EVENT_EXEC) { /* of a thread that takes the place of a leader gone */
		life_exec(tracer, tid);
		return;
	}
	if (!task || task->state == TASK_AWAITED || task->state == TASK_HELD) {
		life_first_stop(tracer, task, tid, event);
		return;
	}
	switch (event) {
	case 0:
		break;
	case PTRACE_EVENT_SECCOMP:
		call_stop(tracer, task);
		return;
	case PTRACE_EVENT_CLONE:
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		life_forked(tracer, task, event);
		return;
	case PTRACE_EVENT_EXIT:
		life_exiting(tracer, task);
		return;
	case PTRACE_EVENT_STOP:
		if (task->stopper)
			inner_stopped(task, signal);
		else
			resume_stopped(task, signal);
		return;
	default:
		resume(task, 0);
		return;
	}
	if (signal == SYSCALL_STOP && task->every_call)
		call_begins_or_ends(tracer, task);
	else if (signal == SYSCALL_STOP)
		call_ended(tracer, task);
	else
		resume(task, signal);
}

static void loop(struct tracer *tracer)
{
	int status;
	for (;;) {
		pid_t tid = waitpid(-1, &status, __WALL);
		if (attach_asked_to_end()) {
			if (tid > 0 && WIFSTOPPED(status))
				tracer_stopped(tracer, tid, status);
			attach_end(tracer);
			return;
		}
		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0)
			return; /* ECHILD: all have ended */
		if (WIFSTOPPED(status))
			tracer_stopped(tracer, tid, status);
		else
			life_gone(tracer, tid, status);
		progress_show(tracer);
	}
}

/* ---- A run ----------------------------------------------------------------------------------- */

/* Whether the first process could be what it was to be; a message says why not. */
static bool was_run(int report, char **argv)
{
	struct {
		int error, filter;
	} failure;
	ssize_t got = read(report, &failure, sizeof(failure));
	close(report);
	if (got != sizeof(failure))
		return true;
	fprintf(stderr, "vas check: %s: %s\n", failure.filter ? "seccomp" : argv[0],
	        strerror(failure.error));
	return false;
}

/* Files, and two descriptors for each space: more than the usual 1024 may come together. Only after
 * the start, so that the program keeps its own limit. */
static void raise_files_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void release(struct tracer *tracer)
{
	for (size_t i = 0; i < FILE_BUCKETS; i++) {
		while (tracer->files[i]) {
			struct kept_file *kept = tracer->files[i];
			tracer->files[i] = kept->next;
			if (kept->fd >= 0)
				close(kept->fd);
			free(kept);
		}
	}
	/* Whoever was let go of while it lived. */
	for (size_t i = 0; i < TASK_BUCKETS; i++) {
		while (tracer->tasks[i]) {
			struct task *task = tracer->tasks[i];
			tracer->tasks[i] = task->next;
			if (task->proc)
				mm_put(task->mm);
			mm_put(task->turn); /* that it had, or was queued for */
			file_forget(&task->file);
			free(task);
		}
	}
	while (tracer->procs) {
		struct proc *proc = tracer->procs;
		tracer->procs = proc->next;
		free(proc);
	}
	map_lines_free(&tracer->lines);
	free(tracer->text.at);
	free(tracer);
}

static bool start_log(struct tracer *tracer)
{
	struct event machine = {.kind = EVENT_MACHINE, .machine = model_machine(tracer->model)};
	if (tracer->log.file) {
		log_begin(&tracer->log);
		log_write(&tracer->log, &machine);
	}
	return true;
}

static bool start(struct tracer *tracer, char **argv, int *report)
{
	tracer->first = tracer_start(tracer, argv, report);
	signal(SIGINT, SIG_IGN); /* not before: the program has the dispositions that we had */
	signal(SIGQUIT, SIG_IGN);
	if (tracer->first > 0 && life_start(tracer, tracer->first))
		return start_log(tracer);
	fprintf(stderr, "vas check: cannot trace a program: %s\n", strerror(errno));
	return false;
}

enum tracer_end tracer_run(const struct tracer_options *options, struct model *model, char **argv,
                           int *status)
{
	struct tracer *tracer = calloc(1, sizeof(*tracer));
	int report = -1;
	if (!tracer) {
		fputs("vas check: out of memory\n", stderr);
		return TRACER_FAILED;
	}
	tracer->options = *options;
	tracer->model = model;
	tracer->page_size = model_machine(model)->format->page_size;
	tracer->window = model_machine(model)->window;
	tracer->log = (struct log_writer){options->log, options->full_paths};
	progress_start(tracer);
	bool started = options->attach ? start_log(tracer) && attach_start(tracer, options->attach)
	                               : start(tracer, argv, &report);
	if (!started) {
		progress_end(tracer);
		release(tracer);
		return TRACER_FAILED;
	}
	raise_files_limit();
	loop(tracer);
	progress_end(tracer);
	*status = tracer->first_status;
	enum tracer_end end = tracer->blind           ? TRACER_BLIND
	                      : attach_asked_to_end() ? TRACER_LEFT
	                                              : TRACER_DONE;
	if (report >= 0 && !was_run(report, argv))
		end = TRACER_FAILED;
	release(tracer);
	return end;
}
