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

static struct stretch some_range(void)
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

static void forget(unsigned s, struct stretch r)
{
	memset(&w.page[s][r.first], 0, r.n * sizeof(struct page));
}

/* All of it mapped, with what `alike` wants to be the same along it. */
static bool is_mapped(unsigned s, struct stretch r, bool alike)
{
	const struct page *first = &w.page[s][r.first];

	for (unsigned i = 0; i < r.n; i++) {
		const struct page *page = first + i;

		if (page->kind == NOTHING)
			return false;
		if (alike && (page->kind != first->kind || page->object != first->object ||
		              page->prot != first->prot || page->index != first->index + i))
			return false;
	}
	return true;
}

/* Maps an object's pages from `index` on, or anonymous memory. */
static void map_at(unsigned s, struct stretch r, int object, unsigned index, bool shared,
                   unsigned prot)
{
	uint64_t flags = VAS_MAP_FIXED | (shared ? VAS_MAP_SHARED : VAS_MAP_PRIVATE);
	struct vas_file *file = object >= 0 ? w.object[object].file : NULL;

	flags |= file ? 0 : VAS_MAP_ANONYMOUS;
	begin_call(s, s);
	assert_int_equal(vas_mmap(w.space[s], page_addr(r.first),
	                          r.n == AREA_PAGES ? GIB : r.n * w.page_size, prot, flags, file,
	                          index * w.page_size),
	                 page_addr(r.first));
	end_call();
	forget(s, r);
	for (unsigned i = 0; i < r.n; i++)
		w.page[s][r.first + i] = (struct page){
			.kind = shared ? SHARED : PRIVATE,
			.prot = prot,
			.object = object,
			.index = file ? index + i : i,
		};
}

static void map(unsigned s)
{
	static const unsigned prots[] = {3, 3, RIGHT_READ, 0};
	struct stretch r = some_range();
	int object = (int)below(2 * OBJECTS) - (int)OBJECTS;
	unsigned index = 0;

	if (object >= 0 && !(w.object[object].object && w.object[object].open))
		object = -1;
	if (object >= 0) {
		r.n = r.n > OBJECT_PAGES ? OBJECT_PAGES : r.n;
		index = below(OBJECT_PAGES - r.n + 1);
	}
	map_at(s, r, object < 0 ? -1 : object, index, object >= 0 && below(3), prots[below(4)]);
}

static void unmap_at(unsigned s, struct stretch r)
{
	begin_call(s, s);
	assert_int_equal(vas_munmap(w.space[s], page_addr(r.first),
	                            r.n == AREA_PAGES ? GIB : r.n * w.page_size),
	                 0);
	end_call();
	forget(s, r);
}

/* A file is written to through one mapping, which goes last, or is mapped over. */
static void map_once(unsigned s)
{
	unsigned object = 1 + below(OBJECTS - 1);
	struct stretch r = some_range();

	if (w.object[object].object)
		return;
	object_open(&w.object[object]);
	r.n = r.n > 20 ? 20 : r.n;
	map_at(s, r, (int)object, 0, true, 3);
	for (unsigned i = 0; i < r.n; i++)
		access_page(s, r.first + i, RIGHT_WRITE);
	object_close(&w.object[object]);
	if (below(2))
		map_at(s, r, -1, 0, false, 3);
	else
		unmap_at(s, r);
}

static void protect(unsigned s)
{
	struct stretch r = some_range();
	unsigned prot = below(4) ? RIGHT_READ | (below(2) ? RIGHT_WRITE : 0) : 0;

	if (!is_mapped(s, r, false))
		return;
	begin_call(s, s);
	assert_int_equal(vas_mprotect(w.space[s], page_addr(r.first), r.n * w.page_size, prot), 0);
	end_call();
	for (unsigned i = 0; i < r.n; i++)
		w.page[s][r.first + i].prot = prot;
}

static void discard(unsigned s)
{
	struct stretch r = some_range();

	if (!is_mapped(s, r, false))
		return;
	begin_call(s, s);
	assert_int_equal(
		vas_madvise(w.space[s], page_addr(r.first), r.n * w.page_size, VAS_MADV_DONTNEED),
		0);
	end_call();
	for (unsigned i = 0; i < r.n; i++)
		w.page[s][r.first + i].own = false;
}

static void remove_pages(unsigned s)
{
	struct stretch r = some_range();
	const struct page *first = &w.page[s][r.first];

	if (!is_mapped(s, r, true) || first->kind != SHARED || first->object != 0)
		return;
	w.all_busy = true;
	begin_call(s, s);
	assert_int_equal(
		vas_madvise(w.space[s], page_addr(r.first), r.n * w.page_size, VAS_MADV_REMOVE), 0);
	end_call();
	w.all_busy = false;
	for (unsigned i = 0; i < r.n; i++)
		w.object[0].value[first->index + i] = 0;
}

static void synchronise(unsigned s)
{
	struct stretch r = some_range();
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
	struct stretch r = {below(AREAS) * AREA_PAGES, 1024};

	begin_call(s, s);
	vas_madvise(w.space[s], page_addr(r.first), r.n * w.page_size, VAS_MADV_COLLAPSE);
	end_call();
}

static void populate(unsigned s)
{
	struct stretch r = some_range();

	for (unsigned i = 0; i < r.n; i++) {
		if (w.page[s][r.first + i].object >= 0 || w.page[s][r.first + i].prot != 3)
			return;
	}
	if (!is_mapped(s, r, false))
		return;
	begin_call(s, s);
	assert_int_equal(vas_madvise(w.space[s], page_addr(r.first), r.n * w.page_size,
	                             VAS_MADV_POPULATE_WRITE),
	                 0);
	end_call();
	for (unsigned i = 0; i < r.n; i++) {
		struct page *page = &w.page[s][r.first + i];

		page->value = value_of(page);
		page->own = true;
	}
}

static void move_page(unsigned s, unsigned from, unsigned to, bool stays)
{
	struct page *page = &w.page[s][from];

	w.page[s][to] = *page;
	if (!stays)
		memset(page, 0, sizeof(*page));
	else
		page->own = false;
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

/* To a fixed place; of the same size, or shorter; and the source may stay. */
static void move(unsigned s)
{
	struct stretch r = some_range();
	unsigned to = below(AREAS) * AREA_PAGES, n = r.n - (below(4) ? 0 : below(r.n));
	bool stays = n == r.n && below(4) == 0;
	uint64_t flags = VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED;

	to += below(2) ? r.first % AREA_PAGES : below(AREA_PAGES);
	if (to % AREA_PAGES + r.n > AREA_PAGES || (to < r.first + r.n && r.first < to + r.n) ||
	    !is_mapped(s, r, true))
		return;
	flags |= stays ? VAS_MREMAP_DONTUNMAP : 0;
	/* A vma may end inside all the same, where identities differ: then nothing is to happen
	 * but that, so the target is emptied first. */
	unmap_at(s, (struct stretch){to, n});
	if (remap(s, r.first, r.n, n, flags, page_addr(to)) < 0)
		return;
	for (unsigned i = 0; i < n; i++)
		move_page(s, r.first + i, to + i, stays);
	forget(s, (struct stretch){r.first + n, r.n - n});
}

/* A whole area, into an empty one: the largest steps there are. */
static void move_area(unsigned s)
{
	unsigned from = below(AREAS) * AREA_PAGES, to = below(AREAS) * AREA_PAGES;

	if (from == to || w.page[s][from].kind == NOTHING)
		return;
	unmap_at(s, (struct stretch){to, AREA_PAGES});
	begin_call(s, s);
	assert_int_equal(vas_mremap(w.space[s], page_addr(from), GIB, GIB,
	                            VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED, page_addr(to)),
	                 page_addr(to));
	end_call();
	for (unsigned i = 0; i < AREA_PAGES; i++)
		move_page(s, from + i, to + i, false);
}

/* It grows in place or moves away, and comes back from there. */
static void grow(unsigned s)
{
	struct stretch r = some_range();
	const struct page *first = &w.page[s][r.first];
	int64_t away;

	if (!is_mapped(s, r, true) || first->object >= 0 ||
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
		w.page[s][r.first + r.n + i].own = false;
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
	struct stretch r = some_range();
	unsigned to = below(AREAS) * AREA_PAGES + below(AREA_PAGES);

	if (!is_mapped(s, r, true) || w.page[s][r.first].kind != SHARED ||
	    to % AREA_PAGES + r.n > AREA_PAGES || (to < r.first + r.n && r.first < to + r.n))
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
}

static void step(void)
{
	unsigned s = below(SPACES), what = below(64);

	if (!w.space[s]) {
		w.space[s] = unit_space(&w.unit);
		mmu_load(&w.mmu[s], w.space[s]);
	}
	if (what < 24)
		for (unsigned i = 0, p = some_range().first; i < 6 && p + i < NPAGES; i++)
			access_page(s, p + i, below(3) ? RIGHT_WRITE : RIGHT_READ);
	else if (what < 32)
		map(s);
	else if (what < 35)
		unmap_at(s, some_range());
	else if (what < 38)
		protect(s);
	else if (what < 41)
		discard(s);
	else if (what < 43)
		remove_pages(s);
	else if (what < 45)
		synchronise(s);
	else if (what < 47)
		collapse(s);
	else if (what < 50)
		populate(s);
	else if (what < 54)
		move(s);
	else if (what < 55)
		move_area(s);
	else if (what < 57)
		grow(s);
	else if (what < 58)
		duplicate(s);
	else if (what < 61)
		split(s);
	else if (what < 62)
		object_step(&w.object[below(OBJECTS)]);
	else if (what < 63)
		map_once(s);
	else
		leave(s);
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
RUN(aarch64_16k)
RUN(riscv_sv39)
RUN(riscv_sv48)
RUN(riscv_sv57)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_x86_64),     cmocka_unit_test(on_x86_64_la57),
		cmocka_unit_test(on_aarch64_4k), cmocka_unit_test(on_aarch64_16k),
		cmocka_unit_test(on_riscv_sv39), cmocka_unit_test(on_riscv_sv48),
		cmocka_unit_test(on_riscv_sv57),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
