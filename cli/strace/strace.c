/* strace.c - reads calls and answers as strace writes them.
 *
 * One cursor walks the line; each take_* function either consumes what it names or records where
 * the line went wrong and answers false. Printing is strace_print.c's.
 *
 * SPDX-License-Identifier: MIT */
#include "strace/strace.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strace/cursor.h"
#include "strace/hints.h"
#include "strace/strace_shape.h"

/* ---- Names and texts ------------------------------------------------------------------------- */

static bool take_set_term(struct cursor *cursor, const struct name_set *set, uint64_t *value)
{
	uint64_t term;
	size_t len = cursor_word(cursor);
	if (!len) {
		if (!cursor_take_number(cursor, &term))
			return false;
	} else if (name_find(set, cursor->at, len, &term)) {
		cursor->at += len;
	} else {
		char what[100];
		struct hint hint = {.word = cursor->at, .len = len};
		hint_show_set(&hint, set);
		(void)snprintf(what, sizeof(what), "unknown name '%.*s' among %s",
		               cursor_word_here(cursor), cursor->at,
		               set->unknown[0] ? set->unknown : "numbers");
		return cursor_fail_near(cursor, &hint, what);
	}
	*value |= term;
	return true;
}

static bool take_set(struct cursor *cursor, const struct name_set *set, uint64_t *value)
{
	*value = 0;
	if (!take_set_term(cursor, set, value))
		return false;
	while (cursor_accept(cursor, "|")) {
		if (set->choice == CHOICE_ONLY)
			return cursor_fail(cursor, "only one of %s may be given", set->unknown);
		if (!take_set_term(cursor, set, value))
			return false;
	}
	return true;
}

/* One character behind a backslash; NUL cannot be part of a C string. */
static bool take_escape(struct cursor *cursor, char *c)
{
	unsigned code = 0, digits = 0;
	switch (*cursor->at) {
	case 'n':
		*c = '\n';
		cursor->at++;
		return true;
	case 't':
		*c = '\t';
		cursor->at++;
		return true;
	case 'r':
		*c = '\r';
		cursor->at++;
		return true;
	case 'v':
		*c = '\v';
		cursor->at++;
		return true;
	case 'f':
		*c = '\f';
		cursor->at++;
		return true;
	case '"':
	case '\\':
		*c = *cursor->at++;
		return true;
	default:
		break;
	}
	while (digits < 3 && digit_of(cursor->at[digits]) < 8)
		code = code * 8 + (unsigned)digit_of(cursor->at[digits++]);
	if (digits == 0 || code == 0 || code > 255)
		return cursor_fail(cursor, "unknown escape '\\%.1s' in a text", cursor->at);
	*c = (char)(unsigned char)code;
	cursor->at += digits;
	return true;
}

static bool take_text(struct cursor *cursor, char *text, size_t size)
{
	size_t len = 0;
	if (!cursor_expect(cursor, "\""))
		return false;
	while (*cursor->at != '"') {
		char c = *cursor->at;
		if (c == '\0')
			return cursor_fail(cursor, "the text has no closing '\"'");
		cursor->at++;
		if (c == '\\' && !take_escape(cursor, &c))
			return false;
		if (len + 1 >= size)
			return cursor_fail(cursor, "the text is longer than %zu bytes", size - 1);
		text[len++] = c;
	}
	cursor->at++;
	text[len] = '\0';
	return true;
}

/* Keeps `len` bytes as the answer's text. */
static bool keep_text(struct cursor *cursor, struct answer *answer, enum answer_kind kind,
                      const char *text, size_t len)
{
	char *copy = malloc(len + 1);
	if (!copy)
		return cursor_fail(cursor, "out of memory");
	memcpy(copy, text, len);
	copy[len] = '\0';
	free(answer->text);
	answer->text = copy;
	answer->kind = kind;
	return true;
}

/* [1, 0, ...] as it stands, with the blanks strace writes. */
static bool take_vector(struct cursor *cursor, struct answer *answer)
{
	char text[CALL_TEXT_MAX];
	size_t len = 0;
	text[len++] = '[';
	if (!cursor_expect(cursor, "["))
		return false;
	while (!cursor_at(cursor, "]")) {
		if (len > 1 && !cursor_expect(cursor, ","))
			return false;
		if (len + 8 > sizeof(text))
			return cursor_fail(cursor,
			                   "the vector is too long; strace ends it with ...");
		if (len > 1)
			len += (size_t)snprintf(text + len, sizeof(text) - len, ", ");
		bool dots = cursor_accept(cursor, "...");
		if (!dots && !cursor_at(cursor, "0") && !cursor_at(cursor, "1"))
			return cursor_fail(cursor, "expected 0, 1 or ... in the vector");
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
		                        dots                 ? "..."
		                        : *cursor->at == '1' ? "1"
		                                             : "0");
		cursor->at += !dots;
	}
	cursor->at++;
	text[len++] = ']';
	return keep_text(cursor, answer, ANSWER_TEXT, text, len);
}

/* ---- Arguments ------------------------------------------------------------------------------- */

static bool take_limits(struct cursor *cursor, uint64_t *limit)
{
	return cursor_expect(cursor, "{") && cursor_expect(cursor, "rlim_cur") &&
	       cursor_expect(cursor, "=") && cursor_take_number(cursor, &limit[0]) &&
	       cursor_expect(cursor, ",") && cursor_expect(cursor, "rlim_max") &&
	       cursor_expect(cursor, "=") && cursor_take_number(cursor, &limit[1]) &&
	       cursor_expect(cursor, "}");
}

static bool take_fd(struct cursor *cursor, uint64_t *value)
{
	if (!cursor_take_number(cursor, value))
		return false;
	if (*cursor->at == '<' && strchr(cursor->at, '>'))
		cursor->at = strchr(cursor->at, '>') + 1;
	return true;
}

static bool take_octal(struct cursor *cursor, uint64_t *value)
{
	cursor_skip_blanks(cursor);
	return cursor_take_digits(cursor, 8, value);
}

static bool take_byte(struct cursor *cursor, uint64_t *value)
{
	if (!cursor_take_number(cursor, value))
		return false;
	return *value <= 0xff || cursor->unknown ||
	       cursor_fail(cursor, "0x%llx is not a byte", (unsigned long long)*value);
}

/* mincore's vector: where it is, what it holds, or both; strace knows only the second. */
static bool take_vector_arg(struct cursor *cursor, struct call *call, struct answer *answer)
{
	if (cursor_at(cursor, "["))
		return take_vector(cursor, answer);
	if (!cursor_take_number(cursor, &call->arg[call->nargs++]))
		return false;
	return !cursor_accept(cursor, "=>") || take_vector(cursor, answer);
}

static bool take_arg(struct cursor *cursor, const struct arg_shape *shape, struct call *call,
                     struct answer *answer)
{
	uint64_t ignored;
	switch (shape->kind) {
	case ARG_ADDR:
	case ARG_LEN:
	case ARG_OFFSET:
		return cursor_take_number(cursor, &call->arg[call->nargs++]);
	case ARG_BYTE:
		return take_byte(cursor, &call->arg[call->nargs++]);
	case ARG_FD:
		return take_fd(cursor, &call->arg[call->nargs++]);
	case ARG_MODE:
		return take_octal(cursor, &call->arg[call->nargs++]);
	case ARG_SET:
		return take_set(cursor, shape->set, &call->arg[call->nargs++]);
	case ARG_TEXT:
		return take_text(cursor, call->text, sizeof(call->text));
	case ARG_SKIP:
		return take_fd(cursor, &ignored);
	case ARG_VECTOR:
		return take_vector_arg(cursor, call, answer);
	case ARG_LIMITS:
		call->nargs += 2;
		return take_limits(cursor, &call->arg[call->nargs - 2]);
	case ARG_END:
		break;
	}
	return cursor_fail(cursor, "too many arguments");
}

static bool take_args(struct cursor *cursor, const struct call_shape *shape, struct call *call,
                      struct answer *answer)
{
	if (!cursor_expect(cursor, "("))
		return false;
	for (unsigned i = 0; shape->arg[i].kind != ARG_END; i++) {
		if (cursor_at(cursor, ")")) {
			if (i >= shape->required)
				break;
			return cursor_fail(cursor, "%s() needs its argument '%s'", shape->text,
			                   shape->arg[i].name);
		}
		if (cursor_at(cursor, "<unfinished"))
			return cursor_fail(cursor,
			                   "a call interrupted by another thread cannot be read");
		if (i > 0 && !cursor_expect(cursor, ","))
			return false;
		if (!take_arg(cursor, &shape->arg[i], call, answer))
			return false;
	}
	if (cursor_at(cursor, ","))
		return cursor_fail(cursor, "too many arguments for %s()", shape->text);
	return cursor_expect(cursor, ")");
}

/* Who speaks: [2], or [pid  2] as strace has it. A real process's number is no script's, and the
 * bare one of strace -f -o says nothing. */
static bool take_speaker(struct cursor *cursor, unsigned *process)
{
	uint64_t number;
	bool bracket = cursor_accept(cursor, "["), pid = bracket && cursor_accept(cursor, "pid");
	if (!bracket && !isdigit((unsigned char)*cursor->at))
		return true;
	cursor_skip_blanks(cursor);
	if (!cursor_take_digits(cursor, 10, &number) || (bracket && !cursor_expect(cursor, "]")))
		return false;
	if (!bracket || (pid && number >= CALL_PROCESSES))
		return true;
	if (number == 0 || number >= CALL_PROCESSES)
		return cursor_fail(cursor, "processes are numbered from 1 to %u",
		                   CALL_PROCESSES - 1);
	*process = number == 1 ? 0 : (unsigned)number;
	return true;
}

const char *call_speaker(const char *line, unsigned *process)
{
	struct parse_error error;
	struct cursor cursor = {.line = line, .at = line, .error = &error};
	unsigned number = 0;
	if (!cursor_at(&cursor, "[") || !take_speaker(&cursor, &number))
		return line;
	cursor_skip_blanks(&cursor);
	*process = number;
	return cursor.at;
}

static bool take_name(struct cursor *cursor, const struct call *call,
                      const struct call_shape **shape)
{
	size_t len = cursor_word(cursor);
	if (len == 0)
		return cursor_fail(cursor,
		                   call->result[0]
		                           ? "expected a call, for what it answers gets the name"
		                           : "expected the name of a call");
	*shape = shape_find(cursor->at, len);
	if (!*shape) {
		char what[100];
		struct hint hint = {.word = cursor->at, .len = len};
		if (hint_is_word(cursor->at, len))
			return cursor_fail(cursor, "'%.*s' is a word: it stands without ()",
			                   (int)len, cursor->at);
		hint_show_calls(&hint);
		hint_show_words(&hint);
		(void)snprintf(what, sizeof(what), "unknown call '%.*s'", cursor_word_here(cursor),
		               cursor->at);
		return cursor_fail_near(cursor, &hint, what);
	}
	cursor->at += len;
	return true;
}

/* "p = " before a call: its answer gets that name. */
static bool take_result(struct cursor *cursor, struct call *call)
{
	const char *start;
	size_t len = cursor_word(cursor);
	start = cursor->at;
	if (len == 0 || start[len + strspn(start + len, " \t")] != '=')
		return true;
	const char *why = cursor->variables ? variable_refusal(start, len)
	                                    : "names for answers are for scripts and the shell";
	if (why)
		return cursor_fail(cursor, "'%.*s' cannot be a name: %s", cursor_word_here(cursor),
		                   start, why);
	memcpy(call->result, start, len);
	cursor->at += len;
	return cursor_expect(cursor, "=");
}

/* What a call needs beyond the kinds of its arguments. */
static bool check_call(struct cursor *cursor, const struct call *call)
{
	if (call->name == CALL_STATUS && !status_name_known(call->text))
		return cursor_fail(cursor,
		                   "status() knows VmSize, VmLck, VmData and VmStk, not \"%.40s\"",
		                   call->text);
	return true;
}

/* ---- Answers --------------------------------------------------------------------------------- */

static bool take_errno(struct cursor *cursor, struct answer *answer)
{
	uint64_t number = 0;
	size_t len;
	answer->kind = ANSWER_VALUE;
	if (cursor_accept(cursor, "(errno")) {
		cursor_skip_blanks(cursor);
		if (!cursor_take_digits(cursor, 10, &number) || !cursor_expect(cursor, ")"))
			return false;
		if (number == 0 || number > 4095)
			return cursor_fail(cursor, "an errno lies in 1..4095");
		answer->value = -(int64_t)number;
		return true;
	}
	len = cursor_word(cursor);
	if (len == 0)
		return cursor_fail(cursor, "-1 needs the name of its errno");
	answer->value = -errno_find(cursor->at, len);
	if (answer->value == 0) {
		char what[100];
		struct hint hint = {.word = cursor->at, .len = len};
		for (int64_t i = 1; i < 4096; i++)
			if (errno_name(i))
				hint_show(&hint, errno_name(i));
		(void)snprintf(what, sizeof(what), "unknown errno '%.*s'", cursor_word_here(cursor),
		               cursor->at);
		return cursor_fail_near(cursor, &hint, what);
	}
	cursor->at += len;
	if (cursor_accept(cursor, "(")) {
		const char *end = strchr(cursor->at, ')');
		if (!end)
			return cursor_fail(cursor, "the errno's text has no closing ')'");
		cursor->at = end + 1;
	}
	return true;
}

static bool take_signal_number(struct cursor *cursor, int32_t *signo)
{
	uint64_t number;
	size_t len = cursor_word(cursor);
	if (strncmp(cursor->at, "SIG_", 4) == 0) {
		cursor->at += 4;
		if (!cursor_take_digits(cursor, 10, &number))
			return false;
		*signo = (int32_t)(number & 0x7f);
		return true;
	}
	if (!signal_find(cursor->at, len, signo))
		return cursor_fail(cursor, "unknown signal '%.*s'", cursor_word_here(cursor),
		                   cursor->at);
	cursor->at += len;
	return true;
}

static bool take_signal_code(struct cursor *cursor, struct vas_signal *signal)
{
	uint64_t number;
	size_t len = cursor_word(cursor);
	if (!len) {
		if (!cursor_take_number(cursor, &number))
			return false;
		signal->code = (int32_t)number;
		return true;
	}
	if (!signal_code_find(signal->signo, cursor->at, len, &signal->code))
		return cursor_fail(cursor, "unknown si_code '%.*s'", cursor_word_here(cursor),
		                   cursor->at);
	cursor->at += len;
	return true;
}

static bool take_signal(struct cursor *cursor, const struct call *call, struct answer *answer)
{
	answer->kind = ANSWER_SIGNAL;
	answer->signal.addr = call->arg[0];
	if (!take_signal_number(cursor, &answer->signal.signo) || !cursor_expect(cursor, "(") ||
	    !take_signal_code(cursor, &answer->signal))
		return false;
	if (cursor_accept(cursor, ",") &&
	    (!cursor_expect(cursor, "si_addr") || !cursor_expect(cursor, "=") ||
	     !cursor_take_number(cursor, &answer->signal.addr)))
		return false;
	return cursor_expect(cursor, ")");
}

/* {"line", "line"}: the lines joined by newlines, each with its own. */
static bool take_lines(struct cursor *cursor, struct answer *answer)
{
	size_t size = strlen(cursor->at) + 2, len = 0;
	char *text = malloc(size);
	bool good = cursor_expect(cursor, "{");
	if (!text)
		return cursor_fail(cursor, "out of memory");
	while (good && !cursor_accept(cursor, "}")) {
		good = (len == 0 || cursor_expect(cursor, ",")) &&
		       take_text(cursor, text + len, size - len);
		if (!good)
			break;
		len += strlen(text + len);
		text[len++] = '\n';
	}
	good = good && keep_text(cursor, answer, ANSWER_TEXT, text, len);
	free(text);
	return good;
}

static bool take_refusal(struct cursor *cursor, struct answer *answer)
{
	const char *end;
	if (!cursor_accept(cursor, "(refused:")) {
		cursor->at += strlen(cursor->at); /* strace: ? ERESTARTSYS (...): no answer */
		return true;
	}
	cursor_skip_blanks(cursor);
	end = strrchr(cursor->at, ')');
	if (!end)
		return cursor_fail(cursor, "the refusal has no closing ')'");
	if (!keep_text(cursor, answer, ANSWER_REFUSED, cursor->at, (size_t)(end - cursor->at)))
		return false;
	cursor->at = end + 1;
	return true;
}

static bool take_quoted_answer(struct cursor *cursor, struct answer *answer)
{
	char text[CALL_TEXT_MAX];
	return take_text(cursor, text, sizeof(text)) &&
	       keep_text(cursor, answer, ANSWER_TEXT, text, strlen(text));
}

static bool take_value(struct cursor *cursor, struct answer *answer)
{
	uint64_t value;
	if (!cursor_take_number(cursor, &value))
		return false;
	answer->value = (int64_t)value;
	if (answer->kind == ANSWER_NONE)
		answer->kind = ANSWER_VALUE; /* else mincore's vector was read already */
	return true;
}

static bool take_answer(struct cursor *cursor, const struct call *call, struct answer *answer)
{
	enum answer_shape shape = shape_of(call->name)->answer;
	if (cursor_accept(cursor, "?"))
		return take_refusal(cursor, answer);
	if (cursor_at(cursor, "-1") && (cursor->at[2] == ' ' || cursor->at[2] == '\0')) {
		cursor->at += 2;
		return take_errno(cursor, answer);
	}
	if (cursor_at(cursor, "SIG"))
		return take_signal(cursor, call, answer);
	if (shape == SHAPE_LINES && cursor_at(cursor, "{"))
		return take_lines(cursor, answer);
	if (shape == SHAPE_TEXT && cursor_at(cursor, "\""))
		return take_quoted_answer(cursor, answer);
	if (shape == SHAPE_LINES || shape == SHAPE_TEXT)
		return cursor_fail(cursor, "expected %s",
		                   shape == SHAPE_TEXT ? "\"...\"" : "{\"...\", ...}");
	return take_value(cursor, answer);
}

static bool take_line(struct cursor *cursor, struct call *call, struct answer *answer)
{
	const struct call_shape *shape = NULL;
	if (!take_speaker(cursor, &call->process) || !take_result(cursor, call) ||
	    !take_name(cursor, call, &shape))
		return false;
	call->name = shape->name;
	if (!take_args(cursor, shape, call, answer) || !check_call(cursor, call))
		return false;
	if (cursor_accept(cursor, "=") && !take_answer(cursor, call, answer))
		return false;
	if (call->name == CALL_OPEN || call->name == CALL_MEMFD_CREATE)
		if (*cursor->at == '<' && strchr(cursor->at, '>'))
			cursor->at = strchr(cursor->at, '>') + 1; /* strace -y */
	cursor_skip_blanks(cursor);
	if (*cursor->at != '\0' && *cursor->at != '#')
		return cursor_fail(cursor, "unexpected '%.*s' behind the call",
		                   cursor_word_here(cursor), cursor->at);
	return true;
}

bool call_parse_with(const char *line, const struct variables *variables, struct call *call,
                     struct answer *answer, struct parse_error *error)
{
	struct cursor cursor = {.line = line, .at = line, .error = error, .variables = variables};
	*call = (struct call){0};
	*answer = (struct answer){0};
	if (take_line(&cursor, call, answer)) {
		call->refers = cursor.refers;
		return true;
	}
	answer_free(answer);
	return false;
}

bool call_parse(const char *line, struct call *call, struct answer *answer,
                struct parse_error *error)
{
	return call_parse_with(line, NULL, call, answer, error);
}

bool answer_equal(const struct answer *a, const struct answer *b)
{
	bool a_counts = a->kind == ANSWER_VALUE || a->kind == ANSWER_TEXT;
	bool b_counts = b->kind == ANSWER_VALUE || b->kind == ANSWER_TEXT;
	if (a_counts && b_counts && a->kind != b->kind)
		return a->value == b->value;
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case ANSWER_VALUE:
		return a->value == b->value;
	case ANSWER_TEXT:
		return a->value == b->value && strcmp(a->text, b->text) == 0;
	case ANSWER_SIGNAL:
		return a->signal.signo == b->signal.signo && a->signal.code == b->signal.code &&
		       a->signal.addr == b->signal.addr;
	case ANSWER_NONE:
	case ANSWER_REFUSED:
		break;
	}
	return true;
}

void answer_free(struct answer *answer)
{
	free(answer->text);
	answer->text = NULL;
	answer->kind = ANSWER_NONE;
}
