/* process_model_report.c - the summary, as text and as JSON.
 *
 * Changes nothing of the model. Names come from the program: none reaches a terminal or JSON
 * without being made harmless.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "cli.h"
#include "check/model/process_model_report.h"

struct total {
	uint64_t processes, programs, threads; /* every process has one thread at least */
	uint64_t calls, mremaps, differences, compared, skipped, adopted;
	uint64_t unfollowed; /* reports that were stopped */
};

static struct total total_of(const struct model *model)
{
	struct total total = {0};
	for (const struct report *r = model_reports(model); r; r = r->next) {
		total.programs += !r->forked;
		total.processes += !r->same_process;
		total.threads += r->threads + !r->same_process;
		total.unfollowed += r->stopped != NULL;
		total.calls += r->calls;
		total.mremaps += r->mremaps;
		total.differences += r->differences;
		total.compared += r->compared;
		total.skipped += r->skipped;
		for (size_t i = 0; i < r->ncounted; i++)
			total.adopted += r->counted[i].adopted ? r->counted[i].n : 0;
	}
	return total;
}

uint64_t report_differences(const struct model *model)
{
	return total_of(model).differences;
}

int report_status(const struct model *model)
{
	struct total total = total_of(model);
	bool whole = !total.unfollowed && !model_broken(model);
	return total.differences ? EXIT_DIFFERENT : whole ? EXIT_SAME : EXIT_UNFOLLOWED;
}

/* ---- Text ------------------------------------------------------------------------------------ */

static void put_count(FILE *file, uint64_t n, const char *noun)
{
	fprintf(file, "%" PRIu64 " %s%s", n, noun, n == 1 ? "" : "s");
}

/* Names come from the program: what is not plain text must not reach the terminal. */
static void put_escaped(FILE *file, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < ' ' || c > '~')
			fprintf(file, "\\%03o", c);
		else
			putc(c, file);
	}
}

static void put_indented(FILE *file, const char *lines)
{
	while (*lines) {
		size_t len = strcspn(lines, "\n");
		fputs("      ", file);
		put_escaped(file, lines, len);
		putc('\n', file);
		lines += len + (lines[len] == '\n');
	}
}

static void put_difference(FILE *file, const struct difference *first, const char *which)
{
	fprintf(file, "    %s, call %" PRIu64 ":\n", which, first->number);
	if (first->kernel) {
		fprintf(file, "      %s\n        Linux = %s\n        vas   = %s\n", first->call,
		        first->kernel, first->vas);
	} else {
		fprintf(file, "      the maps differ after %s\n", first->call);
		if (first->since > 1)
			fprintf(file,
			        "      (they were last compared %" PRIu64
			        " calls before; --every finds the first)\n",
			        first->since);
	}
	if (first->maps && *first->maps) {
		fputs("      maps, - Linux's, + vas's:\n", file);
		put_indented(file, first->maps);
	}
}

static void put_counted(FILE *file, const struct report *report, bool adopted, const char *head)
{
	bool any = false;
	for (size_t i = 0; i < report->ncounted; i++) {
		const struct counted *counted = &report->counted[i];
		if (counted->adopted != adopted)
			continue;
		fputs(any ? ", " : head, file);
		put_escaped(file, counted->text, strlen(counted->text));
		if (counted->n > 1)
			fprintf(file, " (%u)", counted->n);
		any = true;
	}
	if (any)
		putc('\n', file);
}

static void put_report(FILE *file, const struct report *r)
{
	fprintf(file, "%" PRId32 " ", r->pid);
	put_escaped(file, r->name, strlen(r->name));
	fputs(": ", file);
	put_count(file, r->calls, "call");
	fputs(", ", file);
	put_count(file, r->mremaps, "mremap");
	fputs(", ", file);
	put_count(file, r->differences, "difference");
	fputs(", maps compared ", file);
	put_count(file, r->compared, "time");
	if (r->compared && r->compared < r->calls / 2)
		fprintf(file, " (about every %" PRIu64 " calls)", r->calls / r->compared);
	if (r->threads) {
		fputs(", ", file);
		put_count(file, r->threads, "more thread");
	}
	putc('\n', file);
	for (size_t i = 0; i < r->nfound; i++)
		put_difference(file, &r->found[i], i ? "next difference" : "first difference");
	put_counted(file, r, true, "    taken over from Linux: ");
	put_counted(file, r, false, "    note: ");
	if (r->stopped)
		fprintf(file, "    not followed to its end: %s\n", r->stopped);
	if (r->skipped)
		fprintf(file, "    %" PRIu64 " calls not made on vas after that\n", r->skipped);
}

static void put_linux(FILE *file, const struct machine *machine)
{
	char version[VERSION_TEXT];
	fprintf(file, "Linux %s, vas as %s", machine->release,
	        version_text(machine->version, version));
	if (!machine->vas_verified)
		fputs(" (vas has not been verified against this version)", file);
}

/* What all of it comes to: the last line. */
static void put_verdict(FILE *file, const struct total *total, const char *broken)
{
	if (total->differences) {
		put_count(file, total->differences, "difference");
	} else {
		fputs("Nothing differs", file);
	}
	if (total->unfollowed || broken)
		fputs(total->differences ? "; " : " in what was followed, but ", file);
	if (broken) {
		fprintf(file, "nothing could be checked from some point on (%s)", broken);
	} else if (total->unfollowed) {
		put_count(file, total->unfollowed, "program");
		fputs(" could not be followed to the end", file);
	}
	fputs(".\n", file);
}

/* What --call asked for. */
static void put_shown(FILE *file, const struct shown_call *shown)
{
	if (!shown)
		return;
	if (!shown->call) {
		fprintf(file, "There was no call %" PRIu64 ".\n", shown->number);
		return;
	}
	fprintf(file, "Call %" PRIu64 ":\n  ", shown->number);
	put_escaped(file, shown->call, strlen(shown->call));
	fputs(shown->maps ? "\n  maps, - before, + after:\n" : "\n  changes no map.\n", file);
	if (shown->maps)
		put_indented(file, shown->maps);
}

static void put_text(const struct report_style *style, const struct model *model,
                     const char *ending)
{
	FILE *file = style->file;
	struct total total = total_of(model);
	for (const struct report *r = model_reports(model); r; r = r->next)
		if (!style->quiet || r->differences || r->stopped)
			put_report(file, r);
	put_count(file, total.calls, "call");
	fputs(" (", file);
	put_count(file, total.mremaps, "mremap");
	fputs(") of ", file);
	put_count(file, total.programs, "program");
	fprintf(file, ", %" PRIu64 " process%s, ", total.processes,
	        total.processes == 1 ? "" : "es");
	put_count(file, total.threads, "thread");
	fputs("; maps compared ", file);
	put_count(file, total.compared, "time");
	if (total.adopted)
		fprintf(file, ", %" PRIu64 " taken over", total.adopted);
	if (total.skipped)
		fprintf(file, ", %" PRIu64 " calls not made", total.skipped);
	fputs(". ", file);
	put_linux(file, model_machine(model));
	fputs(".\n", file);
	if (ending && !style->quiet)
		fprintf(file, "The program %s.\n", ending);
	if (style->seconds > 0 && !style->quiet)
		fprintf(file,
		        "It took %.1f s: %.1f s of the processor for the program, %.1f s for "
		        "checking it.\n",
		        style->seconds, style->program_cpu, style->check_cpu);
	put_shown(file, model_shown_call(model));
	if (model_picture(model))
		fprintf(file, "\n%s\n", model_picture(model));
	if (style->changes)
		fprintf(file, MACHINE_CHANGED "%s.\n", style->changes);
	put_verdict(file, &total, model_broken(model));
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Bytes that are not ASCII are written as Latin-1 would be: a path has no encoding, JSON must. */
static void put_string(FILE *file, const char *text)
{
	if (!text) {
		fputs("null", file);
		return;
	}
	putc('"', file);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			fprintf(file, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", file);
		else if (c < ' ' || c > '~')
			fprintf(file, "\\u%04x", c);
		else
			putc(c, file);
	}
	putc('"', file);
}

static void put_counted_json(FILE *file, const struct report *report, bool adopted)
{
	const char *comma = "";
	putc('[', file);
	for (size_t i = 0; i < report->ncounted; i++) {
		const struct counted *counted = &report->counted[i];
		if (counted->adopted != adopted)
			continue;
		fprintf(file, "%s{\"what\":", comma);
		put_string(file, counted->text);
		fprintf(file, ",\"count\":%u}", counted->n);
		comma = ",";
	}
	putc(']', file);
}

static void put_difference_json(FILE *file, const struct difference *first)
{
	fprintf(file, "{\"number\":%" PRIu64 ",\"call\":", first->number);
	put_string(file, first->call);
	fputs(",\"linux\":", file);
	put_string(file, first->kernel);
	fputs(",\"vas\":", file);
	put_string(file, first->vas);
	fprintf(file, ",\"calls_since_maps\":%" PRIu64 ",\"maps\":", first->since);
	put_string(file, first->maps);
	putc('}', file);
}

static void put_report_json(FILE *file, const struct report *r)
{
	fprintf(file, "{\"pid\":%" PRId32 ",\"name\":", r->pid);
	put_string(file, r->name);
	fprintf(file,
	        ",\"threads\":%" PRIu64 ",\"calls\":%" PRIu64 ",\"mremaps\":%" PRIu64
	        ",\"differences\":%" PRIu64 ",\"maps_compared\":%" PRIu64
	        ",\"calls_not_made\":%" PRIu64,
	        r->threads + !r->same_process, r->calls, r->mremaps, r->differences, r->compared,
	        r->skipped);
	fputs(",\"taken_over\":", file);
	put_counted_json(file, r, true);
	fputs(",\"notes\":", file);
	put_counted_json(file, r, false);
	fputs(",\"stopped\":", file);
	put_string(file, r->stopped);
	fputs(",\"differences_found\":[", file);
	for (size_t i = 0; i < r->nfound; i++) {
		fputs(i ? "," : "", file);
		put_difference_json(file, &r->found[i]);
	}
	fputs("]}\n", file);
}

static void put_shown_json(FILE *file, const struct shown_call *shown)
{
	if (!shown)
		return;
	fprintf(file, ",\"shown_call\":{\"number\":%" PRIu64 ",\"call\":", shown->number);
	put_string(file, shown->call);
	fputs(",\"maps\":", file);
	put_string(file, shown->maps);
	putc('}', file);
}

static void put_json(const struct report_style *style, const struct model *model,
                     const char *ending)
{
	FILE *file = style->file;
	struct total total = total_of(model);
	const struct machine *machine = model_machine(model);
	char version[VERSION_TEXT];
	for (const struct report *r = model_reports(model); r; r = r->next)
		if (!style->quiet || r->differences || r->stopped)
			put_report_json(file, r);
	fprintf(file,
	        "{\"total\":true,\"status\":%d,\"programs\":%" PRIu64 ",\"processes\":%" PRIu64
	        ",\"threads\":%" PRIu64 ",\"not_followed\":%" PRIu64 ",\"calls\":%" PRIu64
	        ",\"mremaps\":%" PRIu64 ",\"differences\":%" PRIu64 ",\"maps_compared\":%" PRIu64
	        ",\"taken_over\":%" PRIu64 ",\"calls_not_made\":%" PRIu64 ",\"linux\":",
	        report_status(model), total.programs, total.processes, total.threads,
	        total.unfollowed, total.calls, total.mremaps, total.differences, total.compared,
	        total.adopted, total.skipped);
	put_string(file, machine->release);
	fprintf(file, ",\"version\":\"%s\",\"verified\":%s,\"ending\":",
	        version_text(machine->version, version), machine->vas_verified ? "true" : "false");
	put_string(file, ending);
	if (style->seconds > 0)
		fprintf(file, ",\"seconds\":%.3f,\"program_cpu\":%.3f,\"check_cpu\":%.3f",
		        style->seconds, style->program_cpu, style->check_cpu);
	put_shown_json(file, model_shown_call(model));
	if (model_picture(model)) {
		fputs(",\"picture\":", file);
		put_string(file, model_picture(model));
	}
	fputs(",\"machine_changes\":", file);
	put_string(file, style->changes);
	fputs("}\n", file);
}

void report_print(const struct report_style *style, const struct model *model, const char *ending)
{
	if (style->json)
		put_json(style, model, ending);
	else
		put_text(style, model, ending);
}
