/* tracer_call.c - a call from its seccomp stop to its answer.
 *
 *   seccomp stop --> its turn? --> look what was written --> let it run
 *                                                              |
 *   next in the queue <-- compare maps <-- same call on vas <-- exit stop
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "check/tracer/tracer_internal.h"
#include "strace/rights.h"
#include "target/cpu.h"
#include "target/event.h"

#define ERESTART_FIRST 512 /* the kernel's own errnos for a call that will be made again */
#define ERESTART_LAST 516

/* ---- Before the call ------------------------------------------------------------------------- */

static void fill_call(struct task *task)
{
	const struct traced_call *traced = task->traced;
	task->call = (struct call){.name = traced->name, .nargs = traced->nargs};
	for (unsigned i = 0; i < traced->nargs && i < CALL_MAX_ARGS; i++)
		task->call.arg[i] = call_ints(traced->name) >> i & 1 ? (uint32_t)task->args[i]
		                                                     : task->args[i];
	/* As strace does, an address that the kernel will not look at is not mentioned. */
	if (traced->name == CALL_MREMAP &&
	    !(task->args[3] & (VAS_MREMAP_FIXED | VAS_MREMAP_DONTUNMAP)))
		task->call.nargs = 4;
}

/* A private mapping of /dev/zero is anonymous memory that has the name of a file. vas has none: its
 * pages can be freed, and while it is unwritten it loses its offset when it moves. */
static bool meets_zero(struct tracer *tracer, const struct task *task)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	uint64_t at = task->args[0], end = at + task->args[1];
	struct vas_region region;
	for (; vas && vas_next_region(vas, at, &region) && region.start < end; at = region.end)
		if (region.file && strcmp(vas_file_info(region.file)->path, "/dev/zero") == 0)
			return true;
	return false;
}

/* Huge pages that were taken over are opaque: vas does not know which pool they are of. What is
 * asked of them is taken over, too. */
static bool meets_opaque_huge(struct tracer *tracer, const struct task *task)
{
	const uint64_t both = VAS_VM_HUGETLB | VAS_VM_OPAQUE;
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	uint64_t at = task->args[0], end = at + task->args[1];
	struct vas_region region;
	if (task->follow != FOLLOW_SAME || task->call.nargs < 2)
		return false;
	for (; vas && vas_next_region(vas, at, &region) && region.start < end; at = region.end)
		if ((region.flags & both) == both)
			return true;
	return false;
}

/* Arguments that have no meaning must be 0: vas has no such arguments. */
static void choose_prctl(struct task *task)
{
	const uint64_t *arg = task->args;
	bool plain = !arg[2] && !arg[3] && !arg[4];
	task->follow = plain ? FOLLOW_SAME : FOLLOW_PASS;
	task->call = (struct call){.name = CALL_PRCTL, .nargs = 2, .arg = {arg[0], arg[1]}};
}

/* Some calls are followed or not by their arguments. Returns why it ends the following, or NULL. */
static const char *choose(struct tracer *tracer, struct task *task)
{
	const uint64_t *arg = task->args;
	task->follow = task->traced->follow;
	if (meets_opaque_huge(tracer, task))
		task->follow = FOLLOW_ADOPT;
	switch (task->traced->nr) {
	case SYS_pkey_mprotect:
		if ((int)arg[3] != -1)
			task->follow = FOLLOW_ADOPT;
		return NULL;
	case SYS_mremap:
		if (meets_zero(tracer, task))
			task->follow = FOLLOW_ADOPT;
		return NULL;
	case SYS_madvise:
		if ((uint32_t)arg[2] == VAS_MADV_FREE && meets_zero(tracer, task))
			task->follow = FOLLOW_ADOPT;
		return NULL;
	case SYS_prlimit64:
		if (arg[2] == 0) /* only asked */
			task->follow = FOLLOW_PASS;
		return NULL;
	case SYS_personality:
		if ((uint32_t)arg[0] != 0xffffffff && (arg[0] & READ_IMPLIES_EXEC))
			return "personality() sets READ_IMPLIES_EXEC";
		task->follow = FOLLOW_PASS;
		return NULL;
	case SYS_prctl:
		if (arg[0] == PR_GET_SECCOMP)
			task->follow = FOLLOW_FILTER;
		if (arg[0] == PR_SET_MM)
			return "prctl(PR_SET_MM)";
		if (arg[0] == VAS_PR_SET_MDWE || arg[0] == VAS_PR_SET_MEMORY_MERGE)
			choose_prctl(task);
		return NULL;
	case SYS_process_madvise:
		if (!parts_advised(tracer, task))
			task->follow = FOLLOW_PASS;
		return NULL;
	default:
		return NULL;
	}
}

static void look_before_brk(struct tracer *tracer, struct task *task)
{
	uint64_t from = task->mm->brk, to = task->args[0];
	if (to != 0 && to < from)
		touch_near(tracer, task, to, from - to);
	else
		touch_near(tracer, task, page_up(tracer, from), 0);
}

/* Whether pages can be had is a question of the files' sizes, which change by write(2) too, and by
 * any process. How often they have changed so far. */
static uint64_t look_at_sizes(struct tracer *tracer, struct task *task)
{
	const uint64_t *arg = task->args;
	uint32_t advice = (uint32_t)arg[2];
	bool populate = advice == VAS_MADV_POPULATE_READ || advice == VAS_MADV_POPULATE_WRITE;
	if (task->call.name == CALL_MLOCKALL)
		return touch_sizes(tracer, task, 0, UINT64_MAX);
	if (task->call.name == CALL_MLOCK || task->call.name == CALL_MLOCK2 ||
	    (task->call.name == CALL_MADVISE && populate))
		return touch_sizes(tracer, task, arg[0], arg[0] + arg[1]);
	return 0;
}

/* Learns what was written while it can still be seen. */
static void look_before(struct tracer *tracer, struct task *task)
{
	const uint64_t *arg = task->args;
	switch (task->call.name) {
	case CALL_MMAP:
		if (arg[3] & (VAS_MAP_FIXED | VAS_MAP_FIXED_NOREPLACE))
			touch_near(tracer, task, arg[0], arg[1]);
		break;
	case CALL_MREMAP:
		touch_near(tracer, task, arg[0], arg[1] > arg[2] ? arg[1] : arg[2]);
		if (arg[3] & (VAS_MREMAP_FIXED | VAS_MREMAP_DONTUNMAP))
			touch_near(tracer, task, arg[4], arg[2]);
		break;
	case CALL_BRK:
		look_before_brk(tracer, task);
		break;
	case CALL_MLOCKALL:
	case CALL_MUNLOCKALL:
		touch_all(tracer, task);
		break;
	case CALL_PRCTL:
		break;
	default:
		touch_near(tracer, task, arg[0], arg[1]);
		break;
	}
}

static void prepare_mmap(struct tracer *tracer, struct task *task)
{
	struct pending_file *file = &task->file;
	uint64_t flags = task->args[3];
	memset(file, 0, sizeof(*file));
	file->fd = -1;
	if (!(flags & VAS_MAP_ANONYMOUS) && (flags & VAS_MAP_HUGETLB))
		snprintf(file->opaque, sizeof(file->opaque), "mmap of a file with MAP_HUGETLB");
	else if (!(flags & VAS_MAP_ANONYMOUS))
		file_resolve(tracer, task, (int)task->args[4]);
	look_before(tracer, task);
}

static void prepare(struct tracer *tracer, struct task *task)
{
	tracer->files_dirty = false;
	task->resizes = 0;
	touch_begin(task);
	image_growth(tracer, task);
	switch (task->follow) {
	case FOLLOW_SAME:
		look_before(tracer, task);
		task->resizes = look_at_sizes(tracer, task);
		break;
	case FOLLOW_MMAP:
		prepare_mmap(tracer, task);
		break;
	case FOLLOW_SIZE:
		file_resized(tracer, task, (int)task->args[0]);
		break;
	case FOLLOW_ADOPT:
		touch_all(tracer, task);
		break;
	case FOLLOW_ATTACH:
		if (task->args[1])
			touch_near(tracer, task, task->args[1], tracer->page_size);
		break;
	case FOLLOW_ADVISE:
		parts_advise_look(tracer, task);
		break;
	case FOLLOW_FORK: /* other threads may write while it copies */
		if (task->mm->tasks > 1 && !(task->clone_flags & CLONE_VM) &&
		    strcmp(task->traced->text, "vfork") != 0)
			touch_all(tracer, task);
		break;
	case FOLLOW_EXEC:
		if (task->mm->procs == 1) {
			image_compare_last(tracer, task);
			if (model_adrift(tracer->model, task->proc->pid))
				image_resync(tracer, task);
		}
		break;
	default:
		break;
	}
}

static struct proc *proc_of_limits(struct tracer *tracer, struct task *task)
{
	pid_t pid = task->traced->nr == SYS_prlimit64 ? (pid_t)task->args[0] : 0;
	struct proc *proc = pid == 0 ? task->proc : tracer->procs;
	while (pid && proc && proc->pid != pid)
		proc = proc->next;
	return proc;
}

/* Whose turn the call needs; NULL: it concerns no space, or one that is not followed. */
static struct mm *turn_of(struct tracer *tracer, struct task *task)
{
	struct proc *proc;
	struct task *other;
	switch (task->follow) {
	case FOLLOW_SAME:
	case FOLLOW_MMAP:
	case FOLLOW_LOOK:
	case FOLLOW_SIZE:
	case FOLLOW_ATTACH:
	case FOLLOW_DETACH:
	case FOLLOW_ADOPT:
	case FOLLOW_FORK:
	case FOLLOW_EXEC:
		return task->mm;
	case FOLLOW_ADVISE: /* whoever is advised */
		other = parts_advised(tracer, task);
		return other ? other->mm : NULL;
	case FOLLOW_LIMITS: /* of any process */
		proc = proc_of_limits(tracer, task);
		return proc ? proc->mm : NULL;
	default:
		return NULL;
	}
}

static void emit_note(struct tracer *tracer, struct task *task, const char *text)
{
	struct event event = {.kind = EVENT_NOTE, .pid = task->proc->pid, .text = text};
	if (model_known(tracer->model, task->proc->pid))
		emit(tracer, &event);
}

/* Whether the call has to be stopped again at its end. */
static bool keep_child(struct tracer *tracer, struct task *task, uint32_t arch, uint64_t nr)
{
	enum clone_end end = clone_hide(task, arch, nr);
	if (end == CLONE_ESCAPES && task->proc)
		emit_note(tracer, task,
		          "memory calls of a child fail: clone3 with CLONE_UNTRACED in memory "
		          "that cannot be written");
	return end == CLONE_HIDDEN;
}

static void begin(struct tracer *tracer, struct task *task)
{
	if (task->turn)
		task->turn->in_flight = task;
	task->state = TASK_CALLING;
	if (task->follow == FOLLOW_FORK)
		keep_child(tracer, task, cpu_audit, (uint64_t)task->traced->nr);
	if (task->mm->followed)
		prepare(tracer, task);
	resume_call(task);
}

/* A call that is not followed. */
static void let_run(struct tracer *tracer, struct task *task,
                    const struct __ptrace_syscall_info *info)
{
	if (keep_child(tracer, task, info->arch, info->seccomp.nr))
		resume_call(task);
	else
		resume(task, 0);
}

static void enter_queue(struct task *task)
{
	task->state = TASK_QUEUED;
	task->queue_next = NULL;
	*task->turn->queue_end = task;
	task->turn->queue_end = &task->queue_next;
	if (task->stopper)
		inner_stopped(task, 0);
}

/* A child that is killed in a stop dies without another in which it could be let go of: until we
 * have asked, its parent would not find it, which may know already that it is dead. */
static struct task *find_dead(struct tracer *tracer)
{
	siginfo_t info;
	for (size_t i = 0; i < TASK_BUCKETS; i++) {
		for (struct task *task = tracer->tasks[i]; task; task = task->next) {
			info.si_pid = 0; /* a stop is left for the loop */
			if (waitid(P_PID, (id_t)task->tid, &info,
			           WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 &&
			    info.si_pid &&
			    (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED ||
			     info.si_code == CLD_DUMPED))
				return task;
		}
	}
	return NULL;
}

static void let_dead_be_found(struct tracer *tracer)
{
	struct task *dead;
	int status;
	while ((dead = find_dead(tracer)) != NULL) {
		pid_t tid = dead->tid;
		if (waitpid(tid, &status, __WALL) != tid || WIFSTOPPED(status))
			return;
		life_gone(tracer, tid, status);
	}
}

void call_stop(struct tracer *tracer, struct task *task)
{
	struct __ptrace_syscall_info info;
	struct mm *mm = task->mm;
	unsigned long said = 0;
	/* Of a task that is being killed there may be nothing to read. */
	if (ptrace(PTRACE_GET_SYSCALL_INFO, task->tid, sizeof(info), &info) <= 0 ||
	    (info.op != PTRACE_SYSCALL_INFO_SECCOMP && info.op != PTRACE_SYSCALL_INFO_ENTRY)) {
		resume(task, 0);
		return;
	}
	for (int i = 0; i < 6; i++)
		task->args[i] = info.seccomp.args[i];
	/* Without a filter only native calls come here. */
	if (!task->every_call && !event_message(task->tid, PTRACE_EVENT_SECCOMP, &said)) {
		resume(task, 0);
		return;
	}
	if (said == FILTER_TERMINAL) {
		if (progress_call(tracer, task, info.seccomp.nr))
			resume_call(task);
		else
			resume(task, 0);
		return;
	}
	if (said == FILTER_NATIVE &&
	    (info.seccomp.nr == SYS_wait4 || info.seccomp.nr == SYS_waitid))
		let_dead_be_found(tracer);
	if (said == FILTER_NATIVE && inner_takes(tracer, task, info.seccomp.nr))
		return;
	if (!mm || !mm->followed || tracer->blind) {
		let_run(tracer, task, &info);
		return;
	}
	task->traced = said == FILTER_NATIVE ? traced_find((long)info.seccomp.nr) : NULL;
	if (!task->traced) {
		life_stop_following(tracer, task, "it makes 32-bit (i386 or x32) calls");
		let_run(tracer, task, &info);
		return;
	}
	fill_call(task);
	const char *end = choose(tracer, task);
	if (end)
		life_stop_following(tracer, task, end);
	if (end || task->follow == FOLLOW_PASS) {
		resume(task, 0);
		return;
	}
	task->turn = turn_of(tracer, task);
	if (task->turn)
		task->turn->refs++;
	if (task->turn && task->turn->in_flight)
		enter_queue(task);
	else
		begin(tracer, task);
}

/* ---- After it -------------------------------------------------------------------------------- */

void call_emit(struct tracer *tracer, struct task *task, const struct call *call, int64_t value)
{
	struct event *event = &tracer->event;
	*event = (struct event){.kind = EVENT_CALL, .pid = task->proc->pid, .call = *call};
	event->answer = (struct answer){.kind = ANSWER_VALUE, .value = value};
	if (task->follow == FOLLOW_MMAP && call->name == CALL_MMAP && (int32_t)task->args[4] >= 0)
		event->number = (uint32_t)task->args[4] + 1;
	emit(tracer, event);
}

/* Limits belong to processes and capabilities to threads, in the model both to spaces. */
static void bring_rights(struct tracer *tracer, struct task *task)
{
	struct mm *mm = task->mm;
	for (unsigned i = 0; i < VAS_NRLIMITS; i++) {
		const struct vas_limit *limit = &task->proc->limit[i];
		if (memcmp(limit, &mm->limit[i], sizeof(*limit)) == 0)
			continue;
		mm->limit[i] = *limit;
		struct call call = {.name = CALL_SETRLIMIT,
		                    .nargs = 3,
		                    .arg = {limit_rows[i].number, limit->soft, limit->hard}};
		call_emit(tracer, task, &call, 0);
	}
	if (mm->caps != task->caps) {
		mm->caps = task->caps;
		struct event event = {
			.kind = EVENT_CAPS, .pid = task->proc->pid, .number = mm->caps};
		emit(tracer, &event);
	}
}

/* What a call joined its result to must be known as it was before. */
static void look_after(struct tracer *tracer, struct task *task, int64_t value,
                       struct late_touch *late)
{
	if (value >= 0 && task->call.name == CALL_MMAP)
		touch_result(tracer, task, (uint64_t)value, task->args[1], late);
	else if (value >= 0 && task->call.name == CALL_MREMAP)
		touch_result(tracer, task, (uint64_t)value, task->args[2], late);
}

/* A stack that is moved is no longer known by its name, but grows on. */
static void note_growsdown(struct tracer *tracer, struct task *task, int64_t value)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region region;
	if (value >= 0 && task->call.name == CALL_MREMAP && vas &&
	    vas_next_region(vas, (uint64_t)value, &region) && region.start <= (uint64_t)value &&
	    (region.flags & VAS_VM_GROWSDOWN))
		task->mm->growsdown = true;
}

static void note_prctl(struct task *task)
{
	if (task->args[0] == VAS_PR_SET_MDWE)
		task->mm->mdwe = (uint32_t)task->args[1];
	else
		task->mm->merges = task->args[1] != 0;
}

void call_after(struct tracer *tracer, struct task *task)
{
	touch_window(tracer, task);
	if (model_adrift(tracer->model, task->proc->pid))
		image_resync(tracer, task);
	else if (task->follow != FOLLOW_LOOK)
		image_maybe_compare(tracer, task);
	if (tracer->files_dirty)
		files_sweep(tracer);
}

void call_same(struct tracer *tracer, struct task *task, int64_t value)
{
	enum call_name name = task->call.name;
	struct late_touch late = {{0, 0}};
	look_after(tracer, task, value, &late);
	if (name == CALL_BRK)
		task->mm->brk = (uint64_t)value;
	if (name == CALL_BRK && task->mm->brk_guessed) {
		task->mm->brk_guessed = false;
		image_adopt(tracer, task, ADOPT_BRK);
		return;
	}
	if (look_at_sizes(tracer, task) != task->resizes) {
		image_adopt(tracer, task, "a call during which a file's size changed");
		return;
	}
	bring_rights(tracer, task);
	call_emit(tracer, task, &task->call, value);
	touch_late(tracer, task, &late);
	note_growsdown(tracer, task, value);
	if (name == CALL_PRCTL && value == 0)
		note_prctl(task);
	tracer->files_dirty = tracer->files_dirty &&
	                      (name == CALL_MMAP || name == CALL_MUNMAP || name == CALL_MREMAP);
	call_after(tracer, task);
}

static void mmap_call(struct tracer *tracer, struct task *task, int64_t value)
{
	struct pending_file *file = &task->file;
	bool fixed = task->args[3] & VAS_MAP_FIXED, anonymous = task->args[3] & VAS_MAP_ANONYMOUS;
	char failed[sizeof(file->opaque) + 32];
	if (file->opaque[0]) {
		snprintf(failed, sizeof(failed), "%s failed, not compared", file->opaque);
		file_forget(file);
		if (value >= 0 || fixed)
			image_adopt(tracer, task, file->opaque);
		if (value < 0)
			emit_note(tracer, task, failed);
		return;
	}
	uint32_t id = anonymous ? 0 : file_define(tracer, task, value);
	task->call.arg[4] = id ? id : (uint64_t)-1;
	if (value >= 0 && (task->args[3] & VAS_MAP_GROWSDOWN))
		task->mm->growsdown = true;
	call_same(tracer, task, value);
}

static void limits_changed(struct tracer *tracer, struct task *task)
{
	struct proc *proc = proc_of_limits(tracer, task);
	if (proc)
		proc_limits(proc);
}

/* maps does not show a memory policy, but what has one of its own does not merge with others. */
static void adopt_call(struct tracer *tracer, struct task *task)
{
	if (task->traced->nr == SYS_mbind) {
		tracer->policy_start = task->args[0];
		tracer->policy_end = task->args[0] + task->args[1];
		tracer->policy = task->args[2] != 0; /* MPOL_DEFAULT */
	}
	image_adopt(tracer, task, task->traced->text);
	tracer->policy_end = 0;
}

/* The program is kept on one CPU, but must not take the machine for one that has no others. */
static void show_cpus(const struct tracer *tracer, struct task *task, int64_t value)
{
	cpu_set_t cpus = tracer->cpus;
	struct iovec mine = {&cpus, (size_t)value};
	struct iovec theirs = {(void *)(uintptr_t)task->args[2], (size_t)value};
	bool self = task->args[0] == 0 || (pid_t)task->args[0] == task->tid;
	if (task->traced->nr == SYS_sched_setaffinity)
		task->placed = task->placed || self;
	else if (self && !task->placed && CPU_COUNT(&cpus) && mine.iov_len <= sizeof(cpus))
		process_vm_writev(task->tid, &mine, 1, &theirs, 1, 0);
}

/* The filter that only is there because it is followed. */
static void hide_filter(struct task *task, int64_t value)
{
	uint64_t filters = 0;
	if (value == SECCOMP_MODE_FILTER &&
	    proc_status(task->tid, "Seccomp_filters", 10, &filters) && filters == 1)
		(void)cpu_set_result(task->tid, 0);
}

/* It may have done a part of what it was to do. */
static void interrupted(struct tracer *tracer, struct task *task)
{
	if (task->follow == FOLLOW_MMAP)
		file_forget(&task->file);
	if (task->follow == FOLLOW_SAME || task->follow == FOLLOW_MMAP ||
	    task->follow == FOLLOW_ADOPT)
		image_adopt(tracer, task, "an interrupted call");
}

void call_answer(struct tracer *tracer, struct task *task, int64_t value)
{
	bool good = value >= 0 || value < -4095;
	touch_end(task);
	if (!task->mm->followed || tracer->blind) {
		if (task->follow == FOLLOW_MMAP)
			file_forget(&task->file);
		return;
	}
	if (value == -EINTR || (value <= -ERESTART_FIRST && value >= -ERESTART_LAST)) {
		interrupted(tracer, task);
		return;
	}
	switch (task->follow) {
	case FOLLOW_SAME:
	case FOLLOW_LOOK:
		call_same(tracer, task, value);
		break;
	case FOLLOW_MMAP:
		mmap_call(tracer, task, value);
		break;
	case FOLLOW_SIZE:
		if (good)
			file_resized(tracer, task, (int)task->args[0]);
		break;
	case FOLLOW_ATTACH:
		if (good)
			parts_attach(tracer, task, (uint64_t)value);
		break;
	case FOLLOW_DETACH:
		if (good)
			parts_detach(tracer, task);
		break;
	case FOLLOW_ADVISE:
		if (good)
			parts_advise(tracer, task, (uint64_t)value);
		break;
	case FOLLOW_ADOPT:
		if (good)
			adopt_call(tracer, task);
		break;
	case FOLLOW_LIMITS:
		if (good)
			limits_changed(tracer, task);
		break;
	case FOLLOW_CAPS:
		proc_caps(task);
		break;
	case FOLLOW_CPUS:
		if (good)
			show_cpus(tracer, task, value);
		break;
	case FOLLOW_FILTER:
		hide_filter(task, value);
		break;
	case FOLLOW_PTRACE:
		if (value == -EPERM)
			emit_note(tracer, task,
			          "its ptrace was refused, for its tracer is vas "
			          "check: gdb, strace and the like do not work");
		break;
	case FOLLOW_NOTE:
		emit_note(tracer, task, task->traced->text);
		break;
	case FOLLOW_FORK:
	case FOLLOW_EXEC: /* success shows as an event of its own */
	case FOLLOW_END:
	case FOLLOW_PASS:
		break;
	}
}

void call_done(struct tracer *tracer, struct task *task)
{
	struct mm *turn = task->turn;
	if (task->state == TASK_CALLING)
		task->state = TASK_RUNNING;
	if (!turn || turn->in_flight != task)
		return;
	turn->in_flight = NULL;
	task->turn = NULL;
	call_next(tracer, turn);
	mm_put(turn);
}

static void unqueue(struct task *task)
{
	struct mm *mm = task->turn;
	for (struct task **at = &mm->queue; *at; at = &(*at)->queue_next) {
		if (*at != task)
			continue;
		*at = task->queue_next;
		if (mm->queue_end == &task->queue_next)
			mm->queue_end = at;
		return;
	}
}

/* The next one that may. */
void call_next(struct tracer *tracer, struct mm *mm)
{
	struct task *next = mm->in_flight ? NULL : mm->queue;
	while (next && next->frozen)
		next = next->queue_next;
	if (!next)
		return;
	unqueue(next);
	begin(tracer, next);
}

void call_leave_queue(struct task *task)
{
	unqueue(task);
	mm_put(task->turn);
	task->turn = NULL;
}
