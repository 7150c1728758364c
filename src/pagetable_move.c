/* pagetable_move.c - moving pages by moving the words of the tables.
 *
 * A move takes, at every point, the largest step that both addresses allow: a run of words between
 * two tables of the highest level at which entries (tables, large leaves) go whole, down to runs of
 * leaves between leaf tables. Bytes and references are never touched.
 *
 * SPDX-License-Identifier: MIT */
#include "pagetable.h"

/* The highest level at which entries can go from `from` to `to` whole. */
static unsigned move_level(const struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len)
{
	unsigned level = top_level(pm);

	while (level > 0 && (!is_aligned(from | to, format_span(pm->format, level)) ||
	                     len < format_span(pm->format, level)))
		level--;
	return level;
}

/* One step of a move: a run of words of one table, or a stretch where nothing is. */
struct move_step {
	struct spot source;
	unsigned level;
	unsigned nwords;
	uint64_t len;
	bool empty; /* nothing to move in this step */
};

static struct move_step move_plan(const struct pagemap *pm, uint64_t from, uint64_t to,
                                  uint64_t len)
{
	unsigned level = move_level(pm, from, to, len), entries = format_entries(pm->format);
	struct move_step step = {.level = level, .source = spot_find(pm, from, level)};
	uint64_t n = len >> format_shift(pm->format, level);

	if (*step.source.word == 0 && step.source.level > level) {
		step.len = min_u64(len, slot_limit(pm, from, step.source.level) - from);
		step.empty = true;
		return step;
	}
	n = min_u64(n, entries - format_index(pm->format, from, level));
	n = min_u64(n, entries - format_index(pm->format, to, level));
	if (step.source.level > level)
		n = 1; /* a large leaf, to be split before anything moves */
	step.nwords = (unsigned)n;
	step.len = n << format_shift(pm->format, level);
	step.empty = step.source.level == level && pm->frames->frame[step.source.table].live == 0;
	return step;
}

bool pagemap_prepare_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len,
                          struct tlb_gather *gather)
{
	uint64_t done = 0;

	while (done < len) {
		struct move_step step = move_plan(pm, from + done, to + done, len - done);
		bool ok = true;

		if (!step.empty) {
			step.source = spot_own(pm, from + done, step.level);
			ok = step.source.word != NULL;
		}
		if (ok && !step.empty && step.source.level > step.level) {
			/* A large leaf that cannot go whole: split it and look again. */
			if (leaf_split(pm, step.source))
				continue;
			ok = false;
		} else if (ok && !step.empty) {
			ok = spot_make(pm, to + done, step.level).word != NULL;
		}
		if (!ok) {
			pagemap_clear(pm, to, to + len, gather);
			return false;
		}
		done += step.len;
	}
	return true;
}

/* Moves a run of words, `live` of which are not zero, from one table to another, or within one. */
static void move_run(struct pagemap *pm, struct spot from, struct spot to, unsigned n,
                     unsigned live)
{
	struct frame *source = &pm->frames->frame[from.table],
		     *target = &pm->frames->frame[to.table];

	memcpy(to.word, from.word, n * sizeof(uint64_t));
	memset(from.word, 0, n * sizeof(uint64_t));
	source->live = (uint16_t)(source->live - live);
	target->live = (uint16_t)(target->live + live);
}

void pagemap_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len,
                  struct tlb_gather *gather)
{
	uint64_t done = 0;
	bool hollow = false; /* a table was made for a run that holds nothing */

	while (done < len) {
		struct move_step step = move_plan(pm, from + done, to + done, len - done);
		unsigned live = step.empty ? 0 : live_words(step.source.word, step.nwords);

		if (live == 0) {
			hollow |= step.source.level == step.level;
		} else {
			struct spot target = spot_make(pm, to + done, step.level);

			vas_assert(target.word && step.source.level == step.level);
			move_run(pm, step.source, target, step.nwords, live);
			tlb_gather_range(gather, from + done, from + done + step.len);
		}
		done += step.len;
	}
	pagemap_clear(pm, from, from + len, gather); /* the tables left empty */
	if (hollow)
		pagemap_trim(pm, to, to + len, gather);
}
