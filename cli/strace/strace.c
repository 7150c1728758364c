/* strace.c - reads calls and answers as strace writes them.
 *
 * One cursor walks the line; each take_* function either consumes what it names or records where
 * the line went wrong and answers false. Printing is strace_print.c's.
 *
 * SPDX-License-Identifier: MIT */
#include "strace/strace.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strace/strace_shape.h"

struct cursor {
	const char *line, *at;
	struct parse_error *error;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct cursor *cursor, const char *format,
                                                       ...)
{
	va_list args;
	va_start(args, format);
	cursor->error->column = (unsigned)(cursor->at - cursor->line) + 1;
	(void)vsnprintf(cursor->error->message, sizeof(cursor->error->message), format, args);
	va_end(args);
	return false;
}

/* Blanks, and the comments strace puts behind values it has no name for. */
static void skip_blanks(struct cursor *cursor)
{
	for (;;) {
		const char *end;
		while (*cursor->at == ' ' || *cursor->at == '\t' || *cursor->at == '\r')
			cursor->at++;
		if (strncmp(cursor->at, "/*", 2) != 0 || !(end = strstr(cursor->at + 2, "*/")))
			return;
		cursor->at = end + 2;
	}
}

static bool at_text(struct cursor *cursor, const char *text)
{
	skip_blanks(cursor);
	return strncmp(cursor->at, text, strlen(text)) == 0;
}

static bool accept(struct cursor *cursor, const char *text)
{
	if (!at_text(cursor, text))
		return false;
	cursor->at += strlen(text);
	return true;
}

/* What stands at the cursor, for error messages: one word or one character. */
static int word_here(const struct cursor *cursor)
{
	int len = 0;
	while (isalnum((unsigned char)cursor->at[len]) || cursor->at[len] == '_')
		len++;
	return len > 40 ? 40 : len ? len : cursor->at[0] != '\0';
}

static bool expect(struct cursor *cursor, const char *text)
{
	if (accept(cursor, text))
		return true;
	if (*cursor->at == '\0')
		return fail(cursor, "expected '%s' before the end of the line", text);
	return fail(cursor, "expected '%s' instead of '%.*s'", text, word_here(cursor), cursor->at);
}

static size_t word_length(struct cursor *cursor)
{
	size_t len = 0;
	skip_blanks(cursor);
	if (isdigit((unsigned char)cursor->at[0]))
		return 0;
	while (isalnum((unsigned char)cursor->at[len]) || cursor->at[len] == '_')
		len++;
	return len;
}

/* ---- Numbers: sums of products, because strace writes 8192*1024 and 2<<MAP_HUGE_SHIFT -------- */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

static bool take_digits(struct cursor *cursor, int base, uint64_t *value)
{
	const char *start = cursor->at;
	uint64_t sum = 0;
	for (; digit_of(*cursor->at) < base; cursor->at++) {
		uint64_t digit = (uint64_t)digit_of(*cursor->at);
		if (sum > (~(uint64_t)0 - digit) / (uint64_t)base) {
			cursor->at = start;
			return fail(cursor, "number does not fit in 64 bits");
		}
		sum = sum * (uint64_t)base + digit;
	}
	if (cursor->at == start)
		return fail(cursor, "expected a digit");
	if (isalnum((unsigned char)*cursor->at) || *cursor->at == '_')
		return fail(cursor, "'%c' is not a digit of a base %d number", *cursor->at, base);
	*value = sum;
	return true;
}

static bool take_named_number(struct cursor *cursor, uint64_t *value)
{
	static const struct name numbers[] = {{"NULL", 0},
	                                      {"RLIM_INFINITY", VAS_RLIM_INFINITY},
	                                      {"RLIM64_INFINITY", VAS_RLIM_INFINITY},
	                                      {"MAP_HUGE_SHIFT", HUGE_SHIFT},
	                                      {"MFD_HUGE_SHIFT", HUGE_SHIFT},
	                                      {"AT_FDCWD", -(uint64_t)100},
	                                      {NULL, 0}};
	static const struct name_set set = {"", CHOICE_ONLY, NULL, numbers};
	size_t len = word_length(cursor);
	if (len && name_find(&set, cursor->at, len, value)) {
		cursor->at += len;
		return true;
	}
	if (len)
		return fail(cursor, "unknown name '%.*s', expected a number", word_here(cursor),
		            cursor->at);
	if (*cursor->at == '\0')
		return fail(cursor, "expected a number before the end of the line");
	return fail(cursor, "expected a number instead of '%c'", *cursor->at);
}

static bool take_factor(struct cursor *cursor, uint64_t *value)
{
	skip_blanks(cursor);
	if (*cursor->at == '-' && isdigit((unsigned char)cursor->at[1])) {
		cursor->at++;
		if (!take_factor(cursor, value))
			return false;
		*value = -*value;
		return true;
	}
	if (!isdigit((unsigned char)*cursor->at))
		return take_named_number(cursor, value);
	if (cursor->at[0] == '0' && (cursor->at[1] == 'x' || cursor->at[1] == 'X')) {
		cursor->at += 2;
		return take_digits(cursor, 16, value);
	}
	if (cursor->at[0] == '0' && isdigit((unsigned char)cursor->at[1]))
		return fail(cursor,
		            "a number with a leading 0 could be octal; write 0x.. or decimal");
	return take_digits(cursor, 10, value);
}

static bool take_product(struct cursor *cursor, uint64_t *value)
{
	if (!take_factor(cursor, value))
		return false;
	for (;;) {
		uint64_t right = 0;
		bool shift = accept(cursor, "<<");
		if (!shift && !accept(cursor, "*"))
			return true;
		if (!take_factor(cursor, &right))
			return false;
		if (shift && right > 63)
			return fail(cursor, "shifted by more than 63");
		if (shift)
			right = (uint64_t)1 << right;
		if (right && *value > ~(uint64_t)0 / right)
			return fail(cursor, "the product does not fit in 64 bits");
		*value *= right;
	}
}

static bool take_number(struct cursor *cursor, uint64_t *value)
{
	if (!take_product(cursor, value))
		return false;
	for (;;) {
		uint64_t right = 0;
		bool minus = accept(cursor, "-");
		if (!minus && !accept(cursor, "+"))
			return true;
		if (!take_product(cursor, &right))
			return false;
		if (!minus && *value > ~(uint64_t)0 - right)
			return fail(cursor, "the sum does not fit in 64 bits");
		if (minus && right > *value)
			return fail(cursor, "the difference is negative");
		*value = minus ? *value - right : *value + right;
	}
}

/* ---- Names and texts ------------------------------------------------------------------------- */

static bool take_set_term(struct cursor *cursor, const struct name_set *set, uint64_t *value)
{
	uint64_t term;
	size_t len = word_length(cursor);
	if (!len) {
		if (!take_number(cursor, &term))
			return false;
	} else if (name_find(set, cursor->at, len, &term)) {
		cursor->at += len;
	} else {
		return fail(cursor, "unknown name '%.*s' among %s", word_here(cursor), cursor->at,
		            set->unknown[0] ? set->unknown : "numbers");
	}
	*value |= term;
	return true;
}

static bool take_set(struct cursor *cursor, const struct name_set *set, uint64_t *value)
{
	*value = 0;
	if (!take_set_term(cursor, set, value))
		return false;
	while (accept(cursor, "|")) {
		if (set->choice == CHOICE_ONLY)
			return fail(cursor, "only one of %s may be given", set->unknown);
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
		return fail(cursor, "unknown escape '\\%.1s' in a text", cursor->at);
	*c = (char)(unsigned char)code;
	cursor->at += digits;
	return true;
}

static bool take_text(struct cursor *cursor, char *text, size_t size)
{
	size_t len = 0;
	if (!expect(cursor, "\""))
		return false;
	while (*cursor->at != '"') {
		char c = *cursor->at;
		if (c == '\0')
			return fail(cursor, "the text has no closing '\"'");
		cursor->at++;
		if (c == '\\' && !take_escape(cursor, &c))
			return false;
		if (len + 1 >= size)
			return fail(cursor, "the text is longer than %zu bytes", size - 1);
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
		return fail(cursor, "out of memory");
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
	if (!expect(cursor, "["))
		return false;
	while (!at_text(cursor, "]")) {
		if (len > 1 && !expect(cursor, ","))
			return false;
		if (len + 8 > sizeof(text))
			return fail(cursor, "the vector is too long; strace ends it with ...");
		if (len > 1)
			len += (size_t)snprintf(text + len, sizeof(text) - len, ", ");
		bool dots = accept(cursor, "...");
		if (!dots && !at_text(cursor, "0") && !at_text(cursor, "1"))
			return fail(cursor, "expected 0, 1 or ... in the vector");
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
	return expect(cursor, "{") && expect(cursor, "rlim_cur") && expect(cursor, "=") &&
	       take_number(cursor, &limit[0]) && expect(cursor, ",") &&
	       expect(cursor, "rlim_max") && expect(cursor, "=") &&
	       take_number(cursor, &limit[1]) && expect(cursor, "}");
}

static bool take_fd(struct cursor *cursor, uint64_t *value)
{
	if (!take_number(cursor, value))
		return false;
	if (*cursor->at == '<' && strchr(cursor->at, '>'))
		cursor->at = strchr(cursor->at, '>') + 1;
	return true;
}

static bool take_octal(struct cursor *cursor, uint64_t *value)
{
	skip_blanks(cursor);
	return take_digits(cursor, 8, value);
}

static bool take_byte(struct cursor *cursor, uint64_t *value)
{
	if (!take_number(cursor, value))
		return false;
	return *value <= 0xff || fail(cursor, "0x%llx is not a byte", (unsigned long long)*value);
}

/* mincore's vector: where it is, what it holds, or both; strace knows only the second. */
static bool take_vector_arg(struct cursor *cursor, struct call *call, struct answer *answer)
{
	if (at_text(cursor, "["))
		return take_vector(cursor, answer);
	if (!take_number(cursor, &call->arg[call->nargs++]))
		return false;
	return !accept(cursor, "=>") || take_vector(cursor, answer);
}

static bool take_arg(struct cursor *cursor, const struct arg_shape *shape, struct call *call,
                     struct answer *answer)
{
	uint64_t ignored;
	switch (shape->kind) {
	case ARG_ADDR:
	case ARG_LEN:
	case ARG_OFFSET:
		return take_number(cursor, &call->arg[call->nargs++]);
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
	return fail(cursor, "too many arguments");
}

static bool take_args(struct cursor *cursor, const struct call_shape *shape, struct call *call,
                      struct answer *answer)
{
	if (!expect(cursor, "("))
		return false;
	for (unsigned i = 0; shape->arg[i].kind != ARG_END; i++) {
		if (at_text(cursor, ")")) {
			if (i >= shape->required)
				break;
			return fail(cursor, "%s() needs its argument '%s'", shape->text,
			            shape->arg[i].name);
		}
		if (at_text(cursor, "<unfinished"))
			return fail(cursor, "a call interrupted by another thread cannot be read");
		if (i > 0 && !expect(cursor, ","))
			return false;
		if (!take_arg(cursor, &shape->arg[i], call, answer))
			return false;
	}
	if (at_text(cursor, ","))
		return fail(cursor, "too many arguments for %s()", shape->text);
	return expect(cursor, ")");
}

/* Who speaks: [2], or [pid  2] as strace has it. A real process's number is no script's, and the
 * bare one of strace -f -o says nothing. */
static bool take_speaker(struct cursor *cursor, unsigned *process)
{
	uint64_t number;
	bool bracket = accept(cursor, "["), pid = bracket && accept(cursor, "pid");
	if (!bracket && !isdigit((unsigned char)*cursor->at))
		return true;
	skip_blanks(cursor);
	if (!take_digits(cursor, 10, &number) || (bracket && !expect(cursor, "]")))
		return false;
	if (!bracket || (pid && number >= CALL_PROCESSES))
		return true;
	if (number == 0 || number >= CALL_PROCESSES)
		return fail(cursor, "processes are numbered from 1 to %u", CALL_PROCESSES - 1);
	*process = number == 1 ? 0 : (unsigned)number;
	return true;
}

const char *call_speaker(const char *line, unsigned *process)
{
	struct parse_error error;
	struct cursor cursor = {line, line, &error};
	unsigned number = 0;
	if (!at_text(&cursor, "[") || !take_speaker(&cursor, &number))
		return line;
	skip_blanks(&cursor);
	*process = number;
	return cursor.at;
}

static bool take_name(struct cursor *cursor, const struct call_shape **shape)
{
	size_t len = word_length(cursor);
	if (len == 0)
		return fail(cursor, "expected the name of a call");
	*shape = shape_find(cursor->at, len);
	if (!*shape)
		return fail(cursor, "unknown call '%.*s'", word_here(cursor), cursor->at);
	cursor->at += len;
	return true;
}

/* What a call needs beyond the kinds of its arguments. */
static bool check_call(struct cursor *cursor, const struct call *call)
{
	if (call->name == CALL_STATUS && !status_name_known(call->text))
		return fail(cursor, "status() knows VmSize, VmLck, VmData and VmStk, not \"%.40s\"",
		            call->text);
	return true;
}

/* ---- Answers --------------------------------------------------------------------------------- */

static bool take_errno(struct cursor *cursor, struct answer *answer)
{
	uint64_t number = 0;
	size_t len;
	answer->kind = ANSWER_VALUE;
	if (accept(cursor, "(errno")) {
		skip_blanks(cursor);
		if (!take_digits(cursor, 10, &number) || !expect(cursor, ")"))
			return false;
		if (number == 0 || number > 4095)
			return fail(cursor, "an errno lies in 1..4095");
		answer->value = -(int64_t)number;
		return true;
	}
	len = word_length(cursor);
	if (len == 0)
		return fail(cursor, "-1 needs the name of its errno");
	answer->value = -errno_find(cursor->at, len);
	if (answer->value == 0)
		return fail(cursor, "unknown errno '%.*s'", word_here(cursor), cursor->at);
	cursor->at += len;
	if (accept(cursor, "(")) {
		const char *end = strchr(cursor->at, ')');
		if (!end)
			return fail(cursor, "the errno's text has no closing ')'");
		cursor->at = end + 1;
	}
	return true;
}

static bool take_signal_number(struct cursor *cursor, int32_t *signo)
{
	uint64_t number;
	size_t len = word_length(cursor);
	if (strncmp(cursor->at, "SIG_", 4) == 0) {
		cursor->at += 4;
		if (!take_digits(cursor, 10, &number))
			return false;
		*signo = (int32_t)(number & 0x7f);
		return true;
	}
	if (!signal_find(cursor->at, len, signo))
		return fail(cursor, "unknown signal '%.*s'", word_here(cursor), cursor->at);
	cursor->at += len;
	return true;
}

static bool take_signal_code(struct cursor *cursor, struct vas_signal *signal)
{
	uint64_t number;
	size_t len = word_length(cursor);
	if (!len) {
		if (!take_number(cursor, &number))
			return false;
		signal->code = (int32_t)number;
		return true;
	}
	if (!signal_code_find(signal->signo, cursor->at, len, &signal->code))
		return fail(cursor, "unknown si_code '%.*s'", word_here(cursor), cursor->at);
	cursor->at += len;
	return true;
}

static bool take_signal(struct cursor *cursor, const struct call *call, struct answer *answer)
{
	answer->kind = ANSWER_SIGNAL;
	answer->signal.addr = call->arg[0];
	if (!take_signal_number(cursor, &answer->signal.signo) || !expect(cursor, "(") ||
	    !take_signal_code(cursor, &answer->signal))
		return false;
	if (accept(cursor, ",") && (!expect(cursor, "si_addr") || !expect(cursor, "=") ||
	                            !take_number(cursor, &answer->signal.addr)))
		return false;
	return expect(cursor, ")");
}

/* {"line", "line"}: the lines joined by newlines, each with its own. */
static bool take_lines(struct cursor *cursor, struct answer *answer)
{
	size_t size = strlen(cursor->at) + 2, len = 0;
	char *text = malloc(size);
	bool good = expect(cursor, "{");
	if (!text)
		return fail(cursor, "out of memory");
	while (good && !accept(cursor, "}")) {
		good = (len == 0 || expect(cursor, ",")) &&
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
	if (!accept(cursor, "(refused:")) {
		cursor->at += strlen(cursor->at); /* strace: ? ERESTARTSYS (...): no answer */
		return true;
	}
	skip_blanks(cursor);
	end = strrchr(cursor->at, ')');
	if (!end)
		return fail(cursor, "the refusal has no closing ')'");
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
	if (!take_number(cursor, &value))
		return false;
	answer->value = (int64_t)value;
	if (answer->kind == ANSWER_NONE)
		answer->kind = ANSWER_VALUE; /* else mincore's vector was read already */
	return true;
}

static bool take_answer(struct cursor *cursor, const struct call *call, struct answer *answer)
{
	enum answer_shape shape = shape_of(call->name)->answer;
	if (accept(cursor, "?"))
		return take_refusal(cursor, answer);
	if (at_text(cursor, "-1") && (cursor->at[2] == ' ' || cursor->at[2] == '\0')) {
		cursor->at += 2;
		return take_errno(cursor, answer);
	}
	if (at_text(cursor, "SIG"))
		return take_signal(cursor, call, answer);
	if (shape == SHAPE_LINES && at_text(cursor, "{"))
		return take_lines(cursor, answer);
	if (shape == SHAPE_TEXT && at_text(cursor, "\""))
		return take_quoted_answer(cursor, answer);
	if (shape == SHAPE_LINES || shape == SHAPE_TEXT)
		return fail(cursor, "expected %s",
		            shape == SHAPE_TEXT ? "\"...\"" : "{\"...\", ...}");
	return take_value(cursor, answer);
}

static bool take_line(struct cursor *cursor, struct call *call, struct answer *answer)
{
	const struct call_shape *shape = NULL;
	if (!take_speaker(cursor, &call->process) || !take_name(cursor, &shape))
		return false;
	call->name = shape->name;
	if (!take_args(cursor, shape, call, answer) || !check_call(cursor, call))
		return false;
	if (accept(cursor, "=") && !take_answer(cursor, call, answer))
		return false;
	if (call->name == CALL_OPEN || call->name == CALL_MEMFD_CREATE)
		if (*cursor->at == '<' && strchr(cursor->at, '>'))
			cursor->at = strchr(cursor->at, '>') + 1; /* strace -y */
	skip_blanks(cursor);
	if (*cursor->at != '\0' && *cursor->at != '#')
		return fail(cursor, "unexpected '%.*s' behind the call", word_here(cursor),
		            cursor->at);
	return true;
}

bool call_parse(const char *line, struct call *call, struct answer *answer,
                struct parse_error *error)
{
	struct cursor cursor = {line, line, error};
	*call = (struct call){0};
	*answer = (struct answer){0};
	if (take_line(&cursor, call, answer))
		return true;
	answer_free(answer);
	return false;
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
