/* process_model_maps.c - whole maps: compared with the kernel's, and taken over from it.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "show/draw.h"
#include "check/model/process_model_internal.h"

/* ---- vas's map ------------------------------------------------------------------------------- */

/* Fills model->lines. With `flags` also what smaps would say. */
static void read_own_map(struct model *model, struct vas *vas, bool flags)
{
	struct map_lines *lines = &model->lines;
	struct vas_region region = {.end = 0};
	text_clear(&model->text);
	vas_maps(vas, text_sink, &model->text);
	if (!map_lines_parse(lines, model->text.at)) {
		fputs("vas: vas_maps printed what is not a map\n", stderr);
		exit(3);
	}
	for (size_t i = 0; i < lines->n && flags; i++) {
		vas_next_region(vas, region.end, &region);
		lines->line[i].flags = region.flags;
		lines->line[i].has_flags = true;
	}
}

/* ---- Showing a difference -------------------------------------------------------------------- */

#define CONTEXT 2
#define SHOWN 8

static void put_line(struct text *text, char mark, const struct map_line *line)
{
	char printed[MAP_LINE_TEXT];
	map_line_print(printed, line);
	text_sink(text, &mark, 1);
	text_sink(text, printed, strlen(printed));
	text_sink(text, "\n", 1);
}

static void put_lines(struct text *text, char mark, const struct map_lines *lines, size_t from,
                      size_t to)
{
	for (size_t i = from; i < to; i++) {
		if (i - from < SHOWN) {
			put_line(text, mark, &lines->line[i]);
			continue;
		}
		char more[64];
		int n = snprintf(more, sizeof(more), "%c... %zu lines more\n", mark, to - i);
		text_sink(text, more, (size_t)n);
		return;
	}
}

/* The lines around the place where the maps differ, as diff -u shows them; malloc'ed. NULL if they
 * do not. */
static char *show_difference(const struct map_lines *kernel, const struct map_lines *vas)
{
	size_t head = map_lines_differ(kernel, vas), tail = 0;
	struct text text = {NULL, 0, 0};
	if (head == kernel->n && head == vas->n)
		return NULL;
	while (tail + head < kernel->n && tail + head < vas->n &&
	       map_line_same(&kernel->line[kernel->n - 1 - tail], &vas->line[vas->n - 1 - tail]))
		tail++;
	text_clear(&text);
	put_lines(&text, ' ', kernel, head > CONTEXT ? head - CONTEXT : 0, head);
	put_lines(&text, '-', kernel, head, kernel->n - tail);
	put_lines(&text, '+', vas, head, vas->n - tail);
	size_t end = tail > CONTEXT ? kernel->n - tail + CONTEXT : kernel->n;
	put_lines(&text, ' ', kernel, kernel->n - tail, end);
	return text.at;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static bool has_flags(const struct map_lines *lines)
{
	return lines->n && lines->line[0].has_flags;
}

static void draw(struct model *model, struct vas *vas)
{
	size_t len = 0;
	free(model->picture);
	model->picture = NULL;
	FILE *file = open_memstream(&model->picture, &len);
	if (!file)
		return;
	draw_maps(file, vas);
	fclose(file);
}

void model_compare_maps(struct model *model, struct process *process, const struct event *event)
{
	read_own_map(model, process->space->vas, has_flags(&event->lines));
	process->report->compared++;
	size_t at = map_lines_differ(&event->lines, &model->lines);
	if (at < event->lines.n || at < model->lines.n) {
		char *maps = show_difference(&event->lines, &model->lines);
		model_difference(model, process, NULL, NULL, maps);
		free(maps);
	}
	if (model->draws && process->pid == model->drawn && has_flags(&event->lines))
		draw(model, process->space->vas);
	process->space->since = 0;
}

void model_compare_digest(struct model *model, struct process *process, const struct event *event)
{
	read_own_map(model, process->space->vas, false);
	process->report->compared++;
	if (model->lines.n != event->id || map_lines_digest(&model->lines) != event->number) {
		char text[128];
		snprintf(text, sizeof(text),
		         " the kernel's map had %" PRIu32 " lines, vas's has %zu;"
		         " the log has only a digest of it\n",
		         event->id, model->lines.n);
		model_difference(model, process, NULL, NULL, text);
	}
	process->space->since = 0;
}

/* ---- A call shown ---------------------------------------------------------------------------- */

void model_show_before(struct vas *vas, struct map_lines *before, struct text *text)
{
	text_clear(text);
	vas_maps(vas, text_sink, text);
	if (!map_lines_parse(before, text->at))
		fputs("vas: vas_maps printed what is not a map\n", stderr);
}

void model_show_after(struct model *model, const struct process *process, struct map_lines *before)
{
	char text[1024];
	call_print(text, sizeof(text), &process->space->last, &process->space->last_answer);
	model->shown.call = strdup(text);
	read_own_map(model, process->space->vas, false);
	model->shown.maps = show_difference(before, &model->lines);
}

/* ---- Taking over ----------------------------------------------------------------------------- */

/* `before`: what vas had at that place, or NULL. */
static bool import(struct model *model, struct space *space, const struct map_line *line,
                   const struct vas_region *before, char why[MODEL_WHY])
{
	bool own_name = !line->file && (line->flags & (VAS_VM_SPECIAL | VAS_VM_OPAQUE));
	struct vas_region region = {.start = line->start,
	                            .end = line->end,
	                            .flags = line->flags,
	                            .offset = line->offset,
	                            .touched = line->touched};
	if (line->file)
		region.file = model->files[line->file - 1]->vas;
	else if (before && map_line_shared_anon(line)) /* vas's own object, perhaps rearranged */
		region.file = before->file;
	if (own_name)
		region.name = model_keep(model, line->name);
	if (!line->file && !(line->flags & VAS_VM_MAYSHARE)) {
		/* An anonymous vma's offset does not show; it is where it was first mapped. */
		bool moved = before && !before->file;
		region.offset = moved ? before->offset + (line->start - before->start)
		                      : line->start;
		region.forked = before && before->forked && line->touched;
	}
	bool known = line->has_flags && (region.file || (!line->file && !map_line_has_file(line)));
	int64_t error = known ? vas_import(space->vas, &region) : -VAS_EINVAL;
	if (error == 0)
		return true;
	if (error == -VAS_ENOMEM)
		snprintf(why, MODEL_WHY, "vas's memory is used up");
	else
		snprintf(why, MODEL_WHY, "vas cannot import %" PRIx64 "-%" PRIx64 " %.60s",
		         line->start, line->end, line->name);
	return false;
}

/* Whether the map has exactly this vma. */
static bool has_line(const struct map_lines *lines, const struct map_line *line)
{
	size_t low = 0, high = lines->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (lines->line[middle].start < line->start)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == lines->n || !map_line_same(&lines->line[low], line))
		return false;
	/* The kernel does not show these two, but who made the lines knows. */
	uint64_t differing = lines->line[low].flags ^ line->flags;
	return !(differing & (VAS_VM_OPAQUE | VAS_VM_POLICY));
}

static bool region_at(struct vas *vas, uint64_t addr, struct vas_region *region)
{
	return vas_next_region(vas, addr, region) && region->start <= addr;
}

/* Brings the space to the kernel's map where it differs; what is equal keeps its identity. False:
 * that cannot be, which is no error yet: the space can be made anew. */
static bool patch(struct model *model, struct space *space, const struct map_lines *lines)
{
	char why[MODEL_WHY];
	struct vas_region *before = calloc(lines->n + 1, sizeof(*before));
	if (!before)
		return false;
	bool good = true;
	read_own_map(model, space->vas, true);
	for (size_t i = 0; i < lines->n; i++) {
		const struct map_line *line = &lines->line[i];
		if (!region_at(space->vas, line->start, &before[i]))
			before[i].end = 0;
		/* Unmapping could free the object that the line needs. */
		if (!line->file && map_line_shared_anon(line) && !has_line(&model->lines, line))
			good = false;
	}
	for (size_t i = 0; i < model->lines.n && good; i++) {
		struct map_line *own = &model->lines.line[i];
		if (!has_line(lines, own))
			good = vas_munmap(space->vas, own->start, own->end - own->start) == 0;
	}
	for (size_t i = 0; i < lines->n && good; i++) {
		const struct map_line *line = &lines->line[i];
		if (!has_line(&model->lines, line))
			good = import(model, space, line, before[i].end ? &before[i] : NULL, why);
	}
	free(before);
	return good;
}

/* A new space with the kernel's map. Lost: which anonymous vmas share an identity. */
static bool renew(struct model *model, struct space *space, const struct map_lines *lines,
                  char why[MODEL_WHY])
{
	struct vas *old = space->vas;
	struct vas_region before;
	if (vas_create(model->system, &space->params, &space->vas) != 0) {
		space->vas = old;
		snprintf(why, MODEL_WHY, "vas's memory is used up");
		return false;
	}
	for (size_t i = 0; i < lines->n; i++) {
		const struct map_line *line = &lines->line[i];
		bool had = region_at(old, line->start, &before);
		if (!import(model, space, line, had ? &before : NULL, why)) {
			vas_destroy(space->vas);
			space->vas = old;
			return false;
		}
	}
	vas_destroy(old);
	return true;
}

/* What cannot be taken over is no error of the program, but from here on nothing can be said. */
static void give_up(struct model *model, struct process *process, const char *why)
{
	process->report->differences++;
	process->report->stopped = model_keep(model, why);
	process->space->stopped = true;
}

void model_adopt(struct model *model, struct process *process, const struct event *event)
{
	struct space *space = process->space;
	char why[MODEL_WHY];
	model_count(model, process->report, event->text, true);
	space->params.brk = event->number ? event->number : (uint64_t)vas_brk(space->vas, 0);
	if ((event->number || !patch(model, space, &event->lines)) &&
	    !renew(model, space, &event->lines, why))
		give_up(model, process, why);
}

void model_resync(struct model *model, struct process *process, const struct event *event)
{
	struct space *space = process->space;
	struct report *report = process->report;
	char why[MODEL_WHY];
	if (!space->adrift) /* the log's vas differed here, this one does not */
		return;
	struct difference *last = report->nfound ? &report->found[report->nfound - 1] : NULL;
	if (last && report->differences == report->nfound && !last->maps) {
		read_own_map(model, space->vas, true);
		last->maps = show_difference(&event->lines, &model->lines);
	}
	space->adrift = false;
	space->since = 0;
	bool moved = (uint64_t)vas_brk(space->vas, 0) != event->number;
	space->params.brk = event->number;
	if (!moved && patch(model, space, &event->lines))
		return;
	if (!renew(model, space, &event->lines, why))
		give_up(model, process, why);
}

void model_start(struct model *model, struct process *process, const struct event *event)
{
	char why[MODEL_WHY];
	for (size_t i = 0; i < event->lines.n; i++) {
		if (import(model, process->space, &event->lines.line[i], NULL, why))
			continue;
		give_up(model, process, why);
		return;
	}
}
