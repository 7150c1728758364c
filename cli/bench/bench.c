/* bench.c - `vas bench`: vas and the running kernel side by side.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "bench/bench.h"
#include "cli.h"

#define ROUNDS 15

static const char usage[] =
	"usage: vas bench [OPTION]...\n\n"
	"Times each call on vas and on the running kernel, in turn, on one CPU: medians of "
	"several\n"
	"rounds, half the distance between their quartiles, and how many times as long the kernel\n"
	"takes. docs/speed.md says what is compared with what.\n\n"
	"  --json FILE   write the figures there, too (-: to standard output, without the table)\n"
	"  --only ROW    only this row; may be given several times\n"
	"  --list        name the rows and what they compare\n"
	"  --threads N   instead of the rows: what N threads take in one space, and one alone\n"
	"  --worst CALL  instead of the rows: the worst that a guest can make of a call "
	"(vas_mmap,\n"
	"                ...; or all of them: all), as docs/worst-cases.md has it; list: names "
	"them\n"
	"  --rounds N    rounds for each side (default 15), fewer where they are long\n\n"
	"Root's vm.max_map_count is raised for the rows with many vmas, and put back. About 2 GiB "
	"of\n"
	"memory are used. Exit status: 0, 1 a row could not be measured on vas, 2 usage.\n";

struct choice {
	struct bench_options options;
	const char *json;
	const char *only[64];
	size_t nonly;
	unsigned threads;  /* 0: the rows */
	const char *worst; /* NULL: the rows */
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

static bool parse_number(const char *option, const char *text, unsigned most, unsigned *number)
{
	char *end;
	long value = strtol(text, &end, 10);
	if (end == text || *end || value < 1 || value > (long)most) {
		fprintf(stderr, "vas: %s takes a number from 1 to %u, not '%s'\n", option, most,
		        text);
		return false;
	}
	*number = (unsigned)value;
	return true;
}

/* < 0: go on; else the exit status. */
static int parse(int argc, char **argv, struct choice *choice)
{
	static const struct option options[] = {
		{"json", required_argument, NULL, 'j'},    {"only", required_argument, NULL, 'o'},
		{"list", no_argument, NULL, 'l'},          {"rounds", required_argument, NULL, 'r'},
		{"threads", required_argument, NULL, 't'}, {"worst", required_argument, NULL, 'w'},
		{"help", no_argument, NULL, 'h'},          {0}};
	int c;
	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'j') {
			choice->json = optarg;
		} else if (c == 'o') {
			if (!row_find(optarg)) {
				fprintf(stderr, "vas: there is no row '%s'; --list names them\n",
				        optarg);
				return EXIT_USAGE;
			}
			if (choice->nonly < sizeof(choice->only) / sizeof(choice->only[0]))
				choice->only[choice->nonly++] = optarg;
		} else if (c == 'r') {
			if (!parse_number("--rounds", optarg, ROUNDS_MAX, &choice->options.rounds))
				return EXIT_USAGE;
		} else if (c == 't') {
			if (!parse_number("--threads", optarg, LANES_MAX, &choice->threads))
				return EXIT_USAGE;
		} else if (c == 'w') {
			choice->worst = optarg;
		} else if (c == 'l' || c == 'h') {
			if (c == 'l')
				list();
			else
				fputs(usage, stdout);
			return EXIT_SAME;
		} else {
			return EXIT_USAGE;
		}
	}
	if (optind < argc)
		fputs(usage, stderr);
	return optind < argc ? EXIT_USAGE : -1;
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

int cmd_bench(int argc, char **argv)
{
	struct choice choice = {.options = {.rounds = ROUNDS}};
	int status = parse(argc, argv, &choice);
	FILE *json = NULL;
	if (status >= 0)
		return status;
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
