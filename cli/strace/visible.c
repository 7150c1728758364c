/* visible.c - text of others on a terminal.
 *
 * SPDX-License-Identifier: MIT */
#include "strace/visible.h"

size_t visible_text(char *to, size_t size, const char *text, size_t len)
{
	size_t at = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		size_t room = c < ' ' || c > '~' ? 4 : 1;
		if (at + room >= size)
			break;
		if (room == 1)
			to[at] = (char)c;
		else
			(void)snprintf(to + at, room + 1, "\\%03o", c);
		at += room;
	}
	if (size)
		to[at] = '\0';
	return at;
}

void visible_put(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c == '\n' || c == '\t' || (c >= ' ' && c <= '~'))
			(void)fputc(c, out);
		else
			fprintf(out, "\\%03o", c);
	}
}
