/* process_model_maps.c - whole maps: compared with the kernel's, and taken over from it.
 *
 * Owns how a difference is shown, and how the kernel's map is taken over: what is equal keeps its
 * identity, what is not gets one that joins as the kernel's lines show it to.
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
	struct draw_style style = draw_style_of(stdout);
	style.colours = false; /* who knows where the report goes */
	draw_space(file, &style, vas);
	fclose(file);
}

void model_compare_maps(struct model *model, struct process *process, const struct event *event)
{
	read_own_map(model, process->space->vas, has_flags(&event->lines));
	process->report->compared++;
	size_t at = map_lines_differ(&event->lines, &model->lines);
	bool differ = at < event->lines.n || at < model->lines.n;
	if (differ &&
	    model_joins_unknown(model, process->space->vas, &event->lines, &model->lines)) {
		model_not_known(model, process);
	} else if (differ) {
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
	model->shown.call = model_last_call(model, process->space, true);
	read_own_map(model, process->space->vas, false);
	model->shown.maps = show_difference(before, &model->lines);
}

/* ---- Taking over ----------------------------------------------------------------------------- */

/* What vas had where a line is. */
struct former {
	bool known;
	struct vas_region region; /* there where it begins */
	uint64_t identity;        /* 0: nothing of it was written, or it gets a new one */
	bool forked;
};

/* Whether the line continues the one before it, so that identities alone keep them apart. */
static bool is_parted(const struct map_lines *lines, size_t i)
{
	const struct map_line *line = &lines->line[i], *low = line - 1;
	return i && low->end == line->start && map_line_alike(low, line) &&
	       !((low->flags ^ line->flags) & (VAS_VM_OPAQUE | VAS_VM_POLICY));
}

/* Of several mappings that are one for the kernel, an identity that is certain comes first; of one
 * that is two for it, the upper part gets another. */
static struct former find_former(const struct model *model, struct vas *vas,
                                 const struct map_lines *lines, size_t i)
{
	const struct map_line *line = &lines->line[i];
	struct former former = {.known = false};
	struct vas_region region = {.end = line->start};
	while (vas_next_region(vas, region.end, &region) && region.start < line->end) {
		if (region.start <= line->start) {
			former.known = true;
			former.region = region;
			former.forked = region.forked;
			if (region.start < line->start && is_parted(lines, i))
				continue;
		}
		if (!region.identity ||
		    (former.identity && !model_is_marked(model, former.identity)))
			continue;
		former.identity = region.identity;
		former.forked = region.forked;
	}
	return former;
}

/* What Linux began itself does not merge with what mmap maps, where vas_config.heap_apart is so. No
 * flag in smaps tells; what has moved away from there is not known for it. */
static uint64_t apart(const struct model *model, const struct map_line *line,
                      const struct former *former)
{
	bool begun = strcmp(line->name, "[heap]") == 0 || strcmp(line->name, "[stack]") == 0 ||
	             (former->known && (former->region.flags & VAS_VM_APART));
	return model->machine.heap_apart && begun ? VAS_VM_APART : 0;
}

static struct vas_region region_of(const struct model *model, const struct map_line *line,
                                   const struct former *former)
{
	struct vas_region region = {.start = line->start,
	                            .end = line->end,
	                            .flags = line->flags | apart(model, line, former),
	                            .offset = line->offset,
	                            .touched = line->touched};
	if (line->file)
		region.file = model->files[line->file - 1]->vas;
	else if (former->known && map_line_shared_anon(line)) /* vas's own, perhaps rearranged */
		region.file = former->region.file;
	if (!line->file && !(line->flags & VAS_VM_MAYSHARE)) {
		/* An anonymous vma's offset does not show; it is where it was first mapped. */
		bool moved = former->known && !former->region.file;
		region.offset = moved ? former->region.offset + (line->start - former->region.start)
		                      : line->start;
	}
	if (former->identity && !(line->flags & VAS_VM_MAYSHARE)) {
		region.touched = true;
		region.identity = former->identity;
	}
	region.forked = region.touched && former->forked;
	return region;
}

static bool import(struct model *model, struct space *space, const struct map_line *line,
                   const struct former *former, char why[MODEL_WHY])
{
	bool own_name = !line->file && (line->flags & (VAS_VM_SPECIAL | VAS_VM_OPAQUE));
	struct vas_region region = region_of(model, line, former);
	if (own_name)
		region.name = model_keep(model, line->name);
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

/* Likewise where something was before: whose identity it has, if it is a new one, is not known; nor
 * after a difference, of which nobody knows what else it has changed. */
static bool import_again(struct model *model, struct space *space, const struct map_line *line,
                         const struct former *former, char why[MODEL_WHY])
{
	if (!import(model, space, line, former, why))
		return false;
	if (!former->identity || (space->differs && !has_line(&model->lines, line)))
		model_mark_at(model, space->vas, line->start);
	return true;
}

/* Brings the space to the kernel's map where it differs; what is equal keeps its identity. False:
 * that cannot be, which is no error yet: the space can be made anew. */
static bool patch(struct model *model, struct space *space, const struct map_lines *lines)
{
	char why[MODEL_WHY];
	struct former *former = calloc(lines->n + 1, sizeof(*former));
	if (!former)
		return false;
	bool good = true;
	read_own_map(model, space->vas, true);
	for (size_t i = 0; i < lines->n; i++) {
		const struct map_line *line = &lines->line[i];
		if (has_line(&model->lines, line))
			continue;
		former[i] = find_former(model, space->vas, lines, i);
		/* Unmapping could free the object that the line needs. */
		if (!line->file && map_line_shared_anon(line))
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
			good = import_again(model, space, line, &former[i], why);
	}
	free(former);
	return good;
}

/* A new space with the kernel's map. */
static bool renew(struct model *model, struct space *space, const struct map_lines *lines,
                  char why[MODEL_WHY])
{
	struct vas *old = space->vas;
	if (vas_create(model->system, &space->params, &space->vas) != 0) {
		space->vas = old;
		snprintf(why, MODEL_WHY, "vas's memory is used up");
		return false;
	}
	read_own_map(model, old, true);
	for (size_t i = 0; i < lines->n; i++) {
		struct former former = find_former(model, old, lines, i);
		if (!import_again(model, space, &lines->line[i], &former, why)) {
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
	if (space->differs && last && report->differences == report->nfound && !last->maps) {
		read_own_map(model, space->vas, true);
		last->maps = show_difference(&event->lines, &model->lines);
	}
	space->adrift = false;
	space->since = 0;
	bool moved = (uint64_t)vas_brk(space->vas, 0) != event->number;
	space->params.brk = event->number;
	bool good = (!moved && patch(model, space, &event->lines)) ||
	            renew(model, space, &event->lines, why);
	space->differs = false;
	if (!good)
		give_up(model, process, why);
}

void model_start(struct model *model, struct process *process, const struct event *event)
{
	const struct former none = {.known = false};
	char why[MODEL_WHY];
	for (size_t i = 0; i < event->lines.n; i++) {
		if (import(model, process->space, &event->lines.line[i], &none, why))
			continue;
		give_up(model, process, why);
		return;
	}
}
