/* why.c - finds the cause of an errno: the first of its call's that holds.
 *
 * Owns what the causes ask of: the snapshot taken before the call, and of vas only what calls
 * leave as it is (page size, settings).
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "show/why.h"

#include <string.h>

#include "show/why_internal.h"
#include "strace/strace_shape.h"
#include "target/version.h"

/* ---- What was there -------------------------------------------------------------------------- */

static struct vas *space_of(ASK)
{
	return target_vas_process(q->vas, call_process(q->call));
}

static const struct vas_settings *settings_of(ASK)
{
	return vas_system_settings(vas_system_of(target_vas_space(q->vas)));
}

uint64_t why_round(ASK, uint64_t len)
{
	const uint64_t page = q->vas->page_size;
	return (len + page - 1) & ~(page - 1);
}

bool why_is_aligned(ASK, uint64_t addr)
{
	return (addr & (q->vas->page_size - 1)) == 0;
}

bool why_is_huge_aligned(ASK, uint64_t addr)
{
	const uint64_t page = q->vas->page_size;
	return (addr & (page * (page / sizeof(uint64_t)) - 1)) == 0;
}

uint64_t why_task_size(ASK)
{
	return vas_task_size(target_vas_space(q->vas));
}

const struct vas_region *why_next(ASK, uint64_t addr)
{
	for (size_t i = 0; i < q->before->nregions; i++)
		if (q->before->regions[i].end > addr)
			return &q->before->regions[i];
	return NULL;
}

const struct vas_region *why_region(ASK, uint64_t addr)
{
	const struct vas_region *region = why_next(q, addr);
	return region && region->start <= addr ? region : NULL;
}

uint32_t why_mode(ASK, const struct vas_region *region)
{
	return q->before->modes[region - q->before->regions];
}

bool why_has(ASK, uint64_t start, uint64_t end, uint64_t flags)
{
	const struct vas_region *region;
	for (; start < end && (region = why_next(q, start)) && region->start < end;
	     start = region->end)
		if (region->flags & flags)
			return true;
	return false;
}

bool why_lacks(ASK, uint64_t start, uint64_t end, uint64_t flags)
{
	const struct vas_region *region;
	for (; start < end && (region = why_next(q, start)) && region->start < end;
	     start = region->end)
		if (!(region->flags & flags))
			return true;
	return false;
}

bool why_has_gap(ASK, uint64_t start, uint64_t end)
{
	while (start < end) {
		const struct vas_region *region = why_region(q, start);
		if (!region)
			return true;
		start = region->end;
	}
	return false;
}

uint64_t why_mapped(ASK, uint64_t start, uint64_t end)
{
	const struct vas_region *region;
	uint64_t sum = 0;
	for (; start < end && (region = why_next(q, start)) && region->start < end;
	     start = region->end)
		sum += (region->end < end ? region->end : end) -
		       (region->start > start ? region->start : start);
	return sum;
}

bool why_has_hole(ASK, uint64_t len)
{
	uint64_t at = settings_of(q)->mmap_min_addr;
	for (size_t i = 0; i < q->before->nregions; i++) {
		const struct vas_region *region = &q->before->regions[i];
		if (region->start > at && region->start - at >= len)
			return true;
		at = region->end > at ? region->end : at;
	}
	return why_task_size(q) > at && why_task_size(q) - at >= len;
}

/* ---- Rights and limits ----------------------------------------------------------------------- */

bool why_can(ASK, uint32_t capability)
{
	return target_vas_capabilities(q->vas, call_process(q->call)) & capability;
}

bool why_is_low(ASK, uint64_t addr)
{
	const struct vas_settings *settings = settings_of(q);
	uint64_t floor = settings->mmap_min_addr;
	if (settings->lsm_mmap_min_addr > floor)
		floor = settings->lsm_mmap_min_addr;
	return addr < floor && !why_can(q, VAS_CAP_SYS_RAWIO);
}

bool why_can_lock(ASK)
{
	return q->before->limit[VAS_RLIMIT_MEMLOCK].soft > 0 || why_can(q, VAS_CAP_IPC_LOCK);
}

/* Whether what is counted in pages and so many bytes more stay within a limit. */
static bool fits(ASK, enum vas_rlimit which, uint64_t pages, uint64_t bytes)
{
	const uint64_t page = q->vas->page_size;
	return pages + bytes / page <= q->before->limit[which].soft / page;
}

bool why_lock_fits(ASK, uint64_t bytes)
{
	return why_can(q, VAS_CAP_IPC_LOCK) ||
	       fits(q, VAS_RLIMIT_MEMLOCK, q->before->status.locked, bytes);
}

bool why_size_fits(ASK, uint64_t bytes)
{
	return fits(q, VAS_RLIMIT_AS, q->before->status.size, bytes);
}

bool why_data_fits(ASK, uint64_t bytes)
{
	return fits(q, VAS_RLIMIT_DATA, q->before->status.data, bytes);
}

bool why_is_full(ASK, uint64_t room)
{
	return q->before->status.map_count + room >= settings_of(q)->max_map_count;
}

/* ---- Causes ---------------------------------------------------------------------------------- */

static const struct why *const tables[] = {why_mremap, why_mmap, why_other};

const struct why *why_at(size_t n)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct why *why = tables[i]; why->cause; why++)
			if (n-- == 0)
				return why;
	return NULL;
}

bool why_has_failed(const struct answer *answer)
{
	return answer->kind == ANSWER_SIGNAL ||
	       (answer->kind == ANSWER_VALUE && answer->value < 0 && answer->value >= -4095);
}

static unsigned number_of(const struct answer *answer)
{
	if (answer->kind != ANSWER_SIGNAL)
		return (unsigned)-answer->value;
	return WHY_SIGNAL((unsigned)answer->signal.signo, (unsigned)answer->signal.code);
}

const struct why *why_of(ASK)
{
	const struct why *why;
	if (!why_has_failed(q->answer) || !space_of(q) || !q->before->regions)
		return NULL;
	for (size_t n = 0; (why = why_at(n)); n++)
		if (why->call == q->call->name && why->number == number_of(q->answer) &&
		    (!why->since || q->version >= why->since) &&
		    (!why->until || q->version <= why->until) && (!why->holds || why->holds(q)))
			return why;
	return NULL;
}

/* ---- Telling --------------------------------------------------------------------------------- */

static const char *name_of_number(unsigned number)
{
	return number < WHY_SIGNAL(1, 0) ? errno_name(number)
	                                 : signal_code_name((int32_t)(number / WHY_SIGNAL(1, 0)),
	                                                    (int32_t)(number % WHY_SIGNAL(1, 0)));
}

void why_put(FILE *out, const struct why *why)
{
	fprintf(out, "%s: %s (%s)\n", name_of_number(why->number), why->cause, why->fact);
}

/* In lines of 80 columns or so, which begin under the first. */
static void put_wrapped(FILE *out, const char *text, int indent)
{
	int column = indent;
	for (const char *word = text; *word;) {
		int len = (int)strcspn(word, " ");
		if (column + len > 78 && column > indent)
			column = fprintf(out, "\n%*s", indent, "") - 1;
		column += fprintf(out, "%s%.*s", column > indent ? " " : "", len, word);
		word += len + (word[len] == ' ');
	}
}

void why_list(FILE *out, enum call_name call)
{
	char version[VERSION_TEXT];
	const struct why *why;
	unsigned before = 0;
	for (size_t n = 0; (why = why_at(n)); n++) {
		if (why->call != call)
			continue;
		fprintf(out, "  %-11s ", why->number == before ? "" : name_of_number(why->number));
		before = why->number;
		put_wrapped(out, why->cause, 14);
		fprintf(out, " (%s", why->fact);
		if (why->since) /* the first of a series is said as the series */
			fprintf(out, "; since Linux %s",
			        version_text(why->since & VAS_LINUX_LAST
			                             ? why->since
			                             : why->since | VAS_LINUX_LAST,
			                     version));
		if (why->until)
			fprintf(out, "; until Linux %s", version_text(why->until, version));
		fprintf(out, ")\n");
	}
}
