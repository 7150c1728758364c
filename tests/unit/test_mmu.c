/* test_mmu.c - random calls beside the strictest MMU (mmu.h): nobody reaches what is not his, no
 * write is lost.
 *
 * In the middle of every call, where it asks to invalidate, all that others could do meanwhile is
 * done: the CPUs of each space look ahead, and store through what they still hold; another space,
 * whose lock the call does not hold, faults. (A hook must not call vas; this one stands for other
 * threads, and does only what they could.) Checked there and after each call:
 *
 *   nothing that is held leads to a frame that is free
 *   or to a table that is not the space's, or to a page that it may not see
 *   what one space can write, and is no object's, no other can see
 *   no two words that must not be used beside each other are (break before make)
 *   outside of calls all that is held is true
 *   a CPU that may do something, and faults, may do it after at most three faults
 *   no CPU has to set an accessed or dirty bit: vas alone writes to tables
 *   what was stored is there: in memory, and in the file once it is written back
 *
 * VAS_MMU_STEPS says how many steps each format does, VAS_MMU_SEED where they begin.
 *
 * SPDX-License-Identifier: MIT */
#include "mmuworld.h"

/* ---- Calls ----------------------------------------------------------------------------------- */

struct stretch {
	unsigned first, n; /* pages, in one area */
};

/* Whether a range ends in the middle of a huge page: which no call takes. */
static bool cuts_huge(unsigned s, struct stretch r)
{
	unsigned first = r.first % AREA_PAGES, end = first + r.n;

	return (first % HUGE_PAGES && w.page[s][r.first].huge) ||
	       (end % HUGE_PAGES && w.page[s][r.first + r.n - 1].huge);
}

static struct stretch some_range_at_all(void)
{
	unsigned area = below(AREAS) * AREA_PAGES, kind = below(8), block = 512;
	struct stretch r = {area + below(AREA_PAGES), 1 + below(40)};

	if (kind == 0)
		r = (struct stretch){area + below(2) * block, block * (1 + below(2))};
	else if (kind == 1)
		r = (struct stretch){area, AREA_PAGES};
	else if (kind < 5) /* near what others do */
		r.first = area + (below(2) ? 500 : 0) + below(16);
	if (r.first + r.n > area + AREA_PAGES)
		r.n = area + AREA_PAGES - r.first;
	return r;
}

static struct stretch some_range(unsigned s)
{
	struct stretch r = some_range_at_all();
	unsigned end = r.first + r.n, area = r.first - r.first % AREA_PAGES;

	if (!cuts_huge(s, r))
		return r;
	if (w.page[s][r.first].huge)
		r.first -= (r.first - area) % HUGE_PAGES;
	if (w.page[s][end - 1].huge)
		end = area + (unsigned)align_up(end - area, HUGE_PAGES);
	return (struct stretch){r.first, end - r.first};
}

static bool any_sealed(unsigned s, struct stretch r)
{
	for (unsigned i = 0; i < r.n; i++) {
		if (w.page[s][r.first + i].sealed)
			return true;
	}
	return false;
}

/* Of private memory without a file. */
static bool is_anonymous(unsigned s, struct stretch r)
{
	for (unsigned i = 0; i < r.n; i++) {
		const struct page *page = &w.page[s][r.first + i];

		if (page->kind != PRIVATE || page->object >= 0)
			return false;
	}
	return true;
}

static bool any_guard(unsigned s, struct stretch r)
{
	for (unsigned i = 0; i < r.n; i++) {
		if (w.page[s][r.first + i].guard)
			return true;
	}
	return false;
}

static bool any_huge(unsigned s, struct stretch r)
{
	for (unsigned i = 0; i < r.n; i++) {
		if (w.page[s][r.first + i].huge)
			return true;
	}
	return false;
}

static void forget(unsigned s, struct stretch r)
{
	memset(&w.page[s][r.first], 0, r.n * sizeof(struct page));
}

/* All of it mapped, with what `alike` wants to be the same along it. */
static bool is_mapped(unsigned s, struct stretch r, bool alike)
{
	return pages_mapped(&w.page[s][r.first], r.n, alike);
}

static uint64_t len_of(struct stretch r)
{
	return r.n == AREA_PAGES ? GIB : r.n * w.page_size;
}

/* Maps an object's pages from `index` on, or anonymous memory. False: what is there is sealed. */
static bool map_at(unsigned s, struct stretch r, int object, unsigned index, uint64_t flags,
                   unsigned prot)
{
	struct vas_file *file = object >= 0 ? w.object[object].file : NULL;
	bool sealed = any_sealed(s, r);

	flags |= VAS_MAP_FIXED | (file ? 0 : VAS_MAP_ANONYMOUS);
	begin_call(s, s);
	assert_int_equal(vas_mmap(w.space[s], page_addr(r.first), len_of(r), prot, flags, file,
	                          index * w.page_size),
	                 sealed ? -VAS_EPERM : (int64_t)page_addr(r.first));
	end_call();
	if (sealed)
		return false;
	forget(s, r);
	for (unsigned i = 0; i < r.n; i++)
		w.page[s][r.first + i] = (struct page){
			.kind = flags & VAS_MAP_SHARED ? SHARED : PRIVATE,
			.prot = prot,
			.object = object,
			.index = file ? index + i : i,
			.huge = flags & VAS_MAP_HUGETLB,
		};
	return true;
}

static void map(unsigned s)
{
	static const unsigned prots[] = {3, 3, RIGHT_READ, 0};
	struct stretch r = some_range(s);
	int object = (int)below(2 * OBJECTS) - (int)OBJECTS;
	unsigned index = 0;

	if (object >= 0 && !(w.object[object].object && w.object[object].open))
		object = -1;
	if (object >= 0) {
		r.n = r.n > OBJECT_PAGES ? OBJECT_PAGES : r.n;
		index = below(OBJECT_PAGES - r.n + 1);
	}
	if (cuts_huge(s, r))
		return;
	map_at(s, r, object < 0 ? -1 : object, index,
	       object >= 0 && below(3) ? VAS_MAP_SHARED : VAS_MAP_PRIVATE, prots[below(4)]);
}

/* One or two pages of the pool. */
static void map_huge(unsigned s)
{
	unsigned n = 1 + below(2), first = n == 1 ? below(2) * HUGE_PAGES : 0;
	struct stretch r = {below(AREAS) * AREA_PAGES + first, n * HUGE_PAGES};

	if (w.page_size == 4096)
		map_at(s, r, -1, 0, VAS_MAP_PRIVATE | VAS_MAP_HUGETLB, below(3) ? 3 : RIGHT_READ);
}

/* False: some of it is sealed, and all of it is there. */
static bool unmap_at(unsigned s, struct stretch r)
{
	bool sealed = any_sealed(s, r);

	begin_call(s, s);
	assert_int_equal(vas_munmap(w.space[s], page_addr(r.first), len_of(r)),
	                 sealed ? -VAS_EPERM : 0);
	end_call();
	if (!sealed)
		forget(s, r);
	return !sealed;
}

/* A file is written to through one mapping, which goes last, or is mapped over. */
static void map_once(unsigned s)
{
	unsigned object = 1 + below(OBJECTS - 1);
	struct stretch r = some_range(s);

	r.n = r.n > 20 ? 20 : r.n;
	if (w.object[object].object || cuts_huge(s, r))
		return;
	object_open(&w.object[object]);
	if (!map_at(s, r, (int)object, 0, VAS_MAP_SHARED, 3)) {
		object_close(&w.object[object]);
		return;
	}
	for (unsigned i = 0; i < r.n; i++)
		access_page(s, r.first + i, RIGHT_WRITE);
	object_close(&w.object[object]);
	if (below(2))
		map_at(s, r, -1, 0, VAS_MAP_PRIVATE, 3);
	else
		unmap_at(s, r);
}

/* Of what is sealed the first vma decides: those before it would be changed. */
static void protect(unsigned s)
{
	struct stretch r = some_range(s);
	unsigned prot = below(4) ? RIGHT_READ | below(2) * RIGHT_WRITE | below(2) * RIGHT_EXEC : 0;
	bool sealed;

	for (unsigned tries = 0; tries < 8 && !is_mapped(s, r, false); tries++)
		r = some_range(s);
	sealed = w.page[s][r.first].sealed;
	if (!is_mapped(s, r, false) || (!sealed && any_sealed(s, r)))
		return;
	begin_call(s, s);
	assert_int_equal(vas_mprotect(w.space[s], page_addr(r.first), r.n * w.page_size, prot),
	                 sealed ? -VAS_EPERM : 0);
	end_call();
	for (unsigned i = 0; i < r.n && !sealed; i++)
		w.page[s][r.first + i].prot = prot;
}

static int64_t advise(unsigned s, struct stretch r, enum vas_advice advice)
{
	int64_t result;

	begin_call(s, s);
	result = vas_madvise(w.space[s], page_addr(r.first), r.n * w.page_size, advice);
	end_call();
	return result;
}

static void discard(unsigned s)
{
	struct stretch r = some_range(s);

	if (!is_mapped(s, r, false) || any_sealed(s, r) || any_locked(&w.page[s][r.first], r.n))
		return;
	assert_int_equal(advise(s, r, VAS_MADV_DONTNEED), 0);
	for (unsigned i = 0; i < r.n; i++)
		w.page[s][r.first + i].own = false;
}

static void remove_pages(unsigned s)
{
	struct stretch r = some_range(s);
	const struct page *first = &w.page[s][r.first];

	if (!is_mapped(s, r, true) || first->kind != SHARED || first->object != 0 || first->sealed)
		return;
	w.all_busy = true;
	assert_int_equal(advise(s, r, VAS_MADV_REMOVE), 0);
	w.all_busy = false;
	for (unsigned i = 0; i < r.n; i++)
		w.object[0].value[first->index + i] = 0;
}

static void synchronise(unsigned s)
{
	struct stretch r = some_range(s);
	const struct page *first = &w.page[s][r.first];

	if (!is_mapped(s, r, true) || first->kind != SHARED || first->object == 0)
		return;
	w.all_busy = true;
	begin_call(s, s);
	assert_int_equal(vas_msync(w.space[s], page_addr(r.first), r.n * w.page_size, VAS_MS_SYNC),
	                 0);
	check_disk(&w.object[first->object], first->index, first->index + r.n);
	end_call();
	w.all_busy = false;
}

/* Any answer is right, and changes nothing that can be read. */
static void collapse(unsigned s)
{
	advise(s, (struct stretch){below(AREAS) * AREA_PAGES, 1024}, VAS_MADV_COLLAPSE);
}

/* Private memory without a file, all of which may be written. */
static bool is_plain(unsigned s, struct stretch r)
{
	for (unsigned i = 0; i < r.n; i++) {
		if (w.page[s][r.first + i].prot != 3)
			return false;
	}
	return is_anonymous(s, r) && !any_guard(s, r);
}

static void populate(unsigned s)
{
	struct stretch r = some_range(s);

	if (!is_plain(s, r))
		return;
	assert_int_equal(advise(s, r, VAS_MADV_POPULATE_WRITE), 0);
	for (unsigned i = 0; i < r.n; i++) {
		struct page *page = &w.page[s][r.first + i];

		page->value = page_value(page, w.object);
		page->own = true;
	}
}

static void guard(unsigned s)
{
	struct stretch r = some_range(s);
	bool installs = below(2);

	if (!is_anonymous(s, r) || any_locked(&w.page[s][r.first], r.n) || any_sealed(s, r) ||
	    any_huge(s, r))
		return;
	assert_int_equal(advise(s, r, installs ? VAS_MADV_GUARD_INSTALL : VAS_MADV_GUARD_REMOVE),
	                 0);
	for (unsigned i = 0; i < r.n; i++) {
		w.page[s][r.first + i].guard = installs;
		w.page[s][r.first + i].own &= !installs;
	}
}

static void lock(unsigned s)
{
	struct stretch r = some_range(s);
	uint64_t addr = page_addr(r.first), len = r.n * w.page_size;
	bool locks = below(2);

	if (!is_plain(s, r) || any_huge(s, r))
		return;
	begin_call(s, s);
	assert_int_equal(
		locks ? vas_mlock(w.space[s], addr, len) : vas_munlock(w.space[s], addr, len), 0);
	end_call();
	for (unsigned i = 0; i < r.n; i++)
		w.page[s][r.first + i].locked = locks;
}

/* A little of each space, for it stays so. */
static void seal(unsigned s)
{
	struct stretch r = some_range(s);
	unsigned sealed = 0;

	for (unsigned p = 0; p < NPAGES; p++)
		sealed += w.page[s][p].sealed;
	if (sealed > 100 || r.n > 600 || !is_mapped(s, r, false))
		return;
	begin_call(s, s);
	assert_int_equal(vas_mseal(w.space[s], page_addr(r.first), r.n * w.page_size, 0), 0);
	end_call();
	for (unsigned i = 0; i < r.n; i++)
		w.page[s][r.first + i].sealed = true;
}

/* Whether brk must refuse: another mapping is in the way, up to a page behind the new break; or
 * what goes is sealed, or is not there. */
static bool is_break_refused(unsigned s, unsigned was, unsigned n)
{
	unsigned end = n + 1 < AREA_PAGES ? n + 1 : AREA_PAGES, mapped = 0;
	struct stretch goes = {HEAP + n, was > n ? was - n : 0};

	if (was > n)
		end = was;
	for (unsigned i = was > n ? n : was; i < end; i++)
		mapped += w.page[s][HEAP + i].kind != NOTHING;
	return was > n ? mapped == 0 || any_sealed(s, goes) : mapped > 0;
}

static void move_break(unsigned s)
{
	const uint64_t start = page_addr(HEAP);
	unsigned was = w.heap[s], n = below(4) ? below(300) : below(AREA_PAGES + 1);
	struct stretch r = {HEAP + (n < was ? n : was), n < was ? was - n : n - was};
	bool refused = is_break_refused(s, was, n);

	if (n == was || (n < was && cuts_huge(s, r)))
		return;
	begin_call(s, s);
	assert_int_equal(vas_brk(w.space[s], start + n * w.page_size),
	                 start + (refused ? was : n) * w.page_size);
	end_call();
	if (refused)
		return;
	w.heap[s] = n;
	forget(s, r);
	for (unsigned i = was; i < n; i++)
		w.page[s][HEAP + i] = (struct page){
			.kind = PRIVATE, .prot = 3, .object = -1, .index = i};
}

static void move_page(unsigned s, unsigned from, unsigned to, bool stays)
{
	struct page *page = &w.page[s][from];

	w.page[s][to] = *page;
	if (!stays)
		memset(page, 0, sizeof(*page));
	else
		page->own = page->guard = false;
}

static int64_t remap(unsigned s, unsigned from, unsigned n, unsigned new_n, uint64_t flags,
                     uint64_t to)
{
	int64_t result;

	begin_call(s, s);
	result = vas_mremap(w.space[s], page_addr(from), n * w.page_size, new_n * w.page_size,
	                    flags, to);
	end_call();
	return result;
}

static int64_t remap_area(unsigned s, unsigned from, unsigned to)
{
	int64_t result;

	begin_call(s, s);
	result = vas_mremap(w.space[s], page_addr(from), GIB, GIB,
	                    VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED, page_addr(to));
	end_call();
	return result;
}

/* To a fixed place; of the same size, or shorter; and the source may stay. */
static void move(unsigned s)
{
	struct stretch r = some_range(s), target;
	const struct page first = w.page[s][r.first];
	unsigned to = below(AREAS) * AREA_PAGES,
		 n = r.n - (below(4) || first.huge ? 0 : below(r.n));
	bool stays = n == r.n && below(4) == 0;
	uint64_t flags = VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED;

	to += below(2) || first.huge ? r.first % AREA_PAGES : below(AREA_PAGES);
	target = (struct stretch){to, n};
	if (to % AREA_PAGES + r.n > AREA_PAGES || (to < r.first + r.n && r.first < to + r.n) ||
	    !is_mapped(s, r, true) || cuts_huge(s, target) || (stays && first.locked))
		return;
	flags |= stays ? VAS_MREMAP_DONTUNMAP : 0;
	/* A vma may end inside all the same, where identities differ: then nothing is to happen
	 * but that, so the target is emptied first. */
	if (!unmap_at(s, target) || remap(s, r.first, r.n, n, flags, page_addr(to)) < 0)
		return;
	if (first.sealed)
		fail_msg("what is sealed has moved");
	for (unsigned i = 0; i < n; i++)
		move_page(s, r.first + i, to + i, stays);
	forget(s, (struct stretch){r.first + n, r.n - n});
}

/* A whole area, into an empty one: the largest steps there are. */
static void move_area(unsigned s)
{
	unsigned from = below(AREAS) * AREA_PAGES, to = below(AREAS) * AREA_PAGES;
	const struct stretch all = {from, AREA_PAGES};

	if (from == to || w.page[s][from].kind == NOTHING || any_sealed(s, all) ||
	    any_huge(s, all) || !unmap_at(s, (struct stretch){to, AREA_PAGES}))
		return;
	assert_int_equal(remap_area(s, from, to), page_addr(to));
	for (unsigned i = 0; i < AREA_PAGES; i++)
		move_page(s, from + i, to + i, false);
}

/* It grows in place or moves away, and comes back from there. */
static void grow(unsigned s)
{
	struct stretch r = some_range(s);
	const struct page *first = &w.page[s][r.first];
	int64_t away;

	if (!is_mapped(s, r, true) || first->object >= 0 || first->huge || first->sealed ||
	    r.first % AREA_PAGES + r.n + 8 > AREA_PAGES)
		return;
	for (unsigned i = 0; i < 8; i++) {
		if (w.page[s][r.first + r.n + i].kind != NOTHING)
			return;
	}
	away = remap(s, r.first, r.n, r.n + 8, VAS_MREMAP_MAYMOVE, 0);
	if (away < 0)
		return;
	for (unsigned i = 0; i < 8; i++) {
		w.page[s][r.first + r.n + i] = *first;
		w.page[s][r.first + r.n + i].own = w.page[s][r.first + r.n + i].guard = false;
		w.page[s][r.first + r.n + i].index = first->index + r.n + i;
	}
	if ((uint64_t)away == page_addr(r.first))
		return;
	begin_call(s, s);
	assert_int_equal(vas_mremap(w.space[s], (uint64_t)away, (r.n + 8) * w.page_size,
	                            (r.n + 8) * w.page_size, VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED,
	                            page_addr(r.first)),
	                 page_addr(r.first));
	end_call();
}

/* The same shared pages at a second place. */
static void duplicate(unsigned s)
{
	struct stretch r = some_range(s);
	unsigned to = below(AREAS) * AREA_PAGES + below(AREA_PAGES);

	if (!is_mapped(s, r, true) || w.page[s][r.first].kind != SHARED ||
	    to % AREA_PAGES + r.n > AREA_PAGES || (to < r.first + r.n && r.first < to + r.n))
		return;
	if (w.page[s][r.first].sealed || any_sealed(s, (struct stretch){to, r.n}) ||
	    cuts_huge(s, (struct stretch){to, r.n}))
		return;
	begin_call(s, s);
	assert_int_equal(vas_mremap(w.space[s], page_addr(r.first), 0, r.n * w.page_size,
	                            VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED, page_addr(to)),
	                 page_addr(to));
	end_call();
	for (unsigned i = 0; i < r.n; i++)
		move_page(s, r.first + i, to + i, true);
}

static void leave(unsigned s)
{
	begin_call(s, s);
	vas_destroy(w.space[s]);
	end_call();
	assert_null(w.mmu[s].space);
	w.space[s] = NULL;
	w.heap[s] = 0;
	forget(s, (struct stretch){0, NPAGES});
}

static void split(unsigned s)
{
	unsigned child = below(SPACES);
	struct vas *space;

	if (child == s)
		return;
	if (w.space[child])
		leave(child);
	begin_call(s, child);
	assert_int_equal(vas_fork(w.space[s], &space), 0);
	end_call();
	w.space[child] = space;
	mmu_load(&w.mmu[child], space);
	memcpy(w.page[child], w.page[s], sizeof(w.page[s]));
	for (unsigned p = 0; p < NPAGES; p++)
		w.page[child][p].locked = false;
	w.heap[child] = w.heap[s];
}

static void step_further(unsigned s, unsigned what)
{
	if (what < 65)
		move(s);
	else if (what < 66)
		move_area(s);
	else if (what < 68)
		grow(s);
	else if (what < 69)
		duplicate(s);
	else if (what < 72)
		split(s);
	else if (what < 73)
		object_step(&w.object[below(OBJECTS)]);
	else if (what < 74)
		map_once(s);
	else
		leave(s);
}

static void step(void)
{
	unsigned s = below(SPACES), what = below(75);

	if (!w.space[s]) {
		w.space[s] = unit_space(&w.unit);
		mmu_load(&w.mmu[s], w.space[s]);
	}
	if (what < 24)
		for (unsigned i = 0, p = some_range(s).first; i < 6 && p + i < NPAGES; i++)
			access_page(s, p + i, below(3) ? RIGHT_WRITE : RIGHT_READ);
	else if (what < 32)
		map(s);
	else if (what < 33)
		map_huge(s);
	else if (what < 36)
		unmap_at(s, some_range(s));
	else if (what < 39)
		protect(s);
	else if (what < 42)
		discard(s);
	else if (what < 44)
		remove_pages(s);
	else if (what < 46)
		synchronise(s);
	else if (what < 48)
		collapse(s);
	else if (what < 51)
		populate(s);
	else if (what < 54)
		guard(s);
	else if (what < 57)
		lock(s);
	else if (what < 58)
		seal(s);
	else if (what < 61)
		move_break(s);
	else
		step_further(s, what);
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static void begin(const struct vas_format *format, uint64_t seed)
{
	uint8_t *memory = mmap(NULL, 2 * MEMORY, PROT_READ | PROT_WRITE,
	                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint32_t count;

	assert_true(memory != MAP_FAILED);
	memset(&w, 0, sizeof(w));
	w.random.state = seed * 0x9e3779b97f4a7c15ull + 1;
	w.page_size = format_page_size(format);
	unit_prepare(&w.unit);
	w.unit.config.format = format;
	w.unit.config.settings.overcommit_memory = 1;
	w.unit.config.settings.hugepages[0] = POOL;
	w.unit.params.start_brk = page_addr(HEAP);
	w.unit.config.settings.thp_enabled = below(2) ? VAS_THP_ALWAYS : VAS_THP_NEVER;
	w.unit.config.port.invalidate = invalidate;
	w.unit.config.port.memory = (void *)align_up((uintptr_t)memory, MEMORY);
	w.unit.config.port.memory_len = MEMORY;
	w.unit.config.port.zeroed = true;
	assert_int_equal(vas_system_create(&w.unit.config, &w.unit.system), 0);
	count = w.unit.system->frames.count;
	w.sees = calloc(5, count);
	assert_non_null(w.sees);
	w.tables = w.sees + count;
	w.of_object = w.tables + count;
	may_write = w.of_object + count;
	may_read = may_write + count;
	w.unit.config.port.memory = memory;
}

static void end(void)
{
	for (unsigned s = 0; s < SPACES; s++) {
		if (w.space[s])
			leave(s);
	}
	for (unsigned i = 0; i < OBJECTS; i++) {
		if (w.object[i].open)
			object_close(&w.object[i]);
	}
	assert_holds(vas_audit(w.unit.system));
	free(w.sees);
	munmap(w.unit.config.port.memory, 2 * MEMORY);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void run(const struct vas_format *format)
{
	const uint64_t round = 500, steps = number_of("VAS_MMU_STEPS", 1000);
	uint64_t seed = number_of("VAS_MMU_SEED", 1);

	unit_hardware_only();
	for (uint64_t done = 0; done < steps; done += round, seed++) {
		begin(format, seed);
		for (uint64_t i = 0; i < round; i++) {
			step();
			check_quiet();
			check_gone();
			if (i % 64 == 0)
				assert_holds(vas_audit(w.unit.system));
		}
		end();
	}
}

#define RUN(format)                           \
	static void on_##format(void **state) \
	{                                     \
		(void)state;                  \
		run(&vas_format_##format);    \
	}

RUN(x86_64)
RUN(x86_64_la57)
RUN(aarch64_4k)
RUN(aarch64_4k_lpa2)
RUN(aarch64_16k)
RUN(riscv_sv39)
RUN(riscv_sv48)
RUN(riscv_sv57)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_x86_64),          cmocka_unit_test(on_x86_64_la57),
		cmocka_unit_test(on_aarch64_4k),      cmocka_unit_test(on_aarch64_16k),
		cmocka_unit_test(on_aarch64_4k_lpa2), cmocka_unit_test(on_riscv_sv39),
		cmocka_unit_test(on_riscv_sv48),      cmocka_unit_test(on_riscv_sv57),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
