/* draw.c - an address space as a picture in text.
 *
 * Turns /proc/PID/maps upside down: high addresses on top, as address spaces are drawn.
 *
 *                 :                  :   16 GiB  free
 *   7fffffffe000  +------------------+
 *   7ffffffde000  |######            |  128 KiB  rw-p    [stack]
 *                 +------------------+
 *
 * Neighbours of one file (a library's text, constants and data) share a line and a bar. Of two
 * moments the lines are merged: "- " and "+ " before those of one only.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "show/draw.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "show/draw_name.h"
#include "target/text.h"

#define PAGE_SIZE 4096u
#define COLUMNS_USUAL 80u
#define COLUMNS_LEAST 60u
#define COLUMNS_MOST 200u
#define BAR_LEAST 10u
#define BAR_MOST 48u /* a page and its 47 doublings */

/* One line of maps. */
struct row {
	uint64_t start, end;
	char perms[5];
	const char *name;
	char mark;    /* '-' before, '+' after, ' ' both */
	uint64_t top; /* where what touches it ends */
};

struct picture {
	FILE *out;
	const struct draw_style *style;
	const struct draw_move *move; /* NULL: one moment */
	uint64_t end;
	unsigned bar, name; /* columns */
	struct row *rows;   /* ascending */
	const char **names;
	size_t count, ncopies; /* of rows; of different names */
};

/* ---- The terminal ---------------------------------------------------------------------------- */

static bool is_set(const char *variable)
{
	const char *value = getenv(variable);
	return value && *value;
}

struct draw_style draw_style_of(FILE *stream)
{
	const char *columns = getenv("COLUMNS"), *term = getenv("TERM");
	struct draw_style style = {.columns = COLUMNS_USUAL};
	struct winsize size;
	bool terminal = isatty(fileno(stream));
	if (terminal && ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		style.columns = size.ws_col;
	else if (columns && strtoul(columns, NULL, 10) > 0)
		style.columns = (unsigned)strtoul(columns, NULL, 10);
	style.columns = style.columns < COLUMNS_LEAST  ? COLUMNS_LEAST
	                : style.columns > COLUMNS_MOST ? COLUMNS_MOST
	                                               : style.columns;
	style.colours = terminal && !is_set("NO_COLOR") && term && strcmp(term, "dumb") != 0;
	return style;
}

static void put_coloured(const struct picture *picture, const char *colour, const char *text,
                         size_t len)
{
	if (picture->style->colours && colour)
		fprintf(picture->out, "\033[%sm%.*s\033[m", colour, (int)len, text);
	else
		fprintf(picture->out, "%.*s", (int)len, text);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static size_t count_lines(const char *text)
{
	size_t lines = 0;
	for (; text && *text; text++)
		lines += *text == '\n';
	return lines;
}

/* Cuts the text into rows; names point into it. Returns how many rows there are. */
static size_t parse_rows(char *text, struct row *rows, char mark)
{
	size_t nrows = 0;
	for (char *line = text, *end; line && (end = strchr(line, '\n')) != NULL; line = end + 1) {
		struct row *row = &rows[nrows];
		int name_at = 0;
		*end = '\0';
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s %*s %n", &row->start,
		           &row->end, row->perms, &name_at) != 3)
			continue;
		row->name = name_at > 0 ? line + name_at : "";
		row->mark = mark;
		nrows++;
	}
	return nrows;
}

static int by_start(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->mark == y->mark ? 0 : x->mark == '-' ? -1 : 1;
}

static bool same_row(const struct row *a, const struct row *b)
{
	return a->start == b->start && a->end == b->end && strcmp(a->perms, b->perms) == 0 &&
	       strcmp(a->name, b->name) == 0;
}

/* What was there before and is there after is one row. */
static size_t join_rows(struct row *rows, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		rows[kept] = rows[i];
		if (i + 1 < count && rows[i].mark == '-' && rows[i + 1].mark == '+' &&
		    same_row(&rows[i], &rows[i + 1])) {
			rows[kept].mark = ' ';
			i++;
		}
		kept++;
	}
	return kept;
}

/* Rows that touch or overlap stand in one frame, which ends where the last of them does. */
static void frame_rows(struct row *rows, size_t count)
{
	for (size_t i = 0, first = 0; i < count; i++) {
		uint64_t top = i > first ? rows[i - 1].top : rows[i].end;
		if (i > first && rows[i].start > top) {
			for (size_t j = first; j < i; j++)
				rows[j].top = top;
			first = i;
			top = rows[i].end;
		}
		rows[i].top = rows[i].end > top ? rows[i].end : top;
		if (i + 1 == count)
			for (size_t j = first; j < i; j++)
				rows[j].top = rows[i].top;
	}
}

/* ---- Sizes and bars -------------------------------------------------------------------------- */

/* "132 KiB", "1.5 GiB": one digit after the point where it says something. */
static void format_size(char *buf, size_t size, uint64_t bytes)
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned u = 0;
	uint64_t whole = bytes, tenths = 0;
	while (whole >= 1024) {
		tenths = whole % 1024 * 10 / 1024;
		whole /= 1024;
		u++;
	}
	if (tenths > 0 && whole < 1000)
		snprintf(buf, size, "%" PRIu64 ".%" PRIu64 " %s", whole, tenths, unit[u]);
	else
		snprintf(buf, size, "%" PRIu64 " %s", whole, unit[u]);
}

/* What the bar is made of says what the memory is for. */
static char bar_char(const char *perms)
{
	if (perms[2] == 'x')
		return 'x';
	if (perms[1] == 'w')
		return '#';
	return perms[0] == 'r' ? '=' : '.';
}

static const char *bar_colour(char c)
{
	return c == 'x' ? "32" : c == '#' ? "33" : c == '=' ? "34" : c == '.' ? "90" : NULL;
}

/* One column for a page, one more for each doubling, but room for each of `nrows`. */
static size_t bar_len(uint64_t bytes, size_t nrows, size_t most)
{
	uint64_t npages = bytes / PAGE_SIZE;
	size_t len = 1;
	while (npages > 1 && len < most) {
		npages /= 2;
		len++;
	}
	if (len < nrows)
		len = nrows;
	return len < most ? len : most;
}

/* Rows share a bar as they share the bytes, lowest address first; each gets a column if there is
 * one. */
static void draw_bar(const struct picture *picture, const struct row *rows, size_t nrows)
{
	uint64_t bytes = rows[nrows - 1].end - rows[0].start;
	size_t spare = bar_len(bytes, nrows, picture->bar), at = 0;
	char bar[BAR_MOST];
	spare -= nrows < spare ? nrows : spare;
	for (size_t i = 0; i < nrows && at < picture->bar; i++) {
		double share = (double)(rows[i].end - rows[i].start) / (double)bytes;
		size_t len = 1 + (size_t)(share * (double)spare + 0.5);
		if (len > picture->bar - at)
			len = picture->bar - at;
		memset(bar, bar_char(rows[i].perms), len);
		put_coloured(picture, bar_colour(bar[0]), bar, len);
		at += len;
	}
	fprintf(picture->out, "%*s", (int)(picture->bar - at), "");
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void draw_mark(const struct picture *picture, char mark)
{
	if (!picture->move)
		return;
	put_coloured(picture, mark == '+' ? "1;32" : mark == '-' ? "1;31" : NULL, &mark, 1);
	(void)fputc(' ', picture->out);
}

static void draw_edge(const struct picture *picture, uint64_t addr, bool top)
{
	draw_mark(picture, ' ');
	if (top)
		fprintf(picture->out, "%12" PRIx64 " +", addr);
	else
		fprintf(picture->out, "%12s +", "");
	for (unsigned i = 0; i < picture->bar; i++)
		(void)fputc('-', picture->out);
	(void)fputs("+\n", picture->out);
}

static void draw_gap(const struct picture *picture, uint64_t bytes)
{
	char size[32];
	format_size(size, sizeof(size), bytes);
	draw_mark(picture, ' ');
	fprintf(picture->out, "%12s :%*s: %9s  free\n", "", (int)picture->bar, "", size);
}

static void draw_name(const struct picture *picture, const char *name)
{
	char text[SHORT_NAME_MAX];
	for (size_t i = 0; *name && i < picture->ncopies; i++) {
		if (strcmp(picture->names[i], name) != 0)
			continue;
		name_shorten(text, picture->names, picture->ncopies, i, picture->name);
		fprintf(picture->out, "  %s", text);
		return;
	}
}

/* Where the pages of a row have gone to, and come from. */
static void draw_way(const struct picture *picture, const struct row *row)
{
	const struct draw_move *move = picture->move;
	if (!move || !move->len)
		return;
	if (row->mark != '+' && row->start < move->from + move->len && row->end > move->from)
		fprintf(picture->out, "  -> %" PRIx64, move->to);
	if (row->mark != '-' && row->start < move->to + move->len && row->end > move->to)
		fprintf(picture->out, "  <- %" PRIx64, move->from);
}

/* One line for `nrows` neighbours, which are one file's if they are more than one. */
static void draw_group(const struct picture *picture, const struct row *rows, size_t nrows)
{
	char size[32];
	format_size(size, sizeof(size), rows[nrows - 1].end - rows[0].start);
	draw_mark(picture, rows[0].mark);
	fprintf(picture->out, "%12" PRIx64 " |", rows[0].start);
	draw_bar(picture, rows, nrows);
	fprintf(picture->out, "| %9s", size);
	if (nrows > 1)
		fprintf(picture->out, " %2zu vmas", nrows);
	else
		fprintf(picture->out, "  %s%s", rows[0].perms, *rows[0].name ? "  " : "");
	draw_name(picture, rows[0].name);
	draw_way(picture, &rows[0]);
	(void)fputc('\n', picture->out);
}

/* Whether both belong on one line: neighbours of the same file, that nothing has happened to. */
static bool same_group(const struct row *low, const struct row *high)
{
	return low->end == high->start && low->mark == ' ' && high->mark == ' ' &&
	       low->name[0] == '/' && strcmp(low->name, high->name) == 0;
}

static void draw_rows(const struct picture *picture)
{
	const struct row *rows = picture->rows;
	uint64_t above = picture->end; /* where what is drawn so far begins */
	for (size_t end = picture->count; end > 0;) {
		size_t first = end - 1;
		while (first > 0 && same_group(&rows[first - 1], &rows[first]))
			first--;
		if (end == picture->count || rows[end - 1].top != rows[end].top) {
			if (above > rows[end - 1].top)
				draw_gap(picture, above - rows[end - 1].top);
			draw_edge(picture, rows[end - 1].top, true);
		}
		draw_group(picture, &rows[first], end - first);
		above = rows[first].start;
		end = first;
		if (end == 0 || rows[end - 1].top != rows[end].top)
			draw_edge(picture, above, false);
	}
	if (above > 0)
		draw_gap(picture, above);
}

static void draw_legend(const struct picture *picture)
{
	static const struct {
		const char *mark, *what;
	} legend[] = {{"x", "code"}, {"#", "writable"}, {"=", "read-only"}, {".", "no access"}};
	const int indent = picture->move ? 16 : 14;
	fprintf(picture->out, "%*s", indent, "");
	for (size_t i = 0; i < sizeof(legend) / sizeof(legend[0]); i++) {
		fprintf(picture->out, "%s", i ? "  " : "");
		put_coloured(picture, bar_colour(legend[i].mark[0]), legend[i].mark, 1);
		fprintf(picture->out, " %s", legend[i].what);
	}
	fprintf(picture->out, "\n%*sa column is a doubling\n", indent, "");
	if (!picture->move)
		return;
	fprintf(picture->out, "%16s", "");
	put_coloured(picture, "1;31", "-", 1);
	fprintf(picture->out, " before the call  ");
	put_coloured(picture, "1;32", "+", 1);
	fprintf(picture->out, " after it  -> <- moved\n");
}

/* ---- Pictures -------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Each name once. */
static void collect_names(struct picture *picture)
{
	size_t kept = 0;
	for (size_t i = 0; i < picture->count; i++)
		picture->names[i] = picture->rows[i].name;
	qsort(picture->names, picture->count, sizeof(*picture->names), by_text);
	for (size_t i = 0; i < picture->count; i++)
		if (kept == 0 || strcmp(picture->names[kept - 1], picture->names[i]) != 0)
			picture->names[kept++] = picture->names[i];
	picture->ncopies = kept;
}

/* `mark` is for the second; where there is no first, for none. */
static bool draw(struct picture *picture, char *before, char *after)
{
	const struct draw_style *style = picture->style;
	size_t lines = count_lines(before) + count_lines(after);
	picture->bar = (style->columns - 40) / 2;
	picture->bar = picture->bar < BAR_LEAST ? BAR_LEAST : picture->bar;
	picture->bar = picture->bar > BAR_MOST ? BAR_MOST : picture->bar;
	picture->name = style->columns - 35 - picture->bar - (picture->move ? 2 : 0);
	picture->rows = calloc(lines + 1, sizeof(*picture->rows));
	picture->names = calloc(lines + 1, sizeof(*picture->names));
	if (!picture->rows || !picture->names)
		return false;
	picture->count = parse_rows(before, picture->rows, '-');
	picture->count += parse_rows(after, picture->rows + picture->count, before ? '+' : ' ');
	qsort(picture->rows, picture->count, sizeof(*picture->rows), by_start);
	picture->count = join_rows(picture->rows, picture->count);
	frame_rows(picture->rows, picture->count);
	collect_names(picture);
	draw_legend(picture);
	draw_rows(picture);
	return true;
}

static void draw_copies(struct picture *picture, const char *before, const char *after)
{
	char *first = before ? strdup(before) : NULL, *second = strdup(after);
	if ((before && !first) || !second || !draw(picture, first, second))
		fprintf(picture->out, "(no memory to draw with)\n");
	free(picture->rows);
	free(picture->names);
	free(first);
	free(second);
}

void draw_maps(FILE *out, const struct draw_style *style, const char *maps, uint64_t end)
{
	struct picture picture = {.out = out, .style = style, .end = end};
	draw_copies(&picture, NULL, maps);
}

void draw_change(FILE *out, const struct draw_style *style, const char *before, const char *after,
                 const struct draw_move *move, uint64_t end)
{
	struct picture picture = {.out = out, .style = style, .move = move, .end = end};
	draw_copies(&picture, before, after);
}

void draw_space(FILE *out, const struct draw_style *style, struct vas *space)
{
	struct text maps = {0};
	vas_maps(space, text_sink, &maps);
	draw_maps(out, style, maps.at ? maps.at : "", vas_task_size(space));
	free(maps.at);
}
