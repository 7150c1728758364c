/* Physical frames: blocks, alignment, taking apart and coming together, exhaustion, counts.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "memory/frame.h"
#include "space/space.h"

#define POOL_FRAMES 8192u
#define POOL_RESERVED 3u
#define HELD 512

static struct frame records[POOL_FRAMES];
static uint32_t payers[POOL_FRAMES];
static const struct vas_port port; /* one thread */

/* A pool without memory behind it: the frames' bytes are not touched. */
static void pool_begin(struct frame_pool *pool, uint32_t count)
{
	memset(records, 0, sizeof(records));
	*pool = (struct frame_pool){
		.port = &port,
		.frame = records,
		.payer = payers,
		.count = count,
		.page_shift = 12,
		.fail_after = -1,
	};
	frame_pool_init(pool, POOL_RESERVED);
}

/* The lists hold every free frame once, in aligned blocks of which no two should be one. */
static void assert_pool_sound(const struct frame_pool *pool)
{
	uint64_t nfree = 0;

	for (unsigned order = 0; order < FRAME_ORDERS; order++) {
		uint32_t prev = FRAME_NONE;

		for (uint32_t i = pool->free[order]; i != FRAME_NONE; i = pool->frame[i].next) {
			uint32_t buddy = i ^ (1u << order);

			assert_int_equal(pool->frame[i].state, FRAME_FREE);
			assert_int_equal(pool->frame[i].order, order);
			assert_int_equal(pool->frame[i].prev, prev);
			assert_int_equal(i % (1u << order), 0);
			assert_in_range(i, pool->reserved, pool->count - (1u << order));
			for (uint32_t k = 0; k < 1u << order; k++)
				assert_int_equal(pool->frame[i + k].refs, 0);
			if (order + 1 < FRAME_ORDERS && buddy < pool->count)
				assert_false(pool->frame[buddy].state == FRAME_FREE &&
				             pool->frame[buddy].order == order);
			nfree += 1u << order;
			prev = i;
		}
	}
	assert_int_equal(nfree, pool->nfree);
}

static void give_back(struct frame_pool *pool, uint32_t index, unsigned order)
{
	for (uint32_t i = 0; i < 1u << order; i++) {
		assert_true(frame_put(pool, index + i));
		frame_free(pool, index + i);
	}
}

static void a_new_pool_is_free_but_for_what_is_reserved(void **state)
{
	struct frame_pool pool;

	(void)state;
	for (uint32_t count = POOL_RESERVED + 1; count < 300; count++) {
		pool_begin(&pool, count);
		assert_int_equal(pool.nfree, count - POOL_RESERVED);
		assert_pool_sound(&pool);
	}
}

static void a_block_is_aligned_and_its_frames_have_one_reference(void **state)
{
	struct frame_pool pool;

	(void)state;
	for (unsigned order = 0; order <= 12; order++) {
		uint32_t index;

		pool_begin(&pool, POOL_FRAMES);
		assert_int_not_equal(frame_alloc(&pool, FRAME_NONE, 0), FRAME_NONE);
		index = frame_alloc(&pool, FRAME_NONE, order);
		assert_int_not_equal(index, FRAME_NONE);
		assert_int_equal(index % (1u << order), 0);
		for (uint32_t i = 0; i < 1u << order; i++)
			assert_int_equal(pool.frame[index + i].refs, 1);
		assert_int_equal(pool.nfree, POOL_FRAMES - POOL_RESERVED - 1 - (1u << order));
		assert_pool_sound(&pool);
	}
}

static void every_frame_is_handed_out_once_and_comes_back(void **state)
{
	static bool seen[POOL_FRAMES];
	struct frame_pool pool;
	uint32_t index;

	(void)state;
	pool_begin(&pool, 1000);
	memset(seen, 0, sizeof(seen));
	while ((index = frame_alloc(&pool, FRAME_NONE, 0)) != FRAME_NONE) {
		assert_in_range(index, POOL_RESERVED, 999);
		assert_false(seen[index]);
		seen[index] = true;
	}
	assert_int_equal(pool.nfree, 0);
	for (uint32_t i = POOL_RESERVED; i < 1000; i++)
		assert_true(seen[i]);
	/* In an order that joins buddies late. */
	for (uint32_t i = POOL_RESERVED; i < 1000; i += 2)
		give_back(&pool, i, 0);
	assert_pool_sound(&pool);
	for (uint32_t i = POOL_RESERVED + 1; i < 1000; i += 2)
		give_back(&pool, i, 0);
	assert_pool_sound(&pool);
	assert_int_equal(pool.nfree, 1000 - POOL_RESERVED);
	assert_int_not_equal(frame_alloc(&pool, FRAME_NONE, 8), FRAME_NONE);
}

static void a_block_may_be_freed_in_parts(void **state)
{
	struct frame_pool pool;
	uint32_t index;

	(void)state;
	pool_begin(&pool, POOL_FRAMES);
	index = frame_alloc(&pool, FRAME_NONE, 9);
	for (uint32_t i = 0; i < 512; i += 2)
		give_back(&pool, index + i, 0);
	assert_pool_sound(&pool);
	/* Someone else keeps a middle frame. */
	frame_get(&pool, index + 257);
	assert_false(frame_put(&pool, index + 257));
	for (uint32_t i = 1; i < 512; i += 2) {
		if (i != 257)
			give_back(&pool, index + i, 0);
	}
	assert_pool_sound(&pool);
	assert_int_equal(pool.nfree, POOL_FRAMES - POOL_RESERVED - 1);
	give_back(&pool, index + 257, 0);
	assert_pool_sound(&pool);
	assert_int_equal(pool.frame[index].state, FRAME_FREE);
	assert_true(pool.frame[index].order >= 9);
}

static void what_is_too_large_or_fragmented_is_refused(void **state)
{
	struct frame_pool pool;
	uint32_t index;

	(void)state;
	pool_begin(&pool, 1024);
	assert_int_equal(frame_alloc(&pool, FRAME_NONE, 10), FRAME_NONE); /* some are reserved */
	assert_int_equal(frame_alloc(&pool, FRAME_NONE, FRAME_ORDERS - 1), FRAME_NONE);
	for (uint32_t i = 0; i < 1024 - POOL_RESERVED; i++)
		assert_int_not_equal(frame_alloc(&pool, FRAME_NONE, 0), FRAME_NONE);
	assert_int_equal(frame_alloc(&pool, FRAME_NONE, 0), FRAME_NONE);
	for (index = 5; index < 1024; index += 2)
		give_back(&pool, index, 0);
	assert_int_equal(frame_alloc(&pool, FRAME_NONE, 1), FRAME_NONE);
	assert_pool_sound(&pool);
}

struct held {
	uint32_t index;
	unsigned order;
};

static void random_blocks_never_overlap(void **state)
{
	static uint8_t owner[POOL_FRAMES];
	struct random random = {.state = 4711};
	static struct held held[HELD];
	unsigned nheld = 0;
	struct frame_pool pool;

	(void)state;
	memset(owner, 0, sizeof(owner));
	pool_begin(&pool, POOL_FRAMES - 77);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned order = (unsigned)random_below(&random, 6) *
		                 (unsigned)random_below(&random, 2);

		if (nheld < HELD && random_below(&random, 2)) {
			uint32_t index = frame_alloc(&pool, FRAME_NONE, order);

			if (index == FRAME_NONE)
				continue;
			for (uint32_t i = 0; i < 1u << order; i++)
				assert_int_equal(owner[index + i]++, 0);
			held[nheld].index = index;
			held[nheld++].order = order;
		} else if (nheld > 0) {
			unsigned i = (unsigned)random_below(&random, nheld);

			give_back(&pool, held[i].index, held[i].order);
			memset(&owner[held[i].index], 0, (size_t)1 << held[i].order);
			held[i] = held[--nheld];
		}
		if (step % 64 == 0)
			assert_pool_sound(&pool);
	}
	while (nheld-- > 0)
		give_back(&pool, held[nheld].index, held[nheld].order);
	assert_pool_sound(&pool);
	assert_int_equal(pool.nfree, POOL_FRAMES - 77 - POOL_RESERVED);
}

/* 4 KiB, 2 MiB and 1 GiB out of a region larger than this machine would like: only the pages with
 * the first words of each block are touched. */
static void all_sizes_of_leaves_come_from_one_region(void **state)
{
	const unsigned orders[] = {18, 9, 0};
	struct frame_pool *pool;
	struct unit unit;
	uint32_t index[3];

	(void)state;
	unit_prepare(&unit);
	unit_begin_with(&unit, (uint64_t)3 << 30);
	pool = &unit.system->frames;
	for (unsigned i = 0; i < 3; i++) {
		index[i] = frame_alloc(pool, FRAME_NONE, orders[i]);
		assert_int_not_equal(index[i], FRAME_NONE);
		assert_int_equal(index[i] % (1u << orders[i]), 0);
		memset(frame_host(pool, index[i]), 1, 4096);
	}
	assert_int_not_equal(frame_alloc(pool, FRAME_NONE, 17), FRAME_NONE);
	assert_pool_sound(pool);
	for (unsigned i = 0; i < 3; i++)
		give_back(pool, index[i], orders[i]);
	assert_int_not_equal(frame_alloc(pool, FRAME_NONE, 18), FRAME_NONE);
	assert_int_not_equal(frame_alloc(pool, FRAME_NONE, 18), FRAME_NONE);
	assert_int_equal(frame_alloc(pool, FRAME_NONE, 18),
	                 FRAME_NONE); /* the third holds the records */
	assert_pool_sound(pool);
	munmap(unit.config.port.memory, unit.config.port.memory_len);
}

static void failing_after_n_counts_each_allocation(void **state)
{
	struct frame_pool pool;

	(void)state;
	pool_begin(&pool, 100);
	pool.fail_after = 2;
	assert_int_not_equal(frame_alloc(&pool, FRAME_NONE, 0), FRAME_NONE);
	assert_int_not_equal(frame_alloc(&pool, FRAME_NONE, 0), FRAME_NONE);
	assert_int_equal(frame_alloc(&pool, FRAME_NONE, 0), FRAME_NONE);
	assert_int_equal(frame_alloc(&pool, FRAME_NONE, 0), FRAME_NONE);
	pool.fail_after = -1;
	assert_int_not_equal(frame_alloc(&pool, FRAME_NONE, 0), FRAME_NONE);
}

static void names_of_a_frame_agree(void **state)
{
	static uint8_t memory[64 * 4096];
	struct frame_pool pool;
	uint32_t index;

	(void)state;
	pool_begin(&pool, 64);
	pool.memory = memory;
	pool.phys = (uint64_t)7 << 32;
	memset(memory, 0xa5, sizeof(memory));
	index = frame_alloc_zeroed(&pool, FRAME_NONE);
	assert_int_equal(frame_of_phys(&pool, frame_phys(&pool, index)), index);
	assert_int_equal(frame_of_host(&pool, frame_host(&pool, index)), index);
	assert_ptr_equal(frame_host(&pool, index), memory + index * 4096);
	for (unsigned i = 0; i < sizeof(memory); i++)
		assert_int_equal(memory[i], i / 4096 == index ? 0 : 0xa5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_pool_is_free_but_for_what_is_reserved),
		cmocka_unit_test(a_block_is_aligned_and_its_frames_have_one_reference),
		cmocka_unit_test(every_frame_is_handed_out_once_and_comes_back),
		cmocka_unit_test(a_block_may_be_freed_in_parts),
		cmocka_unit_test(what_is_too_large_or_fragmented_is_refused),
		cmocka_unit_test(random_blocks_never_overlap),
		cmocka_unit_test(all_sizes_of_leaves_come_from_one_region),
		cmocka_unit_test(failing_after_n_counts_each_allocation),
		cmocka_unit_test(names_of_a_frame_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
