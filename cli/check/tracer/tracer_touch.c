/* tracer_touch.c - finds out which private mappings have been written.
 *
 * Whether two anonymous neighbours merge depends on whether, and beside which neighbour, each was
 * first written; no call tells. So before a call that may part or join mappings the kernel is asked
 * which of those concerned, not yet known to be written, hold a page of their own. Asking late is
 * good enough, because nothing about the layout has changed since the page was written. The one
 * thing that cannot be known: of three untouched neighbours A B C that differ in rights only, A and
 * C become different or equal in identity depending on whether B was written before one of them.
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

static void look(struct tracer *tracer, struct task *task, const struct vas_region *region,
                 uint64_t from, uint64_t to)
{
	uint64_t page;
	if (find_new(task, region, from, to, &page))
		emit_touch(tracer, task, page);
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
 * for the identity of the one after. What they have inside the range is left out: after a call, it
 * is something else for the kernel. */
static void look_beside(struct tracer *tracer, struct task *task, uint64_t start, uint64_t end)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region below[2], region;
	uint64_t low = start, high = end;
	int n = 0;
	while (vas && n < 2 && low && vas_next_region(vas, low - 1, &below[n]) &&
	       below[n].start < low)
		low = below[n++].start;
	while (n-- > 0)
		look(tracer, task, &below[n], 0, start);
	for (n = 0; vas && n < 2 && vas_next_region(vas, high, &region); n++) {
		if (region.start > high)
			return;
		look(tracer, task, &region, end, UINT64_MAX);
		high = region.end;
	}
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

/* A page of the neighbour below (or above) the range that has just turned out to be written; 0:
 * none has, or the range has no neighbour there. */
static uint64_t find_beside(struct tracer *tracer, struct task *task, uint64_t start, uint64_t end,
                            bool below)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region region;
	uint64_t page;
	if (below ? !start || !vas_next_region(vas, start - 1, &region) || region.start >= start
	          : !vas_next_region(vas, end, &region) || region.start > end)
		return 0;
	if (!find_new(task, &region, below ? 0 : end, below ? start : UINT64_MAX, &page))
		return 0;
	return page;
}

/* With other threads at work, a neighbour of the result that is written now may have been written
 * after the call. If the kernel has joined the result with both, it was, or one of the two was: had
 * both been written before, each by itself, they could not have been joined. If it has joined it
 * with one of them only, nothing speaks against before, and with two, a lot for it. */
void touch_result(struct tracer *tracer, struct task *task, uint64_t addr, uint64_t len,
                  struct late_touch *late)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	uint64_t start = page_down(tracer, addr), end = page_up(tracer, addr + len);
	late->page[0] = late->page[1] = 0;
	if (!vas || end < start)
		return;
	if (task->mm->tasks > 1) {
		uint64_t low = find_beside(tracer, task, start, end, true);
		uint64_t high = find_beside(tracer, task, start, end, false);
		if ((low || high) && !is_border(tracer, task, start) &&
		    !is_border(tracer, task, end)) {
			late->page[0] = low;
			late->page[1] = high;
			return;
		}
	}
	look_beside(tracer, task, start, end);
}

void touch_late(struct tracer *tracer, struct task *task, const struct late_touch *late)
{
	for (int i = 0; i < 2; i++)
		if (late->page[i])
			emit_touch(tracer, task, late->page[i]);
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

bool touch_sizes(struct tracer *tracer, struct task *task, uint64_t start, uint64_t end)
{
	struct vas *vas = model_space(tracer->model, task->proc->pid);
	struct vas_region region;
	bool changed = false;
	for (; vas && vas_next_region(vas, start, &region) && region.start < end;
	     start = region.end)
		if (region.file)
			changed |= file_update_size(tracer,
			                            model_file_id(tracer->model, region.file));
	return changed;
}

void touch_all(struct tracer *tracer, struct task *task)
{
	look_within(tracer, task, 0, UINT64_MAX);
}
