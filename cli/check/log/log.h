/* log.h - a recorded program: written while it runs, read by `vas replay`.
 *
 * A log is text, one event per line, the calls as strace prints them; docs/check.md describes it.
 * The reader accepts exactly what the writer writes, from a buffer that may hold anything at all.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_LOG_H
#define VAS_CLI_LOG_H

#include <stdio.h>

#include "check/log/log_event.h"

#define LOG_VERSION 1

struct log_writer {
	FILE *file;
	bool full_paths; /* else only the last part of a path is written */
};

/* The first line. */
void log_begin(struct log_writer *writer);

/* Writes one event. Errors show in ferror(writer->file). */
void log_write(struct log_writer *writer, const struct event *event);

struct log_error {
	unsigned line, column; /* 1-based */
	char message[200];
};

struct log_reader;

/* Starts reading `len` bytes at `text`, which must stay. NULL: no memory. */
struct log_reader *log_open(const char *text, size_t len);
void log_close(struct log_reader *reader);

/* The next event; what it points to holds until the next call, its file names until log_close.
 * 1: *event filled; 0: the end; -1: *error filled, and reading cannot go on. */
int log_next(struct log_reader *reader, struct event *event, struct log_error *error);

/* The line log_next read last. */
unsigned log_line(const struct log_reader *reader);

#endif
