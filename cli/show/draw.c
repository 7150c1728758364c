/* draw.c - an address space as a picture in text.
 *
 * Reads the same text that /proc/PID/maps would hold (for the names, [heap] and [stack] among them)
 * and turns it upside down: high addresses on top, as address spaces are drawn.
 *
 *                 :                  :   16 GiB  free
 *   7fffffffe000  +------------------+
 *   7ffffffde000  |######            |  128 KiB  rw-p    [stack]
 *                 +------------------+
 *
 * Neighbours of one file (a library's text, constants and data) share a line and a bar.
 *
 * SPDX-License-Identifier: MIT */
#include "show/draw.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_SIZE 4096u
#define BAR_WIDTH 20
#define NAME_WIDTH 24

/* What vas_maps wrote, terminated. */
struct text {
	char *bytes;
	size_t len, size;
	bool failed;
};

/* One line of it. */
struct row {
	uint64_t start, end;
	char perms[5];
	const char *name;
};

static void append(void *ctx, const char *bytes, size_t len)
{
	struct text *text = ctx;

	if (text->len + len + 1 > text->size) {
		size_t size = 2 * (text->len + len + 1);
		char *grown = realloc(text->bytes, size);

		if (!grown) {
			text->failed = true;
			return;
		}
		text->bytes = grown;
		text->size = size;
	}
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
	text->bytes[text->len] = '\0';
}

static size_t count_lines(const struct text *text)
{
	size_t lines = 0;

	for (size_t i = 0; i < text->len; i++)
		lines += text->bytes[i] == '\n';
	return lines;
}

/* Cuts the text into rows; names point into it. Returns how many rows there are. */
static size_t parse_rows(char *text, struct row *rows)
{
	size_t nrows = 0;

	for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		struct row *row = &rows[nrows];
		int name_at = 0;

		*end = '\0';
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s %*s %n", &row->start,
		           &row->end, row->perms, &name_at) != 3)
			continue;
		row->name = name_at > 0 ? line + name_at : "";
		nrows++;
	}
	return nrows;
}

/* "132 KiB", "1.5 GiB": one digit after the point where it says something. */
static void format_size(char *buf, size_t size, uint64_t bytes)
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned u = 0;
	uint64_t whole = bytes;
	uint64_t tenths = 0;

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

/* One column for a page, one more for each doubling, but room for each of `nrows`. */
static size_t bar_len(uint64_t bytes, size_t nrows)
{
	uint64_t npages = bytes / PAGE_SIZE;
	size_t len = 1;

	while (npages > 1 && len < BAR_WIDTH) {
		npages /= 2;
		len++;
	}
	if (len < nrows)
		len = nrows;
	return len < BAR_WIDTH ? len : BAR_WIDTH;
}

/* Rows share a bar as they share the bytes, lowest address first; each gets a column if there is
 * one. */
static void fill_bar(char *bar, const struct row *rows, size_t nrows)
{
	uint64_t bytes = rows[nrows - 1].end - rows[0].start;
	size_t spare = bar_len(bytes, nrows);
	size_t at = 0;

	spare -= nrows < spare ? nrows : spare;
	memset(bar, ' ', BAR_WIDTH);
	bar[BAR_WIDTH] = '\0';
	for (size_t i = 0; i < nrows && at < BAR_WIDTH; i++) {
		double share = (double)(rows[i].end - rows[i].start) / (double)bytes;
		size_t len = 1 + (size_t)(share * (double)spare + 0.5);

		if (len > BAR_WIDTH - at)
			len = BAR_WIDTH - at;
		memset(bar + at, bar_char(rows[i].perms), len);
		at += len;
	}
}

/* The name, of a path only its last part if it is too long, and of that only the end. */
static void draw_name(FILE *out, const char *name)
{
	const char *slash = strrchr(name, '/');
	size_t len = strlen(name);

	if (len > NAME_WIDTH && slash) {
		name = slash + 1;
		len = strlen(name);
	}
	if (len > NAME_WIDTH)
		fprintf(out, "  ..%s", name + len - (NAME_WIDTH - 2));
	else if (len > 0)
		fprintf(out, "  %s", name);
}

static void draw_edge(FILE *out, uint64_t addr, bool top)
{
	if (top)
		fprintf(out, "%12" PRIx64 " +", addr);
	else
		fprintf(out, "%12s +", "");
	for (unsigned i = 0; i < BAR_WIDTH; i++)
		fputc('-', out);
	fputs("+\n", out);
}

static void draw_gap(FILE *out, uint64_t bytes)
{
	char size[32];

	format_size(size, sizeof(size), bytes);
	fprintf(out, "%12s :%*s: %9s  free\n", "", BAR_WIDTH, "", size);
}

/* One line for `nrows` neighbours, which are one file's if they are more than one. */
static void draw_group(FILE *out, const struct row *rows, size_t nrows)
{
	char size[32];
	char bar[BAR_WIDTH + 1];

	fill_bar(bar, rows, nrows);
	format_size(size, sizeof(size), rows[nrows - 1].end - rows[0].start);
	fprintf(out, "%12" PRIx64 " |%s| %9s", rows[0].start, bar, size);
	if (nrows > 1)
		fprintf(out, " %2zu vmas", nrows);
	else
		fprintf(out, "  %s%s", rows[0].perms, *rows[0].name ? "  " : "");
	draw_name(out, rows[0].name);
	fputc('\n', out);
}

/* Whether both belong on one line: neighbours of the same file. */
static bool same_group(const struct row *low, const struct row *high)
{
	return low->end == high->start && low->name[0] == '/' && strcmp(low->name, high->name) == 0;
}

static void draw_rows(FILE *out, const struct row *rows, size_t nrows, uint64_t top)
{
	uint64_t above = top; /* where what is drawn so far begins */
	size_t end = nrows;   /* rows from here on are drawn */

	while (end > 0) {
		size_t first = end - 1;

		while (first > 0 && same_group(&rows[first - 1], &rows[first]))
			first--;
		if (end == nrows || rows[end - 1].end != rows[end].start) {
			if (above > rows[end - 1].end)
				draw_gap(out, above - rows[end - 1].end);
			draw_edge(out, rows[end - 1].end, true);
		}
		draw_group(out, &rows[first], end - first);
		above = rows[first].start;
		end = first;
		if (end == 0 || rows[end - 1].end != above)
			draw_edge(out, above, false);
	}
	if (above > 0)
		draw_gap(out, above);
}

void draw_maps(FILE *out, struct vas *space)
{
	struct text text = {0};
	struct row *rows = NULL;

	vas_maps(space, append, &text);
	if (text.len > 0 && !text.failed)
		rows = calloc(count_lines(&text), sizeof(*rows));
	if (text.failed || (text.len > 0 && !rows)) {
		fputs("(no memory to draw with)\n", out);
	} else {
		size_t nrows = rows ? parse_rows(text.bytes, rows) : 0;

		draw_rows(out, rows, nrows, vas_task_size(space));
		fputs("              x code  # writable  = read-only  . no access;"
		      " a column is a doubling\n",
		      out);
	}
	free(rows);
	free(text.bytes);
}
