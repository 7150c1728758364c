/* Small objects out of frames.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "memory/slab.h"
#include "space/space.h"

#define OBJECTS 600

struct held {
	uint8_t *object;
	size_t size;
	uint8_t fill;
};

static bool filled(const uint8_t *object, size_t size, uint8_t fill)
{
	for (size_t i = 0; i < size; i++) {
		if (object[i] != fill)
			return false;
	}
	return true;
}

static void objects_are_zeroed_aligned_and_apart(void **state)
{
	static struct held held[OBJECTS];
	struct random random = {.state = 99};
	struct slab_cache *cache;
	unsigned nheld = 0;
	struct unit unit;

	(void)state;
	unit_begin(&unit);
	cache = &unit.system->slab;
	for (unsigned step = 0; step < 20000; step++) {
		struct held *h = &held[nheld];

		if (nheld < OBJECTS && random_below(&random, 16) < (step / 4000 % 2 ? 6 : 10)) {
			h->size = 1 + random_below(&random, SLAB_MAX);
			h->fill = (uint8_t)random_next(&random);
			h->object = slab_alloc(cache, h->size);
			assert_non_null(h->object);
			assert_int_equal((uintptr_t)h->object % 16, 0);
			assert_true(filled(h->object, h->size, 0));
			memset(h->object, h->fill, h->size);
			nheld++;
		} else if (nheld > 0) {
			h = &held[random_below(&random, nheld)];
			assert_true(filled(h->object, h->size, h->fill));
			slab_free(cache->frames, h->object);
			*h = held[--nheld];
		}
	}
	while (nheld-- > 0) {
		assert_true(filled(held[nheld].object, held[nheld].size, held[nheld].fill));
		slab_free(cache->frames, held[nheld].object);
	}
	assert_int_equal(cache->nslabs, 0);
	unit_end(&unit);
}

static void objects_of_one_size_share_a_frame(void **state)
{
	struct unit unit;
	void *object[3];

	(void)state;
	unit_begin(&unit);
	for (unsigned i = 0; i < 3; i++)
		object[i] = slab_alloc(&unit.system->slab, 500);
	assert_int_equal(unit.system->slab.nslabs, 1);
	assert_int_equal(unit_free(&unit), unit.free_before - 1);
	for (unsigned i = 0; i < 3; i++)
		slab_free(&unit.system->frames, object[i]);
	unit_end(&unit);
}

static void the_largest_object_fits(void **state)
{
	struct unit unit;
	uint8_t *a, *b;

	(void)state;
	unit_begin(&unit);
	a = slab_alloc(&unit.system->slab, SLAB_MAX);
	b = slab_alloc(&unit.system->slab, SLAB_MAX);
	memset(a, 1, SLAB_MAX);
	memset(b, 2, SLAB_MAX);
	assert_true(filled(a, SLAB_MAX, 1));
	assert_int_equal(unit.system->slab.nslabs, 1);
	slab_free(&unit.system->frames, a);
	slab_free(&unit.system->frames, b);
	unit_end(&unit);
}

static void failing_is_null_and_no_loss(void **state)
{
	struct unit unit;
	void *object, *next;

	(void)state;
	unit_begin(&unit);
	vas_system_fail_after(unit.system, 0);
	assert_null(slab_alloc(&unit.system->slab, 64));
	vas_system_fail_after(unit.system, 1);
	object = slab_alloc(&unit.system->slab, 64);
	assert_non_null(object);
	assert_null(slab_alloc(&unit.system->slab, 64)); /* also where a slab has room */
	vas_system_fail_after(unit.system, -1);
	next = slab_alloc(&unit.system->slab, 64);
	slab_free(&unit.system->frames, object);
	slab_free(&unit.system->frames, next);
	unit_end(&unit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_zeroed_aligned_and_apart),
		cmocka_unit_test(objects_of_one_size_share_a_frame),
		cmocka_unit_test(the_largest_object_fits),
		cmocka_unit_test(failing_is_null_and_no_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
