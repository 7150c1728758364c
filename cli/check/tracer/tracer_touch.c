/* tracer_touch.c - finds out which private mappings have been written.
 *
 * Whether two anonymous neighbours merge depends on whether, and beside which neighbour, each was
 * first written; no call tells. So before a call that may part or join mappings the kernel is asked
 * which of those concerned, not yet known to be written, hold a page of their own. Asking late is
 * good enough, because nothing about the layout has changed since the page was written. (In what
 * order several neighbours were, the model knows not to know.)
 *
 * But other threads may write while a call is under way. What was not yet written when it began,
 * and is when it has ended, was written before the call took effect or afterwards: its identity is
 * not certain, and the model is told so.
 *
 * A mapping that is not writable now was looked at when it was writable last.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "target/pagemap_scan.h"
#include "check/tracer/tracer_internal.h"

/* ---- Asking the kernel ----------------------------------------------------------------------- */

/* 1: *page is the first page that is present or swapped and none of `not`; 0: there is none; -1:
 * the kernel has no such call, or does not know all of `not`. */
static int scan(int fd, uint64_t not, uint64_t start, uint64_t end, uint64_t *page)
{
	struct scan_region region = {0, 0, 0};
	struct scan scan = {.size = sizeof(scan),
	                    .start = start,
	                    .end = end,
	                    .vec = (uintptr_t)&region,
	                    .vec_len = 1,
	                    .max_pages = 1,
	                    .category_inverted = not,
	                    .category_mask = not,
	                    .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
	                    .return_mask = SCAN_PRESENT};
	int n = ioctl(fd, SCAN, &scan);
	if (n < 0)
		return errno == ENOTTY || errno == EINVAL ? -1 : 0;
	*page = region.start;
	return n > 0;
}

/* The same by reading a word for each page, where Linux is older. A page of zeros that was read
 * only never shows as mapped exclusively. (A page shared since fork is missed: but that one is
 * known already.) */
static bool read_words(int fd, uint64_t size, uint64_t start, uint64_t end, uint64_t *page)
{
	uint64_t words[512];
	for (uint64_t at = start; at < end;) {
		uint64_t n = (end - at) / size < 512 ? (end - at) / size : 512;
		ssize_t got = pread(fd, words, n * 8, (off_t)(at / size * 8));
		if (got <= 0)
			return false;
		for (uint64_t i = 0; i < (uint64_t)got / 8; i++) {
			bool file = words[i] >> 61 & 1, exclusive = words[i] >> 56 & 1;
			bool swapped = words[i] >> 62 & 1, present = words[i] >> 63 & 1;
			if (!file && (swapped || (present && exclusive))) {
				*page = at + i * size;
				return true;
			}
		}
		at += (uint64_t)got / 8 * size;
	}
	return false;
}

bool touch_find(const struct mm *mm, uint64_t start, uint64_t end, uint64_t *page)
{
	int found = scan(mm->pagemap_fd, SCAN_FILE | SCAN_ZERO | SCAN_GUARD, start, end, page);
	if (found < 0)
		found = scan(mm->pagemap_fd, SCAN_FILE | SCAN_ZERO, start, end, page);
	return found < 0 ? read_words(mm->pagemap_fd, (uint64_t)sysconf(_SC_PAGESIZE), start, end,
	                              page)
	                 : found > 0;
}

/* ---- Telling the model ----------------------------------------------------------------------- */

static bool unknown(const struct vas_region *region)
{
	return !region->touched && (region->flags & VAS_VM_WRITE) &&
	       !(region->flags &
	         (VAS_VM_SHARED | VAS_VM_MAYSHARE | VAS_VM_HUGETLB | VAS_VM_OPAQUE));
}

void touch_unsure(struct tracer *tracer, struct task *task, uint64_t page)
{
	struct event event = {.kind = EVENT_UNSURE, .pid = task->proc->pid, .number = page};
	emit(tracer, &event);
}

static void emit_touch(struct tracer *tracer, struct task *task, uint64_t page)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region region;
	if (vas && vas_next_region(vas, page, &region) && region.file)
		file_update_size(tracer, model_file_id(tracer->model, region.file));
	struct event *event = &tracer->event;
	*event = (struct event){.kind = EVENT_CALL, .pid = task->proc->pid};
	event->call = (struct call){.name = CALL_TOUCH, .nargs = 1, .arg = {page}};
	event->answer = (struct answer){.kind = ANSWER_VALUE};
	emit(tracer, event);
}

/* Asks about the part of the region in [from, to). Whether a page there has just turned out to be
 * written, and which. */
static bool find_new(const struct task *task, const struct vas_region *region, uint64_t from,
                     uint64_t to, uint64_t *page)
{
	from = region->start > from ? region->start : from;
	to = region->end < to ? region->end : to;
	return unknown(region) && touch_find(task->mm, from, to, page);
}

static void leave_open(struct task *task, const struct vas_region *region)
{
	struct open_ranges *open = &task->open;
	if (!open->begins || task->mm->tasks < 2 || !unknown(region))
		return;
	if (open->n < OPEN_MAX) {
		open->at[open->n].start = region->start;
		open->at[open->n++].end = region->end;
	} else if (region->end > open->at[OPEN_MAX - 1].end) { /* too many: with what is between */
		open->at[OPEN_MAX - 1].end = region->end;
	} else if (region->start < open->at[OPEN_MAX - 1].start) {
		open->at[OPEN_MAX - 1].start = region->start;
	}
}

/* Whether the mapping has just turned out to be written. */
static bool look(struct tracer *tracer, struct task *task, const struct vas_region *region,
                 uint64_t from, uint64_t to)
{
	uint64_t page;
	bool found = find_new(task, region, from, to, &page);
	if (found)
		emit_touch(tracer, task, page);
	else
		leave_open(task, region);
	return found;
}

/* Mappings that hold a part of [start, end), each as a whole. */
static void look_within(struct tracer *tracer, struct task *task, uint64_t start, uint64_t end)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region region;
	while (vas && vas_next_region(vas, start, &region) && region.start < end) {
		tracer->files_dirty |= region.file != NULL;
		look(tracer, task, &region, 0, UINT64_MAX);
		start = region.end;
	}
}

/* Two neighbours that touch [start, end) on either side: merging asks for the next one, and that
 * for the identity of the one after. If that has turned out to be written, in what order with the
 * one after it, and so on. What they have inside the range is left out: after a call, it is
 * something else for the kernel. */
static void look_below(struct tracer *tracer, struct task *task, uint64_t start)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region region;
	uint64_t low = start;
	bool found = true;
	for (int n = 0; vas && low && (n < 2 || found); n++) {
		if (!vas_next_region(vas, low - 1, &region) || region.start >= low)
			return;
		found = look(tracer, task, &region, 0, start);
		low = region.start;
	}
}

static void look_above(struct tracer *tracer, struct task *task, uint64_t end)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region region;
	uint64_t high = end;
	bool found = true;
	for (int n = 0; vas && (n < 2 || found); n++) {
		if (!vas_next_region(vas, high, &region) || region.start > high)
			return;
		found = look(tracer, task, &region, end, UINT64_MAX);
		high = region.end;
	}
}

static void look_beside(struct tracer *tracer, struct task *task, uint64_t start, uint64_t end)
{
	look_below(tracer, task, start);
	look_above(tracer, task, end);
}

/* Whether a mapping of the kernel's begins or ends at `joint`. */
static bool is_border(struct tracer *tracer, struct task *task, uint64_t joint)
{
	if (!proc_maps(tracer, task->mm))
		return true;
	for (size_t i = 0; i < tracer->lines.n; i++)
		if (tracer->lines.line[i].start == joint || tracer->lines.line[i].end == joint)
			return true;
	return false;
}

/* The neighbours of a call's result: below it, and above. */
struct beside {
	struct vas_region region; /* start == end: there is none */
	uint64_t page;            /* that has just turned out to be written, or 0 */
	bool joined;              /* for the kernel it is one with the result */
};

static void find_beside(struct tracer *tracer, struct task *task, uint64_t start, uint64_t end,
                        struct beside beside[2])
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region *below = &beside[0].region, *above = &beside[1].region;
	memset(beside, 0, 2 * sizeof(*beside));
	if (!start || !vas_next_region(vas, start - 1, below) || below->start >= start)
		below->start = below->end = 0;
	else if (!find_new(task, below, 0, start, &beside[0].page))
		beside[0].page = 0;
	if (!vas_next_region(vas, end, above) || above->start > end)
		above->start = above->end = 0;
	else if (!find_new(task, above, end, UINT64_MAX, &beside[1].page))
		beside[1].page = 0;
	if (!beside[0].page && !beside[1].page)
		return;
	beside[0].joined = !is_border(tracer, task, start);
	beside[1].joined = !is_border(tracer, task, end);
}

/* Whether what a mremap moves or grows has been written. */
static bool source_is_touched(struct tracer *tracer, const struct task *task)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region region;
	return task->call.name == CALL_MREMAP && vas &&
	       vas_next_region(vas, task->args[0], &region) && region.start <= task->args[0] &&
	       region.touched;
}

/* With other threads at work, a neighbour of the result that is written now may have been written
 * after the call. If the result has an identity and the kernel has joined the two, it was: two that
 * are written by themselves are not joined. If the result has none, but is joined with both its
 * neighbours, it was, too, or one of the two was. If it is joined with one of them only, nothing
 * speaks against before; but then it may be that it has taken the other's identity since. */
static void find_late(struct tracer *tracer, struct task *task, uint64_t start, uint64_t end,
                      struct late_touch *late)
{
	struct beside beside[2];
	bool touched = source_is_touched(tracer, task);
	find_beside(tracer, task, start, end, beside);
	for (int i = 0; i < 2; i++) {
		const struct beside *one = &beside[i], *other = &beside[!i];
		if (!one->page)
			continue;
		if (one->joined && (touched || other->joined)) {
			late->page[i] = one->page;
			continue;
		}
		emit_touch(tracer, task, one->page);
		if (touched || (one->joined && (other->page || other->region.touched)))
			touch_unsure(tracer, task, one->page);
	}
}

void touch_result(struct tracer *tracer, struct task *task, uint64_t addr, uint64_t len,
                  struct late_touch *late)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	uint64_t start = page_down(tracer, addr), end = page_up(tracer, addr + len);
	late->page[0] = late->page[1] = 0;
	if (!vas || end < start)
		return;
	if (task->mm->tasks > 1)
		find_late(tracer, task, start, end, late);
	if (!late->page[0])
		look_below(tracer, task, start);
	if (!late->page[1])
		look_above(tracer, task, end);
}

void touch_late(struct tracer *tracer, struct task *task, const struct late_touch *late)
{
	for (int i = 0; i < 2; i++)
		if (late->page[i])
			emit_touch(tracer, task, late->page[i]);
}

void touch_begin(struct task *task)
{
	task->open.n = 0;
	task->open.begins = true;
}

void touch_end(struct task *task)
{
	task->open.begins = false;
}

void touch_window(struct tracer *tracer, struct task *task)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region region;
	uint64_t page;
	for (unsigned i = 0; vas && i < task->open.n; i++) {
		uint64_t start = task->open.at[i].start, end = task->open.at[i].end;
		for (; vas_next_region(vas, start, &region) && region.start < end;
		     start = region.end) {
			if (!find_new(task, &region, 0, UINT64_MAX, &page))
				continue;
			emit_touch(tracer, task, page);
			touch_unsure(tracer, task, page);
		}
	}
	task->open.n = 0;
}

void touch_near(struct tracer *tracer, struct task *task, uint64_t addr, uint64_t len)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	uint64_t start = page_down(tracer, addr), end = page_up(tracer, addr + len);
	struct vas_region region;
	if (!vas || end < start)
		return;
	look_within(tracer, task, start, end);
	if (vas_next_region(vas, start, &region) && region.start < start)
		start = region.start;
	if (end > start && vas_next_region(vas, end - 1, &region) && region.start < end)
		end = region.end;
	look_beside(tracer, task, start, end);
}

/* How often the sizes of all files there have changed so far. */
uint64_t touch_sizes(struct tracer *tracer, struct task *task, uint64_t start, uint64_t end)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region region;
	uint64_t changed = 0;
	for (; vas && vas_next_region(vas, start, &region) && region.start < end;
	     start = region.end)
		if (region.file)
			changed += file_update_size(tracer,
			                            model_file_id(tracer->model, region.file));
	return changed;
}

void touch_all(struct tracer *tracer, struct task *task)
{
	look_within(tracer, task, 0, UINT64_MAX);
}
