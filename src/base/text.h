/* text.h - lines of text for the reports, handed to a sink in pieces.
 *
 * A report is made of these and of nothing else, so that none needs memory for its text.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_TEXT_H
#define VAS_TEXT_H

#include "vas/vas.h"
#include "base/base.h"

/* Collects what is put into it; what does not fit is handed on early, so that no length is too
 * much. */
struct text {
	vas_sink *out;
	void *ctx;
	size_t column; /* characters since the line began */
	size_t held;
	char buffer[128];
};

/* Hands on what is held; to be called at the end. */
VAS_INTERNAL void text_flush(struct text *text);

VAS_INTERNAL void text_char(struct text *text, char c);
VAS_INTERNAL void text_string(struct text *text, const char *string);

/* As text_string, but a newline, which would end the line, as \012: seq_file's way. */
VAS_INTERNAL void text_path(struct text *text, const char *path);

/* With zeros before it up to `width` digits. */
VAS_INTERNAL void text_number(struct text *text, uint64_t value, unsigned base, unsigned width);

/* Decimal, with spaces before it up to `width` characters. */
VAS_INTERNAL void text_right(struct text *text, uint64_t value, unsigned width);

/* Spaces up to a column, if it has not been reached. */
VAS_INTERNAL void text_pad(struct text *text, size_t column);

#endif
