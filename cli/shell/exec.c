/* exec.c - `vas exec`: runs scripts on vas, on the running kernel, or on both at once.
 *
 * A side that cannot judge a script (another version, no right, another setting) is left out, and
 * that is said: nothing is ever passed over in silence.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <inttypes.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "show/session.h"
#include "target/relocate.h"
#include "target/script.h"

struct options {
	enum sides sides;
	uint32_t linux_version; /* vas's; 0: the machine's, or what the script asks for */
	const struct machine_format *format; /* vas's; NULL: the machine's */
	bool other;                          /* that is another than the machine's */
	bool maps, check, several, software, sets, relocate, picture;
};

/* What became of one script. */
enum outcome { PASSED, FAILED, SKIPPED, DISTURBED };

struct run {
	const struct options *options;
	const struct script *script;
	struct machine machine;
	struct session session;
	/* why a wanted side does not run; "": it does */
	char skipped_vas[200], skipped_kernel[200];
	FILE *why;       /* what went wrong, in many lines */
	char brief[300]; /* and in one */
};

enum { ON, LINUX, PAGES, FORMAT, RELOCATE, MAPS, PICTURE, SET_SYSCTLS, NO_CHECK };

static const struct command_option options_known[] = {
	[ON] = {"on", .words = SIDES_WORDS,
	        .help = "where to run (default: both where the kernel can be asked)"},
	[LINUX] = OPTION_LINUX,
	[PAGES] = OPTION_PAGES,
	[FORMAT] = {"format", .value = "NAME",
	            .help = "the page-table format of vas (default: the running kernel's)"},
	[RELOCATE] = {"relocate", .help = "the scripts are for x86-64 with pages of 4 KiB: let "
	                                  "addresses and lengths be those of the machine"},
	[MAPS] = {"maps", .help = "print the final map"},
	[PICTURE] = {"picture", .help = "draw what each call changes in the map"},
	[SET_SYSCTLS] =
		{"set-sysctls",
	         .help = "as root, set the sysctls that scripts need, and put them back: for "
	                 "the whole machine, so for one of your own (vas judge)"},
	[NO_CHECK] = {"no-check", .help = "do not verify vas's invariants after each call"},
	{0},
};

/* ---- Which sides run ------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void skip(char reason[200], const char *format, ...)
{
	va_list args;
	if (reason[0])
		return; /* the first reason is enough */
	va_start(args, format);
	(void)vsnprintf(reason, 200, format, args);
	va_end(args);
}

static void check_version(char reason[200], const struct script *script, uint32_t version)
{
	const struct version_range *range = &script->range;
	char text[VERSION_TEXT];
	if (!version_after(range, version))
		skip(reason, "since Linux %s", version_text(version_within(range, version), text));
	if (!version_before(range, version))
		skip(reason, "until Linux %s", version_text(version_within(range, version), text));
}

/* Who gets huge pages is the machine's to say, and vas's as the script wants it. */
static void check_thp(struct run *run)
{
	const char *wanted = run->script->needs_thp;
	if (!wanted[0])
		return;
	if (strcmp(wanted, run->machine.thp) != 0)
		skip(run->skipped_kernel, "transparent huge pages are \"%s\" on this machine",
		     run->machine.thp);
	run->machine.settings.thp_enabled = thp_number(wanted);
}

static void check_shmem(struct run *run)
{
	const char *wanted = run->script->needs_shmem;
	if (!wanted[0])
		return;
	if (strcmp(wanted, run->machine.shmem_thp) != 0)
		skip(run->skipped_kernel, "shmem_enabled is \"%s\" on this machine",
		     run->machine.shmem_thp);
	else
		return;
	run->machine.settings.shmem_thp = shmem_is_huge(wanted);
	run->machine.settings.shmem_sizes = 0;
}

/* A script for one format runs on vas with that. */
static void check_format(struct run *run)
{
	const struct script *script = run->script;
	const struct machine_format *format = run->machine.format, *wanted = NULL;
	if (run->options->other)
		skip(run->skipped_kernel, "vas has another format");
	if (script->needs_format[0] &&
	    strncmp(format->name, script->needs_format, strlen(script->needs_format)) != 0) {
		skip(run->skipped_kernel, "for format %s", script->needs_format);
		wanted = machine_format_begins(script->needs_format);
	} else if (script->needs_page && script->needs_page != format->page_size) {
		skip(run->skipped_kernel, "for pages of %llu bytes",
		     (unsigned long long)script->needs_page);
		wanted = machine_format_begins("x86_64");
	}
	if (wanted)
		machine_set_format(&run->machine, wanted);
}

/* What can be said before a process has been made. */
static void choose_sides(struct run *run)
{
	const struct script *script = run->script;
	uint32_t version = version_like(run->options->linux_version, run->machine.version);
	if (!(run->options->sides & SIDES_KERNEL))
		skip(run->skipped_kernel, "not asked");
	if (!(run->options->sides & SIDES_VAS))
		skip(run->skipped_vas, "not asked");
	if (script->kernel_no[0])
		skip(run->skipped_kernel, "%s", script->kernel_no);
	if (script->needs_root && geteuid() != 0)
		skip(run->skipped_kernel, "needs root");
	check_format(run);
	check_thp(run);
	check_shmem(run);
	check_version(run->skipped_kernel, script, run->machine.version);
	if (version) {
		check_version(run->skipped_vas, script, version);
		if (version != run->machine.version && !run->skipped_vas[0])
			skip(run->skipped_kernel, "vas answers as another Linux");
	} else {
		version = version_within(&script->range, run->machine.version);
	}
	run->machine.version = version;
}

/* ---- One script ------------------------------------------------------------------------------ */

static bool fails(struct run *run, const struct script_line *line, const char *what)
{
	char text[1024];
	(void)call_print(text, sizeof(text), &line->call, NULL);
	(void)snprintf(run->brief, sizeof(run->brief), "line %u: %.180s: %s", line->number, text,
	               what);
	return false;
}

static void drop_kernel(struct run *run, const char *reason)
{
	skip(run->skipped_kernel, "%s", reason);
	run->session.pair.kernel->ops->destroy(run->session.pair.kernel);
	run->session.pair.kernel = NULL;
}

static bool meets(struct run *run, const struct script_line *line, const char *side,
                  const struct answer *answer)
{
	char text[2048];
	if (line->expected.kind == ANSWER_NONE || answer_equal(&line->expected, answer))
		return true;
	(void)answer_print(text, sizeof(text), &line->call, &line->expected);
	fprintf(run->why, "  expected   = %s\n", text);
	(void)answer_print(text, sizeof(text), &line->call, answer);
	fprintf(run->why, "  %-10s = %s\n", side, text);
	if (answer->kind == ANSWER_TEXT && line->call.name == CALL_MAPS)
		fprintf(run->why, "%s", answer->text);
	if (answer->kind == ANSWER_TEXT && line->call.name == CALL_MINCORE)
		fprintf(run->why, "  vector %s, expected %s\n", answer->text,
		        line->expected.text ? line->expected.text : "none");
	return fails(run, line,
	             strcmp(side, "vas") == 0 ? "vas answers otherwise than expected"
	                                      : "the kernel answers otherwise than expected");
}

static void print_line(struct run *run, const struct script_line *line,
                       const struct pair_answer *answers)
{
	const struct answer *answer = pair_one(&run->session.pair, answers);
	if (run->options->several)
		return;
	size_t len = call_print(NULL, 0, &line->call, answer);
	char *text = malloc(len + 1);
	if (!text) {
		printf("# out of memory\n");
		return;
	}
	(void)call_print(text, len + 1, &line->call, answer);
	printf("%s\n", text);
	free(text);
}

/* What is no call's answer is a comment to who reads the output again. */
static void print_commented(const char *text)
{
	for (const char *line = text; line && *line;) {
		size_t len = strcspn(line, "\n");
		(void)fputs("# ", stdout);
		(void)fwrite(line, 1, len, stdout);
		(void)fputc('\n', stdout);
		line += len + (line[len] == '\n');
	}
}

static struct draw_style style_of_comments(void)
{
	struct draw_style style = draw_style_of(stdout);
	style.columns -= 2;
	return style;
}

static void print_picture(struct run *run)
{
	const struct draw_style style = style_of_comments();
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return;
	(void)session_draw_change(&run->session, &style, out);
	if (fclose(out) == 0)
		print_commented(text);
	free(text);
}

/* A word and what it says; where several scripts run, only what is wrong. */
static bool run_word(struct run *run, const struct script_line *line)
{
	const struct draw_style style = style_of_comments();
	const struct word_line *word = &line->word;
	struct parse_error error;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	enum word_result result = WORD_WRONG;
	if (out)
		result = session_word(&run->session, word, &style, out, &error);
	if (!out || fclose(out) != 0)
		result = WORD_WRONG;
	if (result == WORD_REFUSED)
		(void)snprintf(run->brief, sizeof(run->brief), "line %u: %s: %.200s", line->number,
		               word->word->text, error.message);
	else if (result == WORD_WRONG)
		(void)snprintf(run->brief, sizeof(run->brief), "line %u: %s: %.200s", line->number,
		               word->word->text, text ? text : "it cannot be shown");
	else if (!run->options->several) {
		if (word->process != 1)
			printf("[%u] ", word->process);
		if (word->word->argument[0])
			printf("%s 0x%" PRIx64 "\n", word->word->text, word->addr);
		else
			printf("%s\n", word->word->text);
		print_commented(text);
	}
	free(text);
	return result == WORD_SHOWN;
}

static bool run_call(struct run *run, const struct script_line *line)
{
	struct pair_answer answers;
	enum pair_result result = session_call(&run->session, &line->call, &answers, run->why);
	struct pair *pair = &run->session.pair;
	bool good = result == PAIR_SAME;
	if (good && line->call.name == CALL_SYSCTL && answers.kernel.kind == ANSWER_REFUSED) {
		drop_kernel(run, answers.kernel.text);
		answer_free(&answers.kernel);
	}
	if (good && line->call.name == CALL_SYSCTL && answers.vas.kind == ANSWER_REFUSED)
		good = fails(run, line, answers.vas.text);
	if (good && !pair->vas && !pair->kernel) {
		pair_answer_free(&answers);
		return true; /* the script ends here, skipped */
	}
	if (result == PAIR_DIFFERENT)
		good = fails(run, line,
		             pair->kernel ? "vas and the kernel differ" : "vas is broken");
	else if (result == PAIR_BROKEN)
		good = fails(run, line, "a side could not go on");
	if (good)
		print_line(run, line, &answers);
	if (good && run->options->picture && !run->options->several)
		print_picture(run);
	if (good && pair->kernel)
		good = meets(run, line, "the kernel", &answers.kernel);
	if (good && pair->vas)
		good = meets(run, line, "vas", &answers.vas);
	pair_answer_free(&answers);
	return good;
}

static bool run_line(struct run *run, struct script_line *line)
{
	struct parse_error error;
	if (!script_resolve(line, &run->session.variables, &error)) {
		(void)snprintf(run->brief, sizeof(run->brief), "line %u: column %u: %.200s",
		               line->number, error.column, error.message);
		return false;
	}
	return line->word.word ? run_word(run, line) : run_call(run, line);
}

static bool print_maps_of(struct run *run, unsigned process)
{
	struct target *target = run->session.pair.vas ? run->session.pair.vas
	                                              : run->session.pair.kernel;
	char *maps = target->ops->maps(target, process);
	if (maps && run->session.pair.children)
		printf("# process %u\n", process);
	print_commented(maps);
	free(maps);
	return maps != NULL;
}

static bool print_maps(struct run *run)
{
	bool good = true;
	for (unsigned i = pair_next_process(&run->session.pair, 0); i && good;
	     i = pair_next_process(&run->session.pair, i))
		good = print_maps_of(run, i);
	return good;
}

static bool create_sides(struct run *run)
{
	run->session.task_size = run->machine.task_size;
	run->session.version = run->machine.version;
	if (!run->skipped_kernel[0]) {
		run->session.pair.kernel = target_kernel_create();
		if (!run->session.pair.kernel)
			return false;
		if (run->options->sets)
			target_kernel_sets_sysctls(run->session.pair.kernel);
		uint32_t has = target_kernel_start(run->session.pair.kernel)->params.capabilities;
		if (run->script->needs_caps & ~has)
			drop_kernel(run, "a capability is missing");
	}
	if (!run->skipped_vas[0]) {
		run->session.pair.vas = target_vas_create(&run->machine, run->session.pair.kernel);
		run->session.pair.check = run->options->check;
		return run->session.pair.vas != NULL;
	}
	return true;
}

static bool run_lines(struct run *run)
{
	const struct script *script = run->script;
	for (unsigned i = 0; i < script->sysctls; i++) {
		struct script_line line = {.call = script->needs_sysctl[i]};
		if (!run_line(run, &line))
			return false;
	}
	const struct pair *pair = &run->session.pair;
	for (size_t i = 0; i < script->count && (pair->vas || pair->kernel); i++)
		if (!run_line(run, &script->lines[i]))
			return false;
	const char *wrong = pair->vas ? target_vas_check(pair->vas) : NULL;
	if (wrong) {
		(void)snprintf(run->brief, sizeof(run->brief), "at the end: %.200s", wrong);
		return false;
	}
	return !run->options->maps || (!pair->vas && !pair->kernel) || print_maps(run);
}

static enum outcome run_script(struct run *run)
{
	bool good;
	run->session.looks = run->script->looks || run->options->picture;
	choose_sides(run);
	if (run->skipped_vas[0] && run->skipped_kernel[0])
		return SKIPPED;
	good = create_sides(run);
	if (!good)
		(void)snprintf(run->brief, sizeof(run->brief), "a side could not be started");
	good = good && run_lines(run);
	bool skipped = !run->session.pair.vas && !run->session.pair.kernel;
	session_end(&run->session);
	return !good ? FAILED : skipped ? SKIPPED : PASSED;
}

/* ---- Telling --------------------------------------------------------------------------------- */

static void tell(const struct run *run, enum outcome outcome, const char *details)
{
	const char *mark = run->options->several ? "" : "# ";
	const char *path = run->script->path;
	const char *kernel = run->skipped_kernel, *vas = run->skipped_vas;
	bool kernel_said = kernel[0] && strcmp(kernel, "not asked") != 0;
	bool vas_said = vas[0] && strcmp(vas, "not asked") != 0;
	(void)fflush(stdout);
	if (outcome == FAILED) {
		printf("%sFAIL %s: %s\n", mark, path, run->brief);
		(void)fflush(stdout);
		fprintf(stderr, "%s", details);
		return;
	}
	printf("%s%s %s", mark, outcome == PASSED ? "ok  " : "skip", path);
	if (kernel_said)
		printf("  (skipped on kernel: %s)", kernel);
	if (vas_said)
		printf("  (skipped on vas: %s)", vas);
	printf("\n");
}

/* How often the kernel, by itself or for us, has made small pages a huge one, or had none. */
static uint64_t huge_page_events(void)
{
	char name[64];
	unsigned long long n, events = 0;
	FILE *stream = fopen("/proc/vmstat", "re");
	while (stream && fscanf(stream, "%63s %llu", name, &n) == 2)
		if (strcmp(name, "thp_collapse_alloc") == 0 ||
		    strcmp(name, "thp_fault_fallback") == 0 ||
		    strcmp(name, "thp_zero_page_alloc_failed") == 0)
			events += n;
	if (stream)
		(void)fclose(stream);
	return events;
}

/* One try of a script. */
static bool run_and_tell_once(const struct options *options, const struct machine *machine,
                              const struct script *script, bool last, enum outcome *outcome)
{
	char *details = NULL;
	size_t size = 0;
	uint64_t events = huge_page_events();
	struct run run = {.options = options, .script = script, .machine = *machine};
	run.why = open_memstream(&details, &size);
	if (!run.why) {
		fprintf(stderr, "vas: out of memory\n");
		return false;
	}
	*outcome = run_script(&run);
	if (fclose(run.why) != 0)
		fprintf(stderr, "vas: out of memory: what differs is incomplete\n");
	if (*outcome == FAILED && !last && !run.skipped_kernel[0] && script->needs_thp[0] &&
	    events != huge_page_events())
		*outcome = DISTURBED;
	else
		tell(&run, *outcome, details ? details : "");
	free(details);
	return true;
}

/* Whether it is the machine's at all. */
static bool fits(const struct script *script, const struct machine *machine)
{
	return (!script->needs_page || script->needs_page == machine->format->page_size) &&
	       strncmp(machine->format->name, script->needs_format, strlen(script->needs_format)) ==
	               0;
}

/* Who waits for huge pages can be disturbed: the kernel makes some whenever it wants, and may lack
 * them. A script that fails while that has happened runs again; if it fails thrice, it fails. */
static bool run_and_tell(const struct options *options, const struct machine *machine,
                         const struct script *script, enum outcome *outcome)
{
	bool ran = run_and_tell_once(options, machine, script, false, outcome);
	for (unsigned tries = 2; ran && *outcome == DISTURBED; tries++) {
		printf("# again %s: meanwhile the kernel has made huge pages, or had none\n",
		       script->path);
		ran = run_and_tell_once(options, machine, script, tries == 3, outcome);
	}
	return ran;
}

/* All scripts are read before the first runs: a syntax error is found at once. */
static int run_all(struct options *options, char **paths, size_t count)
{
	unsigned counted[3] = {0};
	struct machine machine;
	if (!machine_or_default(&machine))
		return EXIT_DIFFERENT;
	machine.software = options->software;
	options->other = options->format && options->format != machine.format;
	if (options->other)
		machine_set_format(&machine, options->format);
	for (size_t i = 0; i < count; i++) {
		struct script script;
		enum outcome outcome;
		if (!script_read(paths[i], &script))
			return EXIT_USAGE;
		if (options->relocate && script.refers) {
			fprintf(stderr, "%s: what is said with names cannot be relocated\n",
			        paths[i]);
			script_free(&script);
			return EXIT_USAGE;
		}
		if (options->relocate && fits(&script, &machine) &&
		    !script_relocate(&script, &machine))
			return EXIT_DIFFERENT;
		bool ran = run_and_tell(options, &machine, &script, &outcome);
		script_free(&script);
		if (!ran)
			return EXIT_DIFFERENT;
		counted[outcome]++;
	}
	if (options->several)
		printf("%u passed, %u failed, %u skipped\n", counted[PASSED], counted[FAILED],
		       counted[SKIPPED]);
	if (counted[FAILED])
		return EXIT_DIFFERENT;
	return counted[PASSED] ? EXIT_SAME : EXIT_SKIPPED;
}

/* Reads them all once, for their syntax alone; standard input can be read but once. */
static bool check_syntax(char **paths, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct script script;
		if (strcmp(paths[i], "-") == 0)
			continue;
		if (!script_read(paths[i], &script))
			return false;
		script_free(&script);
	}
	return true;
}

static bool take_option(void *into, unsigned option, const char *value)
{
	struct options *options = into;
	switch (option) {
	case ON:
		options->sides = sides_parse(value);
		return true;
	case LINUX:
		return linux_parse(value, &options->linux_version);
	case PAGES:
		options->software = strcmp(value, "software") == 0;
		return true;
	case FORMAT:
		options->format = machine_format_find(value);
		return options->format != NULL;
	case RELOCATE:
		options->relocate = true;
		return true;
	case MAPS:
		options->maps = true;
		return true;
	case PICTURE:
		options->picture = true;
		return true;
	case SET_SYSCTLS:
		options->sets = true;
		return true;
	default:
		options->check = false;
		return true;
	}
}

/* With a max_map_count of 4 this process gets no more mappings either: malloc has all it may need
 * before. */
static void need_no_mappings(void)
{
	const int enough = 64 << 20;
	(void)mallopt(M_MMAP_THRESHOLD, enough);
	(void)mallopt(M_TRIM_THRESHOLD, 2 * enough);
	(void)mallopt(M_TOP_PAD, enough);
	void *volatile some = malloc(1 << 20); /* not left out by the compiler */
	free(some);
}

static int exec(int argc, char **argv)
{
	struct options options = {.sides = sides_default(), .check = true};
	int first;
	int status = command_parse(&command_exec, argc, argv, take_option, &options, &first);
	if (status != COMMAND_GO_ON)
		return status;
	if (options.linux_version && !sides_have_vas(options.sides, "linux"))
		return EXIT_USAGE;
	size_t count = (size_t)(argc - first);
	options.several = count > 1;
	if (!check_syntax(argv + first, count))
		return EXIT_USAGE;
	if (options.sets)
		need_no_mappings();
	return run_all(&options, argv + first, count);
}

const struct command command_exec = {
	.name = "exec",
	.what = "runs scripts of calls, and compares",
	.synopsis = "SCRIPT...",
	.text = "Runs scripts of calls, written as strace prints them (docs/notation.md). Answers "
		"given in a script are checked, the others printed. On both sides, answers, maps "
		"and "
		"counters are compared after each call; the first difference ends the script. A "
		"SCRIPT of - is standard input.",
	.status = "0 nothing differs and all answers are as expected\n1 something is not\n"
		  "2 usage or syntax\n77 nothing could run",
	.operand = "SCRIPT",
	.least = 1,
	.options = options_known,
	.run = exec,
};
