/* fuzz_run.c - one call on both sides and all that is compared after it.
 *
 * Owns both sides of a round, of which vas answers first, and which calls are not made at all:
 * those that would take the machine's memory or time, or in which the kernel is known to differ.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "fuzz/fuzz_run.h"

#include <stdlib.h>
#include <string.h>

#define LARGEST_PAGE ((uint64_t)1 << 30)

/* More than this is never made present by one call: it would take the machine's memory and time. */
#define POPULATE_PAGES ((uint64_t)8192)

/* Of huge memory no more is mapped, but for lengths that are refused anyway. */
#define HUGE_LEN ((uint64_t)1 << 34)
#define TASK_LEN ((uint64_t)1 << 47)

struct call fuzz_call(enum call_name name, const uint64_t arg[CALL_MAX_ARGS], size_t nargs)
{
	struct call call = {.name = name, .nargs = (unsigned)nargs};
	memcpy(call.arg, arg, nargs * sizeof(arg[0]));
	return call;
}

static struct vas *space_of(const struct fuzz_run *run, const struct call *call)
{
	return run->look[call_process(call) % CALL_PROCESSES].space;
}

/* ---- What is not done ------------------------------------------------------------------------ */

/* How many mapped pages the range meets. */
static uint64_t mapped_pages(struct vas *space, uint64_t addr, uint64_t len)
{
	const uint64_t page = vas_page_size(space);
	struct vas_region region;
	uint64_t pages = 0, end = addr + len < addr ? ~(uint64_t)0 : addr + len;
	for (uint64_t at = addr; vas_next_region(space, at, &region) && region.start < end;
	     at = region.end) {
		uint64_t from = region.start > addr ? region.start : addr & ~(page - 1);
		pages += ((region.end < end ? region.end : end) - from + page - 1) / page;
	}
	return pages;
}

static bool locked_at(struct vas *space, uint64_t addr)
{
	struct vas_region region;
	return vas_next_region(space, addr, &region) && region.start <= addr &&
	       (region.flags & VAS_VM_LOCKED);
}

static uint64_t advised_pages(struct vas *space, const struct call *call)
{
	switch ((uint32_t)call->arg[2]) {
	case VAS_MADV_POPULATE_READ:
	case VAS_MADV_POPULATE_WRITE:
	case VAS_MADV_WILLNEED:
	case VAS_MADV_GUARD_INSTALL:
		return mapped_pages(space, call->arg[0], call->arg[1]);
	default:
		return 0;
	}
}

/* How many pages, or as many tables, a call might fill. */
static uint64_t filled_pages(const struct fuzz_run *run, const struct call *call)
{
	const uint64_t *arg = call->arg;
	const bool future = run->future >> call_process(call) & 1;
	struct vas_status status;
	struct vas *space = space_of(run, call);
	const uint64_t page = vas_page_size(space);
	vas_get_status(space, &status);
	switch (call->name) {
	case CALL_MMAP:
		return future || (arg[3] & (VAS_MAP_POPULATE | VAS_MAP_LOCKED)) ? arg[1] / page : 0;
	case CALL_MREMAP:
		return locked_at(space, arg[0]) ? arg[2] / page : 0;
	case CALL_BRK:
		return arg[0] > status.brk ? (arg[0] - status.brk) / page : 0;
	case CALL_MADVISE:
		return advised_pages(space, call);
	case CALL_MPROTECT: /* of locked memory */
	case CALL_MLOCK:
	case CALL_MLOCK2:
		return mapped_pages(space, arg[0], arg[1]);
	case CALL_MLOCKALL:
		return status.size;
	case CALL_MINCORE:
		return arg[1] / page;
	default:
		return 0;
	}
}

/* Whether a file or what has one of these flags lies in the range. */
static bool meets_others(const struct fuzz_run *run, const struct call *call, uint64_t flags)
{
	struct vas_region region;
	uint64_t end = call->arg[0] + call->arg[1];
	for (uint64_t at = call->arg[0];
	     vas_next_region(space_of(run, call), at, &region) && region.start < end;
	     at = region.end)
		if (region.file || (region.flags & flags))
			return true;
	return false;
}

/* PAGEOUT takes from the page table what it cannot write to a swap that is not there; only private
 * memory that was never freed lazily stays as it is. */
static bool pages_out(const struct fuzz_run *run, const struct call *call)
{
	return run->lazy || meets_others(run, call, VAS_VM_MAYSHARE | VAS_VM_DROPPABLE);
}

/* Huge pages round a range up to what may reach the stub's page, which the target does not see. */
static bool rounds_over_stub(const struct fuzz_run *run, const struct call *call)
{
	struct vas_region region;
	if (call->name == CALL_MMAP)
		return (call->arg[3] & VAS_MAP_HUGETLB) && (call->arg[3] & VAS_MAP_FIXED) &&
		       call->arg[0] < LARGEST_PAGE;
	return call->name == CALL_MREMAP && call->arg[4] < LARGEST_PAGE &&
	       vas_next_region(space_of(run, call), call->arg[0], &region) &&
	       (region.flags & VAS_VM_HUGETLB) && (call->arg[3] & VAS_MREMAP_FIXED);
}

/* Up to 5.10 or so, DONTUNMAP of the middle of a mapping ends in the kernel's own code where there
 * is none above it, and says of one there that it is accounted (docs/differences.md). */
static bool harms_neighbour(const struct fuzz_run *run, const struct call *call)
{
	struct vas_region region;
	const uint64_t from = call->arg[0], page = vas_page_size(space_of(run, call));
	return run->machine->version < VAS_LINUX(5, 13, 0) && call->name == CALL_MREMAP &&
	       (call->arg[3] & VAS_MREMAP_DONTUNMAP) &&
	       vas_next_region(space_of(run, call), from, &region) && region.start < from &&
	       ((from + call->arg[1] + page - 1) & ~(page - 1)) < region.end &&
	       (region.flags & VAS_VM_ACCOUNT);
}

/* An address of user memory but for its top byte (docs/differences.md). */
static bool is_tagged(const struct fuzz_run *run, uint64_t addr)
{
	return run->machine->ignores_tags && addr >> 56 && !(addr >> 55 & 1);
}

/* The kernel looks at each of the pages of huge memory when it is asked which are present. */
static bool takes_long(uint64_t len)
{
	return len >= HUGE_LEN && len < TASK_LEN;
}

static bool left_out(const struct fuzz_run *run, const struct call *call)
{
	const struct vas_settings *settings = &run->machine->settings;
	const uint32_t advice = (uint32_t)call->arg[2];
	if (call->name == CALL_MADVISE &&
	    (advice == VAS_MADV_HWPOISON || advice == VAS_MADV_SOFT_OFFLINE))
		return true; /* real frames of this machine would be taken out of use */
	if (is_tagged(run, call->arg[0]) || is_tagged(run, call->arg[4]))
		return true;
	if (call->name == CALL_FETCH && call->arg[0] >> 47 && run->machine->emulated)
		return true; /* QEMU fetches from addresses that are not canonical */
	if (call->name == CALL_MADVISE && advice == VAS_MADV_COLLAPSE &&
	    meets_others(run, call, VAS_VM_MAYSHARE))
		return true; /* only private anonymous memory has them (docs/differences.md) */
	if (call->name == CALL_MADVISE && advice == VAS_MADV_PAGEOUT && pages_out(run, call))
		return true;
	if (call->name == CALL_MMAP && (call->arg[3] & VAS_MAP_HUGETLB) &&
	    (settings->hugepages[0] || settings->hugepages[1] || takes_long(call->arg[1])))
		return true; /* the pool of huge pages is the machine's */
	return rounds_over_stub(run, call) || harms_neighbour(run, call) ||
	       filled_pages(run, call) > POPULATE_PAGES;
}

/* ---- One call -------------------------------------------------------------------------------- */

bool fuzz_same_sort(const struct fuzz_difference *a, const struct fuzz_difference *b)
{
	return a->kind == b->kind && a->name == b->name && a->vas == b->vas &&
	       a->kernel == b->kernel && a->which == b->which;
}

static int64_t answer_sort(const struct answer *answer)
{
	if (answer->kind == ANSWER_SIGNAL)
		return 1000 * (int64_t)answer->signal.signo + answer->signal.code;
	if (answer->kind == ANSWER_REFUSED)
		return 1;
	/* as the raw system call has it: -4095 to -1 is an errno */
	return answer->value < 0 && answer->value > -4096 ? answer->value : 0;
}

static void put_answer(FILE *why, const char *side, const struct call *call,
                       const struct answer *answer)
{
	char text[1024];
	(void)answer_print(text, sizeof(text), call, answer);
	fprintf(why, "  %s = %s%s%s\n", side, text, answer->kind == ANSWER_TEXT ? "  " : "",
	        answer->kind == ANSWER_TEXT && call->name == CALL_MINCORE ? answer->text : "");
}

static enum fuzz_result answers_differ(const struct call *call, const struct answer *vas,
                                       const struct answer *kernel, FILE *why,
                                       struct fuzz_difference *difference)
{
	difference->kind = FUZZ_ANSWER;
	difference->vas = answer_sort(vas);
	difference->kernel = answer_sort(kernel);
	put_answer(why, "vas   ", call, vas);
	put_answer(why, "kernel", call, kernel);
	return FUZZ_DIFFERENT;
}

static enum fuzz_result seen_result(enum fuzz_seen seen, struct fuzz_difference *difference,
                                    enum fuzz_kind kind)
{
	if (seen == SEEN_DIFFERENT)
		difference->kind = kind;
	return seen == SEEN_SAME        ? FUZZ_SAME
	       : seen == SEEN_DIFFERENT ? FUZZ_DIFFERENT
	                                : FUZZ_BROKEN;
}

static enum fuzz_result look(struct fuzz_look *look, FILE *why, struct fuzz_difference *difference)
{
	enum fuzz_result result = seen_result(fuzz_look_maps(look, why), difference, FUZZ_MAPS);
	if (result == FUZZ_SAME)
		result = seen_result(fuzz_look_status(look, why, &difference->which), difference,
		                     FUZZ_COUNTER);
	if (result == FUZZ_SAME)
		result = seen_result(fuzz_look_pages(look, why, &difference->addr), difference,
		                     FUZZ_PAGE);
	return result;
}

/* Every process: a call of one may show in another. */
static enum fuzz_result look_everywhere(struct fuzz_run *run, FILE *why,
                                        struct fuzz_difference *difference)
{
	enum fuzz_result result = FUZZ_SAME;
	for (unsigned process = 1; run->living >> process && result == FUZZ_SAME; process++) {
		if (!(run->living >> process & 1))
			continue;
		result = look(&run->look[process], why, difference);
		difference->process = process;
		if (result == FUZZ_DIFFERENT && run->living & (run->living - 1))
			fprintf(why, "  in process %u\n", process);
	}
	return result;
}

/* What the next calls have to know, vas having answered this one so. */
static void note(struct fuzz_run *run, const struct call *call, const struct answer *answer)
{
	const uint64_t bit = (uint64_t)1 << call_process(call);
	const bool done = answer->kind == ANSWER_VALUE && answer->value >= 0;
	if (call->name == CALL_MADVISE && (uint32_t)call->arg[2] == VAS_MADV_FREE)
		run->lazy = true;
	if (call->name == CALL_MLOCKALL && done)
		run->future = (run->future & ~bit) | (call->arg[0] & VAS_MCL_FUTURE ? bit : 0);
	else if (call->name == CALL_MUNLOCKALL)
		run->future &= ~bit;
}

/* What the next looks have to know. False: a process's files cannot be opened. */
static bool note_process(struct fuzz_run *run, const struct call *call)
{
	const unsigned process = call_process(call);
	const bool done = run->answer.kind == ANSWER_VALUE && run->answer.value >= 0;
	if (call->name == CALL_EXIT && done) {
		fuzz_look_close(&run->look[process]);
		run->living &= ~((uint64_t)1 << process);
	} else if (call->name == CALL_FORK && done && run->answer.value < CALL_PROCESSES) {
		unsigned child = (unsigned)run->answer.value;
		run->living |= (uint64_t)1 << child;
		return fuzz_look_open(&run->look[child], run->vas, run->kernel, child);
	}
	return true;
}

static enum fuzz_result broken_invariant(const char *wrong, struct fuzz_difference *difference)
{
	difference->kind = FUZZ_INVARIANT;
	(void)snprintf(difference->words, sizeof(difference->words),
	               "  vas's own invariant does not hold: %s\n", wrong);
	return FUZZ_DIFFERENT;
}

/* The calls that vas has made, by the kernel; the first that it answers otherwise. */
static enum fuzz_result make_on_kernel(struct fuzz_run *run, FILE *why,
                                       struct fuzz_difference *difference)
{
	struct answer answer[FUZZ_AT_ONCE_MAX] = {0};
	const unsigned count = run->ahead;
	bool good = target_kernel_calls(run->kernel, run->made, count, answer);
	enum fuzz_result result = good ? FUZZ_SAME : FUZZ_BROKEN;
	for (unsigned i = 0; i < count && result == FUZZ_SAME; i++) {
		difference->name = run->made[i].name;
		difference->behind = count - 1 - i;
		if (!answer_equal(&run->answered[i], &answer[i]))
			result = answers_differ(&run->made[i], &run->answered[i], &answer[i], why,
			                        difference);
	}
	answer_free(&run->answer);
	run->answer = answer[count - 1];
	for (unsigned i = 0; i < count; i++) {
		answer_free(&run->answered[i]);
		if (i < count - 1)
			answer_free(&answer[i]);
	}
	run->ahead = 0;
	return result;
}

enum fuzz_result fuzz_run_compare(struct fuzz_run *run, struct fuzz_difference *difference)
{
	if (run->ahead == 0)
		return FUZZ_SAME;
	*difference = (struct fuzz_difference){0};
	const struct call last = run->made[run->ahead - 1];
	FILE *why = fmemopen(difference->words, sizeof(difference->words), "w");
	enum fuzz_result result = why ? make_on_kernel(run, why, difference) : FUZZ_BROKEN;
	if (result == FUZZ_SAME)
		result = note_process(run, &last) ? look_everywhere(run, why, difference)
		                                  : FUZZ_BROKEN;
	if (why)
		(void)fclose(why);
	const char *wrong = result == FUZZ_SAME ? target_vas_check_spaces(run->vas) : NULL;
	return wrong ? broken_invariant(wrong, difference) : result;
}

/* Which processes there are must be known before the next call. */
static bool may_wait(const struct call *call)
{
	return call->name != CALL_FORK && call->name != CALL_EXIT;
}

enum fuzz_result fuzz_run_call(struct fuzz_run *run, const struct call *call,
                               struct fuzz_difference *difference)
{
	if (space_of(run, call) && left_out(run, call))
		return FUZZ_LEFT_OUT;
	struct answer *answer = &run->answered[run->ahead];
	*answer = (struct answer){0};
	if (!run->vas->ops->call(run->vas, call, answer))
		return FUZZ_BROKEN;
	note(run, call, answer);
	run->made[run->ahead++] = *call;
	if (run->ahead < run->at_once && may_wait(call))
		return FUZZ_SAME;
	return fuzz_run_compare(run, difference);
}

static enum fuzz_result look_at_flags(struct fuzz_run *run, struct fuzz_difference *difference)
{
	FILE *why = fmemopen(difference->words, sizeof(difference->words), "w");
	enum fuzz_result result = why ? FUZZ_SAME : FUZZ_BROKEN;
	for (unsigned process = 1; run->living >> process && result == FUZZ_SAME; process++) {
		if (!(run->living >> process & 1))
			continue;
		result = seen_result(fuzz_look_flags(&run->look[process], why, &difference->addr),
		                     difference, FUZZ_FLAGS);
		difference->process = process;
	}
	if (why)
		(void)fclose(why);
	return result;
}

enum fuzz_result fuzz_run_audit(struct fuzz_run *run, struct fuzz_difference *difference)
{
	*difference = (struct fuzz_difference){.name = CALL_NAMES};
	enum fuzz_result result = look_at_flags(run, difference);
	const char *wrong = result == FUZZ_SAME ? target_vas_check(run->vas) : NULL;
	return wrong ? broken_invariant(wrong, difference) : result;
}

/* ---- A round --------------------------------------------------------------------------------- */

bool fuzz_run_begin(struct fuzz_run *run)
{
	run->lazy = false;
	run->future = 0;
	run->living = (uint64_t)1 << 1;
	run->kernel = target_kernel_create();
	run->vas = run->kernel ? target_vas_create(run->machine, run->kernel) : NULL;
	return run->vas && fuzz_look_open(&run->look[1], run->vas, run->kernel, 1);
}

void fuzz_run_end(struct fuzz_run *run)
{
	answer_free(&run->answer);
	while (run->ahead > 0)
		answer_free(&run->answered[--run->ahead]);
	for (unsigned process = 1; process < CALL_PROCESSES; process++)
		fuzz_look_close(&run->look[process]);
	if (run->vas)
		run->vas->ops->destroy(run->vas);
	if (run->kernel)
		run->kernel->ops->destroy(run->kernel);
	run->vas = run->kernel = NULL;
}

void fuzz_run_free(struct fuzz_run *run)
{
	for (unsigned process = 1; process < CALL_PROCESSES; process++)
		fuzz_look_free(&run->look[process]);
}
