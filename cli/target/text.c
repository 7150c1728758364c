/* text.c - texts that grow.
 *
 * SPDX-License-Identifier: MIT */
#include "target/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE ((size_t)16384) /* bytes of a /proc file, which gives a page or so at once */

bool text_reserve(struct text *text, size_t more)
{
	if (text->room - text->len > more)
		return true;
	size_t room = 2 * text->room + more + 1;
	char *at = realloc(text->at, room);
	if (!at)
		return false;
	text->at = at;
	text->room = room;
	return true;
}

static void reserve_or_die(struct text *text, size_t more)
{
	if (text_reserve(text, more))
		return;
	fputs("vas: out of memory\n", stderr);
	exit(3);
}

void text_clear(struct text *text)
{
	reserve_or_die(text, 0);
	text->len = 0;
	text->at[0] = '\0';
}

void text_sink(void *ctx, const char *piece, size_t len)
{
	struct text *text = ctx;
	reserve_or_die(text, len);
	memcpy(text->at + text->len, piece, len);
	text->len += len;
	text->at[text->len] = '\0';
}

static bool ends_with(const struct text *text, const char *tail)
{
	size_t len = strlen(tail);
	return text->len >= len && memcmp(text->at + text->len - len, tail, len) == 0;
}

static bool read_to(struct text *text, int fd, const char *last)
{
	ssize_t n;
	text->len = 0;
	do {
		if (!text_reserve(text, AT_ONCE)) {
			errno = ENOMEM;
			return false;
		}
		do
			n = pread(fd, text->at + text->len, AT_ONCE, (off_t)text->len);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return false;
		text->len += (size_t)n;
		text->at[text->len] = '\0';
	} while (n > 0 && !(last && ends_with(text, last)));
	errno = 0;
	return text->len > 0;
}

bool text_read(struct text *text, int fd)
{
	return read_to(text, fd, NULL);
}

bool text_read_maps(struct text *text, int fd)
{
	return read_to(text, fd, "[vsyscall]\n");
}

ssize_t text_read_line(FILE *stream, char *line, size_t size)
{
	size_t len = 0;
	int c = EOF;
	while (len < size - 1 && (c = getc(stream)) != EOF) {
		line[len++] = (char)c;
		if (c == '\n')
			break;
	}
	line[len] = '\0';
	return len == 0 && c == EOF ? -1 : (ssize_t)len;
}
