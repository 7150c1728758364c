/* gather.h - letting go: the one place where anything that a CPU may still reach is given up.
 *
 * One order, in every call:
 *
 *	change the tables  ->  flush every cache of the old words  ->  give up what they led to
 *
 * A cache is a software TLB, whose owner may be in the middle of an access; a CPU's TLB; and a
 * CPU's cache of *upper* entries, for which a table that was replaced is as stale as a leaf. Given
 * up only after the flush: references on frames *and on tables* (another space reads "the count is
 * 1" as leave to write in place, or to write into the table), a file (whose write-back has to see
 * the last write), a frame's bytes (what is copied is first made absent and flushed). So whoever
 * changes a present word, of any level,
 *
 *	1. writes the word,
 *	2. notes what has become stale (gather_note),
 *	3. hands over the references that the word held (gather_put, gather_large, gather_table),
 *
 * in this order, since the third may flush. Nothing that was ever mapped is released elsewhere.
 *
 * A word that gets another frame, another size of page or another kind (a leaf where a table was)
 * goes through absent and a flush: AArch64 wants it so ("break before make"), and everywhere it
 * keeps one CPU from writing to the new frame while another still reads the old. Only a table that
 * is replaced by a copy of itself may be replaced at once, where the format says so.
 *
 * What gives rights only is noted too, but nobody has to wait for it: who does not know of it yet
 * faults, and a fault on what is allowed already is answered by noting it again (fault.c).
 *
 * There is one gather to a space. It belongs to whoever holds the space's lock exclusively, and
 * giving up the lock closes it: no change outlives the call that made it. It needs no memory:
 * frames and tables that nobody else has are linked through their records; of those that others
 * have too, a fixed number of runs is kept, and when there are more, they are flushed and released.
 * What is below a table that goes whole stays in it until then, and needs no place of its own.
 *
 * What has been flushed nobody reaches any more, so who held the space's lock may let go of that
 * first and release afterwards: how much it is holds nobody up (space_unlock).
 *
 * Invariants:
 *   outside of a call nothing is noted and nothing waits
 *   what is linked in `pages` and `tables` of the waste has a count of 1, ours
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_GATHER_H
#define VAS_GATHER_H

#include "vas/vas.h"
#include "format/format.h"
#include "memory/frame.h"

#define GATHER_RUNS 60u

/* References on n frames in a row, or one on a table. */
struct gather_run {
	uint32_t frame;
	uint32_t n; /* or GATHER_TABLE | the table's level */
};
#define GATHER_TABLE ((uint32_t)1 << 31)

/* What waits for the flush, or has been flushed. */
struct waste {
	bool some;                       /* there is any */
	uint32_t pages;                  /* linked by frame.next */
	uint32_t tables[VAS_LEVELS_MAX]; /* by level, linked by frame.next */
	unsigned nruns;
	struct gather_run run[GATHER_RUNS];
};

struct gather {
	/* Whose caches these are, and who caches. */
	struct vas *space;
	const struct vas_port *port;
	const struct vas_format *format;
	struct frame_pool *frames;
	uint32_t zero;        /* the shared frame of zeros: never counted */
	struct vas_tlb *tlbs; /* the registered software TLBs */

	/* What is stale: start >= end is nothing. */
	uint64_t start, end;           /* all that was noted */
	uint64_t soft_start, soft_end; /* translations that have changed: software TLBs know them */
	unsigned level;                /* the lowest of a leaf in it */
	unsigned what;                 /* enum gather_what, of all that was noted */

	struct waste waste; /* what waits for the flush */
};

/* What was done to words that lead to the addresses of a range. */
enum gather_what {
	GATHER_GIVEN = 0,  /* they only allow more than before */
	GATHER_TAKEN = 1,  /* they do not mean the same to an MMU, or allow less */
	GATHER_SOFT = 2,   /* nor to a software TLB: another frame, no frame, less rights */
	GATHER_TABLES = 4, /* words that lead, or led, to tables are among them */
	GATHER_SPACE = 8,  /* all of them: the space goes away */
};
#define GATHER_LEAVES (GATHER_TAKEN | GATHER_SOFT)

VAS_INTERNAL void gather_init(struct gather *gather, struct vas *space,
                              const struct vas_port *port, const struct vas_format *format,
                              struct frame_pool *frames, uint32_t zero);

/* Notes that translations of [start, end) are stale, the smallest of which is of this level. Of a
 * changed word that leads to a table, the range need hold only one address below it. */
VAS_INTERNAL void gather_note(struct gather *gather, uint64_t start, uint64_t end, unsigned level,
                              unsigned what);

/* Takes over a reference on a page's frame (the zero frame: nothing) that a word of a table held
 * which this space alone has. */
VAS_INTERNAL void gather_put(struct gather *gather, uint32_t frame);

/* The same for each frame of a large leaf. */
VAS_INTERNAL void gather_large(struct gather *gather, uint32_t frame, uint32_t nframes);

/* The same for a table of this level; if it is the last, then for all that the table holds. Its
 * words are left as they are until then. */
VAS_INTERNAL void gather_table(struct gather *gather, uint32_t table, unsigned level);

/* Invalidates everywhere what was noted. On return nobody reaches anything through it. */
VAS_INTERNAL void gather_flush(struct gather *gather);

/* Flushes, and releases all that waits. */
VAS_INTERNAL void gather_close(struct gather *gather);

/* The two apart: flushes, and moves what waits to *waste, to be released with or without the
 * space's lock. */
VAS_INTERNAL void gather_take(struct gather *gather, struct waste *waste);
VAS_INTERNAL void waste_release(const struct gather *gather, struct waste *waste);

static inline bool gather_is_open(const struct gather *gather)
{
	return gather->start < gather->end || gather->waste.some;
}

#endif
