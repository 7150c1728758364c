/* The part of the root that belongs to the embedder: copied at create and fork, never looked at.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#define WORDS 512
static _Alignas(4096) unsigned char memory[8 << 20];
static uint64_t words[WORDS];
static char text[65536];
static size_t text_len;

/* Words that would be tables or leaves anywhere in memory, or outside it. */
static void fill(uint64_t seed)
{
	for (unsigned i = 0; i < WORDS; i++)
		words[i] = seed * (i + 1) | 0xe7;
}

static struct vas_system *make(const struct vas_format *format, bool software)
{
	struct vas_config config = {.format = format,
	                            .software = software,
	                            .port = {.memory = memory, .memory_len = sizeof(memory)},
	                            .root_words = words};
	struct vas_system *system;

	vas_settings_default(&config.settings, sizeof(memory) / 4096);
	assert_int_equal(vas_system_create(&config, &system), 0);
	return system;
}

static unsigned user_entries(const struct vas *space, unsigned levels)
{
	return (unsigned)((vas_task_size(space) - 1) >> (12 + 9 * (levels - 1))) + 1;
}

static void assert_upper(const struct vas *space, unsigned levels, bool above)
{
	const uint64_t *root = (const uint64_t *)(const void *)(memory + vas_root(space));

	for (unsigned i = user_entries(space, levels); i < WORDS; i++)
		assert_true((root[i] == words[i]) == above);
}

static void sink(void *ctx, const char *bytes, size_t len)
{
	(void)ctx;
	(void)bytes;
	text_len += len;
}

static void use(struct vas *space)
{
	const uint64_t rw = VAS_PROT_READ | VAS_PROT_WRITE;
	int64_t addr = vas_mmap(space, 0, 4 << 20, rw, VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS, NULL,
	                        0);

	assert_true(addr > 0);
	for (uint64_t at = 0; at < 4 << 20; at += 64 << 10)
		assert_int_equal(vas_write(space, (uint64_t)addr + at, &at, sizeof(at), NULL), 0);
	addr = vas_mremap(space, (uint64_t)addr, 4 << 20, 4 << 20,
	                  VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED, 0x100000000);
	assert_int_equal(addr, 0x100000000);
}

static void look(struct vas *space, struct vas_system *system)
{
	struct vas_walk_step step[VAS_LEVELS_MAX];

	text_len = 0;
	vas_status_text(space, sink, text);
	vas_smaps(space, sink, text);
	assert_true(text_len > 0);
	assert_int_equal(vas_walk(space, ~(uint64_t)0 - 4095, step), 0);
	assert_null(vas_check(space));
	assert_null(vas_audit(system));
}

static void check_format(const struct vas_format *format, unsigned levels)
{
	uint64_t total, free_before, free_after;
	struct vas *space, *child;

	fill(0x123456789);
	struct vas_system *system = make(format, false);
	vas_system_frames(system, &total, &free_before);
	assert_int_equal(vas_create(system, NULL, &space), 0);
	assert_upper(space, levels, true);
	use(space);
	look(space, system);
	assert_int_equal(vas_fork(space, &child), 0);
	assert_upper(child, levels, true);
	look(child, system);

	fill(0x987654321);
	assert_upper(space, levels, user_entries(space, levels) == WORDS);
	vas_root_update(system);
	assert_upper(space, levels, true);
	assert_upper(child, levels, true);
	look(child, system);

	vas_destroy(space);
	look(child, system);
	vas_destroy(child);
	assert_null(vas_audit(system));
	vas_system_frames(system, &total, &free_after);
	assert_true(free_after + 2 >= free_before); /* the slab keeps its own */
}

static void test_every_format(void **state)
{
	(void)state;
	check_format(&vas_format_x86_64, 4);
	check_format(&vas_format_x86_64_la57, 5);
	check_format(&vas_format_riscv_sv39, 3);
	check_format(&vas_format_riscv_sv48, 4);
	check_format(&vas_format_riscv_sv57, 5);
	check_format(&vas_format_aarch64_4k, 4);
}

static void test_software_trees_have_no_root(void **state)
{
	struct vas_system *system = make(&vas_format_x86_64, true);
	struct vas *space;

	(void)state;
	assert_int_equal(vas_create(system, NULL, &space), 0);
	use(space);
	vas_root_update(system);
	look(space, system);
	vas_destroy(space);
}

static void test_context(void **state)
{
	struct vas_system *system = make(&vas_format_x86_64, false);
	struct vas *space, *child;

	(void)state;
	assert_int_equal(vas_create(system, NULL, &space), 0);
	assert_null(vas_context(space));
	vas_set_context(space, text);
	assert_ptr_equal(vas_context(space), text);
	assert_int_equal(vas_fork(space, &child), 0);
	assert_null(vas_context(child));
	vas_destroy(child);
	vas_destroy(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_format),
		cmocka_unit_test(test_software_trees_have_no_root),
		cmocka_unit_test(test_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
