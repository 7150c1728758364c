/* walk.c - the way down through the tables.
 *
 * One loop serves every use: what it does with a table that is shared, or missing, is its `how`.
 * It must not know what the entries it ends at are for.
 *
 * SPDX-License-Identifier: MIT */
#include "pages/pagetable.h"

/* What a way down does where a table is shared (OWN and above), or missing. */
enum descent { LOOK, LOOK_OWN, UNSHARE, MAKE };

/* A new empty table below the word at `spot`, or FRAME_NONE. */
static uint32_t make_table(struct pagetable *pt, struct spot spot)
{
	uint32_t table = table_alloc_zeroed(pt->stock);
	struct entry e = {.kind = ENTRY_TABLE, .rights = RIGHT_WRITE};

	if (table == FRAME_NONE)
		return FRAME_NONE;
	e.phys = frame_phys(pt->frames, table);
	word_write(pt, spot.table, spot.word, pt->format->encode(&e, spot.level));
	return table;
}

/* Sees to it that the word at `spot`, of addr, leads on. False: it does not. */
static bool open_way(struct pagetable *pt, struct spot *spot, uint64_t addr, enum descent how)
{
	bool ok = false;

	if (is_table(pt, *spot->word, spot->level)) {
		if (how == LOOK_OWN)
			return false;
		ok = table_unshare(pt, *spot, addr);
	} else if (how == MAKE) {
		vas_assert(*spot->word == 0);
		ok = make_table(pt, *spot) != FRAME_NONE;
	} else {
		return false;
	}
	if (!ok)
		spot->word = NULL;
	return ok;
}

/* Words above the level asked for change only while the space is locked for that, so they are read
 * as they are. `rights`: RIGHT_WRITE is taken out of them where a table above forbids it. */
static inline __attribute__((always_inline)) struct spot descend(struct pagetable *pt,
                                                                 uint64_t addr, unsigned level,
                                                                 enum descent how, unsigned *rights)
{
	const struct vas_format *format = pt->format;
	const uint64_t index_mask = format_entries(format) - 1;
	struct spot spot = {.table = pt->root, .level = pt->top};
	unsigned shift = format_shift(format, spot.level);

	for (;; spot.level--, shift -= format->index_bits) {
		bool readonly;

		spot.word = table_words(pt, spot.table) + ((addr >> shift) & index_mask);
		if (spot.level <= level)
			return spot;
		if (!word_is_table(format, *spot.word)) {
			if (how != MAKE || !open_way(pt, &spot, addr, how))
				return spot;
		}
		readonly = !word_is_writable(pt, *spot.word);
		if (readonly && how != LOOK && !open_way(pt, &spot, addr, how))
			return spot;
		if (readonly && rights)
			*rights &= ~(unsigned)RIGHT_WRITE;
		spot.table = word_frame_of(pt, *spot.word);
	}
}

struct spot spot_find(const struct pagetable *pt, uint64_t addr, unsigned level)
{
	return descend((struct pagetable *)(uintptr_t)pt, addr, level, LOOK, NULL);
}

struct spot spot_find_own(const struct pagetable *pt, uint64_t addr, unsigned level)
{
	return descend((struct pagetable *)(uintptr_t)pt, addr, level, LOOK_OWN, NULL);
}

struct spot spot_unshare(struct pagetable *pt, uint64_t addr, unsigned level)
{
	return descend(pt, addr, level, UNSHARE, NULL);
}

struct spot spot_make(struct pagetable *pt, uint64_t addr, unsigned level)
{
	return descend(pt, addr, level, MAKE, NULL);
}

struct entry pagetable_lookup(const struct pagetable *pt, uint64_t addr, unsigned *level)
{
	unsigned rights = ~0u;
	struct spot spot = descend((struct pagetable *)(uintptr_t)pt, addr, 0, LOOK, &rights);
	struct entry e = word_decode(pt, __atomic_load_n(spot.word, __ATOMIC_ACQUIRE), spot.level);

	*level = spot.level;
	e.rights &= rights;
	return e;
}
