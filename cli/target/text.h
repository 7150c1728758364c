/* text.h - a text that grows: where reports are written to and /proc files are read into.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_TEXT_H
#define VAS_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* Used again and again, so that reading costs no allocation. {0} is empty; free(at) frees it. */
struct text {
	char *at; /* terminated, once something was put there; NULL: nothing was */
	size_t len, room;
};

/* Room for so many bytes more, and an end. False: no memory, and it is as it was. */
bool text_reserve(struct text *text, size_t more);

/* Makes it "". */
void text_clear(struct text *text);

/* A vas_sink: ctx is the text, which what comes is added to. Ends the program if there is no
 * memory: a report with a hole would look like a difference. */
void text_sink(void *text, const char *piece, size_t len);

/* The whole of an open /proc file, from its beginning. False: errno (0: there is nothing in it, as
 * when the process has gone). */
bool text_read(struct text *text, int fd);

/* The same, but nothing behind a line "...[vsyscall]" of maps is read: there is none. */
bool text_read_maps(struct text *text, int fd);

/* The next line of a stream into `line`, with its newline: whole or, if it has no end, as much as
 * fits. Its length, or -1: there is none. What is read may be anything, also a device that never
 * ends. */
ssize_t text_read_line(FILE *stream, char *line, size_t size);

#endif
