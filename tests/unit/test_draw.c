/* The picture of an address space.
 *
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "show/draw.h"

static _Alignas(4096) unsigned char memory[1 << 20];

static struct vas *new_space(void)
{
	struct vas_config config = {.port = {.memory = memory, .memory_len = sizeof(memory)}};
	struct vas_system *system;
	struct vas *space;

	vas_settings_default(&config.settings, 1 << 20);
	assert_int_equal(vas_system_create(&config, &system), 0);
	assert_int_equal(vas_create(system, NULL, &space), 0);
	return space;
}

static void map(struct vas *space, uint64_t addr, uint64_t len, uint64_t prot)
{
	assert_int_equal(vas_mmap(space, addr, len, prot,
	                          VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS | VAS_MAP_FIXED, NULL, 0),
	                 addr);
}

static void assert_drawn(struct vas *space, const char *expected)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	draw_maps(out, space);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
	vas_destroy(space);
}

#define LEGEND \
	"              x code  # writable  = read-only  . no access; a column is a doubling\n"

static void an_empty_space_is_one_gap(void **state)
{
	(void)state;
	assert_drawn(new_space(), "             :                    : 127.9 TiB  free\n" LEGEND);
}

static void neighbours_share_a_frame_and_gaps_have_a_size(void **state)
{
	struct vas *space = new_space();

	(void)state;
	map(space, 0x10000000, 0x1000, VAS_PROT_READ | VAS_PROT_EXEC);
	map(space, 0x10001000, 0x2000, VAS_PROT_READ);
	map(space, 0x10005000, 0x100000, VAS_PROT_READ | VAS_PROT_WRITE);
	assert_drawn(space, "             :                    : 127.9 TiB  free\n"
	                    "    10105000 +--------------------+\n"
	                    "    10005000 |#########           |     1 MiB  rw-p\n"
	                    "             +--------------------+\n"
	                    "             :                    :     8 KiB  free\n"
	                    "    10003000 +--------------------+\n"
	                    "    10001000 |==                  |     8 KiB  r--p\n"
	                    "    10000000 |x                   |     4 KiB  r-xp\n"
	                    "             +--------------------+\n"
	                    "             :                    :   256 MiB  free\n" LEGEND);
}

static void vmas_of_one_file_are_one_line(void **state)
{
	struct vas *space = new_space();
	struct vas_region region = {.start = 0x10000000, .end = 0x10001000};

	(void)state;
	region.flags = VAS_VM_READ | VAS_VM_MAYREAD;
	region.name = "/lib/libexample.so.1";
	assert_int_equal(vas_import(space, &region), 0);
	region.start = region.end;
	region.end += 0x3000;
	region.flags |= VAS_VM_EXEC | VAS_VM_MAYEXEC;
	assert_int_equal(vas_import(space, &region), 0);
	assert_drawn(space, "             :                    : 127.9 TiB  free\n"
	                    "    10004000 +--------------------+\n"
	                    "    10000000 |=xx                 |    16 KiB  2 vmas  "
	                    "/lib/libexample.so.1\n"
	                    "             +--------------------+\n"
	                    "             :                    :   256 MiB  free\n" LEGEND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_space_is_one_gap),
		cmocka_unit_test(neighbours_share_a_frame_and_gaps_have_a_size),
		cmocka_unit_test(vmas_of_one_file_are_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
