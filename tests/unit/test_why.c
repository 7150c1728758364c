/* Every call in tests/cases that fails has a cause; and every cause is that of a call that fails in
 * a case about its fact: so neither the rules nor their words can go stale alone.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include <ftw.h>

#include "show/session.h"
#include "show/why.h"
#include "target/script.h"

static char cases_dir[512];
static unsigned nfailed, nunknown;
static bool reached[400];   /* by the index of why_at: by a case about its fact */
static char seen[400][200]; /* the facts of the cases that reached it otherwise */

static void machine_for(const struct script *script, struct machine *machine)
{
	memset(machine, 0, sizeof(*machine));
	vas_settings_default(&machine->settings, (uint64_t)4 << 20);
	machine->version = version_within(&script->range, VAS_LINUX_LATEST);
	machine->settings.shmem_thp = shmem_is_huge(script->needs_shmem);
	if (script->needs_thp[0])
		machine->settings.thp_enabled = thp_number(script->needs_thp);
	machine_set_format(machine, machine_format_find("x86_64"));
}

/* The words behind "#: fact" in the script, each with a blank on both sides. */
static void facts_of(const char *path, char *facts, size_t size)
{
	char line[512];
	size_t len = (size_t)snprintf(facts, size, " ");
	FILE *stream = fopen(path, "r");

	assert_non_null(stream);
	while (fgets(line, sizeof(line), stream)) {
		if (strncmp(line, "#: fact ", 8) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		len += (size_t)snprintf(facts + len, size - len, "%s ", line + 8);
	}
	fclose(stream);
}

static void note(const struct why *why, const char *facts)
{
	char word[32];
	size_t n = 0;

	while (why_at(n) != why)
		n++;
	assert_true(n < sizeof(reached) / sizeof(reached[0]));
	snprintf(word, sizeof(word), " %s ", why->fact);
	if (strstr(facts, word))
		reached[n] = true;
	else
		snprintf(seen[n] + strlen(seen[n]), sizeof(seen[n]) - strlen(seen[n]), "%s", facts);
}

static void ask(const struct session *session, const struct script *script, unsigned number,
                const char *facts)
{
	const struct why_question question = {
		.call = &session->call,
		.answer = &session->answer,
		.before = &session->before,
		.vas = session->pair.vas,
		.version = session->version,
	};
	const struct why *why;
	char text[512];

	if (!why_has_failed(&session->answer))
		return;
	nfailed++;
	why = why_of(&question);
	if (why) {
		note(why, facts);
		return;
	}
	if (session->answer.kind == ANSWER_SIGNAL)
		return; /* what only hardware does has no words */
	call_print(text, sizeof(text), &session->call, &session->answer);
	print_message("%s:%u: no cause: %s\n", script->path, number, text);
	nunknown++;
}

static void run_script(const struct script *script, const char *facts)
{
	struct session session = {.looks = true};
	struct machine machine;

	machine_for(script, &machine);
	session.version = machine.version;
	session.pair.vas = target_vas_create(&machine, NULL);
	assert_non_null(session.pair.vas);
	for (unsigned i = 0; i < script->sysctls; i++) {
		struct pair_answer answers;

		session_call(&session, &script->needs_sysctl[i], &answers, stderr);
		pair_answer_free(&answers);
	}
	for (size_t i = 0; i < script->count; i++) {
		struct script_line *line = &script->lines[i];
		struct parse_error error;
		struct pair_answer answers;

		if (!script_resolve(line, &session.variables, &error))
			fail_msg("%s:%u: %s", script->path, line->number, error.message);
		if (line->word.word)
			continue;
		session_call(&session, &line->call, &answers, stderr);
		ask(&session, script, line->number, facts);
		pair_answer_free(&answers);
	}
	session_end(&session);
}

static int visit(const char *path, const struct stat *status, int type, struct FTW *where)
{
	const char *dot = strrchr(path, '.');
	char facts[512], *text;
	size_t size;
	struct script script;

	(void)status;
	(void)where;
	if (type != FTW_F || !dot || strcmp(dot, ".strace") != 0)
		return 0;
	/* Only those in which something fails: the others say nothing here, and take time. */
	FILE *stream = fopen(path, "r");
	assert_non_null(stream);
	text = NULL;
	size = 0;
	ssize_t len = getdelim(&text, &size, '\0', stream);
	fclose(stream);
	bool fails = len > 0 && (strstr(text, "= -1 ") || strstr(text, "= SIG"));
	free(text);
	if (!fails)
		return 0;
	if (!script_read(path, &script))
		return -1;
	facts_of(path, facts, sizeof(facts));
	run_script(&script, facts);
	script_free(&script);
	return 0;
}

static void every_failure_has_a_cause_and_every_cause_a_case(void **state)
{
	unsigned unreached = 0;

	(void)state;
	assert_int_equal(nftw(cases_dir, visit, 16, FTW_PHYS), 0);
	for (size_t n = 0; why_at(n); n++) {
		if (reached[n])
			continue;
		print_message("no case of %s reaches: call %u, %u: %s; those of%s do\n",
		              why_at(n)->fact, why_at(n)->call, why_at(n)->number, why_at(n)->cause,
		              seen[n][0] ? seen[n] : " none");
		unreached++;
	}
	print_message("%u calls failed\n", nfailed);
	assert_true(nfailed > 400);
	assert_int_equal(nunknown, 0);
	assert_int_equal(unreached, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failure_has_a_cause_and_every_cause_a_case),
	};

	/* Beside this file. */
	snprintf(cases_dir, sizeof(cases_dir), "%.*s/../cases",
	         (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
