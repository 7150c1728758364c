/* bench_print.c - results as a table and as JSON.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <string.h>

#include "bench/bench.h"

double bench_ratio(const struct result *result)
{
	if (!result->vas.there || !result->kernel.there || result->vas.median <= 0)
		return 0;
	return result->kernel.median / result->vas.median;
}

bool bench_missed(const struct row *row, const struct result *result)
{
	return row->goal > 0 && result->point == row->points[0] && result->vas.there &&
	       result->vas.median > row->goal;
}

/* ---- The table ------------------------------------------------------------------------------- */

static void point_text(char text[16], const struct row *row, uint64_t point)
{
	static const char units[] = {' ', 'K', 'M', 'G'};
	unsigned unit = 0;
	if (row->axis == AXIS_NONE) {
		text[0] = '\0';
		return;
	}
	while (unit < 3 && point >= 1024 && point % 1024 == 0) {
		point /= 1024;
		unit++;
	}
	if (row->axis == AXIS_BYTES)
		(void)snprintf(text, 16, "%u %ciB", (unsigned)point, units[unit]);
	else
		(void)snprintf(text, 16, "%u%.*s vmas", (unsigned)point, unit > 0, &units[unit]);
}

static void value_text(char text[16], double value, bool bytes)
{
	if (bytes)
		(void)snprintf(text, 16, "%.1f B", value);
	else if (value < 10)
		(void)snprintf(text, 16, "%.2f ns", value);
	else if (value < 1e3)
		(void)snprintf(text, 16, "%.0f ns", value);
	else if (value < 1e6)
		(void)snprintf(text, 16, "%.2f us", value / 1e3);
	else
		(void)snprintf(text, 16, "%.2f ms", value / 1e6);
}

static void figure_print(FILE *out, const struct figure *figure, bool bytes)
{
	char value[16] = "-", spread[16] = "";
	if (figure->there) {
		double half = (figure->high - figure->low) / 2;
		value_text(value, figure->median, bytes);
		if (!bytes && figure->median > 0)
			(void)snprintf(spread, sizeof(spread), "+-%.0f%%",
			               100 * half / figure->median);
	}
	fprintf(out, " %10s %-6s", value, spread);
}

void bench_print_head(FILE *out)
{
	fprintf(out, "%-26s %10s %10s %-6s %10s %-6s %10s %10s\n", "row", "at", "vas", "", "kernel",
	        "", "goal", "ratio");
}

void bench_print(FILE *out, const struct row *row, const struct result *result, bool first)
{
	char at[16], goal[16] = "", ratio[16] = "-";
	double times = bench_ratio(result);
	point_text(at, row, result->point);
	if (first && row->goal > 0)
		value_text(goal, row->goal, row->bytes);
	if (times > 0)
		(void)snprintf(ratio, sizeof(ratio), times < 100 ? "%.1fx" : "%.0fx", times);
	fprintf(out, "%-26s %10s", first ? row->name : "", at);
	figure_print(out, &result->vas, row->bytes);
	figure_print(out, &result->kernel, row->bytes);
	fprintf(out, " %9s%c %10s", goal, first && bench_missed(row, result) ? '!' : ' ', ratio);
	if (!result->vas.there)
		fprintf(out, "  vas: %s", result->vas.why);
	if (!result->kernel.there && strcmp(result->kernel.why, result->vas.why) != 0)
		fprintf(out, "  kernel: %s", result->kernel.why);
	fprintf(out, "\n");
	if (result->vas.note[0])
		fprintf(out, "%26s vas: %s; kernel: %s\n", "", result->vas.note,
		        result->kernel.note[0] ? result->kernel.note : "-");
	if (first && row->note && bench_missed(row, result))
		fprintf(out, "    ! %s\n", row->note);
	(void)fflush(out);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_number(FILE *out, const char *key, bool there, double value)
{
	fprintf(out, "\"%s\": ", key);
	if (there)
		fprintf(out, "%.6g, ", value);
	else
		fprintf(out, "null, ");
}

/* The figures of one point; the texts are our own and need no escapes. */
static void json_figures(FILE *out, const struct row *row, const struct result *result)
{
	const struct figure *vas = &result->vas, *kernel = &result->kernel;
	double ratio = bench_ratio(result);
	json_number(out, row->bytes ? "vas_bytes" : "vas_ns", vas->there, vas->median);
	json_number(out, row->bytes ? "kernel_bytes" : "kernel_ns", kernel->there, kernel->median);
	json_number(out, "ratio", ratio > 0, ratio);
	if (!row->bytes) {
		json_number(out, "vas_min", vas->there, vas->min);
		json_number(out, "vas_q1", vas->there, vas->low);
		json_number(out, "vas_q3", vas->there, vas->high);
		json_number(out, "kernel_min", kernel->there, kernel->min);
		json_number(out, "kernel_q1", kernel->there, kernel->low);
		json_number(out, "kernel_q3", kernel->there, kernel->high);
	}
	if (vas->note[0])
		fprintf(out, "\"vas_note\": \"%s\", \"kernel_note\": \"%s\", ", vas->note,
		        kernel->note);
	fprintf(out, "\"note\": \"%s%s%s%s\"",
	        !vas->there      ? "vas: "
	        : !kernel->there ? "kernel: "
	                         : "",
	        !vas->there ? vas->why : kernel->why,
	        row->note && bench_missed(row, result) && !kernel->there ? "; " : "",
	        row->note && bench_missed(row, result) ? row->note : "");
}

static void json_point(FILE *out, const struct row *row, uint64_t point)
{
	if (row->axis != AXIS_NONE)
		fprintf(out, "\"%s\": %llu, ", row->axis == AXIS_VMAS ? "vmas" : "bytes",
		        (unsigned long long)point);
}

void bench_json(FILE *out, const struct row *row, const struct result *results, size_t n, bool last)
{
	fprintf(out, "  {\"row\": \"%s\", ", row->name);
	json_point(out, row, results[0].point);
	json_number(out, "goal", row->goal > 0, row->goal);
	fprintf(out, "\"what\": \"%s\", ", row->what);
	json_figures(out, row, &results[0]);
	if (n > 1) {
		fprintf(out, ",\n   \"over\": [");
		for (size_t i = 0; i < n; i++) {
			fprintf(out, "%s\n    {", i ? "," : "");
			json_point(out, row, results[i].point);
			json_figures(out, row, &results[i]);
			fprintf(out, "}");
		}
		fprintf(out, "]");
	}
	fprintf(out, "}%s\n", last ? "" : ",");
}
