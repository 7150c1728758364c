/* pagetable_move.c - moving pages by moving the words of the tables.
 *
 * A move takes, at every point, the largest step that both addresses allow: a run of words between
 * two tables of the highest level at which entries (tables, large leaves) go whole, down to runs of
 * leaves between leaf tables. Bytes and references are never touched. A page that is alone in its
 * tables goes with them:
 *
 *	[ word ]              [ 0 ]           [ 0 ]              [ word ]
 *	    |                           ->                           |
 *	 [ 0 page 0 0 ]                                           [ 0 page 0 0 ]
 *
 * SPDX-License-Identifier: MIT */
#include "pages/pagetable.h"

/* A move from one tree to another, or within one. */
struct move {
	struct pagetable *source, *target;
	uint64_t from, to, len;
	unsigned top;  /* the highest level at which from and to lie alike in their entries, */
	unsigned lift; /* and at which no entry has something of both the source and the target */
};

/* Whether entries of this size have something of both ranges. */
static bool has_both(const struct move *move, uint64_t span)
{
	return move->source == move->target &&
	       align_down(move->from, span) < align_up(move->to + move->len, span) &&
	       align_down(move->to, span) < align_up(move->from + move->len, span);
}

static struct move begin_move(struct pagetable *source, struct pagetable *target, uint64_t from,
                              uint64_t to, uint64_t len)
{
	struct move move = {.source = source, .target = target, .from = from, .to = to, .len = len};

	move.top = (unsigned)min_u64(source->top, target->top);
	while (move.top > 0 && !is_aligned(from ^ to, format_span(source->format, move.top)))
		move.top--;
	move.lift = move.top;
	while (move.lift > 0 && has_both(&move, format_span(source->format, move.lift)))
		move.lift--;
	return move;
}

/* The highest level at which entries can go whole from `done` on. */
static unsigned level_at(const struct move *move, uint64_t done)
{
	const struct vas_format *format = move->source->format;
	unsigned level = move->top;

	while (level > 0 && (!is_aligned(move->from + done, format_span(format, level)) ||
	                     move->len - done < format_span(format, level)))
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

/* How many of the n words at `spot` are not zero: what is shorter is counted, they or the rest. */
static unsigned count_live(const struct pagetable *pt, struct spot spot, unsigned n)
{
	const uint64_t *first = table_words(pt, spot.table);
	unsigned before = (unsigned)(spot.word - first);
	unsigned after = format_entries(pt->format) - before - n;

	if (n <= before + after)
		return live_words(spot.word, n);
	return pt->frames->frame[spot.table].live - live_words(first, before) -
	       live_words(spot.word + n, after);
}

/* Whether the target has nothing where the entry of the step would go, one level up. */
static bool is_free_above(const struct move *move, uint64_t done, unsigned level)
{
	struct spot spot = spot_find(move->target, move->to + done, level);

	return *spot.word == 0;
}

/* A table that holds nothing but what goes is as good as one that goes whole, if nothing is in its
 * place: then the entry that leads to it goes. Preparing and moving see the same: what has gone
 * before from under the same entry lies in that place, nothing comes to where something goes from,
 * and there is no pause: only what is out of step with the tables moves in parts. */
static void lift_step(const struct move *move, uint64_t done, struct move_step *step)
{
	const struct pagetable *source = move->source;

	while (step->level < move->lift &&
	       count_live(source, step->source, step->nwords) ==
	               source->frames->frame[step->source.table].live &&
	       is_free_above(move, done, step->level + 1)) {
		step->level++;
		step->nwords = 1;
		step->source = spot_find(source, move->from + done, step->level);
	}
}

static struct move_step plan_step(const struct move *move, uint64_t done)
{
	const struct vas_format *format = move->source->format;
	uint64_t from = move->from + done, to = move->to + done, len = move->len - done;
	unsigned level = level_at(move, done), entries = format_entries(format);
	struct move_step step = {.level = level, .source = spot_find(move->source, from, level)};
	uint64_t n = len >> format_shift(format, level), span;

	if (*step.source.word == 0 && step.source.level > level) {
		span = format_span(format, step.source.level);
		step.len = min_u64(len, align_down(from, span) + span - from);
		step.empty = true;
		return step;
	}
	n = min_u64(n, entries - format_index(format, from, level));
	n = min_u64(n, entries - format_index(format, to, level));
	if (step.source.level > level)
		n = 1; /* a large leaf, to be split before anything moves */
	step.nwords = (unsigned)n;
	step.len = n << format_shift(format, level);
	step.empty = step.source.level == level &&
	             move->source->frames->frame[step.source.table].live == 0;
	if (step.source.level == level && !step.empty)
		lift_step(move, done, &step);
	return step;
}

bool pagetable_prepare_move(struct pagetable *source, struct pagetable *target, uint64_t from,
                            uint64_t to, uint64_t len)
{
	struct move move = begin_move(source, target, from, to, len);
	uint64_t done = 0;

	while (done < len) {
		struct move_step step = plan_step(&move, done);
		bool ok = true;

		if (!step.empty) {
			step.source = spot_unshare(source, from + done, step.level);
			ok = step.source.word != NULL;
		}
		if (ok && !step.empty && step.source.level > step.level) {
			/* A large leaf that cannot go whole: split it and look again. */
			if (leaf_split(source, step.source, from + done))
				continue;
			ok = false;
		} else if (ok && !step.empty) {
			ok = spot_make(target, to + done, step.level).word != NULL;
		}
		if (!ok) {
			pagetable_clear(target, to, to + len, CLEAR_MARKS);
			return false;
		}
		done += step.len;
	}
	return true;
}

/* Counts the tables that it takes where nothing is: no more are needed where some are left. */
bool pagetable_stock_move(struct pagetable *pt, uint64_t from, uint64_t to, uint64_t len)
{
	struct move move = begin_move(pt, pt, from, to, len);
	uint64_t counted[VAS_LEVELS_MAX] = {0}, done = 0; /* by level: the last one, and 1 */
	unsigned n = 0;

	move.lift = 0; /* faults may bring pages next to these, before they move */
	while (done < len) {
		struct move_step step = plan_step(&move, done);
		struct spot source = {.level = step.level};

		if (!step.empty)
			source = spot_unshare(pt, from + done, step.level);
		if (!step.empty && !source.word)
			return false;
		if (source.level > step.level) {
			if (!leaf_split(pt, source, from + done))
				return false;
			continue;
		}
		for (unsigned level = step.level; level < pt->top && !step.empty; level++) {
			uint64_t table = ((to + done) >> format_shift(pt->format, level + 1)) + 1;

			n += counted[level] != table;
			counted[level] = table;
		}
		done += step.len;
	}
	return stock_fill(pt->stock, pt->stock->keep + n);
}

/* Moves a run of words, `live` of which are not zero, from one table to another, or within one. */
static void move_run(struct frame_pool *frames, struct spot from, struct spot to, unsigned n,
                     unsigned live)
{
	struct frame *source = &frames->frame[from.table], *target = &frames->frame[to.table];

	memcpy(to.word, from.word, n * sizeof(uint64_t));
	memset(from.word, 0, n * sizeof(uint64_t));
	source->live = (uint16_t)(source->live - live);
	target->live = (uint16_t)(target->live + live);
}

void pagetable_move(struct pagetable *source, struct pagetable *target, uint64_t from, uint64_t to,
                    uint64_t len)
{
	struct move move = begin_move(source, target, from, to, len);
	bool hollow = false; /* a table was made for a run that holds nothing */
	uint64_t done = 0;

	while (done < len) {
		struct move_step step = plan_step(&move, done);
		unsigned live = step.empty ? 0 : count_live(source, step.source, step.nwords);

		if (live == 0) {
			hollow |= step.source.level == step.level;
		} else {
			struct spot spot = spot_make(target, to + done, step.level);

			vas_assert(spot.word && step.source.level == step.level);
			move_run(source->frames, step.source, spot, step.nwords, live);
			pagetable_note(source, from + done, from + done + step.len, 0,
			               GATHER_LEAVES | (step.level > 0 ? GATHER_TABLES : 0));
		}
		done += step.len;
	}
	pagetable_clear(source, from, from + len, CLEAR_MARKS); /* the tables left empty */
	if (hollow)
		pagetable_trim(target, to, to + len);
}

/* ---- Trees taken apart ---------------------------------------------------------------------- */

static bool split_leaves(struct pagetable *pt, struct extent extent, uint64_t shift)
{
	struct slots s = slots_of(pt, &extent);

	for (; extent.level > 0 && slots_more(&s); slots_next(&s)) {
		if (!word_has_frame(pt->format, *s.spot.word))
			continue;
		if (!is_table(pt, *s.spot.word, extent.level)) {
			if (is_aligned(shift, s.span))
				continue;
			if (!leaf_split(pt, s.spot, s.start))
				return false;
		}
		if (!split_leaves(pt, slots_below(pt, &s), shift))
			return false;
	}
	return true;
}

bool pagetable_split_leaves(struct pagetable *pt, uint64_t start, uint64_t end, uint64_t shift)
{
	return pagetable_unshare(pt, start, end) &&
	       split_leaves(pt, extent_of(pt, start, end), shift);
}

/* Frees what was taken for the tables of a split and is not used: nothing has led to it. */
static void give_back(struct pagetable *pt, const uint32_t *table, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (pt->frames->frame[table[i]].live == 0 && frame_put(pt->frames, table[i]))
			frame_free(pt->frames, table[i]);
	}
}

/* The words of a table from `first` on go to the same places of another. */
static void split_words(struct pagetable *pt, uint32_t from, uint32_t to, unsigned first)
{
	struct spot source = {.word = table_words(pt, from) + first, .table = from};
	struct spot target = {.word = table_words(pt, to) + first, .table = to};
	unsigned n = format_entries(pt->format) - first;

	if (n > 0)
		move_run(pt->frames, source, target, n, count_live(pt, source, n));
}

/* Links the tables that a split has filled or emptied, from `level` up to the roots. */
static void link_split(struct pagetable *pt, uint64_t addr, unsigned level, const uint32_t *left,
                       const uint32_t *right)
{
	struct frame *frame = pt->frames->frame;
	struct entry e = {.kind = ENTRY_TABLE, .rights = RIGHT_WRITE};

	for (; level < pt->top; level++) {
		unsigned index = format_index(pt->format, addr, level + 1);

		if (frame[left[level]].live == 0) {
			word_write(pt, left[level + 1], table_words(pt, left[level + 1]) + index,
			           0);
			gather_table(pt->gather, left[level], level);
		}
		if (frame[right[level]].live == 0)
			continue;
		e.phys = frame_phys(pt->frames, right[level]);
		word_write(pt, right[level + 1], table_words(pt, right[level + 1]) + index,
		           pt->format->encode(&e, level + 1));
	}
}

bool pagetable_split(struct pagetable *pt, uint64_t addr, struct pagetable *other)
{
	uint32_t left[VAS_LEVELS_MAX], right[VAS_LEVELS_MAX];
	unsigned level = pt->top;

	unsigned lowest = 0; /* of the tables that go on on both sides */

	while (lowest < pt->top && is_aligned(addr, format_span(pt->format, lowest + 1)))
		lowest++;
	if (!pagetable_split_at(pt, addr) || !spot_unshare(pt, addr, lowest).word)
		return false;
	for (unsigned i = 0; i <= pt->top; i++) {
		right[i] = table_alloc_zeroed(pt->stock);
		if (right[i] == FRAME_NONE) {
			give_back(pt, right, i);
			return false;
		}
	}
	/* Down to the table in which addr begins an entry: what is above goes to the other tree. */
	for (;; level--) {
		struct spot spot = spot_find(pt, addr, level);
		unsigned index = format_index(pt->format, addr, level);
		bool inside = !is_aligned(addr, format_span(pt->format, level));

		left[level] = spot.table;
		split_words(pt, left[level], right[level], index + inside);
		if (!inside || !is_table(pt, *spot.word, level))
			break;
	}
	link_split(pt, addr, level, left, right);
	*other = *pt;
	other->root = right[pt->top];
	if (pt->frames->frame[other->root].live == 0)
		other->root = FRAME_NONE;
	give_back(pt, right, pt->top + 1);
	return true;
}

uint64_t pagetable_lower(struct pagetable *pt, uint64_t addr)
{
	const struct frame *frame = pt->frames->frame;

	addr = block_start(pt, addr);
	while (pt->top > 0 && frame[pt->root].live == 1) {
		uint64_t *words = table_words(pt, pt->root);
		uint32_t root = pt->root;
		unsigned i = 0;

		while (words[i] == 0)
			i++;
		if (!is_table(pt, words[i], pt->top) || !word_is_writable(pt, words[i]))
			break;
		addr += i * format_span(pt->format, pt->top);
		pt->root = word_frame_of(pt, words[i]);
		pt->top--;
		word_write(pt, root, &words[i], 0);
		gather_table(pt->gather, root, pt->top + 1);
	}
	return addr;
}

bool pagetable_raise(struct pagetable *pt, uint64_t addr, unsigned top)
{
	while (pt->top < top) {
		struct entry e = {.kind = ENTRY_TABLE, .rights = RIGHT_WRITE};
		uint32_t root = FRAME_NONE;

		if (pt->frames->frame[pt->root].live > 0) {
			root = table_alloc_zeroed(pt->stock);
			if (root == FRAME_NONE)
				return false;
			e.phys = frame_phys(pt->frames, pt->root);
			word_write(pt, root,
			           table_words(pt, root) +
			                   format_index(pt->format, addr, pt->top + 1),
			           pt->format->encode(&e, pt->top + 1));
			pt->root = root;
		}
		pt->top++;
	}
	return true;
}
