/* relocate.c - a script written for x86-64 with pages of 4 KiB, made one for another machine.
 *
 * What counts in a script are pages, and distances to the end of the user's addresses and to the
 * base from which the kernel chooses, 128 MiB below. So addresses, lengths, offsets and limits are
 * multiplied by the ratio of the page sizes, and what lies near the end or below the base is as
 * many pages from the other machine's.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "target/relocate.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "strace/strace_shape.h"

#define PAGE ((uint64_t)4096)
#define END (((uint64_t)1 << 47) - PAGE)
#define GAP ((uint64_t)128 << 20)
#define NEAR ((uint64_t)1 << 36) /* more than any gap below the end */

struct move {
	uint64_t scale, end, base;
};

/* Numbers beyond what is the user's are negative ones, or mean no memory. */
static uint64_t moved(const struct move *move, uint64_t number)
{
	if (number > END - GAP / 2 && number < END + NEAR)
		return move->end - (END - number) * move->scale;
	if (number > END - NEAR && number < END)
		return move->base - (END - GAP - number) * move->scale;
	if (number > ~(uint64_t)0 >> 1)
		return number == VAS_RLIM_INFINITY ? number : 0 - (0 - number) * move->scale;
	return number > END ? number : number * move->scale;
}

static void move_arguments(const struct move *move, struct call *call)
{
	const struct call_shape *shape = shape_of(call->name);
	unsigned slot = 0;
	for (const struct arg_shape *arg = shape->arg; arg->kind != ARG_END; arg++) {
		bool moves = arg->kind == ARG_ADDR || arg->kind == ARG_LEN ||
		             arg->kind == ARG_OFFSET || arg->kind == ARG_VECTOR;
		if (arg->kind == ARG_TEXT || arg->kind == ARG_SKIP)
			continue;
		if (moves || arg->kind == ARG_LIMITS)
			call->arg[slot] = moved(move, call->arg[slot]);
		slot++;
		if (arg->kind == ARG_LIMITS) {
			call->arg[slot] = moved(move, call->arg[slot]);
			slot++;
		}
	}
}

/* Of sysctls, those that are bytes. */
static void move_sysctl(const struct move *move, struct call *call)
{
	size_t len = strlen(call->text);
	bool kilobytes = len > 7 && strcmp(call->text + len - 7, "_kbytes") == 0;
	if (kilobytes || strcmp(call->text, "vm.mmap_min_addr") == 0)
		call->arg[0] *= move->scale;
}

/* "start-end rwxp offset ..." */
static char *moved_maps(const struct move *move, const char *maps)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	for (const char *at = maps; *at; at += strspn(at, "\n")) {
		uint64_t start, end, offset;
		char rights[8];
		int rest = 0, len = (int)strcspn(at, "\n");
		if (sscanf(at, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 "%n", &start, &end, rights,
		           &offset, &rest) == 4)
			fprintf(out, "%08" PRIx64 "-%08" PRIx64 " %s %08" PRIx64 "%.*s\n",
			        moved(move, start), moved(move, end), rights, moved(move, offset),
			        len - rest, at + rest);
		at += len;
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static bool move_answer(const struct move *move, enum call_name name, struct answer *answer)
{
	if (name == CALL_STATUS && answer->value > 0)
		answer->value *= (int64_t)move->scale;
	else if (shape_of(name)->answer == SHAPE_HEX && answer->kind == ANSWER_VALUE &&
	         answer->value >= 0)
		answer->value = (int64_t)moved(move, (uint64_t)answer->value);
	answer->signal.addr = moved(move, answer->signal.addr);
	if (name != CALL_MAPS || answer->kind != ANSWER_TEXT)
		return true;
	char *maps = moved_maps(move, answer->text);
	free(answer->text);
	answer->text = maps;
	return maps != NULL;
}

bool script_relocate(struct script *script, const struct machine *machine)
{
	const struct move move = {machine->format->page_size / PAGE, machine->task_size,
	                          machine->window - GAP};
	for (unsigned i = 0; i < script->sysctls; i++)
		move_sysctl(&move, &script->needs_sysctl[i]);
	for (size_t i = 0; i < script->count; i++) {
		struct script_line *line = &script->lines[i];
		if (line->call.name == CALL_SYSCTL)
			move_sysctl(&move, &line->call);
		else if (line->call.name != CALL_PRCTL)
			move_arguments(&move, &line->call);
		if (!move_answer(&move, line->call.name, &line->expected))
			return false;
	}
	return true;
}
