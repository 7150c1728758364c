/* snapshot.c - taking a process down, and what differs between two moments.
 *
 * A snapshot is made of copies: nothing in it leads into a space, which goes on or ends.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "show/snapshot.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "strace/visible.h"

#define WORDS_MAX ((size_t)1 << 20)
#define RUN_SHOWN 4u /* words in a row that changed alike, of which the rest is counted */

/* ---- Words ----------------------------------------------------------------------------------- */

struct collector {
	struct snapshot *snapshot;
	size_t room;
	uint64_t seen[VAS_LEVELS_MAX]; /* where each level's last word lies */
};

static bool add_word(struct collector *collector, const struct table_word *word)
{
	struct snapshot *snapshot = collector->snapshot;
	if (snapshot->nwords == WORDS_MAX) {
		snapshot->cut = true;
		return true;
	}
	if (snapshot->nwords == collector->room) {
		size_t room = collector->room ? 2 * collector->room : 256;
		void *more = realloc(snapshot->words, room * sizeof(*snapshot->words));
		if (!more)
			return false;
		snapshot->words = more;
		collector->room = room;
	}
	snapshot->words[snapshot->nwords++] = *word;
	return true;
}

/* The words on the way down to `addr` that are not known yet. */
static bool add_way(struct collector *collector, uint64_t page, uint64_t addr,
                    const struct vas_walk_step *step, unsigned count, unsigned bits)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t span = page << (bits * step[i].level);
		uint64_t place = step[i].table + step[i].index * sizeof(uint64_t);
		struct table_word word = {addr & ~(span - 1), step[i].word, step[i].level};
		if (step[i].word == 0 || collector->seen[step[i].level] == place)
			continue;
		collector->seen[step[i].level] = place;
		if (!add_word(collector, &word))
			return false;
	}
	return true;
}

/* From one word to the next: what is absent at a level is passed over as a whole. */
static bool take_words(struct snapshot *snapshot, struct vas *space)
{
	const uint64_t page = vas_page_size(space), end = vas_task_size(space);
	struct collector collector = {.snapshot = snapshot};
	struct vas_walk_step step[VAS_LEVELS_MAX];
	unsigned bits = 0;
	memset(collector.seen, 0xff, sizeof(collector.seen)); /* no word lies there */
	while (page >> bits > sizeof(uint64_t))
		bits++; /* a table is a page of words */
	snapshot->has_words = vas_root(space) != 0;
	for (uint64_t addr = 0; snapshot->has_words && addr < end && !snapshot->cut;) {
		unsigned count = vas_walk(space, addr, step);
		if (count == 0)
			break;
		if (!add_way(&collector, page, addr, step, count, bits))
			return false;
		uint64_t span = page << (bits * step[count - 1].level);
		addr = (addr & ~(span - 1)) + span;
	}
	return true;
}

/* ---- Vmas ------------------------------------------------------------------------------------ */

static bool take_regions(struct snapshot *snapshot, struct vas *space)
{
	struct vas_region region;
	size_t count = 0;
	vas_get_status(space, &snapshot->status);
	snapshot->regions = calloc(snapshot->status.map_count + 1, sizeof(region));
	snapshot->modes = calloc(snapshot->status.map_count + 1, sizeof(*snapshot->modes));
	if (!snapshot->regions || !snapshot->modes)
		return false;
	for (uint64_t addr = 0;
	     count < snapshot->status.map_count && vas_next_region(space, addr, &region);
	     addr = region.end) {
		struct vas_region *kept = &snapshot->regions[count];
		*kept = region;
		if (region.file)
			snapshot->modes[count] = vas_file_info(region.file)->mode | SNAPSHOT_FILE;
		kept->file = NULL;
		kept->name = NULL;
		count++;
	}
	snapshot->nregions = count;
	for (unsigned i = 0; i < VAS_NRLIMITS; i++)
		snapshot->limit[i] = vas_get_limit(space, (enum vas_rlimit)i);
	return true;
}

bool snapshot_take(struct snapshot *snapshot, const struct pair *pair, unsigned process)
{
	struct target *target = pair->vas ? pair->vas : pair->kernel;
	struct vas *space = pair->vas ? target_vas_process(pair->vas, process) : NULL;
	*snapshot = (struct snapshot){0};
	if (pair->vas ? !space : target_kernel_process(pair->kernel, process) <= 0)
		return false;
	snapshot->maps = target->ops->maps(target, process);
	if (snapshot->maps &&
	    (!space || (take_words(snapshot, space) && take_regions(snapshot, space))))
		return true;
	snapshot_free(snapshot);
	return false;
}

void snapshot_free(struct snapshot *snapshot)
{
	free(snapshot->maps);
	free(snapshot->words);
	free(snapshot->regions);
	free(snapshot->modes);
	*snapshot = (struct snapshot){0};
}

/* ---- What differs ---------------------------------------------------------------------------- */

static size_t line_length(const char *at)
{
	return strcspn(at, "\n");
}

static const char *line_after(const char *at)
{
	at += line_length(at);
	return *at ? at + 1 : at;
}

static bool same_line(const char *a, const char *b)
{
	size_t len = line_length(a);
	return *a && *b && len == line_length(b) && memcmp(a, b, len) == 0;
}

/* Both are in the order of addresses, so the lower line is the one that the other has not. */
static size_t diff_lines(FILE *out, const char *a, const char *b)
{
	size_t changes = 0;
	while (*a || *b) {
		bool first = !*b || (*a && strtoull(a, NULL, 16) <= strtoull(b, NULL, 16));
		if (same_line(a, b)) {
			a = line_after(a);
			b = line_after(b);
			continue;
		}
		fprintf(out, "  %c ", first ? '-' : '+');
		visible_put(out, first ? a : b, line_length(first ? a : b));
		(void)fputc('\n', out);
		if (first)
			a = line_after(a);
		else
			b = line_after(b);
		changes++;
	}
	return changes;
}

/* Level by level from the top, as a walk meets them. */
static int compare_places(const struct table_word *a, const struct table_word *b)
{
	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return a->level == b->level ? 0 : a->level > b->level ? -1 : 1;
}

/* A run of words at equal distances that changed alike. */
struct change_run {
	FILE *out;
	unsigned level, kind, count;
	uint64_t last, stride;
};

static void end_run(struct change_run *run)
{
	if (run->count > RUN_SHOWN)
		fprintf(run->out, "    and %u more behind it alike\n", run->count - RUN_SHOWN);
	run->count = 0;
}

static void put_word(FILE *out, const struct table_word *word)
{
	if (word)
		fprintf(out, "0x%016" PRIx64, word->word);
	else
		fprintf(out, "%18s", "0");
}

/* NULL: zero. */
static void put_change(struct change_run *run, const struct table_word *a,
                       const struct table_word *b)
{
	const struct table_word *word = a ? a : b;
	unsigned kind = !a ? 1 : !b ? 2 : 3;
	uint64_t stride = word->addr - run->last;
	if (run->level != word->level || run->kind != kind ||
	    (run->count > 1 && run->stride != stride))
		end_run(run);
	if (run->count < RUN_SHOWN) {
		fprintf(run->out, "  level %u  %12" PRIx64 "  ", word->level, word->addr);
		put_word(run->out, a);
		fprintf(run->out, " -> ");
		put_word(run->out, b);
		(void)fputc('\n', run->out);
	}
	run->count++;
	run->level = word->level;
	run->kind = kind;
	run->last = word->addr;
	run->stride = stride;
}

static size_t diff_words(FILE *out, const struct snapshot *before, const struct snapshot *after)
{
	struct change_run run = {.out = out};
	size_t i = 0, j = 0, changes = 0;
	while (i < before->nwords || j < after->nwords) {
		const struct table_word *a = i < before->nwords ? &before->words[i] : NULL;
		const struct table_word *b = j < after->nwords ? &after->words[j] : NULL;
		int order = !a ? 1 : !b ? -1 : compare_places(a, b);
		i += order <= 0;
		j += order >= 0;
		if (order == 0 && a->word == b->word)
			continue;
		put_change(&run, order <= 0 ? a : NULL, order >= 0 ? b : NULL);
		changes++;
	}
	end_run(&run);
	return changes;
}

void snapshot_diff(FILE *out, const struct snapshot *before, const struct snapshot *after)
{
	size_t lines = diff_lines(out, before->maps, after->maps), words = 0;
	if (before->cut || after->cut)
		fprintf(out, "there are too many words in the page tables to compare\n");
	else
		words = diff_words(out, before, after);
	if (lines + words == 0)
		fprintf(out, "nothing has changed\n");
	else if (!before->has_words && !after->has_words)
		fprintf(out, "there are no page tables to look at\n");
}
