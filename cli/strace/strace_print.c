/* strace_print.c - calls and answers as strace writes them.
 *
 * Whatever is printed here must parse back to the same (strace.c); tests/unit/test_strace.c holds
 * both to it.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "strace/strace_shape.h"

/* A buffer that goes on counting when it is full. */
struct out {
	char *buf;
	size_t size, len;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *out, const char *format, ...)
{
	va_list args;
	bool room = out->len < out->size;
	va_start(args, format);
	int n = vsnprintf(room ? out->buf + out->len : NULL, room ? out->size - out->len : 0,
	                  format, args);
	va_end(args);
	if (n > 0)
		out->len += (size_t)n;
}

static void put_quoted(struct out *out, const char *text, size_t len)
{
	put(out, "\"");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c == '"' || c == '\\')
			put(out, "\\%c", c);
		else if (c == '\n')
			put(out, "\\n");
		else if (c == '\t')
			put(out, "\\t");
		else if (c < ' ' || c > '~')
			put(out, "\\%03o", c);
		else
			put(out, "%c", c);
	}
	put(out, "\"");
}

/* strace joins with |, and explains a value of which it knows no part with a comment. */
static void put_rest(struct out *out, const struct name_set *set, uint64_t rest, bool first)
{
	uint64_t huge = set->shift_name ? rest & HUGE_MASK : 0;
	rest &= ~huge;
	if (rest)
		put(out, "%s0x%" PRIx64, first ? "" : "|", rest);
	if (rest && first && set->unknown[0] != '\0')
		put(out, " /* %s */", set->unknown);
	if (huge)
		put(out, "%s%" PRIu64 "<<%s", first && !rest ? "" : "|", huge >> HUGE_SHIFT,
		    set->shift_name);
}

static void put_set(struct out *out, const struct name_set *set, uint64_t value)
{
	const char *choice = name_of(set, value & set->choice);
	uint64_t rest = value & ~set->choice;
	bool first = true;
	if (set->choice && !choice)
		put(out, "0x%" PRIx64 " /* %s */", value & set->choice, set->unknown);
	else if (set->choice || (value == 0 && choice))
		put(out, "%s", choice);
	else if (value == 0)
		put(out, "0");
	if (set->choice)
		first = false;
	for (const struct name *name = set->names; name->text; name++) {
		if (!name->value || (name->value & set->choice) ||
		    (rest & name->value) != name->value ||
		    (set->shift_name && (name->value & HUGE_MASK)))
			continue; /* a number under the shift is put_rest's */
		put(out, "%s%s", first ? "" : "|", name->text);
		rest &= ~name->value;
		first = false;
	}
	put_rest(out, set, rest, first);
}

static void put_limit(struct out *out, uint64_t limit)
{
	if (limit == VAS_RLIM_INFINITY)
		put(out, "RLIM64_INFINITY");
	else if (limit > 1024 && limit % 1024 == 0)
		put(out, "%" PRIu64 "*1024", limit / 1024);
	else
		put(out, "%" PRIu64, limit);
}

static void put_addr(struct out *out, uint64_t addr)
{
	if (addr)
		put(out, "0x%" PRIx64, addr);
	else
		put(out, "NULL");
}

static void put_vector(struct out *out, const struct call *call, const struct answer *answer)
{
	const char *vector = answer && answer->kind == ANSWER_TEXT ? answer->text : NULL;
	if (call->nargs > 2)
		put_addr(out, call->arg[2]);
	if (vector)
		put(out, "%s%s", call->nargs > 2 ? " => " : "", vector);
	else if (call->nargs <= 2)
		put(out, "[]");
}

/* Prints one argument; returns the slots of call->arg it took. */
static unsigned put_arg(struct out *out, const struct arg_shape *shape, const struct call *call,
                        unsigned slot, const struct answer *answer)
{
	uint64_t value = slot < CALL_MAX_ARGS ? call->arg[slot] : 0;
	switch (shape->kind) {
	case ARG_ADDR:
		put_addr(out, value);
		return 1;
	case ARG_LEN:
		put(out, "%" PRIu64, value);
		return 1;
	case ARG_BYTE:
		put(out, "0x%02" PRIx64, value);
		return 1;
	case ARG_OFFSET:
		put(out, value ? "0x%" PRIx64 : "%" PRIu64, value);
		return 1;
	case ARG_FD:
		put(out, "%" PRId64, (int64_t)value);
		return 1;
	case ARG_MODE:
		put(out, value ? "0%" PRIo64 : "%" PRIo64, value);
		return 1;
	case ARG_SET:
		put_set(out, shape->set, value);
		return 1;
	case ARG_VECTOR:
		put_vector(out, call, answer);
		return 1;
	case ARG_TEXT:
		put_quoted(out, call->text, strlen(call->text));
		return 0;
	case ARG_LIMITS:
		put(out, "{rlim_cur=");
		put_limit(out, call->arg[slot]);
		put(out, ", rlim_max=");
		put_limit(out, call->arg[slot + 1]);
		put(out, "}");
		return 2;
	case ARG_SKIP:
	case ARG_END:
		break;
	}
	return 0;
}

static void put_signal(struct out *out, const struct call *call, const struct vas_signal *signal)
{
	const char *name = signal_name(signal->signo);
	const char *code = signal_code_name(signal->signo, signal->code);
	if (name)
		put(out, "%s (", name);
	else
		put(out, "SIG_%d (", signal->signo);
	if (code)
		put(out, "%s", code);
	else
		put(out, "%d", signal->code);
	if (signal->addr != call->arg[0]) {
		put(out, ", si_addr=");
		put_addr(out, signal->addr);
	}
	put(out, ")");
}

static void put_lines(struct out *out, const char *text)
{
	put(out, "{");
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		put(out, "%s", line == text ? "" : ", ");
		put_quoted(out, line, len);
		line += len + (line[len] == '\n');
	}
	put(out, "}");
}

static void put_value(struct out *out, enum answer_shape shape, int64_t value)
{
	const char *name = errno_name(-(value < 0 && value >= -4095 ? value : 0));
	if (name)
		put(out, "-1 %s (%s)", name, errno_text(-value));
	else if (value < 0 && value >= -4095)
		put(out, "-1 (errno %" PRId64 ")", -value);
	else if (shape == SHAPE_HEX)
		put(out, "0x%" PRIx64, (uint64_t)value);
	else if (shape == SHAPE_BYTE)
		put(out, "0x%02" PRIx64, (uint64_t)value);
	else
		put(out, "%" PRId64, value);
}

static void put_answer(struct out *out, const struct call *call, const struct answer *answer)
{
	enum answer_shape shape = shape_of(call->name)->answer;
	switch (answer->kind) {
	case ANSWER_NONE:
		put(out, "?");
		break;
	case ANSWER_VALUE:
		put_value(out, shape, answer->value);
		break;
	case ANSWER_SIGNAL:
		put_signal(out, call, &answer->signal);
		break;
	case ANSWER_REFUSED:
		put(out, "? (refused: %s)", answer->text);
		break;
	case ANSWER_TEXT:
		if (shape == SHAPE_LINES)
			put_lines(out, answer->text);
		else if (shape == SHAPE_VECTOR)
			put_value(out, SHAPE_DEC,
			          answer->value); /* the vector stands in the call */
		else
			put_quoted(out, answer->text, strlen(answer->text));
		break;
	}
}

size_t answer_print(char *buf, size_t size, const struct call *call, const struct answer *answer)
{
	struct out out = {buf, size, 0};
	if (size)
		buf[0] = '\0';
	put_answer(&out, call, answer);
	return out.len;
}

size_t call_print(char *buf, size_t size, const struct call *call, const struct answer *answer)
{
	const struct call_shape *shape = shape_of(call->name);
	struct out out = {buf, size, 0};
	unsigned slot = 0;
	if (call_process(call) != 1)
		put(&out, "[%u] ", call->process);
	if (call->result[0])
		put(&out, "%s = ", call->result);
	put(&out, "%s(", shape->text);
	for (unsigned i = 0; shape->arg[i].kind != ARG_END; i++) {
		if (i >= shape->required && (slot >= call->nargs || shape->arg[i].kind == ARG_SKIP))
			break;
		put(&out, "%s", i ? ", " : "");
		slot += put_arg(&out, &shape->arg[i], call, slot, answer);
	}
	put(&out, ")");
	if (answer && answer->kind != ANSWER_NONE) {
		put(&out, " = ");
		put_answer(&out, call, answer);
	}
	return out.len;
}
