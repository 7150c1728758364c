/* test_tlb_random.c - random calls on a space whose pages are used through a software TLB: after
 * each call, what the TLB still answers is what the tables say, and each load is what vas_read
 * reads.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "format/format.h"

#define SEEDS 40
#define STEPS 400
#define WINDOW_PAGES 1536u /* three large pages */
#define FILE_PAGES 64u
#define MEMORY ((uint64_t)64 << 20)
#define X86_W 2u

struct world {
	struct unit unit;
	struct random random;
	struct vas *space;
	struct vas_object *object;
	struct vas_file *file;
	struct vas_tlb tlb;
	uint64_t base;
	unsigned hits; /* of lookups */
};

static uint64_t page_addr(const struct world *world, uint64_t page)
{
	return world->base + page * UNIT_PAGE;
}

/* ---- What must hold -------------------------------------------------------------------------- */

/* What the tables say: the host address of addr, and the rights there; NULL: not present. */
static uint8_t *walk(struct world *world, uint64_t addr, unsigned *rights)
{
	struct vas_walk_step step[VAS_LEVELS_MAX];
	unsigned n = vas_walk(world->space, addr, step);
	const struct vas_walk_step *last = &step[n - 1];
	uint64_t span;

	*rights = 0;
	if (n == 0)
		return NULL;
	span = format_span(&vas_format_x86_64, last->level);
	*rights = last->rights;
	for (unsigned i = 0; i < n; i++)
		if (!(step[i].word & X86_W))
			*rights &= ~VAS_PROT_WRITE;
	if (!last->leaf)
		return NULL;
	return (uint8_t *)world->unit.config.port.memory + last->phys + (addr & (span - 1));
}

static void check_lookups(struct world *world)
{
	static const enum vas_access accesses[] = {VAS_READ, VAS_WRITE, VAS_EXEC};

	for (uint64_t page = 0; page < WINDOW_PAGES; page++) {
		uint64_t addr = page_addr(world, page) + random_below(&world->random, UNIT_PAGE);

		for (unsigned i = 0; i < 3; i++) {
			uint8_t *host = vas_tlb_lookup(&world->tlb, addr, 1, accesses[i]);
			unsigned rights;

			if (!host)
				continue;
			world->hits++;
			assert_ptr_equal(host, walk(world, addr, &rights));
			assert_true(rights & accesses[i]);
		}
	}
}

/* ---- The guest ------------------------------------------------------------------------------- */

static uint8_t *access_byte(struct world *world, uint64_t addr, enum vas_access access)
{
	void *host = vas_tlb_lookup(&world->tlb, addr, 1, access);

	if (host || !vas_translate(world->space, &world->tlb, addr, access, &host, NULL))
		return host;
	return NULL;
}

static void load(struct world *world, uint64_t addr, enum vas_access access)
{
	uint8_t *host = access_byte(world, addr, access), byte;
	uint8_t seen = host ? *host : 0;

	if (host && access != VAS_EXEC) {
		assert_int_equal(vas_read(world->space, &byte, addr, 1, NULL), 0);
		assert_int_equal(seen, byte);
	} else if (!host && access == VAS_READ) {
		assert_int_equal(vas_read(world->space, &byte, addr, 1, NULL), -VAS_EFAULT);
	}
}

static void store(struct world *world, uint64_t addr)
{
	uint8_t *host = access_byte(world, addr, VAS_WRITE), byte;

	if (!host)
		return;
	*host = (uint8_t)random_next(&world->random);
	byte = (uint8_t)~*host;
	assert_int_equal(vas_read(world->space, &byte, addr, 1, NULL), 0);
	assert_int_equal(byte, *host);
}

static void run_guest(struct world *world)
{
	uint64_t page = random_below(&world->random, WINDOW_PAGES);

	for (unsigned i = 0; i < 24; i++) {
		uint64_t addr;

		if (i % 8 == 0)
			page = random_below(&world->random, WINDOW_PAGES);
		addr = page_addr(world, (page + i) % WINDOW_PAGES) +
		       random_below(&world->random, UNIT_PAGE);
		if (random_below(&world->random, 3) == 0)
			store(world, addr);
		else
			load(world, addr, random_below(&world->random, 4) ? VAS_READ : VAS_EXEC);
	}
}

/* ---- Its calls ------------------------------------------------------------------------------- */

static void call_map(struct world *world, uint64_t addr, uint64_t len)
{
	uint64_t prot = random_below(&world->random, 4) ? RW | VAS_PROT_EXEC : RW;
	uint64_t flags = random_below(&world->random, 2) ? VAS_MAP_SHARED : VAS_MAP_PRIVATE;

	if (random_below(&world->random, 3))
		vas_mmap(world->space, addr, len, prot, ANON_FIXED, NULL, 0);
	else
		vas_mmap(world->space, addr, len, prot, flags | VAS_MAP_FIXED, world->file,
		         random_below(&world->random, FILE_PAGES) * UNIT_PAGE);
}

static void call_remap(struct world *world, uint64_t addr, uint64_t len, uint64_t to)
{
	uint64_t flags = VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED;

	if (random_below(&world->random, 3) == 0)
		flags |= VAS_MREMAP_DONTUNMAP;
	vas_mremap(world->space, addr, len, len, flags, to);
}

/* The child writes to what it shares, so that the parent sees it if anything is confused. */
static void call_fork(struct world *world, uint64_t addr)
{
	uint8_t byte = (uint8_t)random_next(&world->random);
	struct vas *child;

	assert_int_equal(vas_fork(world->space, &child), 0);
	check_lookups(world);
	run_guest(world);
	vas_write(child, addr, &byte, 1, NULL);
	run_guest(world);
	vas_destroy(child);
}

static void call(struct world *world)
{
	uint64_t page = random_below(&world->random, WINDOW_PAGES);
	uint64_t most = random_below(&world->random, 4) ? 8 : WINDOW_PAGES;
	uint64_t addr = page_addr(world, page), len = 1 + random_below(&world->random, most);
	uint64_t to = page_addr(world, random_below(&world->random, WINDOW_PAGES));

	len = (len < WINDOW_PAGES - page ? len : WINDOW_PAGES - page) * UNIT_PAGE;
	switch (random_below(&world->random, 16)) {
	case 0:
	case 1:
	case 2:
	case 3:
		call_map(world, addr, len);
		break;
	case 4:
		vas_munmap(world->space, addr, len);
		break;
	case 5:
	case 6:
		vas_mprotect(world->space, addr, len, random_below(&world->random, 8));
		break;
	case 7:
	case 8:
		call_remap(world, addr, len, to);
		break;
	case 9:
		call_fork(world, addr);
		break;
	case 10:
		vas_madvise(world->space, addr, len, VAS_MADV_DONTNEED);
		break;
	case 11:
		vas_object_resize(world->object,
		                  random_below(&world->random, FILE_PAGES) * UNIT_PAGE + 77);
		vas_object_resize(world->object, FILE_PAGES * UNIT_PAGE);
		break;
	case 12:
		vas_madvise(world->space, addr, len, VAS_MADV_COLLAPSE);
		break;
	case 13:
		vas_madvise(world->space, addr, len, VAS_MADV_GUARD_INSTALL);
		break;
	case 14:
		vas_madvise(world->space, addr, len, VAS_MADV_GUARD_REMOVE);
		break;
	default:
		vas_object_sync(world->object);
	}
}

static void begin(struct world *world, uint64_t seed, bool large)
{
	const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE | VAS_FILE_SHMEM};

	memset(world, 0, sizeof(*world));
	world->random.state = 88172645463325252u + seed;
	world->base = (uint64_t)1 << 30;
	unit_prepare(&world->unit);
	world->unit.config.settings.thp_enabled = large ? VAS_THP_ALWAYS : VAS_THP_NEVER;
	unit_begin_with(&world->unit, MEMORY);
	world->space = unit_space(&world->unit);
	assert_int_equal(vas_object_create(world->unit.system, NULL, NULL, FILE_PAGES * UNIT_PAGE,
	                                   &world->object),
	                 0);
	assert_int_equal(vas_file_open(world->object, &info, &world->file), 0);
	vas_tlb_register(world->space, &world->tlb);
	world->tlb.key = VAS_TLB_GENERATIONS - 8; /* the last generation comes soon */
}

static void end(struct world *world)
{
	vas_file_put(world->file);
	vas_object_put(world->object);
	unit_close(&world->unit, world->space);
}

static void run(bool large)
{
	static struct world world;
	unsigned hits = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		begin(&world, seed, large);
		for (unsigned step = 0; step < STEPS; step++) {
			call(&world);
			check_lookups(&world);
			run_guest(&world);
			check_lookups(&world);
		}
		hits += world.hits;
		end(&world);
	}
	assert_true(hits > SEEDS * STEPS * 10);
}

static void small_pages_are_never_stale(void **state)
{
	(void)state;
	run(false);
}

static void large_pages_are_never_stale(void **state)
{
	(void)state;
	run(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_pages_are_never_stale),
		cmocka_unit_test(large_pages_are_never_stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
