/* text.c - lines of text for the reports.
 *
 * Owns the buffer of a line: what does not fit is handed on early, in order. What is printed, and
 * for whom, is not known here.
 *
 * SPDX-License-Identifier: MIT */
#include "base/text.h"

void text_flush(struct text *text)
{
	if (text->held > 0)
		text->out(text->ctx, text->buffer, text->held);
	text->held = 0;
}

void text_char(struct text *text, char c)
{
	if (text->held == sizeof(text->buffer))
		text_flush(text);
	text->buffer[text->held++] = c;
	text->column = c == '\n' ? 0 : text->column + 1;
}

void text_string(struct text *text, const char *string)
{
	while (*string)
		text_char(text, *string++);
}

void text_path(struct text *text, const char *path)
{
	for (; *path; path++) {
		if (*path == '\n')
			text_string(text, "\\012");
		else
			text_char(text, *path);
	}
}

void text_number(struct text *text, uint64_t value, unsigned base, unsigned width)
{
	char digits[24];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value > 0 || n < width);
	while (n > 0)
		text_char(text, digits[--n]);
}

void text_right(struct text *text, uint64_t value, unsigned width)
{
	unsigned ndigits = 1;

	for (uint64_t rest = value / 10; rest > 0; rest /= 10)
		ndigits++;
	for (; ndigits < width; width--)
		text_char(text, ' ');
	text_number(text, value, 10, 1);
}

void text_pad(struct text *text, size_t column)
{
	while (text->column < column)
		text_char(text, ' ');
}
