/* Names for answers, suffixes, words, what was probably meant, and logs that were pasted.
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

#include "strace/hints.h"
#include "strace/visible.h"
#include "strace/words.h"

static struct variables variables;

static void set(const char *name, int64_t value)
{
	struct call call = {.name = CALL_MMAP};
	struct answer answer = {.kind = ANSWER_VALUE, .value = value};

	snprintf(call.result, sizeof(call.result), "%s", name);
	variable_assign(&variables, &call, &answer);
}

static int start(void **state)
{
	(void)state;
	variables = (struct variables){.count = 0};
	set("p", 0x10000000);
	set("long_name2", 0x7ffff7ffd000);
	set("failed", -VAS_ENOMEM);
	return 0;
}

static const struct {
	const char *line, *printed;
} lines[] = {
	{"load(p)", "load(0x10000000)"},
	{"load(p+4096) = 0x55", "load(0x10001000) = 0x55"},
	{"q = load( p + 4k )", "q = load(0x10001000)"},
	{"[2] q=fork() = 3", "[2] q = fork() = 3"},
	{"mremap(p, 2M, 1G, MREMAP_MAYMOVE) = long_name2 - 1T",
	 "mremap(0x10000000, 2097152, 1073741824, MREMAP_MAYMOVE) = 0x7efff7ffd000"},
	{"store(p-p+8*1k, 0) = SIGSEGV (SEGV_MAPERR, si_addr=p)",
	 "store(0x2000, 0x00) = SIGSEGV (SEGV_MAPERR, si_addr=0x10000000)"},
	{"walk = mmap(p, 4K, PROT_NONE, MAP_PRIVATE, -1, 0)",
	 "walk = mmap(0x10000000, 4096, PROT_NONE, MAP_PRIVATE, -1, 0)"},
};

static void names_stand_for_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct parse_error error;
		struct answer answer;
		struct call call;
		char text[256];

		if (!call_parse_with(lines[i].line, &variables, &call, &answer, &error))
			fail_msg("%s: column %u: %s", lines[i].line, error.column, error.message);
		call_print(text, sizeof(text), &call, &answer);
		assert_string_equal(text, lines[i].printed);
		answer_free(&answer);
	}
}

static const struct {
	const char *line;
	unsigned column;
	const char *message;
} mistakes[] = {
	{"load(pp)", 6, "unknown name 'pp', expected a number; did you mean 'p'?"},
	{"load(long_nmae2)", 6, "did you mean 'long_name2'?"},
	{"load(failed)", 6, "'failed' has no value: its call has failed"},
	{"load(0 - p)", 11, "the difference is negative"},
	{"load = fork()", 1, "that is the name of a call"},
	{"PROT_READ = fork()", 1, "begins with a small letter"},
	{"NULL = fork()", 1, "begins with a small letter"},
	{"pROT = fork()", 1, "capitals are constants"},
	{"_p = fork()", 1, "begins with a small letter"},
	{"a23456789012345678901234567890123 = fork()", 1, "the name is too long"},
	{"p = 4096", 5, "expected a call"},
	{"p = q = fork()", 5, "'q' is a word"},
	{"mprotect(p, 4k, p)", 17, "unknown name 'p' among PROT_???"},
};

static void mistakes_with_names_are_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		struct parse_error error;
		struct answer answer;
		struct call call;

		if (call_parse_with(mistakes[i].line, &variables, &call, &answer, &error))
			fail_msg("accepted: %s", mistakes[i].line);
		if (error.column != mistakes[i].column ||
		    !strstr(error.message, mistakes[i].message))
			fail_msg("%s: column %u: %s", mistakes[i].line, error.column,
			         error.message);
	}
}

/* Before a script runs, its names have no value: every sum may be right. */
static void reading_knows_no_values(void **state)
{
	const char *const good[] = {"load(0 - failed)", "load(1<<failed)", "store(p, failed+999)"};
	struct parse_error error;
	struct answer answer;
	struct call call;

	(void)state;
	variables.reading = true;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(call_parse_with(good[i], &variables, &call, &answer, &error));
		assert_true(call.refers);
	}
	assert_false(call_parse_with("load(never)", &variables, &call, &answer, &error));
}

static void names_are_bounded(void **state)
{
	char name[VARIABLE_NAME_MAX];
	unsigned count = 0;

	(void)state;
	variables = (struct variables){.count = 0};
	do
		snprintf(name, sizeof(name), "n%u", count);
	while (variable_declare(&variables, name) && ++count < 100000);
	assert_int_equal(count, VARIABLES_MAX);
	assert_true(variable_declare(&variables, "n0")); /* not anew */
}

static void words_stand_alone(void **state)
{
	struct word_line word;
	struct parse_error error;

	(void)state;
	assert_null(word_of_line("maps() = {}"));
	assert_null(word_of_line("maps ()"));
	assert_null(word_of_line("exit()"));
	assert_null(word_of_line("q = fork()"));
	assert_null(word_of_line("mapss"));
	assert_null(word_of_line(""));
	assert_int_equal(word_of_line("  maps # all")->name, WORD_MAPS);
	assert_int_equal(word_of_line("?")->name, WORD_HELP);
	assert_int_equal(word_of_line("q")->name, WORD_QUIT);
	assert_int_equal(word_of_line("exit")->name, WORD_QUIT);
	assert_true(word_parse("[2] walk p+4k", &variables, &word, &error));
	assert_int_equal(word.process, 2);
	assert_int_equal(word.addr, 0x10001000);
	assert_true(word.refers);
	assert_false(word_parse("maps p", &variables, &word, &error));
	assert_int_equal(error.column, 6);
	assert_false(word_parse("walk", &variables, &word, &error));
	assert_false(word_parse("walk p p", &variables, &word, &error));
	assert_int_equal(error.column, 8);
}

static void logs_are_recognised(void **state)
{
	const char *const logs[] = {
		"execve(\"/bin/true\", [\"true\"], 0x7ffc1 /* 20 vars */) = 0",
		"12:01:59 brk(NULL) = 0x5581e2c2d000",
		"4711  12:01:59.123456 brk(NULL) = 0x5581e2c2d000",
		"1698765432.123456 brk(NULL) = 0x5581e2c2d000",
		"     0.000123 brk(NULL) = 0x5581e2c2d000",
		"+++ exited with 0 +++",
		"[pid  4711] +++ exited with 0 +++",
		"--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED} ---",
		"[pid  4711] mmap(NULL, 8192, PROT_NONE <unfinished ...>",
		"<... mmap resumed>) = 0x7f0000000000",
		"newfstatat(3, \"\", {st_size=1}, AT_EMPTY_PATH) = 0",
		"read(3, \"\\177ELF\", 832) = 832",
		"munmap(0x7f0000000000, 4096) = 0 <0.000012>",
	};
	const char *const others[] = {
		"unmap(0x10000000, 4096) = 0",
		"mmpa(0)",
		"mremap(1, 2, 3, MAYMOVE) = 0",
		"hello",
		"walk 0x1000 0",
		"load(0x1000) = 0x100",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++)
		if (!hint_is_log(logs[i]))
			fail_msg("not recognised: %s", logs[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (hint_is_log(others[i]))
			fail_msg("taken for a log: %s", others[i]);
	assert_non_null(strstr(hint_log, "vas check --record"));
	assert_true(strlen(hint_log) < sizeof(((struct parse_error *)0)->message));
}

static void control_bytes_are_visible(void **state)
{
	char text[16];

	(void)state;
	assert_int_equal(visible_text(text, sizeof(text), "a\033[2J\xff", 6), 12);
	assert_string_equal(text, "a\\033[2J\\377");
	assert_int_equal(visible_text(text, 7, "abc\033", 4), 3); /* not half of it */
	assert_string_equal(text, "abc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(names_stand_for_numbers, start),
		cmocka_unit_test_setup(mistakes_with_names_are_told, start),
		cmocka_unit_test_setup(reading_knows_no_values, start),
		cmocka_unit_test_setup(names_are_bounded, start),
		cmocka_unit_test_setup(words_stand_alone, start),
		cmocka_unit_test_setup(logs_are_recognised, start),
		cmocka_unit_test_setup(control_bytes_are_visible, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
