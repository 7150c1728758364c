/* fuzz_shrink.c - delta debugging: chunks of calls go, then calls, then flags and numbers.
 *
 * Each trial is made on fresh sides, and kept only if it shows a difference of the same sort: so
 * what is left at any time shows it. A script that ends vas is tried in a process of its own.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "fuzz/fuzz_shrink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "strace/strace_shape.h"

#define SECONDS_MAX 120 /* a script that is a little too long is better than none */

struct shrink {
	struct fuzz_run *run;
	struct fuzz_script *script, *trial;
	struct fuzz_difference *difference;
	const volatile sig_atomic_t *stop;
	time_t end;
};

/* ---- Replaying ------------------------------------------------------------------------------- */

static void print_call(FILE *out, const struct call *call, const struct answer *answer)
{
	char text[2048];
	(void)call_print(text, sizeof(text), call, answer->kind == ANSWER_REFUSED ? NULL : answer);
	fprintf(out, "%s\n", text);
}

static void print_kernel(struct fuzz_run *run, const struct call *call, FILE *out)
{
	struct answer answer = {0};
	if (run->kernel->ops->call(run->kernel, call, &answer))
		print_call(out, call, &answer);
	answer_free(&answer);
}

enum fuzz_result fuzz_replay(struct fuzz_run *run, const struct fuzz_script *script,
                             struct fuzz_difference *difference, size_t *at, FILE *out)
{
	enum fuzz_result result = fuzz_run_begin(run) ? FUZZ_SAME : FUZZ_BROKEN;
	const unsigned at_once = run->at_once;
	run->at_once = 1;
	for (*at = 0; result == FUZZ_SAME && *at < script->count; ++*at) {
		result = fuzz_run_call(run, &script->call[*at], difference);
		if (out && result != FUZZ_LEFT_OUT && result != FUZZ_BROKEN)
			print_call(out, &script->call[*at], &run->answer);
		if (result != FUZZ_SAME)
			break;
	}
	if (result == FUZZ_DIFFERENT && out &&
	    *at + 1 < script->count) /* the question after a page */
		print_kernel(run, &script->call[*at + 1], out);
	if (result == FUZZ_SAME)
		result = fuzz_run_audit(run, difference);
	fuzz_run_end(run);
	run->at_once = at_once;
	return result;
}

/* The same in a process of its own, for a script that ends vas itself. */
static enum fuzz_result replay_crash(struct fuzz_run *run, const struct fuzz_script *script)
{
	struct fuzz_difference difference;
	size_t at;
	int status = 0;
	pid_t pid = fork();
	if (pid == 0)
		_exit(fuzz_replay(run, script, &difference, &at, NULL) == FUZZ_LEFT_OUT);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid < 0 ? FUZZ_BROKEN : WIFSIGNALED(status) ? FUZZ_DIFFERENT : FUZZ_SAME;
}

/* ---- One trial ------------------------------------------------------------------------------- */

static bool ended(const struct shrink *shrink)
{
	return *shrink->stop || time(NULL) > shrink->end;
}

/* Whether the trial shows the difference too; then it is the script. */
static bool keeps(struct shrink *shrink)
{
	struct fuzz_difference found;
	size_t at = 0;
	if (ended(shrink))
		return false;
	if (shrink->difference->kind == FUZZ_CRASH) {
		if (replay_crash(shrink->run, shrink->trial) != FUZZ_DIFFERENT)
			return false;
	} else {
		if (fuzz_replay(shrink->run, shrink->trial, &found, &at, NULL) != FUZZ_DIFFERENT ||
		    !fuzz_same_sort(&found, shrink->difference))
			return false;
		*shrink->difference = found;
		if (at < shrink->trial->count)
			shrink->trial->count = at + 1;
	}
	struct fuzz_script *script = shrink->script;
	shrink->script->count = shrink->trial->count;
	memcpy(script->call, shrink->trial->call, script->count * sizeof(script->call[0]));
	return true;
}

/* ---- Fewer calls ----------------------------------------------------------------------------- */

static bool without(struct shrink *shrink, size_t from, size_t count)
{
	const struct fuzz_script *script = shrink->script;
	struct fuzz_script *trial = shrink->trial;
	trial->count = script->count - count;
	memcpy(trial->call, script->call, from * sizeof(script->call[0]));
	memcpy(trial->call + from, script->call + from + count,
	       (trial->count - from) * sizeof(script->call[0]));
	return keeps(shrink);
}

/* One pass with chunks of `size`, from the end, where the difference is; whether any could go. */
static bool drop_chunks(struct shrink *shrink, size_t size)
{
	bool dropped = false;
	for (size_t from = shrink->script->count; from > 0 && !ended(shrink);) {
		size_t count = shrink->script->count;
		if (from > count)
			from = count;
		if (from == 0)
			break;
		size_t n = from < size ? from : size;
		from -= n;
		if (without(shrink, from, n))
			dropped = true;
	}
	return dropped;
}

static void drop(struct shrink *shrink)
{
	for (size_t size = shrink->script->count / 2; size > 1; size /= 2)
		(void)drop_chunks(shrink, size);
	while (drop_chunks(shrink, 1))
		;
}

/* ---- Simpler calls --------------------------------------------------------------------------- */

/* The n-th simpler value of an argument; false: there is none. */
static bool simpler(uint64_t page, enum arg_kind kind, uint64_t old, unsigned n, uint64_t *value)
{
	uint64_t bits = old;
	switch (kind) {
	case ARG_LEN:
		if (n > 3)
			return false;
		*value = n == 0   ? page
		         : n == 1 ? 2 * page
		         : n == 2 ? (old / 2 + page - 1) & ~(page - 1)
		                  : (old + page - 1) & ~(page - 1);
		return true;
	case ARG_ADDR:
		*value = old & ~(page - 1);
		return n == 0;
	case ARG_OFFSET:
		*value = 0;
		return n == 0;
	case ARG_BYTE:
		*value = 1;
		return n == 0;
	case ARG_SET:
		for (; n > 0; n--)
			bits &= bits - 1;
		*value = old & ~(bits & -bits);
		return bits != 0;
	default:
		return false;
	}
}

static bool simplify_argument(struct shrink *shrink, size_t at, unsigned slot, enum arg_kind kind)
{
	const uint64_t page = shrink->run->machine->format->page_size;
	bool changed = false;
	uint64_t value;
	for (unsigned n = 0; at < shrink->script->count; n++) {
		uint64_t old = shrink->script->call[at].arg[slot];
		if (!simpler(page, kind, old, n, &value))
			break;
		if (value == old || (kind == ARG_LEN && value > old))
			continue;
		memcpy(shrink->trial, shrink->script, sizeof(*shrink->trial));
		shrink->trial->call[at].arg[slot] = value;
		if (keeps(shrink))
			changed = true;
	}
	return changed;
}

static bool simplify_call(struct shrink *shrink, size_t at)
{
	const struct call_shape *shape = shape_of(shrink->script->call[at].name);
	bool changed = false;
	unsigned slot = 0;
	for (const struct arg_shape *arg = shape->arg; arg->kind != ARG_END && slot < CALL_MAX_ARGS;
	     arg++) {
		bool choice = arg->kind == ARG_SET && arg->set->choice == CHOICE_ONLY;
		if (at < shrink->script->count && slot < shrink->script->call[at].nargs && !choice)
			changed |= simplify_argument(shrink, at, slot, arg->kind);
		slot += arg->kind == ARG_LIMITS ? 2
		                                : arg->kind != ARG_TEXT && arg->kind != ARG_SKIP;
	}
	return changed;
}

static bool simplify(struct shrink *shrink)
{
	bool changed = false;
	for (size_t at = shrink->script->count; at-- > 0;)
		if (at < shrink->script->count && !ended(shrink))
			changed |= simplify_call(shrink, at);
	return changed;
}

/* ---- All ------------------------------------------------------------------------------------- */

/* Some differences show in a script only when they are asked for. */
static void ask(struct shrink *shrink)
{
	struct fuzz_script *script = shrink->script;
	enum fuzz_kind kind = shrink->difference->kind;
	if ((kind != FUZZ_PAGE && kind != FUZZ_FLAGS) || script->count == FUZZ_SCRIPT_MAX)
		return;
	struct call call = FUZZ_CALL(kind == FUZZ_PAGE ? CALL_PRESENT : CALL_FLAGS,
	                             shrink->difference->addr);
	call.process = shrink->difference->process;
	script->call[script->count++] = call;
}

void fuzz_find_first(struct fuzz_run *run, struct fuzz_script *script,
                     struct fuzz_difference *difference)
{
	struct fuzz_difference found;
	size_t at;
	if (fuzz_replay(run, script, &found, &at, NULL) != FUZZ_DIFFERENT)
		return;
	*difference = found;
	if (at < script->count)
		script->count = at + 1;
}

bool fuzz_shrink(struct fuzz_run *run, struct fuzz_script *script,
                 struct fuzz_difference *difference, const volatile sig_atomic_t *stop)
{
	struct fuzz_script *trial = malloc(sizeof(*trial));
	struct shrink shrink = {.run = run,
	                        .script = script,
	                        .trial = trial,
	                        .difference = difference,
	                        .stop = stop,
	                        .end = time(NULL) + SECONDS_MAX};
	if (!trial)
		return false;
	memcpy(trial, script, sizeof(*trial));
	bool again = keeps(&shrink);
	if (again) {
		drop(&shrink);
		while (simplify(&shrink) && !ended(&shrink))
			drop(&shrink);
		ask(&shrink);
	}
	free(trial);
	return again;
}
