/* A space as Linux shows it, byte for byte; limits and counters.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

static struct unit unit;

struct text {
	char bytes[4096];
	size_t len;
};

static void take(void *ctx, const char *bytes, size_t len)
{
	struct text *text = ctx;

	assert_true(text->len + len < sizeof(text->bytes));
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
	text->bytes[text->len] = '\0';
}

static void assert_maps(struct vas *space, const char *expected)
{
	struct text text = {.len = 0};

	vas_maps(space, take, &text);
	assert_string_equal(text.bytes, expected);
}

static int64_t map(struct vas *space, uint64_t addr, uint64_t npages, uint64_t prot, uint64_t flags)
{
	return vas_mmap(space, addr, npages * UNIT_PAGE, prot, flags | VAS_MAP_FIXED, NULL, 0);
}

static void lines_of_every_kind(void **state)
{
	const struct vas_file_info info = {
		.mode = VAS_FILE_READ | VAS_FILE_WRITE,
		.major = 8,
		.minor = 17,
		.inode = 1234567,
		.path = "/usr/lib/x86_64-linux-gnu/libc.so.6",
	};
	struct vas_object *object;
	struct vas_file *file;
	struct vas *space;

	(void)state;
	unit_begin(&unit);
	unit.params.start_brk = 0x555555559000;
	unit.params.start_stack = 0x7fffffffe000;
	space = unit_space(&unit);
	assert_int_equal(vas_object_create(unit.system, NULL, NULL, 1 << 20, &object), 0);
	assert_int_equal(vas_file_open(object, &info, &file), 0);
	assert_call(space, map(space, 0x10000, 1, VAS_PROT_NONE, ANON), 0x10000);
	assert_call(space, map(space, at(0), 1, RW, VAS_MAP_SHARED | VAS_MAP_ANONYMOUS), at(0));
	assert_call(space, vas_brk(space, 0x55555555a123), 0x55555555a123);
	assert_call(space,
	            vas_mmap(space, 0x7ffff7d00000, 0x26000, VAS_PROT_READ | VAS_PROT_EXEC,
	                     VAS_MAP_PRIVATE | VAS_MAP_FIXED, file, 0x3000),
	            0x7ffff7d00000);
	assert_call(space, map(space, 0x7fffffff0000, 15, RW, ANON | VAS_MAP_GROWSDOWN),
	            0x7fffffff0000);
	assert_maps(
		space,
		"00010000-00011000 ---p 00000000 00:00 0 \n"
		"10000000-10001000 rw-s 00000000 00:01 1                                  "
		"/dev/zero (deleted)\n"
		"555555559000-55555555b000 rw-p 00000000 00:00 0                          [heap]\n"
		"7ffff7d00000-7ffff7d26000 r-xp 00003000 08:11 1234567                    "
		"/usr/lib/x86_64-linux-gnu/libc.so.6\n"
		"7fffffff0000-7ffffffff000 rw-p 00000000 00:00 0                          "
		"[stack]\n");
	vas_file_put(file);
	vas_object_put(object);
	unit_close(&unit, space);
}

static void wide_addresses_push_the_columns(void **state)
{
	struct vas *space;

	(void)state;
	unit_prepare(&unit);
	unit.config.format = &vas_format_x86_64_la57;
	unit.params.start_stack = 0xfffffffffff000 - 4096;
	unit_begin_with(&unit, (uint64_t)8 << 20);
	space = unit_space(&unit);
	assert_call(space, map(space, 0xffffffffffe000, 1, RW, ANON), 0xffffffffffe000);
	assert_maps(space,
	            "ffffffffffe000-fffffffffff000 rw-p 00000000 00:00 0                      "
	            "[stack]\n");
	unit_close(&unit, space);
}

static void letters_of_flags(void **state)
{
	struct vas_region region = {.flags = 0};
	char text[VAS_VMFLAGS_MAX];

	(void)state;
	assert_int_equal(vas_vmflags(&region, text), 0);
	assert_string_equal(text, "");
	region.flags = VAS_VM_READ | VAS_VM_WRITE | VAS_VM_MAYREAD | VAS_VM_MAYWRITE |
	               VAS_VM_MAYEXEC | VAS_VM_ACCOUNT;
	assert_int_equal(vas_vmflags(&region, text), 18);
	assert_string_equal(text, "rd wr mr mw me ac ");
	region.flags = ~(uint64_t)0;
	assert_true(vas_vmflags(&region, text) < VAS_VMFLAGS_MAX);
	assert_int_equal(strlen(text), vas_vmflags(&region, text));
}

static void the_walk_leads_from_the_root_to_the_byte(void **state)
{
	struct vas_walk_step step[VAS_LEVELS_MAX];
	struct vas *space;
	uint64_t word = 0x1122334455667788;

	(void)state;
	unit_hardware_only();
	unit_prepare(&unit);
	unit.config.port.phys = 0x40000000;
	unit_begin_with(&unit, (uint64_t)8 << 20);
	space = unit_space(&unit);
	assert_int_equal(vas_walk(space, at(0), step), 1);
	assert_false(step[0].present);
	assert_call(space, map(space, at(0), 1, RW, ANON), at(0));
	assert_call(space, vas_write(space, at(0) + 8, &word, 8, NULL), 0);
	assert_int_equal(vas_walk(space, at(0) + 8, step), 4);
	assert_int_equal(step[0].table, vas_root(space));
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *memory = unit.config.port.memory;
		uint64_t seen;

		assert_int_equal(step[i].level, 3 - i);
		assert_true(step[i].present);
		assert_int_equal(step[i].leaf, i == 3);
		memcpy(&seen, memory + (step[i].table - 0x40000000) + 8u * step[i].index, 8);
		assert_int_equal(seen, step[i].word);
		if (i < 3)
			assert_int_equal(step[i].phys, step[i + 1].table);
		else
			assert_memory_equal(memory + (step[i].phys - 0x40000000) + 8, &word, 8);
	}
	assert_int_equal(step[3].rights, RW);
	assert_int_equal(vas_walk(space, ~(uint64_t)0, step), 0);
	unit_close(&unit, space);
}

/* ---- Limits and counters --------------------------------------------------------------------- */

static void counters_follow(void **state)
{
	struct vas_status status;
	struct vas *space;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	map(space, at(0), 4, RW, ANON);
	map(space, at(10), 8, VAS_PROT_READ | VAS_PROT_EXEC, ANON);
	map(space, at(2000), 16, RW, ANON | VAS_MAP_GROWSDOWN);
	map(space, at(30), 32, RW, VAS_MAP_SHARED | VAS_MAP_ANONYMOUS);
	assert_call(space, vas_mlock(space, at(1), 2 * UNIT_PAGE), 0);
	vas_get_status(space, &status);
	assert_int_equal(status.size, 60);
	assert_int_equal(status.data, 4);
	assert_int_equal(status.exec, 8);
	assert_int_equal(status.stack, 16);
	assert_int_equal(status.locked, 2);
	assert_int_equal(status.map_count, 6);
	assert_int_equal(vas_system_committed(unit.system), 4 + 16 + 32);
	assert_call(space, vas_mprotect(space, at(10), 4 * UNIT_PAGE, RW), 0);
	assert_call(space, vas_munmap(space, at(2), 50 * UNIT_PAGE), 0);
	map(space, at(90), 3, RW, ANON | VAS_MAP_LOCKED);
	vas_get_status(space, &status);
	assert_int_equal(status.locked, 4);
	assert_call(space, vas_munmap(space, at(90), 3 * UNIT_PAGE), 0);
	vas_get_status(space, &status);
	assert_int_equal(status.size, 2 + 16 + 10);
	assert_int_equal(status.data, 2);
	assert_int_equal(status.locked, 1);
	unit_close(&unit, space);
}

static void limits_refuse_at_the_page(void **state)
{
	struct vas *space;

	(void)state;
	unit_begin(&unit);
	unit.params.start_brk = at(500);
	space = unit_space(&unit);
	vas_set_limit(space, VAS_RLIMIT_AS, (struct vas_limit){10 * UNIT_PAGE + 4095, 0});
	assert_call(space, map(space, at(0), 11, RW, ANON), -VAS_ENOMEM);
	assert_call(space, map(space, at(0), 10, RW, ANON), at(0));
	assert_call(space, map(space, at(0), 10, VAS_PROT_READ, ANON), at(0)); /* replaces */
	assert_call(space, map(space, at(9), 2, RW, ANON), -VAS_ENOMEM);
	vas_set_limit(space, VAS_RLIMIT_AS, (struct vas_limit){VAS_RLIM_INFINITY, 0});

	vas_set_limit(space, VAS_RLIMIT_DATA, (struct vas_limit){4 * UNIT_PAGE, 0});
	assert_call(space, map(space, at(100), 5, RW, ANON), -VAS_ENOMEM);
	assert_call(space, map(space, at(100), 4, RW, ANON), at(100));
	assert_call(space, vas_mprotect(space, at(0), UNIT_PAGE, RW), -VAS_ENOMEM);
	assert_call(space, map(space, at(200), 5, RW, VAS_MAP_SHARED | VAS_MAP_ANONYMOUS), at(200));
	assert_call(space, vas_brk(space, at(501)), at(500));
	vas_system_settings(unit.system)->ignore_rlimit_data = true;
	assert_call(space, map(space, at(104), 1, RW, ANON), at(104));

	vas_set_capabilities(space, 0);
	vas_set_limit(space, VAS_RLIMIT_MEMLOCK, (struct vas_limit){2 * UNIT_PAGE, 0});
	assert_call(space, vas_mlock(space, at(100), 3 * UNIT_PAGE), -VAS_ENOMEM);
	assert_call(space, vas_mlock(space, at(100), 2 * UNIT_PAGE), 0);
	assert_call(space, vas_mlock(space, at(100), 2 * UNIT_PAGE), 0); /* not twice */
	assert_call(space, vas_mlock(space, at(102), 1), -VAS_ENOMEM);
	assert_call(space, map(space, at(300), 1, RW, ANON | VAS_MAP_LOCKED), -VAS_EAGAIN);
	vas_set_limit(space, VAS_RLIMIT_MEMLOCK, (struct vas_limit){0, 0});
	assert_call(space, vas_mlock(space, at(102), 1), -VAS_EPERM);
	assert_call(space, vas_munlock(space, at(100), 1), 0);
	unit_close(&unit, space);
}

/* To the byte, and with a page's distance from what is above. */
static void the_break_goes_where_there_is_room(void **state)
{
	struct vas *space;

	(void)state;
	unit_begin(&unit);
	unit.params.start_brk = at(500) + 123;
	space = unit_space(&unit);
	map(space, at(504), 1, RW, ANON);
	assert_call(space, vas_brk(space, 0), at(500) + 123);
	assert_call(space, vas_brk(space, at(503)), at(503));
	assert_call(space, vas_brk(space, at(503) + 1), at(503));
	assert_call(space, vas_brk(space, at(501) + 1), at(501) + 1);
	assert_call(space, vas_brk(space, at(500)), at(501) + 1);
	assert_call(space, vas_brk(space, ~(uint64_t)0), at(501) + 1);
	map(space, at(503), 1, RW, ANON | VAS_MAP_GROWSDOWN);
	assert_call(space, vas_brk(space, at(502) + 1), at(501) + 1); /* a stack wants more */
	assert_call(space, vas_munmap(space, at(500), 3 * UNIT_PAGE), 0);
	assert_call(space, vas_brk(space, at(501)), at(501) + 1); /* nothing there to lower */
	unit_close(&unit, space);
}

static void the_number_of_vmas_is_limited(void **state)
{
	struct vas_status status;
	struct vas *space;
	int64_t err = 0;

	(void)state;
	unit_prepare(&unit);
	unit.config.settings.max_map_count = 20;
	unit_begin_with(&unit, (uint64_t)8 << 20);
	space = unit_space(&unit);
	for (unsigned i = 0; err >= 0 && i < 100; i++)
		err = map(space, at(3 * i), 2, RW, ANON);
	vas_get_status(space, &status);
	assert_int_equal(err, -VAS_ENOMEM);
	assert_int_equal(status.map_count, 21); /* may reach the limit and one more */
	assert_call(space, vas_mprotect(space, at(0), UNIT_PAGE, VAS_PROT_READ), -VAS_ENOMEM);
	assert_call(space, vas_munmap(space, at(0), UNIT_PAGE), 0);
	unit_close(&unit, space);
}

static void overcommit(void **state)
{
	const uint64_t noreserve = ANON | VAS_MAP_NORESERVE;
	struct vas_settings *settings;
	struct vas *space;

	(void)state;
	unit_prepare(&unit);
	unit.config.settings.ram_pages = 1000;
	unit.config.settings.admin_reserve_kbytes = 0;
	unit.config.settings.user_reserve_kbytes = 0;
	unit_begin_with(&unit, (uint64_t)8 << 20);
	settings = vas_system_settings(unit.system);
	space = unit_space(&unit);
	/* Heuristic: only the absurd is refused. */
	assert_call(space, map(space, at(0), 1001, RW, ANON), -VAS_ENOMEM);
	assert_call(space, map(space, at(0), 1000, RW, ANON), at(0));
	assert_call(space, map(space, at(1000), 1000, RW, ANON), at(1000));
	assert_call(space, map(space, at(2000), 5000, RW, noreserve), at(2000));
	assert_int_equal(vas_system_committed(unit.system), 2000);
	/* Always. */
	settings->overcommit_memory = 1;
	assert_call(space, map(space, at(8000), 5000, RW, ANON), at(8000));
	assert_call(space, vas_munmap(space, at(0), 20000 * UNIT_PAGE), 0);
	/* Never: half of the RAM, and NORESERVE counts. */
	settings->overcommit_memory = 2;
	assert_call(space, map(space, at(0), 500, RW, noreserve), -VAS_ENOMEM);
	assert_call(space, map(space, at(0), 499, RW, noreserve), at(0));
	assert_call(space, map(space, at(600), 1, RW, ANON), -VAS_ENOMEM);
	assert_call(space, map(space, at(0), 499, VAS_PROT_READ, ANON), at(0));
	assert_call(space, map(space, at(600), 499, RW, ANON), at(600));
	assert_call(space, vas_mprotect(space, at(0), UNIT_PAGE, RW), -VAS_ENOMEM);
	unit_close(&unit, space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_every_kind),
		cmocka_unit_test(wide_addresses_push_the_columns),
		cmocka_unit_test(letters_of_flags),
		cmocka_unit_test(the_walk_leads_from_the_root_to_the_byte),
		cmocka_unit_test(counters_follow),
		cmocka_unit_test(limits_refuse_at_the_page),
		cmocka_unit_test(the_break_goes_where_there_is_room),
		cmocka_unit_test(the_number_of_vmas_is_limited),
		cmocka_unit_test(overcommit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
