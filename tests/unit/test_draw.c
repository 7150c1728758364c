/* The picture of an address space.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
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

static const struct draw_style plain = {.columns = 80};

static void assert_drawn(struct vas *space, const char *expected)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	draw_space(out, &plain, space);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
	vas_destroy(space);
}

#define LEGEND                                                         \
	"              x code  # writable  = read-only  . no access\n" \
	"              a column is a doubling\n"

static void an_empty_space_is_one_gap(void **state)
{
	(void)state;
	assert_drawn(new_space(), LEGEND "             :                    : 127.9 TiB  free\n");
}

static void neighbours_share_a_frame_and_gaps_have_a_size(void **state)
{
	struct vas *space = new_space();

	(void)state;
	map(space, 0x10000000, 0x1000, VAS_PROT_READ | VAS_PROT_EXEC);
	map(space, 0x10001000, 0x2000, VAS_PROT_READ);
	map(space, 0x10005000, 0x100000, VAS_PROT_READ | VAS_PROT_WRITE);
	assert_drawn(space, LEGEND "             :                    : 127.9 TiB  free\n"
	                           "    10105000 +--------------------+\n"
	                           "    10005000 |#########           |     1 MiB  rw-p\n"
	                           "             +--------------------+\n"
	                           "             :                    :     8 KiB  free\n"
	                           "    10003000 +--------------------+\n"
	                           "    10001000 |==                  |     8 KiB  r--p\n"
	                           "    10000000 |x                   |     4 KiB  r-xp\n"
	                           "             +--------------------+\n"
	                           "             :                    :   256 MiB  free\n");
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
	assert_drawn(space, LEGEND "             :                    : 127.9 TiB  free\n"
	                           "    10004000 +--------------------+\n"
	                           "    10000000 |=xx                 |    16 KiB  2 vmas  "
	                           "/lib/libexample.so.1\n"
	                           "             +--------------------+\n"
	                           "             :                    :   256 MiB  free\n");
}

#define LINE_OF(start, end, perms, name) #start "-" #end " " perms " 00000000 00:00 0    " name "\n"

/* Not inlined: gcc 12 would take what it returns for the variable that it was in. */
static __attribute__((noinline)) char *change_of(const struct draw_style *style, const char *before,
                                                 const char *after, struct draw_move move)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	draw_change(out, style, before, after, &move, (uint64_t)1 << 47);
	fclose(out);
	return text;
}

static void a_move_is_shown_from_and_to(void **state)
{
	char *text = change_of(&plain,
	                       LINE_OF(10000000, 10002000, "rw-p", "")
	                               LINE_OF(20000000, 20001000, "r--p", "/bin/a"),
	                       LINE_OF(20000000, 20001000, "r--p", "/bin/a")
	                               LINE_OF(40000000, 40004000, "rw-p", ""),
	                       (struct draw_move){0x10000000, 0x2000, 0x40000000});

	(void)state;
	assert_string_equal(text,
	                    "                x code  # writable  = read-only  . no access\n"
	                    "                a column is a doubling\n"
	                    "                - before the call  + after it  -> <- moved\n"
	                    "               :                    : 127.9 TiB  free\n"
	                    "      40004000 +--------------------+\n"
	                    "+     40000000 |###                 |    16 KiB  rw-p"
	                    "  <- 10000000\n"
	                    "               +--------------------+\n"
	                    "               :                    : 511.9 MiB  free\n"
	                    "      20001000 +--------------------+\n"
	                    "      20000000 |=                   |     4 KiB  r--p    /bin/a\n"
	                    "               +--------------------+\n"
	                    "               :                    : 255.9 MiB  free\n"
	                    "      10002000 +--------------------+\n"
	                    "-     10000000 |##                  |     8 KiB  rw-p"
	                    "  -> 40000000\n"
	                    "               +--------------------+\n"
	                    "               :                    :   256 MiB  free\n");
	free(text);
}

/* Both moments of one place stand in one frame, which ends where the longer ends. */
static void growth_in_place_is_two_lines_of_one_frame(void **state)
{
	char *text = change_of(&plain, LINE_OF(10000000, 10002000, "rw-p", ""),
	                       LINE_OF(10000000, 10004000, "rw-p", ""), (struct draw_move){0});
	const char *frame = strstr(text, "      10004000 +");

	(void)state;
	assert_non_null(frame);
	assert_non_null(strstr(frame, "+     10000000 |###"));
	assert_non_null(strstr(frame, "-     10000000 |##"));
	assert_null(strstr(text, "10002000 +"));
	free(text);
}

/* Names in the last column of lines with "rw-p". */
static size_t names_of(char *text, char *names[16])
{
	size_t count = 0;

	for (char *line = strtok_r(text, "\n", &text); line; line = strtok_r(NULL, "\n", &text)) {
		char *rights = strstr(line, "rw-p");

		if (rights && count < 16)
			names[count++] = rights + 4 + strspn(rights + 4, " ");
	}
	return count;
}

/* The pattern with `c` for its '*'. */
static void name_of(char *name, size_t size, const char *pattern, char c)
{
	snprintf(name, size, "%s", pattern);
	*strchr(name, '*') = c;
}

static void libraries_keep_their_names(void **state)
{
	static const char *const kinds[] = {
		"/usr/lib/x86_64-linux-gnu/libvery_long_name_of_*_plugin_interface.so.1.74.0",
		"/opt/*/lib/a-library-in-a-place-of-its-own-among-many.so.1.74.0",
		"/usr/lib/lib*-with-quite-a-tail-of-letters.so.1.74.0",
		"/usr/lib/libwith-quite-a-head-of-letters-*",
	};

	(void)state;
	for (unsigned columns = 60; columns <= 200; columns += 20) {
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
			struct draw_style style = {.columns = columns};
			char maps[4096], name[128], *names[16], *text;
			size_t len = 0, count;

			for (char c = 'a'; c < 'k'; c++) {
				name_of(name, sizeof(name), kinds[k], c);
				len += (size_t)snprintf(maps + len, sizeof(maps) - len,
				                        "%x000-%x100 rw-p 0 00:00 0    %s\n",
				                        (unsigned)c, (unsigned)c, name);
			}
			text = change_of(&style, maps, maps, (struct draw_move){0});
			count = names_of(text, names);
			assert_int_equal(count, 10);
			for (size_t i = 0; i < count; i++) {
				assert_true(strlen(names[i]) <= columns);
				for (size_t j = 0; j < i; j++)
					assert_string_not_equal(names[i], names[j]);
			}
			free(text);
		}
	}
}

static void lines_are_as_wide_as_the_terminal(void **state)
{
	const char *maps = LINE_OF(
		10000000, 7f0000000000, "rw-p",
		"/usr/lib/x86_64-linux-gnu/a-name-that-is-certainly-much-longer-"
		"than-any-terminal-of-two-hundred-columns-could-ever-be-at-all-"
		"and-then-some-more-of-it-because-it-must-not-fit-in-there.so.1");

	(void)state;
	for (unsigned columns = 60; columns <= 200; columns += 7) {
		struct draw_style style = {.columns = columns};
		char *text = change_of(&style, maps, maps, (struct draw_move){0});
		size_t widest = 0;

		for (const char *at = text; *at; at += strcspn(at, "\n") + 1)
			widest = strcspn(at, "\n") > widest ? strcspn(at, "\n") : widest;
		assert_true(widest <= columns && widest + 2 >= columns);
		free(text);
	}
}

static void colours_are_by_rights_and_end(void **state)
{
	const struct draw_style style = {.columns = 80, .colours = true};
	char *text = change_of(&style, "", LINE_OF(10000000, 10002000, "r-xp", "\033[2Jx"),
	                       (struct draw_move){0});

	(void)state;
	assert_non_null(strstr(text, "|\033[32mxx\033[m "));
	assert_non_null(strstr(text, "\033[1;32m+\033[m "));
	assert_non_null(strstr(text, "\\033[2Jx")); /* a name is no command to the terminal */
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_space_is_one_gap),
		cmocka_unit_test(neighbours_share_a_frame_and_gaps_have_a_size),
		cmocka_unit_test(vmas_of_one_file_are_one_line),
		cmocka_unit_test(a_move_is_shown_from_and_to),
		cmocka_unit_test(growth_in_place_is_two_lines_of_one_frame),
		cmocka_unit_test(libraries_keep_their_names),
		cmocka_unit_test(lines_are_as_wide_as_the_terminal),
		cmocka_unit_test(colours_are_by_rights_and_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
