/* session.c - calls one after another, and what the words show of them.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "show/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "show/why.h"
#include "strace/visible.h"

enum pair_result session_call(struct session *session, const struct call *call,
                              struct pair_answer *answers, FILE *why)
{
	snapshot_free(&session->before);
	if (session->looks)
		(void)snapshot_take(&session->before, &session->pair, call_process(call));
	enum pair_result result = pair_call(&session->pair, call, answers, why);
	const struct answer *answer = pair_one(&session->pair, answers);
	session->call = *call;
	session->answer = *answer;
	session->answer.text = NULL;
	variable_assign(&session->variables, call, answer);
	return result;
}

void session_end(struct session *session)
{
	snapshot_free(&session->before);
	pair_destroy(&session->pair);
	*session = (struct session){0};
}

static enum word_result refuse(struct parse_error *error, const char *what)
{
	error->column = 1;
	(void)snprintf(error->message, sizeof(error->message), "%s", what);
	return WORD_REFUSED;
}

/* ---- What is there --------------------------------------------------------------------------- */

static struct target *one_of(const struct session *session)
{
	return session->pair.vas ? session->pair.vas : session->pair.kernel;
}

static enum word_result show_maps(const struct session *session, unsigned process, FILE *out)
{
	struct target *target = one_of(session);
	char *maps = target->ops->maps(target, process);
	if (maps)
		visible_put(out, maps, strlen(maps));
	free(maps);
	return maps ? WORD_SHOWN : WORD_WRONG;
}

static enum word_result show_status(const struct session *session, unsigned process, FILE *out)
{
	struct target *target = one_of(session);
	const uint64_t kb = target->page_size / 1024;
	struct vas_status status;
	if (!target->ops->status(target, process, &status))
		return WORD_WRONG;
	fprintf(out,
	        "VmSize: %8" PRIu64 " kB\nVmLck:  %8" PRIu64 " kB\nVmData: %8" PRIu64
	        " kB\nVmStk:  %8" PRIu64 " kB\n",
	        status.size * kb, status.locked * kb, status.data * kb, status.stack * kb);
	if (session->pair.vas)
		fprintf(out, "break:  0x%" PRIx64 "\nmaps:   %" PRIu64 "\n", status.brk,
		        status.map_count);
	return WORD_SHOWN;
}

static void show_step(const struct vas_walk_step *step, FILE *out)
{
	fprintf(out, "level %u  table 0x%09" PRIx64 "  index %3u  word 0x%016" PRIx64 "  ",
	        step->level, step->table, step->index, step->word);
	if (!step->present)
		fprintf(out, "absent\n");
	else if (!step->leaf)
		fprintf(out, "-> table 0x%" PRIx64 "\n", step->phys);
	else
		fprintf(out, "-> frame 0x%" PRIx64 " %c%c%c\n", step->phys,
		        step->rights & VAS_PROT_READ ? 'r' : '-',
		        step->rights & VAS_PROT_WRITE ? 'w' : '-',
		        step->rights & VAS_PROT_EXEC ? 'x' : '-');
}

static enum word_result show_walk(const struct session *session, const struct word_line *word,
                                  FILE *out, struct parse_error *error)
{
	struct vas_walk_step step[VAS_LEVELS_MAX];
	if (!session->pair.vas)
		return refuse(error, "only vas's tables can be walked: --on vas, or both");
	struct vas *space = target_vas_process(session->pair.vas, word->process);
	unsigned count = vas_walk(space, word->addr, step);
	for (unsigned i = 0; i < count; i++)
		show_step(&step[i], out);
	if (count == 0)
		fprintf(out, "no table covers 0x%" PRIx64 "\n", word->addr);
	return WORD_SHOWN;
}

static enum word_result show_check(const struct session *session, FILE *out,
                                   struct parse_error *error)
{
	if (!session->pair.vas)
		return refuse(error, "only vas's invariants can be checked: --on vas, or both");
	const char *wrong = target_vas_check(session->pair.vas);
	fprintf(out, "%s\n", wrong ? wrong : "all invariants hold");
	return wrong ? WORD_WRONG : WORD_SHOWN;
}

/* As the call flags(ADDR) answers. */
static enum word_result show_flags(struct session *session, const struct word_line *word, FILE *out)
{
	struct call call = {.name = CALL_FLAGS, .nargs = 1, .arg = {word->addr}};
	struct pair_answer answers;
	char text[256];
	call.process = word->process == 1 ? 0 : word->process;
	enum pair_result result = pair_call(&session->pair, &call, &answers, out);
	(void)answer_print(text, sizeof(text), &call, pair_one(&session->pair, &answers));
	fprintf(out, "%s\n", text);
	pair_answer_free(&answers);
	return result == PAIR_SAME ? WORD_SHOWN : WORD_WRONG;
}

/* ---- What the last call did ------------------------------------------------------------------ */

/* Where mremap has moved pages to. What moves cannot be told from a growth that stays. */
static struct draw_move move_of(const struct session *session)
{
	const struct call *call = &session->call;
	const uint64_t page = one_of(session)->page_size;
	uint64_t to = (uint64_t)session->answer.value;
	struct draw_move move = {0};
	if (call->name != CALL_MREMAP || session->answer.kind != ANSWER_VALUE ||
	    session->answer.value < 0 || to == call->arg[0])
		return move;
	move.from = call->arg[0];
	move.len = call->arg[1] < call->arg[2] ? call->arg[1] : call->arg[2];
	move.len = (move.len + page - 1) & ~(page - 1);
	move.to = to;
	return move;
}

/* The process that the last call was of, as it is now. */
static bool take_after(const struct session *session, struct snapshot *after)
{
	return session->before.maps &&
	       snapshot_take(after, &session->pair, call_process(&session->call));
}

bool session_draw_change(struct session *session, const struct draw_style *style, FILE *out)
{
	struct snapshot after;
	if (!take_after(session, &after))
		return false;
	const struct draw_move move = move_of(session);
	bool changed = move.len || strcmp(session->before.maps, after.maps) != 0;
	if (changed)
		draw_change(out, style, session->before.maps, after.maps, &move,
		            session->task_size);
	snapshot_free(&after);
	return changed;
}

/* Of another process than the last call's, and where nothing has changed, as it is. */
static enum word_result show_picture(struct session *session, const struct word_line *word,
                                     const struct draw_style *style, FILE *out)
{
	struct target *target = one_of(session);
	if (word->process == call_process(&session->call) &&
	    session_draw_change(session, style, out))
		return WORD_SHOWN;
	char *maps = target->ops->maps(target, word->process);
	if (!maps)
		return WORD_WRONG;
	draw_maps(out, style, maps, session->task_size);
	free(maps);
	return WORD_SHOWN;
}

static enum word_result show_diff(const struct session *session, FILE *out,
                                  struct parse_error *error)
{
	struct snapshot after;
	if (!session->before.maps)
		return refuse(error, "no call has been made");
	if (!take_after(session, &after))
		return refuse(error, "the process of the last call does not live any more");
	snapshot_diff(out, &session->before, &after);
	snapshot_free(&after);
	return WORD_SHOWN;
}

static enum word_result show_why(const struct session *session, FILE *out,
                                 struct parse_error *error)
{
	const struct why_question question = {
		.call = &session->call,
		.answer = &session->answer,
		.before = &session->before,
		.vas = session->pair.vas,
		.version = session->version,
	};
	if (!session->pair.vas)
		return refuse(error, "only vas can say why: --on vas, or both");
	if (!session->before.maps)
		return refuse(error, "no call has been made");
	const struct why *why = why_of(&question);
	if (why)
		why_put(out, why);
	else
		fprintf(out, "%s\n",
		        why_has_failed(&session->answer) ? "no cause is known"
		                                         : "the last call has answered no errno");
	return WORD_SHOWN;
}

static bool lives(const struct session *session, unsigned process)
{
	return session->pair.vas ? target_vas_process(session->pair.vas, process) != NULL
	                         : target_kernel_process(session->pair.kernel, process) > 0;
}

enum word_result session_word(struct session *session, const struct word_line *word,
                              const struct draw_style *style, FILE *out, struct parse_error *error)
{
	if (!lives(session, word->process))
		return refuse(error, "there is no such process");
	switch (word->word->name) {
	case WORD_MAPS:
		return show_maps(session, word->process, out);
	case WORD_STATUS:
		return show_status(session, word->process, out);
	case WORD_FLAGS:
		return show_flags(session, word, out);
	case WORD_WALK:
		return show_walk(session, word, out, error);
	case WORD_PICTURE:
		return show_picture(session, word, style, out);
	case WORD_DIFF:
		return show_diff(session, out, error);
	case WORD_WHY:
		return show_why(session, out, error);
	case WORD_CHECK:
		return show_check(session, out, error);
	default:
		return refuse(error, "this is a word for the shell alone");
	}
}
