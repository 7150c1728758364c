/* Much touched memory forked, forked again, and written at random on all sides: the bytes are right
 * at the end, and every frame accounted for. VAS_STRESS_MIB=1024 makes it a gibibyte.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#define SIDES 3u
#define REGION ((uint64_t)4 << 30) /* touched only as far as it is used */

struct side {
	struct vas *space;
	uint8_t *model; /* what its bytes should be */
};

struct stress {
	struct unit unit;
	uint64_t len;
	struct side side[SIDES];
	unsigned nsides;
	struct random random;
};

static uint64_t wanted_len(void)
{
	const char *text = getenv("VAS_STRESS_MIB");
	unsigned long mib = text ? strtoul(text, NULL, 10) : 64;

	return (uint64_t)(mib < 1 ? 1 : mib > 1024 ? 1024 : mib) << 20;
}

static uint8_t *model_make(uint64_t len)
{
	void *model = mmap(NULL, len, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(model != MAP_FAILED);
	return model;
}

static void touch_all(struct stress *stress)
{
	struct side *first = &stress->side[0];

	first->space = unit_space(&stress->unit);
	first->model = model_make(stress->len);
	stress->nsides = 1;
	assert_int_equal(vas_mmap(first->space, at(0), stress->len, RW, ANON_FIXED, NULL, 0),
	                 at(0));
	for (uint64_t i = 0; i < stress->len; i += sizeof(uint64_t)) {
		uint64_t word = random_next(&stress->random);

		memcpy(first->model + i, &word, sizeof(word));
	}
	assert_int_equal(vas_write(first->space, at(0), first->model, stress->len, NULL), 0);
}

static void fork_side(struct stress *stress, unsigned from)
{
	struct side *parent = &stress->side[from], *child = &stress->side[stress->nsides++];

	assert_int_equal(vas_fork(parent->space, &child->space), 0);
	child->model = model_make(stress->len);
	memcpy(child->model, parent->model, stress->len);
}

/* Mostly a few bytes; sometimes several pages. */
static void write_somewhere(struct stress *stress)
{
	static uint8_t bytes[3 * 4096];
	struct random *random = &stress->random;
	struct side *side = &stress->side[random_below(random, stress->nsides)];
	uint64_t len = random_below(random, 16) ? 1 + random_below(random, 32)
	                                        : 1 + random_below(random, sizeof(bytes));
	uint64_t offset = random_below(random, stress->len - len);

	memset(bytes, (int)random_next(random), len);
	assert_int_equal(vas_write(side->space, at(0) + offset, bytes, len, NULL), 0);
	memcpy(side->model + offset, bytes, len);
}

static void write_much(struct stress *stress)
{
	uint64_t npages = stress->len / UNIT_PAGE;

	for (unsigned part = 0; part < 4; part++) {
		for (uint64_t i = 0; i < npages / 4; i++)
			write_somewhere(stress);
		for (unsigned i = 0; i < stress->nsides; i++)
			assert_holds(vas_check(stress->side[i].space));
		assert_holds(vas_audit(stress->unit.system));
	}
}

static void assert_bytes(const struct stress *stress, const struct side *side)
{
	static uint8_t bytes[64 * 4096];

	for (uint64_t done = 0; done < stress->len; done += sizeof(bytes)) {
		assert_int_equal(vas_read(side->space, bytes, at(0) + done, sizeof(bytes), NULL),
		                 0);
		if (memcmp(bytes, side->model + done, sizeof(bytes)) != 0)
			fail_msg("wrong bytes in the 256 KiB at offset %#llx",
			         (unsigned long long)done);
	}
}

static void both_sides_written_at_random(void **state)
{
	struct stress stress = {.len = wanted_len(), .random = {.state = 314159}};

	(void)state;
	unit_prepare(&stress.unit);
	unit_begin_with(&stress.unit, REGION);
	touch_all(&stress);
	fork_side(&stress, 0);
	write_much(&stress);
	fork_side(&stress, 1);
	write_much(&stress);
	for (unsigned i = 0; i < stress.nsides; i++)
		assert_bytes(&stress, &stress.side[i]);
	/* The first goes; what it shared is the others' still. */
	for (unsigned i = 0; i < stress.nsides; i++) {
		vas_destroy(stress.side[i].space);
		assert_holds(vas_audit(stress.unit.system));
		for (unsigned k = i + 1; k < stress.nsides; k++)
			assert_bytes(&stress, &stress.side[k]);
		munmap(stress.side[i].model, stress.len);
	}
	unit_end(&stress.unit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_written_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
