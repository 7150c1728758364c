/* mmu.h - the strictest MMU there can be: what the CPUs of a space may hold of its tables.
 *
 * The architectures (Intel SDM 3A 4.10; Arm ARM, "Translation Lookaside Buffers"; RISC-V
 * privileged, "Supervisor Memory-Management Fence") let a CPU walk ahead at any moment, from the
 * root or from any upper entry that it holds, keep what it finds as long as it is not told to let
 * go, and use any of it. The union of what any number of CPUs may hold then is a set that only
 * grows until it is told: all entries that were ever in the tables at a moment when somebody could
 * look, and all that lies below an upper entry in it, in whatever its table is used for by then.
 *
 * Absent words are never held. Each entry is held with the right to write that the words above it
 * allowed.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_MMU_H
#define VAS_MMU_H

#include "unit.h"

#include "pages/pagetable.h"
#include "space/space.h"

#define MMU_ENTRIES 16384u
#define MMU_SLOTS (4 * MMU_ENTRIES)

struct mmu_entry {
	uint64_t start; /* the first address it translates */
	uint64_t phys;  /* of the page, or of the table that it leads to */
	unsigned level; /* of the word */
	unsigned rights;
	bool table;
};

struct mmu {
	struct vas *space; /* NULL: none */
	const struct vas_format *format;
	struct frame_pool *frames;
	unsigned n;
	struct mmu_entry entry[MMU_ENTRIES]; /* the first is the root */
	uint16_t slot[MMU_SLOTS];            /* a hash table of indices, 0: free */
};

static inline uint64_t mmu_span(const struct mmu *mmu, const struct mmu_entry *entry)
{
	return format_span(mmu->format, entry->level);
}

/* The word of addr at `level` in a table, as memory has it now. */
static inline uint64_t mmu_word(const struct mmu *mmu, uint64_t table, uint64_t addr,
                                unsigned level)
{
	const uint64_t *words = frame_host(mmu->frames, frame_of_phys(mmu->frames, table));

	return words[format_index(mmu->format, addr, level)];
}

static inline unsigned mmu_hash(const struct mmu_entry *e)
{
	uint64_t key = (e->start ^ e->phys << 20) + e->level * 8 + e->rights * 64 + e->table;

	return (unsigned)(key * 0x9e3779b97f4a7c15ull >> 40) % MMU_SLOTS;
}

static inline bool mmu_same(const struct mmu_entry *a, const struct mmu_entry *b)
{
	return a->start == b->start && a->phys == b->phys && a->level == b->level &&
	       a->rights == b->rights && a->table == b->table;
}

static inline void mmu_hold(struct mmu *mmu, const struct mmu_entry *entry)
{
	unsigned slot = mmu_hash(entry);

	for (; mmu->slot[slot]; slot = (slot + 1) % MMU_SLOTS) {
		if (mmu_same(&mmu->entry[mmu->slot[slot]], entry))
			return;
	}
	assert_true(mmu->n < MMU_ENTRIES);
	mmu->slot[slot] = (uint16_t)mmu->n;
	mmu->entry[mmu->n++] = *entry;
}

/* Runs `space` from now on: all that is held is its root. */
static inline void mmu_load(struct mmu *mmu, struct vas *space)
{
	mmu->space = space;
	mmu->format = space->system->format;
	mmu->frames = &space->system->frames;
	memset(mmu->slot, 0, sizeof(mmu->slot));
	mmu->n = 1;
	mmu->entry[0] = (struct mmu_entry){
		.phys = vas_root(space),
		.level = mmu->format->levels,
		.rights = RIGHT_WRITE,
		.table = true,
	};
}

/* What a present word at `start` says, below `above`. False: it is absent for the hardware. */
static inline bool mmu_decode(const struct mmu *mmu, const struct mmu_entry *above, uint64_t start,
                              uint64_t word, struct mmu_entry *out)
{
	struct entry e = mmu->format->decode(word, above->level - 1);

	if (e.kind == ENTRY_ABSENT || e.kind == ENTRY_MARK ||
	    (e.kind == ENTRY_LEAF && (e.rights == 0 || !e.accessed)))
		return false;
	*out = (struct mmu_entry){
		.start = start,
		.phys = e.phys,
		.level = above->level - 1,
		.rights = e.rights & (above->rights | ~(unsigned)RIGHT_WRITE),
		.table = e.kind == ENTRY_TABLE,
	};
	return true;
}

/* Whether a CPU that keeps the accessed and dirty bits has to write to a word of a table, which
 * then would have two writers: vas leaves none to be set (format.h). */
static inline bool mmu_is_unmarked(const struct mmu *mmu, uint64_t word, unsigned level)
{
	struct entry e = mmu->format->decode(word, level);

	return e.kind == ENTRY_LEAF && e.rights != 0 &&
	       (!e.accessed || (!e.dirty && (e.rights & RIGHT_WRITE)));
}

/* Walks ahead from everything that is held. */
static inline void mmu_look_ahead(struct mmu *mmu)
{
	for (unsigned i = 0; i < mmu->n; i++) {
		const struct mmu_entry above = mmu->entry[i];
		const uint64_t *words = frame_host(mmu->frames,
		                                   frame_of_phys(mmu->frames, above.phys));
		struct mmu_entry e;

		for (unsigned k = 0; above.table && k < format_entries(mmu->format); k++) {
			uint64_t span = format_span(mmu->format, above.level - 1);
			uint64_t start = above.start + k * span;

			if (words[k] && start < mmu->format->task_size &&
			    mmu_decode(mmu, &above, start, words[k], &e))
				mmu_hold(mmu, &e);
		}
	}
}

/* Lets go of what struct vas_invalidation names, and of no more. */
static inline void mmu_invalidate(struct mmu *mmu, const struct vas_invalidation *what)
{
	unsigned n = mmu->n;

	memset(mmu->slot, 0, sizeof(mmu->slot));
	mmu->n = 1;
	for (unsigned i = 1; i < n; i++) {
		const struct mmu_entry e = mmu->entry[i];
		bool meant = e.start < what->end && e.start + mmu_span(mmu, &e) > what->start;

		if (!meant || (e.table && !what->tables))
			mmu_hold(mmu, &e);
	}
}

/* What the tables say now of the word that stands where e's stood; its kind may be another, and the
 * level higher if a leaf stands there. False: absent. */
static inline bool mmu_truth(const struct mmu *mmu, const struct mmu_entry *e,
                             struct mmu_entry *out)
{
	struct mmu_entry above = mmu->entry[0];

	for (;;) {
		unsigned level = above.level - 1;
		uint64_t start = align_down(e->start, format_span(mmu->format, level));

		if (!mmu_decode(mmu, &above, start, mmu_word(mmu, above.phys, e->start, level),
		                out))
			return false;
		if (level == e->level || !out->table)
			return true;
		above = *out;
	}
}

/* Whether the tables say e, or more. */
static inline bool mmu_is_true(const struct mmu *mmu, const struct mmu_entry *e)
{
	struct mmu_entry now;

	return mmu_truth(mmu, e, &now) && now.level == e->level && now.table == e->table &&
	       now.phys == e->phys && !(e->rights & ~now.rights);
}

/* Whether a CPU that still holds e beside one that reads the word which is there now breaks what
 * the architecture wants of them both, or lets them see two frames behind one page. */
static inline bool mmu_is_torn(const struct mmu *mmu, const struct mmu_entry *e)
{
	struct mmu_entry now;

	if (!mmu_truth(mmu, e, &now))
		return false;
	if (now.level == e->level && now.table == e->table && now.phys == e->phys)
		return false;
	return !(now.table && e->table) || mmu->format->break_before_make;
}

/* The entry that a CPU uses for an access at addr, if it can choose: one that forbids it where
 * there is one. NULL: none translates addr. */
static inline const struct mmu_entry *mmu_find(const struct mmu *mmu, uint64_t addr,
                                               unsigned access)
{
	const struct mmu_entry *found = NULL;

	for (unsigned i = 1; i < mmu->n; i++) {
		const struct mmu_entry *e = &mmu->entry[i];

		if (e->table || addr < e->start || addr - e->start >= mmu_span(mmu, e))
			continue;
		if (!(e->rights & access))
			return e;
		found = e;
	}
	return found;
}

/* An x86-64 CPU lets go by itself of what made it fault. */
static inline void mmu_forget_fault(struct mmu *mmu, uint64_t addr)
{
	const struct vas_invalidation fault = {
		.start = addr, .end = addr + 1, .taken = true, .tables = true};

	mmu_invalidate(mmu, &fault);
}

#endif
