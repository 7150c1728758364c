/* cursor.c - the way through a line, and the numbers on it.
 *
 * SPDX-License-Identifier: MIT */
#include "strace/cursor.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "strace/hints.h"
#include "strace/visible.h"

bool cursor_fail(struct cursor *cursor, const char *format, ...)
{
	char message[sizeof(cursor->error->message)];
	va_list args;
	va_start(args, format);
	cursor->error->column = (unsigned)(cursor->at - cursor->line) + 1;
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	(void)visible_text(cursor->error->message, sizeof(cursor->error->message), message,
	                   strlen(message));
	return false;
}

void cursor_skip_blanks(struct cursor *cursor)
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

bool cursor_at(struct cursor *cursor, const char *text)
{
	cursor_skip_blanks(cursor);
	return strncmp(cursor->at, text, strlen(text)) == 0;
}

bool cursor_accept(struct cursor *cursor, const char *text)
{
	if (!cursor_at(cursor, text))
		return false;
	cursor->at += strlen(text);
	return true;
}

int cursor_word_here(const struct cursor *cursor)
{
	int len = 0;
	while (isalnum((unsigned char)cursor->at[len]) || cursor->at[len] == '_')
		len++;
	return len > 40 ? 40 : len ? len : cursor->at[0] != '\0';
}

bool cursor_expect(struct cursor *cursor, const char *text)
{
	if (cursor_accept(cursor, text))
		return true;
	if (*cursor->at == '\0')
		return cursor_fail(cursor, "expected '%s' before the end of the line", text);
	return cursor_fail(cursor, "expected '%s' instead of '%.*s'", text,
	                   cursor_word_here(cursor), cursor->at);
}

size_t cursor_word(struct cursor *cursor)
{
	size_t len = 0;
	cursor_skip_blanks(cursor);
	if (isdigit((unsigned char)cursor->at[0]))
		return 0;
	while (isalnum((unsigned char)cursor->at[len]) || cursor->at[len] == '_')
		len++;
	return len;
}

/* ---- Numbers: sums of products, because strace writes 8192*1024 and 2<<MAP_HUGE_SHIFT -------- */

int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* As many as there are. */
static bool take_digits(struct cursor *cursor, int base, uint64_t *value)
{
	const char *start = cursor->at;
	uint64_t sum = 0;
	for (; digit_of(*cursor->at) < base; cursor->at++) {
		uint64_t digit = (uint64_t)digit_of(*cursor->at);
		if (sum > (~(uint64_t)0 - digit) / (uint64_t)base) {
			cursor->at = start;
			return cursor_fail(cursor, "number does not fit in 64 bits");
		}
		sum = sum * (uint64_t)base + digit;
	}
	*value = sum;
	return cursor->at > start || cursor_fail(cursor, "expected a digit");
}

static bool ends(struct cursor *cursor, int base)
{
	if (!isalnum((unsigned char)*cursor->at) && *cursor->at != '_')
		return true;
	return cursor_fail(cursor, "'%c' is not a digit of a base %d number%s", *cursor->at, base,
	                   base == 10 ? ", nor a suffix (k, M, G, T)" : "");
}

bool cursor_take_digits(struct cursor *cursor, int base, uint64_t *value)
{
	return take_digits(cursor, base, value) && ends(cursor, base);
}

/* 4k, 2M, 1G, 1T: of 1024. */
static bool take_decimal(struct cursor *cursor, uint64_t *value)
{
	static const char suffixes[] = "kMGT";
	const char *start = cursor->at, *suffix;
	if (!take_digits(cursor, 10, value))
		return false;
	suffix = *cursor->at ? strchr(suffixes, *cursor->at == 'K' ? 'k' : *cursor->at) : NULL;
	if (suffix) {
		unsigned shift = 10 * (unsigned)(suffix - suffixes + 1);
		if (*value > ~(uint64_t)0 >> shift) {
			cursor->at = start;
			return cursor_fail(cursor, "number does not fit in 64 bits");
		}
		*value <<= shift;
		cursor->at++;
	}
	return ends(cursor, 10);
}

/* A variable may stand for any number while nothing has been run. */
static bool take_variable(struct cursor *cursor, const struct variable *variable, uint64_t *value)
{
	cursor->refers = true;
	if (!variable->has_value && !cursor->variables->reading)
		return cursor_fail(cursor, "'%s' has no value: its call has failed",
		                   variable->name);
	cursor->unknown |= !variable->has_value;
	*value = variable->value;
	cursor->at += strlen(variable->name);
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
	size_t len = cursor_word(cursor);
	if (len && name_find(&set, cursor->at, len, value)) {
		cursor->at += len;
		return true;
	}
	const struct variable *variable = variable_find(cursor->variables, cursor->at, len);
	if (len && variable)
		return take_variable(cursor, variable, value);
	if (len) {
		char what[100];
		struct hint hint = {.word = cursor->at, .len = len};
		hint_show_variables(&hint, cursor->variables);
		hint_show_set(&hint, &set);
		(void)snprintf(what, sizeof(what), "unknown name '%.*s', expected a number",
		               cursor_word_here(cursor), cursor->at);
		return cursor_fail_near(cursor, &hint, what);
	}
	if (*cursor->at == '\0')
		return cursor_fail(cursor, "expected a number before the end of the line");
	return cursor_fail(cursor, "expected a number instead of '%c'", *cursor->at);
}

static bool take_factor(struct cursor *cursor, uint64_t *value)
{
	cursor_skip_blanks(cursor);
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
		return cursor_take_digits(cursor, 16, value);
	}
	if (cursor->at[0] == '0' && isdigit((unsigned char)cursor->at[1]))
		return cursor_fail(
			cursor, "a number with a leading 0 could be octal; write 0x.. or decimal");
	return take_decimal(cursor, value);
}

static bool take_product(struct cursor *cursor, uint64_t *value)
{
	if (!take_factor(cursor, value))
		return false;
	for (;;) {
		uint64_t right = 0;
		bool shift = cursor_accept(cursor, "<<");
		if (!shift && !cursor_accept(cursor, "*"))
			return true;
		if (!take_factor(cursor, &right))
			return false;
		if (shift && right > 63 && !cursor->unknown)
			return cursor_fail(cursor, "shifted by more than 63");
		if (shift)
			right = (uint64_t)1 << (right & 63);
		if (right && *value > ~(uint64_t)0 / right && !cursor->unknown)
			return cursor_fail(cursor, "the product does not fit in 64 bits");
		*value *= right;
	}
}

bool cursor_take_number(struct cursor *cursor, uint64_t *value)
{
	if (!take_product(cursor, value))
		return false;
	for (;;) {
		uint64_t right = 0;
		bool minus = cursor_accept(cursor, "-");
		if (!minus && !cursor_accept(cursor, "+"))
			return true;
		if (!take_product(cursor, &right))
			return false;
		if (!minus && *value > ~(uint64_t)0 - right && !cursor->unknown)
			return cursor_fail(cursor, "the sum does not fit in 64 bits");
		if (minus && right > *value && !cursor->unknown)
			return cursor_fail(cursor, "the difference is negative");
		*value = minus ? *value - right : *value + right;
	}
}
