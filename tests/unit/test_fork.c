/* Forks: every space sees its own bytes, whoever writes, moves, unmaps or dies first.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#define PAGES 64
#define FAMILY 4
#define SHARED_FIRST 48 /* pages from here on are shared memory */

/* What each page of a space must read as; -1: nothing mapped. */
struct member {
	struct vas *space; /* NULL: not born */
	int16_t byte[PAGES];
};

static struct member family[FAMILY];
static struct unit unit;

static void begin(void)
{
	unit_begin(&unit);
	memset(family, 0, sizeof(family));
	family[0].space = unit_space(&unit);
	assert_call(
		family[0].space,
		vas_mmap(family[0].space, at(0), SHARED_FIRST * UNIT_PAGE, RW, ANON_FIXED, NULL, 0),
		at(0));
	assert_call(family[0].space,
	            vas_mmap(family[0].space, at(SHARED_FIRST), (PAGES - SHARED_FIRST) * UNIT_PAGE,
	                     RW, VAS_MAP_SHARED | VAS_MAP_ANONYMOUS | VAS_MAP_FIXED, NULL, 0),
	            at(SHARED_FIRST));
}

static void end(void)
{
	assert_holds(vas_audit(unit.system));
	for (unsigned i = 0; i < FAMILY; i++) {
		if (family[i].space)
			vas_destroy(family[i].space);
	}
	unit_end(&unit);
}

static void assert_bytes(const struct member *member)
{
	for (unsigned page = 0; page < PAGES; page++) {
		uint8_t byte = 0;
		int64_t err = vas_read(member->space, &byte, at(page) + 11, 1, NULL);

		assert_int_equal(err, member->byte[page] < 0 ? -VAS_EFAULT : 0);
		if (!err)
			assert_int_equal(byte, member->byte[page]);
	}
	assert_holds(vas_check(member->space));
}

static void store(unsigned who, unsigned page, uint8_t byte)
{
	assert_call(family[who].space, vas_write(family[who].space, at(page) + 11, &byte, 1, NULL),
	            0);
	for (unsigned i = 0; i < FAMILY; i++) {
		if (i == who || (page >= SHARED_FIRST && family[i].space))
			family[i].byte[page] = byte;
	}
}

static void give_birth(unsigned who, unsigned child)
{
	assert_call(family[who].space, vas_fork(family[who].space, &family[child].space), 0);
	memcpy(family[child].byte, family[who].byte, sizeof(family[who].byte));
}

/* Moves one private page onto another; a fresh one takes its place. */
static void move(unsigned who, unsigned from, unsigned to)
{
	struct vas *space = family[who].space;

	assert_call(space,
	            vas_mremap(space, at(from), UNIT_PAGE, UNIT_PAGE,
	                       VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED, at(to)),
	            at(to));
	family[who].byte[to] = family[who].byte[from];
	family[who].byte[from] = -1;
	assert_call(space, vas_mmap(space, at(from), UNIT_PAGE, RW, ANON_FIXED, NULL, 0), at(from));
	family[who].byte[from] = 0;
}

static void random_step(struct random *random)
{
	unsigned who = (unsigned)random_below(random, FAMILY);
	unsigned other = (unsigned)random_below(random, FAMILY);
	unsigned page = (unsigned)random_below(random, PAGES);
	unsigned to = (unsigned)random_below(random, SHARED_FIRST);

	if (!family[who].space)
		who = 0;
	switch (random_below(random, 8)) {
	case 0:
		if (!family[other].space) {
			give_birth(who, other);
		} else if (other > 0) {
			vas_destroy(family[other].space);
			memset(&family[other], 0, sizeof(family[other]));
		}
		break;
	case 1:
		if (page < SHARED_FIRST && page != to)
			move(who, page, to);
		break;
	case 2:
		if (page < SHARED_FIRST) {
			assert_call(family[who].space,
			            vas_madvise(family[who].space, at(page), UNIT_PAGE,
			                        VAS_MADV_DONTNEED),
			            0);
			family[who].byte[page] = 0;
		}
		break;
	case 3:
		assert_call(family[who].space,
		            vas_mprotect(family[who].space, at(page), UNIT_PAGE, VAS_PROT_READ), 0);
		assert_call(family[who].space,
		            vas_mprotect(family[who].space, at(page), UNIT_PAGE, RW), 0);
		break;
	default:
		store(who, page, (uint8_t)random_next(random));
		break;
	}
}

static void a_family_writes_at_random(void **state)
{
	struct random random = {.state = 31};

	(void)state;
	begin();
	for (unsigned i = 0; i < 4000; i++) {
		random_step(&random);
		if (i % 8 == 0) {
			for (unsigned k = 0; k < FAMILY; k++) {
				if (family[k].space)
					assert_bytes(&family[k]);
			}
			assert_holds(vas_audit(unit.system));
		}
	}
	end();
}

static void every_order_of_writing_and_dying(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 16; order++) {
		unsigned first = order & 1, dies = order >> 1 & 1, again = order >> 2 & 1;

		begin();
		for (unsigned page = 0; page < PAGES; page++)
			store(0, page, (uint8_t)page);
		give_birth(0, 1);
		if (order & 8)
			give_birth(1, 2);
		for (unsigned page = 0; page < PAGES; page += 3)
			store(first, page, 200);
		for (unsigned page = 0; page < PAGES; page += 2)
			store(1 - first, page, 201);
		assert_bytes(&family[0]);
		assert_bytes(&family[1]);
		vas_destroy(family[dies].space);
		family[dies].space = NULL;
		assert_holds(vas_audit(unit.system));
		for (unsigned page = 0; page < PAGES; page++)
			store(1 - dies, page, again ? 202 : 203);
		assert_bytes(&family[1 - dies]);
		if (family[2].space)
			assert_bytes(&family[2]);
		end();
	}
}

/* The last one writes without copying: nobody else has the page. */
static void a_page_that_nobody_shares_is_not_copied(void **state)
{
	uint64_t before;

	(void)state;
	begin();
	store(0, 5, 1);
	give_birth(0, 1);
	vas_destroy(family[1].space);
	family[1].space = NULL;
	before = unit_free(&unit);
	store(0, 5, 2);
	assert_int_equal(unit_free(&unit), before);
	assert_bytes(&family[0]);
	end();
}

static void what_fork_leaves_out(void **state)
{
	struct vas_region region;

	(void)state;
	begin();
	for (unsigned page = 0; page < 8; page++)
		store(0, page, 9);
	assert_call(family[0].space,
	            vas_madvise(family[0].space, at(2), UNIT_PAGE, VAS_MADV_DONTFORK), 0);
	assert_call(family[0].space,
	            vas_madvise(family[0].space, at(4), UNIT_PAGE, VAS_MADV_WIPEONFORK), 0);
	assert_call(family[0].space, vas_mlock(family[0].space, at(6), UNIT_PAGE), 0);
	assert_call(family[0].space, vas_mseal(family[0].space, at(7), UNIT_PAGE, 0), 0);
	give_birth(0, 1);
	family[1].byte[2] = -1;
	family[1].byte[4] = 0;
	assert_bytes(&family[0]);
	assert_bytes(&family[1]);
	assert_true(vas_next_region(family[1].space, at(6), &region));
	assert_int_equal(region.flags & VAS_VM_LOCKED, 0);
	assert_true(region.touched && region.forked);
	assert_true(vas_next_region(family[1].space, at(7), &region));
	assert_int_not_equal(region.flags & VAS_VM_SEALED, 0);
	assert_true(vas_next_region(family[0].space, at(7), &region));
	assert_true(region.touched && !region.forked);
	end();
}

static void guards_are_inherited(void **state)
{
	(void)state;
	begin();
	for (unsigned page = 0; page < 8; page++)
		store(0, page, 9);
	assert_call(family[0].space,
	            vas_madvise(family[0].space, at(3), UNIT_PAGE, VAS_MADV_GUARD_INSTALL), 0);
	family[0].byte[3] = -1;
	give_birth(0, 1);
	assert_bytes(&family[0]);
	assert_bytes(&family[1]);
	end();
}

/* Much memory, many tables: both sides write everywhere. */
static void a_gib_is_forked_and_written(void **state)
{
	const uint64_t npages = (uint64_t)1 << 18, step = 97;
	struct vas *parent, *child;
	uint64_t word, before;

	(void)state;
	unit_prepare(&unit);
	unit_begin_with(&unit, (uint64_t)3 << 30);
	parent = unit_space(&unit);
	assert_call(parent, vas_mmap(parent, at(0), npages * UNIT_PAGE, RW, ANON_FIXED, NULL, 0),
	            at(0));
	for (word = 0; word < npages; word += step)
		assert_int_equal(vas_write(parent, at(word), &word, 8, NULL), 0);
	before = unit_free(&unit);
	assert_call(parent, vas_fork(parent, &child), 0);
	assert_true(before - unit_free(&unit) < 24);
	for (uint64_t i = 0; i < npages; i += 2 * step) {
		word = ~i;
		assert_int_equal(vas_write(i % 4 ? parent : child, at(i), &word, 8, NULL), 0);
	}
	for (uint64_t i = 0; i < npages; i += step) {
		bool written = i % (2 * step) == 0;

		assert_int_equal(vas_read(parent, &word, at(i), 8, NULL), 0);
		assert_int_equal(word, written && i % 4 ? ~i : i);
		assert_int_equal(vas_read(child, &word, at(i), 8, NULL), 0);
		assert_int_equal(word, written && !(i % 4) ? ~i : i);
	}
	assert_holds(vas_check(parent));
	assert_holds(vas_check(child));
	assert_holds(vas_audit(unit.system));
	vas_destroy(parent);
	unit_close(&unit, child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_order_of_writing_and_dying),
		cmocka_unit_test(a_page_that_nobody_shares_is_not_copied),
		cmocka_unit_test(what_fork_leaves_out),
		cmocka_unit_test(guards_are_inherited),
		cmocka_unit_test(a_family_writes_at_random),
		cmocka_unit_test(a_gib_is_forked_and_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
