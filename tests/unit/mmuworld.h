/* mmuworld.h - spaces and files beside the strictest MMU (mmu.h): what each page holds, whose it
 * is (shadow.h), and what others do in the middle of a call. What is checked is listed in
 * test_mmu.c.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_MMUWORLD_H
#define VAS_MMUWORLD_H

#include "base/lock.h"
#include "mmu.h"
#include "shadow.h"

#define SPACES 4u
#define OBJECTS 3u /* the first is memory, the others are files that are written back */
#define AREAS 5u         /* of 1 GiB, */
#define AREA_PAGES 1280u /* the first of which are used: more than two leaf tables */
#define HEAP (4u * AREA_PAGES) /* brk's begins with the last of them */
#define HUGE_PAGES 512u
#define POOL 48u /* huge pages: more than there are places for */
#define NPAGES (AREAS * AREA_PAGES)
#define GIB ((uint64_t)1 << 30)
#define MEMORY ((uint64_t)512 << 20)

static struct world {
	struct unit unit;
	struct random random;
	uint64_t page_size, next_value;
	struct vas *space[SPACES];
	struct mmu mmu[SPACES];
	struct page page[SPACES][NPAGES];
	unsigned heap[SPACES]; /* pages below the break */
	struct object object[OBJECTS];

	unsigned depth;        /* of calls of vas */
	unsigned busy[2];      /* the spaces whose locks they hold */
	bool all_busy;
	uint8_t *sees, *tables; /* by frame: the spaces that may have it as a page, as a table */
	uint8_t *of_object;
	uint64_t ncalls, nflushes;
} w;

static uint64_t page_addr(unsigned p)
{
	return (2 + p / AREA_PAGES) * GIB + p % AREA_PAGES * w.page_size;
}

/* The page of an address; NPAGES: none of the test's. */
static unsigned page_of(uint64_t addr)
{
	uint64_t area = addr / GIB - 2, n = addr % GIB / w.page_size;

	return area < AREAS && n < AREA_PAGES ? (unsigned)(area * AREA_PAGES + n) : NPAGES;
}

static unsigned below(unsigned limit)
{
	return (unsigned)random_below(&w.random, limit);
}

/* ---- Whose is what --------------------------------------------------------------------------- */

static void fail_entry(unsigned s, const struct mmu_entry *e, const char *what)
{
	fail_msg("%s, step %llu: space %u holds %s %#llx of level %u -> %#llx (rights %u): %s",
	         w.unit.config.format->name, (unsigned long long)w.ncalls, s,
	         e->table ? "a table at" : "a page at", (unsigned long long)e->start, e->level,
	         (unsigned long long)e->phys, e->rights, what);
}

static void note_object_frame(void *ctx, uint32_t frame)
{
	(void)ctx;
	w.of_object[frame] = 1;
}

/* Adds what the tables of a space lead to now. */
static void note_tables(unsigned s, const struct mmu_entry *above)
{
	const struct mmu *mmu = &w.mmu[s];
	uint32_t table = frame_of_phys(mmu->frames, above->phys);
	const uint64_t *words = frame_host(mmu->frames, table);

	w.tables[table] |= (uint8_t)(1u << s);
	for (unsigned i = 0; i < format_entries(mmu->format); i++) {
		struct mmu_entry e;

		if (!words[i] || !mmu_decode(mmu, above, 0, words[i], &e))
			continue;
		if (mmu_is_unmarked(mmu, words[i], e.level))
			fail_entry(s, &e, "a CPU has to set a bit in a word");
		if (e.table)
			note_tables(s, &e);
		for (uint32_t k = 0; !e.table && k < format_frames(mmu->format, e.level); k++)
			w.sees[frame_of_phys(mmu->frames, e.phys) + k] |= (uint8_t)(1u << s);
	}
}

static void note_owners(bool afresh)
{
	struct frame_pool *pool = &w.unit.system->frames;

	if (afresh) {
		memset(w.sees, 0, pool->count);
		memset(w.tables, 0, pool->count);
	}
	memset(w.of_object, 0, pool->count);
	for (struct vas_object *o = w.unit.system->objects; o; o = o->next)
		object_frames(o, note_object_frame, NULL);
	for (unsigned s = 0; s < SPACES; s++) {
		if (w.mmu[s].space)
			note_tables(s, &w.mmu[s].entry[0]);
	}
}

/* ---- Checks ---------------------------------------------------------------------------------- */

static uint8_t *may_write, *may_read; /* by frame: the spaces whose CPUs hold it so */

/* One frame that a space's CPUs reach. */
static void check_frame(unsigned s, const struct mmu_entry *e, uint32_t f)
{
	struct frame_pool *pool = &w.unit.system->frames;
	uint8_t us = (uint8_t)(1u << s);

	if (f < pool->reserved || f >= pool->count || pool->frame[f].state == FRAME_FREE ||
	    pool->frame[f].refs == 0)
		fail_entry(s, e, "the frame is free");
	if (e->table && !(w.tables[f] & us))
		fail_entry(s, e, "it is no table of this space");
	if (!e->table && !(w.sees[f] & us))
		fail_entry(s, e, "the page is another's");
	if (e->table || w.of_object[f] || f == w.unit.system->zero)
		return;
	may_read[f] |= us;
	if (e->rights & RIGHT_WRITE)
		may_write[f] |= us;
	if (may_write[f] && may_read[f] & ~may_write[f] & 0xff)
		fail_entry(s, e, "one space can write what another can see");
	if (may_write[f] & (may_write[f] - 1))
		fail_entry(s, e, "two spaces can write it");
}

static void check_held(void)
{
	memset(may_write, 0, w.unit.system->frames.count);
	memset(may_read, 0, w.unit.system->frames.count);
	for (unsigned s = 0; s < SPACES; s++) {
		const struct mmu *mmu = &w.mmu[s];

		for (unsigned i = 1; mmu->space && i < mmu->n; i++) {
			const struct mmu_entry *e = &mmu->entry[i];
			uint32_t n = e->table ? 1 : format_frames(mmu->format, e->level);

			for (uint32_t k = 0; k < n; k++)
				check_frame(s, e, frame_of_phys(mmu->frames, e->phys) + k);
			if (mmu_is_torn(mmu, e))
				fail_entry(s, e, "another word is there already");
		}
	}
}

/* Nobody is in a call. */
static void check_quiet(void)
{
	note_owners(true);
	for (unsigned s = 0; s < SPACES; s++) {
		struct mmu *mmu = &w.mmu[s];

		if (!mmu->space)
			continue;
		for (unsigned i = 1; i < mmu->n; i++) {
			if (!mmu_is_true(mmu, &mmu->entry[i]))
				fail_entry(s, &mmu->entry[i], "the tables do not say so");
		}
		mmu_look_ahead(mmu);
	}
	check_held();
}

/* ---- What a page holds ----------------------------------------------------------------------- */

static uint64_t *host_word(const struct mmu *mmu, const struct mmu_entry *e, uint64_t addr)
{
	return (uint64_t *)(void *)(mmu->frames->memory + (e->phys - mmu->frames->phys) +
	                            (addr - e->start));
}

/* ---- Meanwhile ------------------------------------------------------------------------------- */

static void begin_call(unsigned a, unsigned b)
{
	w.busy[0] = a;
	w.busy[1] = b;
	w.depth++;
}

static void end_call(void)
{
	w.depth--;
	w.ncalls++;
}

/* A CPU of the space stores through something that it holds. */
static void store_held(unsigned s)
{
	struct mmu *mmu = &w.mmu[s];

	for (unsigned tries = 0; tries < 8 && mmu->n > 1; tries++) {
		const struct mmu_entry *e = &mmu->entry[1 + below(mmu->n - 1)];
		uint64_t offset = e->table ? 0 : below(format_frames(mmu->format, e->level));
		unsigned p = page_of(e->start + offset * w.page_size);

		if (e->table || !(e->rights & RIGHT_WRITE) || p == NPAGES ||
		    w.page[s][p].kind == NOTHING || w.page[s][p].guard ||
		    page_past_end(&w.page[s][p], w.object))
			continue;
		*host_word(mmu, e, page_addr(p)) = ++w.next_value;
		page_stored(&w.page[s][p], w.object, w.next_value);
	}
}

static void access_page(unsigned s, unsigned p, unsigned access);

/* Another space, which nobody has locked, runs meanwhile. */
static void run_another(void)
{
	unsigned s = below(SPACES), busy[2] = {w.busy[0], w.busy[1]}, hidden;

	if (w.all_busy || w.depth > 1 || !w.space[s] || s == busy[0] || s == busy[1])
		return;
	hidden = held_hide();
	for (unsigned i = 0; i < 4; i++)
		access_page(s, below(NPAGES), below(3) ? RIGHT_WRITE : RIGHT_READ);
	/* What the call's own space has touched last is what it is most likely to share. */
	for (unsigned i = 0; i < 8; i++) {
		const struct mmu *mmu = &w.mmu[busy[0]];
		unsigned p = NPAGES;

		if (busy[0] < SPACES && mmu->n > 1)
			p = page_of(mmu->entry[1 + below(mmu->n - 1)].start);
		if (p != NPAGES)
			access_page(s, p, RIGHT_WRITE);
	}
	w.busy[0] = busy[0];
	w.busy[1] = busy[1];
	held_show(hidden);
}

static unsigned space_number(const struct vas *space)
{
	unsigned s = 0;

	while (s < SPACES && w.mmu[s].space != space)
		s++;
	return s;
}

static bool x86(void)
{
	return w.unit.config.format->fetch_reads_first;
}

static void invalidate(void *ctx, struct vas *space, const struct vas_invalidation *what)
{
	unsigned s = space_number(space);

	(void)ctx;
	w.nflushes++;
	assert_true(what->start < what->end);
	if (s == SPACES)
		return; /* a child that nobody has seen yet */
	note_owners(false);
	run_another();
	note_owners(false);
	for (unsigned i = 0; i < SPACES; i++) {
		if (w.mmu[i].space)
			mmu_look_ahead(&w.mmu[i]);
	}
	check_held();
	for (unsigned i = 0; i < SPACES; i++) {
		if (w.mmu[i].space)
			store_held(i);
	}
	if (what->leaving)
		w.mmu[s].space = NULL;
	else if (what->taken || !x86()) /* there, who faults lets go by himself */
		mmu_invalidate(&w.mmu[s], what);
	if (w.mmu[s].space)
		mmu_look_ahead(&w.mmu[s]);
}

/* ---- Accesses -------------------------------------------------------------------------------- */

static void access_page(unsigned s, unsigned p, unsigned access)
{
	uint64_t addr = page_addr(p);
	struct page *page = &w.page[s][p];
	struct mmu *mmu = &w.mmu[s];
	bool allowed = page_allows(page, w.object, access);

	for (int faults = 0;; faults++) {
		/* A file's page that was copied just now may have been stored to since. */
		bool copied = faults > 0 && page->kind == PRIVATE && !page->own &&
		              page->object >= 0 && access == RIGHT_WRITE;
		const struct mmu_entry *e;
		int64_t err;

		mmu_look_ahead(mmu);
		note_tables(s, &mmu->entry[0]); /* what a fault has just brought is its own */
		e = mmu_find(mmu, addr, access);
		if (e && (e->rights & access)) {
			if (!allowed)
				fail_entry(s, e, "such an access is not allowed");
			if (!copied && *host_word(mmu, e, addr) != page_value(page, w.object))
				fail_entry(s, e, "a store was lost");
			if (access & RIGHT_WRITE) {
				*host_word(mmu, e, addr) = ++w.next_value;
				page_stored(page, w.object, w.next_value);
			}
			return;
		}
		if (faults == 3)
			fail_msg("%s: space %u faults for ever at %#llx", mmu->format->name, s,
			         (unsigned long long)addr);
		if (x86())
			mmu_forget_fault(mmu, addr);
		begin_call(s, s);
		/* A page that the pool has promised and cannot have is SIGBUS. */
		vas_system_fail_after(w.unit.system,
		                      below(16) || page->huge ? -1 : (int64_t)below(5));
		err = vas_fault(w.space[s], addr, (enum vas_access)access, NULL);
		vas_system_fail_after(w.unit.system, -1);
		end_call();
		if (err == -VAS_ENOMEM) {
			faults--;
			continue;
		}
		assert_int_equal(err == 0, allowed);
		if (err)
			return;
	}
}

/* ---- Files ----------------------------------------------------------------------------------- */

static int64_t read_page(void *ctx, uint64_t index, void *page)
{
	const struct object *o = ctx;

	memcpy(page, &o->disk[index], sizeof(o->disk[index]));
	return 0;
}

static int64_t write_page(void *ctx, uint64_t index, const void *page)
{
	struct object *o = ctx;

	memcpy(&o->disk[index], page, sizeof(o->disk[index]));
	return 0;
}

static void check_disk(const struct object *o, unsigned first, unsigned last)
{
	for (unsigned i = first; i < last && i < o->npages; i++) {
		if (o->disk[i] != o->value[i])
			fail_msg("%s: page %u of a file holds %llu on disk, %llu was stored",
			         w.unit.config.format->name, i, (unsigned long long)o->disk[i],
			         (unsigned long long)o->value[i]);
	}
}

static void release(void *ctx)
{
	struct object *o = ctx;

	check_disk(o, 0, OBJECT_PAGES);
	o->object = NULL;
}

/* Of a file that is gone nothing was stored after it was written back. */
static void check_gone(void)
{
	for (unsigned i = 1; i < OBJECTS; i++) {
		if (!w.object[i].object)
			check_disk(&w.object[i], 0, OBJECT_PAGES);
	}
}

static const struct vas_object_ops file_ops = {read_page, write_page, release, NULL};

static void object_open(struct object *o)
{
	const struct vas_file_info info = {
		.mode = VAS_FILE_READ | VAS_FILE_WRITE | (o == w.object ? VAS_FILE_SHMEM : 0)};

	memset(o, 0, sizeof(*o));
	o->npages = OBJECT_PAGES / 2;
	assert_int_equal(vas_object_create(w.unit.system, o == w.object ? NULL : &file_ops, o,
	                                   o->npages * w.page_size, &o->object),
	                 0);
	assert_int_equal(vas_file_open(o->object, &info, &o->file), 0);
	o->open = true;
}

/* From now on only mappings keep it. */
static void object_close(struct object *o)
{
	o->open = false;
	vas_file_put(o->file);
	vas_object_put(o->object);
}

static void object_step(struct object *o)
{
	unsigned npages = below(OBJECT_PAGES + 1);

	if (!o->object && below(2))
		object_open(o);
	if (!o->object || !o->open)
		return;
	if (o != w.object && below(4) == 0) {
		object_close(o);
		return;
	}
	w.all_busy = true;
	begin_call(SPACES, SPACES);
	if (o != w.object && below(2)) {
		assert_int_equal(vas_object_sync(o->object), 0);
		check_disk(o, 0, OBJECT_PAGES);
	} else {
		assert_int_equal(vas_object_resize(o->object, npages * w.page_size), 0);
		for (unsigned i = npages; i < OBJECT_PAGES; i++)
			o->value[i] = o->disk[i] = 0;
		for (unsigned s = 0; s < SPACES; s++) {
			for (unsigned p = 0; p < NPAGES; p++) {
				struct page *page = &w.page[s][p];

				if (page->kind == PRIVATE && page->object == o - w.object &&
				    page->index >= npages)
					page->own = false;
			}
		}
		o->npages = npages;
	}
	end_call();
	w.all_busy = false;
}

#endif
