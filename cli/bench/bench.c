/* bench.c - `vas bench`: vas and the running kernel side by side.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "bench/bench.h"
#include "cli.h"

#define ROUNDS 15

enum { JSON, ONLY, LIST, THREADS, WORST, ROUNDS_OF };

static const struct command_option options_known[] = {
	[JSON] =
		{"json", .value = "FILE", .file = true, .apart = "list threads worst",
	         .help = "write the figures there, too (-: to standard output, without the table)"},
	[ONLY] = {"only", .value = "ROW", .many = true, .apart = "list threads worst",
	          .help = "only this row; may be given several times"},
	[LIST] = {"list", .apart = "threads worst rounds",
	          .help = "name the rows and what they compare"},
	[THREADS] =
		{"threads", .value = "N", .apart = "worst rounds",
	         .help = "instead of the rows: what N threads take in one space, and one alone"},
	[WORST] = {"worst", .value = "CALL", .apart = "rounds",
	           .help = "instead of the rows: the worst that a guest can make of a call "
	                   "(vas_mmap, ...; or all of them: all), as docs/worst-cases.md has it; "
	                   "list: names them"},
	[ROUNDS_OF] = {"rounds", .value = "N",
	               .help = "rounds for each side (default: 15), fewer where they are long"},
	{0},
};

struct choice {
	struct bench_options options;
	const char *json;
	const char *only[64];
	size_t nonly;
	unsigned threads;  /* 0: the rows */
	const char *worst; /* NULL: the rows */
	bool list;
};

static const struct row *row_find(const char *name)
{
	for (size_t i = 0; i < bench_nrows; i++)
		if (strcmp(bench_rows[i].name, name) == 0)
			return &bench_rows[i];
	return NULL;
}

static bool wanted(const struct choice *choice, const struct row *row)
{
	for (size_t i = 0; i < choice->nonly; i++)
		if (row_find(choice->only[i]) == row)
			return true;
	return choice->nonly == 0;
}

static void list(void)
{
	for (size_t i = 0; i < bench_nrows; i++)
		printf("%-26s %s\n", bench_rows[i].name, bench_rows[i].what);
}

static bool take_number(unsigned option, const char *text, unsigned most, unsigned *number)
{
	uint64_t value;
	if (!command_number(options_known[option].name, text, 1, most, &value))
		return false;
	*number = (unsigned)value;
	return true;
}

static bool take_row(struct choice *choice, const char *name)
{
	if (!row_find(name))
		command_error("--only: there is no row '%s'; --list names them", name);
	else if (choice->nonly == sizeof(choice->only) / sizeof(choice->only[0]))
		command_error("--only is given more than %zu times", choice->nonly);
	else {
		choice->only[choice->nonly++] = name;
		return true;
	}
	return false;
}

static bool take_option(void *into, unsigned option, const char *value)
{
	struct choice *choice = into;
	switch (option) {
	case JSON:
		choice->json = value;
		return true;
	case ONLY:
		return take_row(choice, value);
	case LIST:
		choice->list = true;
		return true;
	case THREADS:
		return take_number(option, value, LANES_MAX, &choice->threads);
	case WORST:
		choice->worst = value;
		return true;
	default:
		return take_number(option, value, ROUNDS_MAX, &choice->options.rounds);
	}
}

/* All points of a row. */
static size_t run_row(const struct choice *choice, const struct row *row, FILE *table,
                      struct result *results)
{
	size_t n = 0;
	do {
		struct result *result = &results[n];
		bench_measure(row, row->points[n], &choice->options, result);
		if (table)
			bench_print(table, row, result, n == 0);
		n++;
	} while (n < POINTS_MAX && row->points[n]);
	return n;
}

static void head(FILE *table, const struct choice *choice)
{
	struct utsname name;
	(void)uname(&name);
	fprintf(table,
	        "A library call on its own tables against a system call of Linux %s; no page's "
	        "bytes\n"
	        "are touched but where a row says so. CPU %d, medians of up to %u rounds; ! misses "
	        "its "
	        "goal.\n\n",
	        name.release, choice->options.cpu, choice->options.rounds);
	bench_print_head(table);
}

static int run(const struct choice *choice, FILE *table, FILE *json)
{
	struct result results[POINTS_MAX];
	int status = EXIT_SAME;
	const struct row *last = NULL;
	for (size_t i = 0; i < bench_nrows; i++)
		if (wanted(choice, &bench_rows[i]))
			last = &bench_rows[i];
	if (table)
		head(table, choice);
	if (json)
		fprintf(json, "[\n");
	for (const struct row *row = bench_rows; row <= last; row++) {
		if (!wanted(choice, row))
			continue;
		size_t n = run_row(choice, row, table, results);
		if (!results[0].vas.there)
			status = EXIT_DIFFERENT;
		if (json)
			bench_json(json, row, results, n, row == last);
	}
	if (json)
		fprintf(json, "]\n");
	return status;
}

static int bench(int argc, char **argv)
{
	struct choice choice = {.options = {.rounds = ROUNDS}};
	FILE *json = NULL;
	int first;
	int status = command_parse(&command_bench, argc, argv, take_option, &choice, &first);
	if (status != COMMAND_GO_ON)
		return status;
	if (choice.list) {
		list();
		return EXIT_SAME;
	}
	if (choice.worst)
		return bench_worst(stdout, choice.worst);
	if (choice.threads)
		return bench_threads(stdout, choice.threads) ? EXIT_SAME : EXIT_DIFFERENT;
	choice.options.cpu = sched_getcpu();
	if (choice.json && strcmp(choice.json, "-") == 0)
		return run(&choice, NULL, stdout);
	if (choice.json && !(json = fopen(choice.json, "we"))) {
		perror(choice.json);
		return EXIT_USAGE;
	}
	status = run(&choice, stdout, json);
	if (json && fclose(json) != 0) {
		perror(choice.json);
		status = EXIT_DIFFERENT;
	}
	return status;
}

const struct command command_bench = {
	.name = "bench",
	.what = "times vas and the running kernel side by side",
	.synopsis = "",
	.text = "Times each call on vas and on the running kernel, in turn, on one CPU: medians of "
		"several rounds, half the distance between their quartiles, and how many times as "
		"long the kernel takes. docs/speed.md says what is compared with what.\n"
		"Root's vm.max_map_count is raised for the rows with many vmas, and put back. "
		"About "
		"2 GiB of memory are used.",
	.status = "0 all was measured\n1 a row could not be measured on vas\n2 wrong usage",
	.options = options_known,
	.run = bench,
};
