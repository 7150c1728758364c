/* test_elsewhere.c - a system that only keeps the books: what its hooks are told makes the pages,
 * and a hook that fails leaves the books as they were.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>

#include "vas/posix.h"

/* ---- Pages of a machine that knows nothing but what hooks say -------------------------------- */

enum { NPAGES = 96, HEAP = 64 };

struct page {
	bool mapped;
	uint64_t flags;  /* rights and locks */
	uint64_t serial; /* its contents: 0 fresh */
};

struct world {
	struct page page[NPAGES];
	uint64_t calls, fail_at; /* hooks called; the one to fail, from 1; 0: none */
	struct vas_system *system;
	struct vas *space;
	void *memory;
};

static struct page *page_at(struct world *world, uint64_t addr)
{
	assert_true(addr >= at(0) && addr < at(NPAGES));
	return &world->page[(addr - at(0)) / UNIT_PAGE];
}

static bool hook_fails(struct world *world)
{
	return ++world->calls == world->fail_at;
}

static const uint64_t attributes = VAS_VM_READ | VAS_VM_WRITE | VAS_VM_EXEC | VAS_VM_LOCKED;

static int64_t hook_map(void *ctx, struct vas *space, const struct vas_region *vma, uint64_t map)
{
	struct world *world = ctx;

	assert_ptr_equal(space, world->space);
	if (hook_fails(world))
		return -VAS_ENOMEM;
	for (uint64_t addr = vma->start; addr < vma->end; addr += UNIT_PAGE) {
		if (!(map & VAS_MAP_FIXED))
			assert_false(page_at(world, addr)->mapped);
		*page_at(world, addr) = (struct page){true, vma->flags & attributes, 0};
	}
	return 0;
}

static int64_t hook_unmap(void *ctx, struct vas *space, uint64_t start, uint64_t end)
{
	(void)space;
	if (hook_fails(ctx))
		return -VAS_ENOMEM;
	for (uint64_t addr = start; addr < end; addr += UNIT_PAGE)
		*page_at(ctx, addr) = (struct page){0};
	return 0;
}

static int64_t hook_protect(void *ctx, struct vas *space, const struct vas_region *vma,
                            uint64_t start, uint64_t end, uint64_t flags)
{
	(void)space;
	assert_true(vma->start <= start && end <= vma->end && vma->flags != flags);
	if (hook_fails(ctx))
		return -VAS_EIO;
	for (uint64_t addr = start; addr < end; addr += UNIT_PAGE)
		page_at(ctx, addr)->flags = flags & attributes;
	return 0;
}

static int64_t hook_move(void *ctx, struct vas *space, const struct vas_move *move)
{
	struct world *world = ctx;
	struct page pages[NPAGES];

	(void)space;
	assert_true(move->vma->start <= move->old_addr && move->old_addr < move->vma->end);
	if (hook_fails(world))
		return -VAS_ENOMEM;
	for (uint64_t i = 0; i < move->new_len / UNIT_PAGE; i++)
		pages[i] = i < move->old_len / UNIT_PAGE
		                   ? *page_at(world, move->old_addr + i * UNIT_PAGE)
		                   : (struct page){true, move->vma->flags & attributes, 0};
	for (uint64_t i = 0; i < move->old_len / UNIT_PAGE; i++)
		*page_at(world, move->old_addr + i * UNIT_PAGE) = (struct page){
			move->keep, move->keep ? move->vma->flags & attributes : 0, 0};
	for (uint64_t addr = move->unlock_start; addr < move->unlock_end; addr += UNIT_PAGE)
		page_at(world, addr)->flags &= ~VAS_VM_LOCKED;
	for (uint64_t i = 0; i < move->new_len / UNIT_PAGE; i++) {
		struct page *new = page_at(world, move->new_addr + i * UNIT_PAGE);

		assert_false(new->mapped);
		*new = pages[i];
	}
	return 0;
}

static int64_t hook_advise(void *ctx, struct vas *space, const struct vas_region *vma,
                           uint64_t start, uint64_t end, uint64_t advice)
{
	(void)space;
	assert_true(vma->start <= start && end <= vma->end);
	if (hook_fails(ctx))
		return -VAS_EAGAIN;
	for (uint64_t addr = start; addr < end && advice == VAS_MADV_DONTNEED; addr += UNIT_PAGE)
		page_at(ctx, addr)->serial = 0;
	return 0;
}

static const struct vas_pages hooks = {hook_map, hook_unmap, hook_protect, hook_move, hook_advise};

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct vas_config config = {
		.port = {.memory_len = (uint64_t)1 << 20, .zeroed = true, .pages = &hooks},
	};
	struct vas_params params;

	world->memory = mmap(NULL, config.port.memory_len, PROT_READ | PROT_WRITE,
	                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(world->memory, MAP_FAILED);
	config.port.memory = world->memory;
	config.port.ctx = world;
	vas_settings_default(&config.settings, (uint64_t)1 << 20);
	assert_int_equal(vas_system_create(&config, &world->system), 0);
	vas_params_default(&params);
	params.place_low = at(0);
	params.place_high = at(HEAP - 8);
	params.start_brk = at(HEAP);
	assert_int_equal(vas_create(world->system, &params, &world->space), 0);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	assert_holds(vas_check(world->space));
	vas_destroy(world->space);
	assert_holds(vas_audit(world->system));
	munmap(world->memory, (size_t)1 << 20);
	free(world);
	return 0;
}

/* ---- The books and the pages ----------------------------------------------------------------- */

/* Each page is mapped with the rights and locks that the books say. */
static void assert_agree(struct world *world)
{
	struct vas_region vma = {0};

	assert_holds(vas_check(world->space));
	for (uint64_t i = 0; i < NPAGES; i++) {
		bool mapped = vas_next_region(world->space, at(i), &vma) && vma.start <= at(i);

		if (mapped != world->page[i].mapped)
			fail_msg("page %d is %s", (int)i, mapped ? "missing" : "too many");
		if (mapped && world->page[i].flags != (vma.flags & attributes))
			fail_msg("page %d: %#llx, not %#llx", (int)i,
			         (unsigned long long)world->page[i].flags,
			         (unsigned long long)(vma.flags & attributes));
	}
}

/* All that can be seen of the books. */
struct books {
	char *maps;
	struct vas_status status;
	uint64_t committed;
	struct page page[NPAGES];
};

static struct books books_of(struct world *world)
{
	struct books books = {.maps = vas_posix_text(world->space, vas_maps),
	                      .committed = vas_system_committed(world->system)};

	vas_get_status(world->space, &books.status);
	memcpy(books.page, world->page, sizeof(books.page));
	return books;
}

static void assert_same_books(const struct books *a, const struct books *b)
{
	assert_string_equal(a->maps, b->maps);
	assert_memory_equal(&a->status, &b->status, sizeof(a->status));
	assert_int_equal(a->committed, b->committed);
	assert_memory_equal(a->page, b->page, sizeof(a->page));
}

/* ---- Random calls, random failures ----------------------------------------------------------- */

struct args {
	uint64_t addr, len, new_addr, new_len, prot;
};

static int64_t random_call(struct world *world, struct random *random, const struct args *a)
{
	static const uint64_t advice[] = {VAS_MADV_DONTNEED,      VAS_MADV_FREE,
	                                  VAS_MADV_WILLNEED,      VAS_MADV_DONTFORK,
	                                  VAS_MADV_DOFORK,        VAS_MADV_COLD,
	                                  VAS_MADV_POPULATE_READ, VAS_MADV_GUARD_INSTALL,
	                                  VAS_MADV_GUARD_REMOVE,  VAS_MADV_COLLAPSE};
	uint64_t shared = random_next(random) % 4 ? VAS_MAP_PRIVATE : VAS_MAP_SHARED;
	uint64_t map = shared | VAS_MAP_ANONYMOUS;
	struct vas *space = world->space;

	switch (random_next(random) % 13) {
	case 0:
		return vas_mmap(space, 0, a->len, a->prot, map, NULL, 0);
	case 1:
		return vas_mmap(space, a->addr, a->len, a->prot, map | VAS_MAP_FIXED, NULL, 0);
	case 2:
		return vas_mmap(space, a->addr, a->len, a->prot, map | VAS_MAP_LOCKED, NULL, 0);
	case 3:
		return vas_munmap(space, a->addr, a->len);
	case 4:
		return vas_mprotect(space, a->addr, a->len, a->prot);
	case 5:
		return vas_mremap(space, a->addr, a->len, a->new_len, 0, 0);
	case 6:
		return vas_mremap(space, a->addr, a->len, a->new_len, VAS_MREMAP_MAYMOVE, 0);
	case 7:
		return vas_mremap(space, a->addr, a->len, a->new_len,
		                  VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED, a->new_addr);
	case 8:
		return vas_mremap(space, a->addr, a->len, a->len,
		                  VAS_MREMAP_MAYMOVE | VAS_MREMAP_DONTUNMAP |
		                          (a->new_len & UNIT_PAGE ? VAS_MREMAP_FIXED : 0),
		                  a->new_addr);
	case 9:
		return vas_mremap(space, a->addr, 0, a->new_len, VAS_MREMAP_MAYMOVE, 0);
	case 10:
		return vas_mlock(space, a->addr, a->len);
	case 11:
		return vas_brk(space, at(HEAP) + (a->len & ~UNIT_PAGE));
	}
	return vas_madvise(space, a->addr, a->len,
	                   advice[random_next(random) % (sizeof(advice) / sizeof(advice[0]))]);
}

static uint64_t random_pages(struct random *random, uint64_t n)
{
	return random_next(random) % n;
}

static void test_random_failures(void **state)
{
	struct world *world = *state;
	struct random random = {0x9e3779b97f4a7c15u};
	uint64_t refused = 0, done = 0;

	for (unsigned i = 0; i < 30000; i++) {
		struct args a = {
			.addr = at(random_pages(&random, 40)),
			.len = (1 + random_pages(&random, 6)) * UNIT_PAGE,
			.new_addr = at(random_pages(&random, 40)),
			.new_len = (1 + random_pages(&random, 8)) * UNIT_PAGE,
			.prot = random_pages(&random, 3) ? RW : VAS_PROT_READ,
		};
		struct books before = books_of(world), after;
		int64_t result;

		world->calls = 0;
		world->fail_at = random_pages(&random, 3);
		result = random_call(world, &random, &a);
		after = books_of(world);
		assert_agree(world);
		if (world->fail_at == 1 && world->calls >= 1) {
			assert_same_books(&before, &after);
			refused++;
		}
		done += result >= 0 && world->calls > 0;
		free(before.maps);
		free(after.maps);
	}
	world->fail_at = 0;
	assert_true(refused > 1000 && done > 1000);
	printf("%llu failures left the books as they were\n", (unsigned long long)refused);
}

/* ---- Stories --------------------------------------------------------------------------------- */

static uint64_t map_pages(struct world *world, uint64_t first, uint64_t n, uint64_t serial)
{
	assert_call(world->space,
	            vas_mmap(world->space, at(first), n * UNIT_PAGE, RW, ANON_FIXED, NULL, 0),
	            at(first));
	for (uint64_t i = 0; i < n; i++)
		world->page[first + i].serial = serial + i;
	return at(first);
}

static void assert_pages(struct world *world, uint64_t first, uint64_t n, uint64_t serial)
{
	assert_agree(world);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(world->page[first + i].serial, serial ? serial + i : 0);
}

static void test_contents_move_along(void **state)
{
	struct world *world = *state;
	uint64_t addr = map_pages(world, 2, 4, 100), fixed = VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED;

	assert_call(world->space,
	            vas_mremap(world->space, addr, 4 * UNIT_PAGE, 6 * UNIT_PAGE, fixed, at(20)),
	            at(20));
	assert_pages(world, 20, 4, 100);
	assert_false(world->page[2].mapped);
	assert_int_equal(world->page[24].serial, 0);
	assert_call(world->space,
	            vas_mremap(world->space, at(20), 6 * UNIT_PAGE, 9 * UNIT_PAGE, 0, 0), at(20));
	assert_pages(world, 20, 4, 100);
	assert_call(world->space,
	            vas_mremap(world->space, at(20), 2 * UNIT_PAGE, 2 * UNIT_PAGE,
	                       fixed | VAS_MREMAP_DONTUNMAP, at(40)),
	            at(40));
	assert_pages(world, 40, 2, 100);
	assert_pages(world, 20, 2, 0);
}

/* Several vmas at once: an error keeps those that were moved before it. */
static void test_several_keep_what_moved(void **state)
{
	struct world *world = *state;
	uint64_t fixed = VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED;

	map_pages(world, 2, 2, 100);
	map_pages(world, 5, 2, 200);
	world->calls = 0;
	world->fail_at = 2;
	assert_call(world->space,
	            vas_mremap(world->space, at(2), 5 * UNIT_PAGE, 5 * UNIT_PAGE, fixed, at(30)),
	            -VAS_ENOMEM);
	world->fail_at = 0;
	assert_pages(world, 30, 2, 100);
	assert_pages(world, 5, 2, 200);
}

/* What needs pages says that there are none; nothing faults. */
static void test_no_pages(void **state)
{
	struct world *world = *state;
	uint64_t addr = map_pages(world, 2, 2, 1), phys;
	char byte = 1;

	assert_int_equal(vas_fault(world->space, addr, VAS_WRITE, NULL), -VAS_ENOSYS);
	assert_int_equal(vas_read(world->space, &byte, addr, 1, NULL), -VAS_ENOSYS);
	assert_int_equal(vas_write(world->space, addr, &byte, 1, NULL), -VAS_ENOSYS);
	assert_int_equal(vas_mincore(world->space, addr, UNIT_PAGE, addr), -VAS_ENOSYS);
	assert_int_equal(vas_lookup(world->space, addr, &phys, NULL), 0);
	assert_int_equal(vas_root(world->space), 0);
}

/* The books of a child: no hook is called, locks are gone, what is not to be copied too. */
static void test_fork_copies_the_books(void **state)
{
	struct world *world = *state;
	struct vas *child;
	struct vas_status status;

	map_pages(world, 2, 2, 1);
	map_pages(world, 8, 3, 1);
	assert_call(world->space, vas_mlock(world->space, at(2), UNIT_PAGE), 0);
	assert_call(world->space, vas_madvise(world->space, at(8), UNIT_PAGE, VAS_MADV_DONTFORK),
	            0);
	world->calls = 0;
	assert_int_equal(vas_fork(world->space, &child), 0);
	assert_holds(vas_check(child));
	vas_get_status(child, &status);
	assert_int_equal(status.size, 4);
	assert_int_equal(status.locked, 0);
	vas_destroy(child);
	assert_int_equal(world->calls, 0);
}

/* Addresses are chosen inside the bounds; what was demanded goes where it was demanded. */
static void test_bounds(void **state)
{
	struct world *world = *state;
	int64_t addr;

	for (unsigned i = 0; i < HEAP - 8; i++) {
		addr = vas_mmap(world->space, 0, UNIT_PAGE, i % 2 ? RW : VAS_PROT_READ, ANON, NULL,
		                0);
		assert_in_range(addr, at(0), at(HEAP - 9));
	}
	assert_int_equal(vas_mmap(world->space, 0, UNIT_PAGE, RW, ANON, NULL, 0), -VAS_ENOMEM);
	assert_agree(world);
	map_pages(world, HEAP + 20, 1, 1);
	assert_agree(world);
}

/* ---- Rights as an MMU of one's own must enter them ------------------------------------------- */

static void test_lookup_after_fork(void **state)
{
	static const struct vas_format *const formats[] = {&vas_format_x86_64,
	                                                   &vas_format_riscv_sv39, NULL};
	const uint64_t len = (uint64_t)8 << 20;
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct vas_config config = {
			.format = formats[i],
			.port = {.memory = memory, .memory_len = len, .phys = 0x80000000}};
		struct vas_system *system;
		struct vas *space, *child;
		uint64_t phys, left, value = 7;

		vas_settings_default(&config.settings, (uint64_t)1 << 20);
		assert_int_equal(vas_system_create(&config, &system), 0);
		assert_int_equal(vas_create(system, NULL, &space), 0);
		assert_int_equal(vas_mmap(space, at(0), 4 * UNIT_PAGE, RW, ANON_FIXED, NULL, 0),
		                 at(0));
		assert_int_equal(vas_lookup(space, at(1), NULL, NULL), 0);
		assert_int_equal(vas_write(space, at(1) + 8, &value, 8, NULL), 0);
		assert_int_equal(vas_lookup(space, at(1) + 8, &phys, &left), RW);
		assert_int_equal(left, UNIT_PAGE - 8);
		assert_int_equal(*(uint64_t *)(void *)((char *)memory + (phys - 0x80000000)), 7);
		assert_int_equal(vas_fork(space, &child), 0);
		assert_int_equal(vas_lookup(space, at(1), NULL, NULL), VAS_PROT_READ);
		assert_int_equal(vas_lookup(child, at(1), NULL, NULL), VAS_PROT_READ);
		assert_int_equal(vas_fault(child, at(1), VAS_WRITE, NULL), 0);
		assert_int_equal(vas_lookup(child, at(1), NULL, NULL), RW);
		assert_int_equal(vas_lookup(space, at(1), NULL, NULL), VAS_PROT_READ);
		vas_destroy(child);
		vas_destroy(space);
	}
	munmap(memory, len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_contents_move_along, setup, teardown),
		cmocka_unit_test_setup_teardown(test_several_keep_what_moved, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fork_copies_the_books, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test(test_lookup_after_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
