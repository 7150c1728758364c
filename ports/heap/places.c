/* places.c - where blocks are: zones, shelves, and the table of places (heap.h has the picture).
 *
 * All of it is called under heap.lock. What is free on a shelf is found in this order: a place that
 * still has pages, for a page kept is a fault saved; one of the next longer shelves that has; a
 * place without pages; a place never used.
 *
 * SPDX-License-Identifier: MIT */
#include "heap.h"

#define ROOM_FACTOR 16   /* a large room is so many times its block */
#define LONGER_SHELVES 2 /* shelves looked at: a kept place may be longer */
#define LOOK_AT 8        /* kept places of a shelf that are compared */
#define TABLE_STEP KIB(256)
#define PACKED_ALIGN KIB(64) /* of any place: more is found on shelves long enough */
#define LARGER_ROOMS 2       /* shelves above, for rooms */
#define COPY_MAX MIB(1)      /* a longer block moves its pages, even if others are there */
#define COPY_LARGE_MAX MIB(8)
#define AHEAD MIB(256) /* from here on large pages are asked for beyond the block, too */

static struct heap heap = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t align_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

static uint32_t log2_of(uint64_t n)
{
	return 63 - (uint32_t)__builtin_clzll(n);
}

static uint64_t power_at_least(uint64_t n)
{
	return n <= 1 ? 1 : (uint64_t)2 << log2_of(n - 1);
}

/* ---- The table ------------------------------------------------------------------------------- */

static struct block *blocks(void)
{
	return (struct block *)(uintptr_t)heap.table.start; // NOLINT: addresses are numbers here
}

uint32_t block_index(const struct block *block)
{
	return (uint32_t)(block - blocks());
}

struct block *block_of(uint32_t index)
{
	return blocks() + index;
}

static bool is_large(const struct block *block)
{
	return heap.shelves[block->shelf].zone == ZONE_LARGE;
}

static struct run *run_at(const struct zone *zone, uint64_t addr)
{
	return &zone->runs[(addr - zone->start) >> zone->shift];
}

static struct block *block_in(const struct zone *zone, uint64_t addr)
{
	const struct run *run = run_at(zone, addr);
	uint64_t len = heap.shelves[run->shelf].len;
	struct block *block;

	if (!run->first || (addr - run->start) % len)
		return NULL;
	block = block_of(run->first + (uint32_t)((addr - run->start) / len));
	/* A run's places are cut one by one, and its end may be too short for one. */
	return block_index(block) < heap.places && block->addr == addr ? block : NULL;
}

struct block *block_at(uint64_t addr)
{
	for (int i = 0; i < ZONES; i++) {
		const struct zone *zone = &heap.zones[i];

		if (addr >= zone->start && addr < zone->next)
			return block_in(zone, addr);
	}
	return NULL;
}

/* The table is usable below `end`. */
static bool table_reach(struct table *table, uint64_t end)
{
	uint64_t to = align_up(end, TABLE_STEP);

	if (end <= table->committed)
		return true;
	if (end > table->end)
		return false;
	to = to < table->end ? to : table->end;
	if (!host_commit(table->committed, to - table->committed))
		return false;
	table->committed = to;
	return true;
}

void list_push(uint32_t *head, struct block *block)
{
	block->prev = 0;
	block->next = *head;
	if (*head)
		block_of(*head)->prev = block_index(block);
	*head = block_index(block);
}

void list_remove(uint32_t *head, struct block *block)
{
	if (block->prev)
		block_of(block->prev)->next = block->next;
	else
		*head = block->next;
	if (block->next)
		block_of(block->next)->prev = block->prev;
	block->next = block->prev = 0;
}

/* ---- Zones and shelves ----------------------------------------------------------------------- */

static void make_shelves(void)
{
	for (uint32_t i = 0; i < SHELF_GROWING; i++)
		heap.shelves[i] = (struct shelf){.len = KIB(64) << i};
	heap.shelves[SHELF_GROWING].len = KIB(256);
	heap.shelves[SHELF_GROWN] = (struct shelf){.len = GROWN_ROOM, .zone = ZONE_GROWN};
	for (uint32_t i = SHELF_LARGE; i < SHELVES; i++) {
		uint64_t len = (uint64_t)1 << (LARGE_ROOM_SHIFT + i - SHELF_LARGE);

		heap.shelves[i] = (struct shelf){.len = len, .zone = ZONE_LARGE};
	}
}

/* Tables stand before the zones. */
static uint64_t set_table(struct table *table, uint64_t start, uint64_t len)
{
	*table = (struct table){.start = start, .end = start + len, .committed = start};
	return start + len;
}

static uint64_t set_zone(int which, uint64_t start, uint64_t end, uint32_t shift, uint64_t *table)
{
	struct zone *zone = &heap.zones[which];
	uint64_t runs = align_up(((end - start) >> shift) * sizeof(struct run), PAGE);

	*zone = (struct zone){.start = start, .end = end, .next = start, .committed = start};
	zone->shift = shift;
	*table = set_table(&heap.runs[which], *table, runs);
	zone->runs = (struct run *)(uintptr_t)heap.runs[which].start; // NOLINT
	return end;
}

/* `start`, a multiple of `unit`, which is a 256th of what is reserved: a unit for the tables, an
 * eighth each for the packed and the grown zone, and the rest. */
static bool divide(uint64_t start, uint64_t unit)
{
	uint64_t table, at = start + unit;

	table = set_table(&heap.table, start, unit / 4);
	at = set_zone(ZONE_PACKED, at, at + 32 * unit, 21, &table);
	at = set_zone(ZONE_GROWN, at, at + 32 * unit, 23, &table);
	at = set_zone(ZONE_LARGE, at, start + 255 * unit, LARGE_ROOM_SHIFT, &table);
	make_shelves();
	heap.places = 1;
	return table <= start + unit && table_reach(&heap.table, start + sizeof(struct block));
}

bool places_create(void)
{
	uint64_t len = heap_settings.reserve, base = 0, unit, start;

	if (heap_settings.huge == HUGE_AUTO)
		heap_settings.huge = host_huge_is_slow() ? HUGE_NO : HUGE_YES;
	while (len >= (uint64_t)1 << 34 && (base = host_reserve(len)) == 0)
		len /= 2;
	if (!base)
		return false;
	unit = (uint64_t)1 << (log2_of(len) - 8);
	start = align_up(base, unit);
	if (!divide(start, unit)) {
		host_unmap(base, len);
		return false;
	}
	__atomic_store_n(&heap.base, start, __ATOMIC_RELAXED);
	__atomic_store_n(&heap.len, 255 * unit, __ATOMIC_RELEASE);
	return true;
}

/* The zone can have runs below `end`: its table of runs reaches so far, and unless each place sees
 * to itself, the places are usable. */
static bool zone_advance(int which, uint64_t end)
{
	struct zone *zone = &heap.zones[which];
	uint64_t to = zone->start + align_up(end - zone->start, COMMIT_STEP);

	if (!table_reach(&heap.runs[which], (uint64_t)(uintptr_t)(run_at(zone, end - 1) + 1)))
		return false;
	if (which == ZONE_LARGE || end <= zone->committed)
		return true;
	to = to < zone->end ? to : zone->end;
	if (!host_commit(zone->committed, to - zone->committed))
		return false;
	zone->committed = to;
	return true;
}

/* A run of a shelf: in the packed zone whole 2 MiB, so that shelves share few page tables. */
static bool make_run(uint32_t number)
{
	struct shelf *shelf = &heap.shelves[number];
	struct zone *zone = &heap.zones[shelf->zone];
	uint64_t len = shelf->len, start = align_up(zone->next, len > HUGE_PAGE ? len : HUGE_PAGE);
	uint64_t run = shelf->zone == ZONE_PACKED ? align_up(8 * len, HUGE_PAGE) : len;
	uint64_t first = heap.places, end = heap.table.start;

	end += (first + run / len) * sizeof(struct block);
	if (start > zone->end || run > zone->end - start || !table_reach(&heap.table, end) ||
	    !zone_advance(shelf->zone, start + run))
		return false;
	for (uint64_t at = start; at < start + run && (at == start || shelf->zone == ZONE_PACKED);
	     at += HUGE_PAGE)
		*run_at(zone, at) = (struct run){start, (uint32_t)first, number};
	zone->next = start + run;
	shelf->next = start;
	shelf->end = start + run;
	heap.places += (uint32_t)(run / len);
	return true;
}

/* A place never used, in no list; NULL: there is none. */
static struct block *cut_place(uint32_t number)
{
	struct shelf *shelf = &heap.shelves[number];
	const struct zone *zone = &heap.zones[shelf->zone];
	const struct run *run;
	struct block *block;

	if (shelf->next == shelf->end && !make_run(number))
		return NULL;
	run = run_at(zone, shelf->next);
	block = block_of(run->first + (uint32_t)((shelf->next - run->start) / shelf->len));
	block->addr = shelf->next;
	block->shelf = (uint8_t)number;
	block->cap = shelf->zone == ZONE_LARGE ? 0 : shelf->len;
	shelf->next += shelf->len;
	return block;
}

/* ---- Large rooms ----------------------------------------------------------------------------- */

/* Rights and wishes of a large room begin and end at these offsets alone, eight to a doubling: a
 * move need not ask the host where one of its mappings ends. */
static uint64_t notch(uint64_t offset)
{
	uint64_t step = offset ? (uint64_t)1 << log2_of(offset) >> 3 : 0;

	return step > HUGE_PAGE ? step : HUGE_PAGE;
}

uint64_t place_cut(const void *ctx, uint64_t at)
{
	const struct block *block = ctx;
	uint64_t seam = block->seam * PAGE, next = UINT64_MAX;

	if (is_large(block))
		next = (at & ~(notch(at) - 1)) + notch(at);
	return at < seam && seam < next ? seam : next;
}

/* Large pages where the block is whole large pages. In a very large one the last may reach beyond
 * it: less than a percent. What a block was given it keeps while it lives. */
void place_wish_huge(struct block *block, bool fresh)
{
	uint64_t wanted = block->size & ~(notch(block->size) - 1), had = block->huge * HUGE_PAGE;

	if (block->size >= AHEAD)
		wanted = block->cap;
	if (!heap_settings.huge || block->sparse)
		wanted = 0;
	if (wanted > had)
		host_huge(block->addr + had, wanted - had, true);
	else if (wanted < had && fresh)
		host_huge(block->addr + wanted, had - wanted, false);
	else
		return;
	block->huge = (uint32_t)(wanted / HUGE_PAGE);
}

bool place_extend(struct block *block, uint64_t size)
{
	uint64_t len = heap.shelves[block->shelf].len, cap = power_at_least(size);

	if (size <= block->cap)
		return true;
	if (size > len)
		return false;
	if (cap < MIB(8))
		cap = MIB(8);
	if (!host_commit(block->addr + block->cap, cap - block->cap))
		return false;
	block->cap = cap;
	return true;
}

/* ---- Taking ---------------------------------------------------------------------------------- */

/* The place becomes a block; what it has on lists is undone. */
static struct block *occupy(struct block *block, struct want *want)
{
	struct shelf *shelf = &heap.shelves[block->shelf];

	if (block->state == BLOCK_DIRTY) {
		list_remove(&shelf->dirty, block);
		keep_remove(block);
	} else if (block->state == BLOCK_CLEAN) {
		list_remove(&shelf->clean, block);
	}
	want->dirty = block->high;
	block->state = BLOCK_LIVE;
	block->sparse = want->sparse;
	heap.blocks++;
	block_resize(block, want->size);
	if (shelf->zone == ZONE_LARGE)
		place_wish_huge(block, true);
	return block;
}

/* A free place of the shelf, still on its list or on none. */
static bool is_better(uint64_t high, uint64_t than, uint64_t size)
{
	return than >= size ? high >= size && high < than : high > than;
}

/* Of the youngest few that still have pages: just enough for the size, or else the most. */
static struct block *find_dirty(uint32_t number, uint64_t size)
{
	uint32_t index = heap.shelves[number].dirty;
	struct block *best = NULL;

	for (int i = 0; index && i < LOOK_AT; i++, index = block_of(index)->next) {
		struct block *block = block_of(index);

		if (!best || is_better(block->high, best->high, size))
			best = block;
	}
	return best;
}

static struct block *find_clean(uint32_t number)
{
	return heap.shelves[number].clean ? block_of(heap.shelves[number].clean)
	                                  : cut_place(number);
}

static struct block *find_any(uint32_t number, uint64_t size)
{
	struct block *block = find_dirty(number, size);

	return block ? block : find_clean(number);
}

static uint32_t packed_shelf(uint64_t size)
{
	return size <= KIB(64) ? 0 : log2_of(size - 1) - 15;
}

static uint32_t large_shelf(uint64_t len)
{
	uint32_t power = len > 1 ? log2_of(power_at_least(len)) : 0;

	return power < LARGE_ROOM_SHIFT ? SHELF_LARGE : SHELF_LARGE + power - LARGE_ROOM_SHIFT;
}

/* A room that has been used and can hold twice the size is as good as a new one. */
static struct block *find_large_dirty(uint64_t size)
{
	uint32_t last = large_shelf(size * ROOM_FACTOR) + LARGER_ROOMS;

	for (uint32_t i = large_shelf(2 * size); i <= last && i < SHELVES; i++) {
		struct block *block = find_dirty(i, size);

		if (block)
			return block;
	}
	return NULL;
}

/* New rooms are ample as long as there are addresses. */
static struct block *find_large_clean(uint64_t size)
{
	for (uint64_t factor = ROOM_FACTOR; factor >= 1; factor /= 2) {
		uint32_t shelf = large_shelf(size * factor);
		struct block *block = shelf < SHELVES ? find_clean(shelf) : NULL;

		if (block)
			return block;
	}
	return NULL;
}

/* `block` was found free: committed as far as the size needs, or back on its list. */
static struct block *take_large(struct block *block, struct want *want)
{
	if (!block)
		return NULL;
	if (!place_extend(block, want->size)) {
		if (block->state == BLOCK_NONE)
			block_clean(block);
		return NULL;
	}
	return occupy(block, want);
}

static bool is_possible(uint64_t size)
{
	return heap.len > 0 && size <= heap.len / ROOM_FACTOR;
}

static struct block *take_on_boundary(struct want *want)
{
	uint64_t len = power_at_least(want->size > want->align ? want->size : want->align);
	struct block *block;

	if (len > PACKED_MAX)
		return take_large(find_large_clean(want->size), want);
	block = find_any(packed_shelf(len), want->size);
	return block ? occupy(block, want) : NULL;
}

static struct block *take_packed(struct want *want)
{
	uint32_t shelf = packed_shelf(want->size), end = shelf + LONGER_SHELVES;
	struct block *block = NULL;

	for (uint32_t i = shelf; !block && i < end && i < SHELF_GROWING; i++)
		block = find_dirty(i, want->size);
	if (!block)
		block = find_clean(shelf);
	return block ? occupy(block, want) : NULL;
}

struct block *place_take(struct want *want)
{
	struct block *block;

	if (!is_possible(want->size) || want->align > (uint64_t)1 << LARGE_ROOM_SHIFT)
		return NULL;
	if (want->align > PACKED_ALIGN)
		return take_on_boundary(want);
	if (want->size <= PACKED_MAX)
		return take_packed(want);
	block = find_large_dirty(want->size);
	return take_large(block ? block : find_large_clean(want->size), want);
}

struct block *place_take_growing(struct want *want)
{
	struct block *block;

	if (!is_possible(want->size))
		return NULL;
	if (want->size > heap.shelves[SHELF_GROWING].len / 2)
		return place_take_room(want);
	block = find_any(SHELF_GROWING, want->size);
	return block ? occupy(block, want) : NULL;
}

/* Whether a copy into pages that are there is better than moving pages to where none are. */
static bool is_worth_copying(const struct block *dirty, uint64_t old, uint64_t most)
{
	return dirty && (!host_moves_pages() || (old <= most && dirty->high >= old));
}

struct block *place_take_room(struct want *want)
{
	struct block *dirty, *block;

	if (!is_possible(want->size))
		return NULL;
	if (want->size > PACKED_MAX) {
		dirty = find_large_dirty(want->size);
		if (!is_worth_copying(dirty, want->old, COPY_LARGE_MAX))
			dirty = NULL;
		return take_large(dirty ? dirty : find_large_clean(want->size), want);
	}
	dirty = find_dirty(SHELF_GROWN, want->size);
	block = is_worth_copying(dirty, want->old, COPY_MAX) ? dirty : find_clean(SHELF_GROWN);
	return block ? occupy(block, want) : NULL;
}

/* ---- While it is used, and after ------------------------------------------------------------- */

/* Sets how far pages may be, and with it what is kept. */
static void set_extent(struct block *block, uint64_t size, uint64_t high)
{
	heap.kept -= block->high - block->size;
	heap.live += size - block->size;
	block->size = size;
	block->high = high;
	heap.kept += high - size;
	if (heap.live > heap.peak)
		heap.peak = heap.live;
}

void block_resize(struct block *block, uint64_t size)
{
	bool grows = size > block->size, was_free = block->size == 0;

	set_extent(block, size, size > block->high ? size : block->high);
	if (block->age_next && (!grows || block->high == size))
		keep_remove(block);
	if (block->high > size && !block->age_next)
		keep_add(block);
	if (grows && !was_free && is_large(block)) {
		block->sparse = false;
		place_wish_huge(block, false);
	}
}

void block_hold(struct block *block)
{
	if (block->age_next)
		keep_remove(block);
}

/* Packed and grown places go whole, so that what they leave is one mapping; a large room as far as
 * it may have pages. */
uint64_t place_span(const struct block *block)
{
	uint64_t len = heap.shelves[block->shelf].len, end = 0;

	if (!is_large(block))
		return len;
	while (end < block->high)
		end = place_cut(block, end);
	return end < block->cap ? end : block->cap;
}

void block_moved(struct block *to, const struct block *from)
{
	const struct shelf *shelf = &heap.shelves[from->shelf];

	set_extent(to, to->size, from->high > to->size ? from->high : to->size);
	to->seam = from->seam;
	if (shelf->zone == ZONE_PACKED)
		to->seam = (uint32_t)(shelf->len / PAGE);
	heap.seams += to->seam > 0;
	to->huge = from->huge;
	to->sparse = false;
	if (is_large(to))
		place_wish_huge(to, false);
	if (to->high > to->size)
		keep_add(to);
}

void block_emptied(struct block *block)
{
	set_extent(block, 0, 0);
	heap.blocks--;
	block_clean(block);
}

/* One mapping again, if the host lets it: a place with a seam is no destination for pages. */
static void mend(struct block *block)
{
	bool large = is_large(block);
	uint64_t len = large ? heap.shelves[block->shelf].len : block->seam * PAGE;

	if (!host_renew(block->addr, len, !large))
		return;
	block->seam = 0;
	heap.seams--;
	if (large)
		block->cap = block->huge = 0;
}

void block_clean(struct block *block)
{
	if (block->seam)
		mend(block);
	block->state = BLOCK_CLEAN;
	list_push(&heap.shelves[block->shelf].clean, block);
}

static void become_dirty(struct block *block)
{
	block->state = BLOCK_DIRTY;
	list_push(&heap.shelves[block->shelf].dirty, block);
	keep_add(block);
}

/* What is too much to be kept is given back without the lock, for that takes its time. */
static void give_back(struct block *block)
{
	bool done;

	block->state = BLOCK_BUSY;
	list_push(&heap.busy, block);
	heap_unlock();
	done = host_discard(block->addr, block->high);
	heap_lock();
	list_remove(&heap.busy, block);
	if (done) {
		set_extent(block, 0, 0);
		block_clean(block);
	} else {
		become_dirty(block);
	}
}

void block_release(struct block *block)
{
	block_hold(block);
	set_extent(block, 0, block->high);
	heap.blocks--;
	if (block->high > keep_limit())
		give_back(block);
	else if (block->high)
		become_dirty(block);
	else
		block_clean(block);
}

void block_lost(struct block *block)
{
	block_hold(block);
	set_extent(block, 0, 0);
	heap.blocks--;
	block->state = BLOCK_LOST;
	__atomic_store_n(&heap.holes, heap.holes + 1, __ATOMIC_RELAXED);
}

/* Whatever the host maps into a hole is somebody else's. There is hardly ever one. */
bool place_is_hole(uint64_t addr)
{
	for (uint32_t i = 1; i < heap.places; i++) {
		const struct block *block = block_of(i);

		if (block->state == BLOCK_LOST &&
		    addr - block->addr < heap.shelves[block->shelf].len)
			return true;
	}
	return false;
}

void places_after_fork(void)
{
	while (heap.busy) {
		struct block *block = block_of(heap.busy);

		list_remove(&heap.busy, block);
		become_dirty(block);
	}
}
