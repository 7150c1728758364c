/* run_process.c - the books of processes that are served: begun when a program is executed, copied
 * when it forks, put right where the host has done something by itself.
 *
 * SPDX-License-Identifier: MIT */
#if defined(__linux__) && defined(__x86_64__)
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "check/log/log_maps.h"
#include "run/run.h"

/* Untouched it costs nothing. */
#define BOOKS_LEN ((uint64_t)64 << 20)
#define STACK_MOST ((uint64_t)16 << 30)
#define STACK_GAP ((uint64_t)1 << 20)

/* ---- /proc ----------------------------------------------------------------------------------- */

static bool read_maps(pid_t tid, char **text, struct map_lines *lines)
{
	size_t size = 0;
	char path[64];
	FILE *file;
	bool good;

	*text = NULL;
	*lines = (struct map_lines){0};
	snprintf(path, sizeof(path), "/proc/%d/maps", tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	good = getdelim(text, &size, '\0', file) > 0 && map_lines_parse(lines, *text);
	fclose(file);
	return good;
}

/* Where the program's heap begins, and an address in its stack. */
static bool read_stat(pid_t tid, uint64_t *start_brk, uint64_t *start_stack)
{
	char path[64], line[2048], *at = NULL;
	FILE *file;
	bool good;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	good = fgets(line, sizeof(line), file) && (at = strrchr(line, ')'));
	fclose(file);
	*start_brk = *start_stack = 0;
	/* The fields after the name: 3 is the first. */
	for (unsigned field = 3; good && field <= 47; field++) {
		at = strchr(at + 1, ' ');
		good = at != NULL;
		if (good && field == 28)
			*start_stack = strtoull(at, NULL, 10);
		if (good && field == 47)
			*start_brk = strtoull(at, NULL, 10);
	}
	return good;
}

/* ---- Beginning ------------------------------------------------------------------------------- */

static uint64_t rights_of(const struct map_line *line)
{
	const char *p = line->perms;

	return (p[0] == 'r' ? VAS_VM_READ : 0) | (p[1] == 'w' ? VAS_VM_WRITE : 0) |
	       (p[2] == 'x' ? VAS_VM_EXEC : 0) |
	       (p[3] == 's' ? VAS_VM_SHARED | VAS_VM_MAYSHARE : 0);
}

/* What exec has mapped: its ranges and rights. Whose pages they are is the host's affair. */
static bool import(const struct map_lines *lines)
{
	for (size_t i = 0; i < lines->n; i++) {
		const struct map_line *line = &lines->line[i];
		if (!process_note(line->start, line->end, rights_of(line)))
			return false;
	}
	return true;
}

/* Addresses are chosen downwards from the highest mapping below the stack, or where that would be:
 * a stack may grow as far as its limit. */
static void find_places(struct run_process *process, const struct map_lines *lines,
                        uint64_t in_stack, struct vas_params *params)
{
	struct rlimit limit;
	uint64_t below = 0, room = STACK_MOST;

	if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < room)
		room = limit.rlim_cur;
	for (size_t i = 0; i < lines->n; i++) {
		if (lines->line[i].end <= in_stack) {
			below = lines->line[i].end;
			continue;
		}
		if (lines->line[i].start <= in_stack) {
			process->stack_at = lines->line[i].start;
			process->stack_low = lines->line[i].end - room;
		}
		break;
	}
	if (process->stack_low < below)
		process->stack_low = below;
	/* A static program has nothing up there. */
	params->mmap_base = below;
	if (in_stack - below > STACK_MOST + STACK_GAP)
		params->mmap_base = (process->stack_low - STACK_GAP) & ~(uint64_t)0xfff;
}

static bool begin(struct run_process *process, const struct run_options *options, pid_t tid,
                  struct run_counts *counts)
{
	struct process_setup setup = {
		.version = options->version,
		.portable = options->portable,
		.complete = true,
		.memory = process->family->memory,
		.memory_len = BOOKS_LEN,
		.stats = &counts->calls,
	};
	struct map_lines lines;
	uint64_t in_stack;
	char *text;
	bool good;

	vas_params_default(&setup.params);
	good = read_maps(tid, &text, &lines) && read_stat(tid, &setup.params.start_brk, &in_stack);
	if (good) {
		find_places(process, &lines, in_stack, &setup.params);
		the_process = &process->books;
		good = process_begin(&setup) == 0 && import(&lines);
	}
	map_lines_free(&lines);
	free(text);
	return good;
}

static void family_put(struct run_family *family)
{
	if (--family->users)
		return;
	munmap(family->memory, BOOKS_LEN);
	free(family);
}

static struct run_family *family_create(void)
{
	struct run_family *family = calloc(1, sizeof(*family));

	if (!family)
		return NULL;
	family->users = 1;
	family->memory = mmap(NULL, BOOKS_LEN, PROT_READ | PROT_WRITE,
	                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (family->memory == MAP_FAILED) {
		free(family);
		return NULL;
	}
	return family;
}

struct run_process *run_process_begin(const struct run_options *options, pid_t tid,
                                      struct run_counts *counts)
{
	struct run_process *process = calloc(1, sizeof(*process));

	if (process && (process->family = family_create())) {
		process->users = 1;
		process->books = (struct process){
			.fd = -1, .fail_after = -1, .files = &process->family->files};
		if (begin(process, options, tid, counts)) {
			counts->processes++;
			return process;
		}
		family_put(process->family);
	}
	free(process);
	counts->unserved++;
	fprintf(stderr, "vas run: process %d is not served: no memory, or it cannot be read\n",
	        tid);
	return NULL;
}

struct run_process *run_process_fork(struct run_process *parent, struct run_counts *counts)
{
	struct run_process *child = malloc(sizeof(*child));

	the_process = &parent->books;
	if (child) {
		*child = *parent;
		if (vas_fork(parent->books.space, &child->books.space) == 0) {
			child->users = 1;
			child->family->users++;
			counts->processes++;
			return child;
		}
	}
	free(child);
	counts->unserved++;
	fputs("vas run: a forked process is not served: no memory for its books\n", stderr);
	return NULL;
}

void run_process_put(struct run_process *process)
{
	if (!process || --process->users)
		return;
	the_process = &process->books;
	vas_destroy(process->books.space);
	family_put(process->family);
	free(process);
}

/* ---- Looking --------------------------------------------------------------------------------- */

/* The books have nothing in [start, end) that the host has not. */
static bool forget(struct run_process *process, uint64_t start, uint64_t end)
{
	struct vas_region region;

	if (start >= end || !vas_next_region(process->books.space, start, &region) ||
	    region.start >= end)
		return true;
	return process_forget(start, end);
}

/* The books have all of [start, end). */
static bool learn(struct run_process *process, uint64_t start, uint64_t end, uint64_t flags)
{
	struct vas_region region;

	while (start < end) {
		bool known = vas_next_region(process->books.space, start, &region);
		uint64_t next = known && region.start < end ? region.start : end;

		if (next > start && !process_note(start, next, flags))
			return false;
		start = known && region.end > next ? region.end : next;
	}
	return true;
}

bool run_process_look(struct run_process *process, pid_t tid)
{
	struct map_lines lines;
	char *text;
	bool good = read_maps(tid, &text, &lines);
	uint64_t end = 0;

	the_process = &process->books;
	for (size_t i = 0; good && i < lines.n; i++) {
		const struct map_line *line = &lines.line[i];

		good = forget(process, end, line->start) &&
		       learn(process, line->start, line->end, rights_of(line));
		end = line->end;
		if (line->start < process->stack_at && line->end >= process->stack_at)
			process->stack_at = line->start;
	}
	if (good)
		good = forget(process, end, UINT64_MAX >> 17 << 12);
	map_lines_free(&lines);
	free(text);
	return good;
}
#endif
