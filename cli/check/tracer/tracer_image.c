/* tracer_image.c - the kernel's view of an address space, as events.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>

#include "check/tracer/tracer_internal.h"

/* Reading 100 lines of map costs about 30 us. A program may have so many lines read at its start
 * without making calls, and with each call so many more: small maps are compared after every call,
 * large ones every few calls. */
#define CREDIT_START 100000
#define CREDIT_CALL 64
#define CREDIT_CHILD 4 /* maps: of its start, and of its end, which has more to be read */

/* ---- Lines of smaps made ready for vas ------------------------------------------------------- */

static bool is_special(const char *name)
{
	return strcmp(name, "[vdso]") == 0 || strncmp(name, "[vvar", 5) == 0 ||
	       strcmp(name, "[uprobes]") == 0;
}

/* The file of a line. At exec, lines of the same inode are of the same open file: the program's own
 * or the loader's. Later it is the one that vas has there, if the inode is the same, else a new
 * one; vas's own shared anonymous memory stays what it is. */
static void find_file(struct tracer *tracer, struct task *task, size_t i)
{
	struct map_line *line = &tracer->lines.line[i];
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region region;
	if (vas && vas_next_region(vas, line->start, &region) && region.start <= line->start &&
	    region.file) {
		const struct vas_file_info *info = vas_file_info(region.file);
		uint32_t id = model_file_id(tracer->model, region.file);
		bool same = info->inode == line->inode && info->major == line->major &&
		            info->minor == line->minor;
		bool own = !id && map_line_shared_anon(line);
		line->file = same ? id : 0;
		if (line->file || own)
			return;
	}
	for (size_t k = 0; k < i && !vas; k++) {
		const struct map_line *other = &tracer->lines.line[k];
		if (other->file && other->inode == line->inode && other->major == line->major &&
		    other->minor == line->minor) {
			line->file = other->file;
			return;
		}
	}
	line->file = file_from_line(tracer, task, line);
}

static void add_state(struct tracer *tracer, struct task *task, struct map_line *line)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region region;
	uint64_t page;
	bool known = vas && vas_next_region(vas, line->start, &region) &&
	             region.start <= line->start;
	if (known)
		line->flags |= region.flags & (VAS_VM_OPAQUE | VAS_VM_POLICY);
	if (line->start >= tracer->policy_start && line->end <= tracer->policy_end)
		line->flags = tracer->policy ? line->flags | VAS_VM_POLICY
		                             : line->flags & ~VAS_VM_POLICY;
	if (line->flags & (VAS_VM_SHARED | VAS_VM_MAYSHARE | VAS_VM_PFNMAP | VAS_VM_HUGETLB))
		return;
	line->touched = (known && region.touched) ||
	                touch_find(task->mm, line->start, line->end, &page);
}

/* Whether vas has the segment there as a mapping of its own. */
static bool is_attached(struct tracer *tracer, struct task *task, const struct map_line *line)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region region;
	return vas && vas_next_region(vas, line->start, &region) && region.start <= line->start &&
	       region.file && vas_file_info(region.file)->inode == line->inode &&
	       !(region.flags & VAS_VM_POLICY);
}

static void prepare(struct tracer *tracer, struct task *task)
{
	for (size_t i = 0; i < tracer->lines.n; i++) {
		struct map_line *line = &tracer->lines.line[i];
		add_state(tracer, task, line);
		if (is_special(line->name))
			line->flags |= VAS_VM_SPECIAL;
		if (line->flags & (VAS_VM_PFNMAP | VAS_VM_IO | VAS_VM_MIXEDMAP | VAS_VM_HUGETLB) &&
		    !(line->flags & VAS_VM_SPECIAL))
			line->flags |= VAS_VM_OPAQUE;
		/* Named memory, for which vas has no names, and SysV segments that vas has not seen
		 * attached, do not merge. POLICY does nothing else in vas. */
		if (strncmp(line->name, "[anon", 5) == 0 ||
		    (strncmp(line->name, "/SYSV", 5) == 0 && !is_attached(tracer, task, line)))
			line->flags |= VAS_VM_POLICY;
		if (map_line_has_file(line))
			find_file(tracer, task, i);
	}
}

static bool read_prepared(struct tracer *tracer, struct task *task)
{
	if (!proc_smaps(tracer, task->mm))
		return false;
	prepare(tracer, task);
	return true;
}

/* ---- The start ------------------------------------------------------------------------------- */

/* Where addresses are chosen from: at exec, before the program has mapped anything, loader and vdso
 * have just been placed there one by one. So it is an end of the run of mappings without a gap that
 * has the vdso in it: the upper, or with the legacy layout the lower. (Not the highest mapping
 * below the stack: with an unlimited stack the program itself lies higher.) An older kernel has the
 * vdso above the stack: then there is the loader only, the highest mapping below. 0 if there is
 * none: then vas computes it, which is right without randomisation. */
static uint64_t find_base(const struct map_lines *lines, uint64_t start_stack, uint64_t window,
                          bool upper)
{
	size_t at = 0, first, last;
	bool found = false;
	for (size_t i = 0; i < lines->n && lines->line[i].end <= start_stack && !found; i++) {
		found = strcmp(lines->line[i].name, "[vdso]") == 0;
		if (found || lines->line[i].end > window / 6 * 5) /* the program lies lower */
			at = i;
	}
	for (first = at; first > 0 && lines->line[first - 1].end == lines->line[first].start;)
		first--;
	for (last = at;
	     last + 1 < lines->n && lines->line[last + 1].start == lines->line[last].end;)
		last++;
	if (at == 0)
		return 0;
	return upper ? lines->line[last].end : lines->line[first].start;
}

static void fill_params(struct tracer *tracer, struct task *task, struct vas_params *params)
{
	struct proc_stat stat = {0, 0, 0, 0};
	proc_stat(task->tid, &stat);
	params->start_brk = params->brk = stat.start_brk;
	for (size_t i = 0; i < tracer->lines.n; i++) {
		const struct map_line *line = &tracer->lines.line[i];
		if (strcmp(line->name, "[heap]") == 0) { /* not yet there after an exec */
			params->brk = line->end;
			task->mm->brk_guessed = true;
		}
	}
	params->data_len = stat.end_data - stat.start_data;
	params->start_stack = stat.start_stack;
	params->legacy = proc_personality(task->tid) & ADDR_COMPAT_LAYOUT;
	if (params->legacy)
		params->legacy_base = find_base(&tracer->lines, stat.start_stack, tracer->window,
		                                false);
	else
		params->mmap_base = find_base(&tracer->lines, stat.start_stack, tracer->window,
		                              true);
	params->capabilities = task->caps;
	memcpy(params->limit, task->proc->limit, sizeof(params->limit));
}

void image_emit(struct tracer *tracer, struct task *task)
{
	char name[32];
	struct event event = {.kind = EVENT_IMAGE, .pid = task->proc->pid, .text = name};
	struct mm *mm = task->mm;
	mm->tid = task->tid;
	proc_comm(task->tid, name, sizeof(name));
	proc_limits(task->proc);
	proc_caps(task);
	if (!proc_open(mm, task->tid) || !proc_smaps(tracer, mm)) {
		emit(tracer, &event); /* so that the summary has it */
		life_stop_following(tracer, task, "its map in /proc cannot be read");
		return;
	}
	fill_params(tracer, task, &event.params);
	event.params.mdwe = mm->mdwe;
	event.params.merges_all = mm->merges;
	/* The former image's space must not be asked about this one. */
	struct event old = {.kind = EVENT_EXIT, .pid = task->proc->pid};
	if (model_known(tracer->model, task->proc->pid))
		emit(tracer, &old);
	prepare(tracer, task);
	event.lines = tracer->lines;
	emit(tracer, &event);
	if (proc_personality(task->tid) & READ_IMPLIES_EXEC) {
		life_stop_following(tracer, task, "its personality has READ_IMPLIES_EXEC");
		return;
	}
	mm->brk = event.params.brk;
	mm->caps = task->caps;
	mm->credit = CREDIT_START;
	memcpy(mm->limit, task->proc->limit, sizeof(mm->limit));
	mm->followed = true;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

/* A fault, not a call, lets the stack grow. If the kernel's has, the model's follows by the same
 * fault. When does not matter for the stack, far from everything else; if a program has more such
 * vmas, they are looked at before each call as well. */
static void follow_growth(struct tracer *tracer, struct task *task, const struct map_line *line)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region region;
	if (!vas || !vas_next_region(vas, line->end - 1, &region) || region.end != line->end ||
	    region.start <= line->start || !(region.flags & VAS_VM_GROWSDOWN))
		return;
	struct event event = {.kind = EVENT_GROW, .pid = task->proc->pid, .number = line->start};
	emit(tracer, &event);
}

static void follow_all_growth(struct tracer *tracer, struct task *task)
{
	const struct map_lines *lines = &tracer->lines;
	for (size_t i = 0; i < lines->n; i++)
		if (task->mm->growsdown || strcmp(lines->line[i].name, "[stack]") == 0)
			follow_growth(tracer, task, &lines->line[i]);
}

void image_growth(struct tracer *tracer, struct task *task)
{
	if (task->mm->growsdown && proc_maps(tracer, task->mm))
		follow_all_growth(tracer, task);
}

void image_compare(struct tracer *tracer, struct task *task, bool last)
{
	struct mm *mm = task->mm;
	mm->tid = task->tid;
	if (!mm->followed || tracer->blind ||
	    !(last ? proc_smaps(tracer, mm) : proc_maps(tracer, mm)))
		return;
	follow_all_growth(tracer, task);
	struct event event = {.kind = EVENT_MAPS, .pid = task->proc->pid, .lines = tracer->lines};
	emit(tracer, &event);
}

static bool is_due(const struct tracer *tracer, const struct mm *mm)
{
	return tracer->options.every || mm->credit >= (int64_t)mm->lines;
}

static void compare_for_credit(struct tracer *tracer, struct task *task, bool last)
{
	image_compare(tracer, task, last);
	task->mm->credit -= (int64_t)task->mm->lines;
	if (model_adrift(tracer->model, task->proc->pid))
		image_resync(tracer, task);
}

/* Before it is copied. */
void image_compare_due(struct tracer *tracer, struct task *task)
{
	if (is_due(tracer, task->mm))
		compare_for_credit(tracer, task, false);
}

void image_maybe_compare(struct tracer *tracer, struct task *task)
{
	struct mm *mm = task->mm;
	mm->credit += CREDIT_CALL;
	if (is_due(tracer, mm))
		compare_for_credit(tracer, task, false);
}

/* Of a program always, of a copy if it has the credit: there may be thousands, each with a map as
 * large as the program's. */
void image_compare_last(struct tracer *tracer, struct task *task)
{
	if (!task->mm->forked || is_due(tracer, task->mm))
		image_compare(tracer, task, true);
}

/* The copy and what was copied; the copy gets the credit for its first and its last map. */
void image_forked(struct tracer *tracer, struct task *parent, struct task *child)
{
	struct mm *old = parent->mm, *mm = child->mm;
	int64_t share = CREDIT_CHILD * (int64_t)old->lines;
	mm->lines = old->lines;
	if (old->credit < share)
		share = 0;
	old->credit -= share;
	mm->credit = share;
	if (is_due(tracer, mm))
		compare_for_credit(tracer, child, false);
}

/* ---- Taking over ----------------------------------------------------------------------------- */

static void take_over(struct tracer *tracer, struct task *task, struct event *event)
{
	if (!task->mm->followed || tracer->blind)
		return;
	task->mm->tid = task->tid;
	if (!read_prepared(tracer, task)) {
		life_stop_following(tracer, task, "its map in /proc cannot be read");
		return;
	}
	event->lines = tracer->lines;
	emit(tracer, event);
}

void image_adopt(struct tracer *tracer, struct task *task, const char *why)
{
	struct event event = {.kind = EVENT_ADOPT, .pid = task->proc->pid, .text = why};
	if (strcmp(why, ADOPT_BRK) == 0)
		event.number = task->mm->brk;
	take_over(tracer, task, &event);
}

void image_resync(struct tracer *tracer, struct task *task)
{
	struct event event = {
		.kind = EVENT_RESYNC, .pid = task->proc->pid, .number = task->mm->brk};
	take_over(tracer, task, &event);
}
