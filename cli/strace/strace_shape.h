/* strace_shape.h - what each call looks like: its arguments' kinds and its answer's.
 *
 * Parser, printer, help and completion all work from this one table; a new call is one row.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_STRACE_SHAPE_H
#define VAS_CLI_STRACE_SHAPE_H

#include "strace/strace.h"
#include "strace/strace_names.h"

enum arg_kind {
	ARG_END,
	ARG_ADDR,   /* hexadecimal, 0 is NULL */
	ARG_LEN,    /* decimal */
	ARG_OFFSET, /* hexadecimal, 0 is 0 */
	ARG_BYTE,   /* hexadecimal, at most 0xff */
	ARG_FD,     /* signed decimal; parsing skips strace -y's <path> */
	ARG_MODE,   /* octal */
	ARG_SET,    /* a name_set */
	ARG_VECTOR, /* mincore's: ADDR, [1, 0] or ADDR => [1, 0] */
	ARG_LIMITS, /* {rlim_cur=N, rlim_max=N}: two slots */
	ARG_TEXT,   /* "...": call->text, no slot */
	ARG_SKIP,   /* parsed as a number or name and forgotten: AT_FDCWD, a pid; never printed */
};

enum answer_shape { SHAPE_DEC, SHAPE_HEX, SHAPE_BYTE, SHAPE_TEXT, SHAPE_LINES, SHAPE_VECTOR };

struct arg_shape {
	enum arg_kind kind;
	const struct name_set *set; /* of ARG_SET */
	const char *name;           /* for help and error messages */
};

struct call_shape {
	const char *text; /* the call's name as written */
	enum call_name name;
	unsigned required; /* arguments that may not be left out */
	enum answer_shape answer;
	struct arg_shape arg[CALL_MAX_ARGS + 1]; /* ended by ARG_END */
	const char *help;
};

/* The shape a call is printed in. */
const struct call_shape *shape_of(enum call_name name);

/* Looks up by name (len bytes), including the aliases strace may print (openat, prlimit64). */
const struct call_shape *shape_find(const char *text, size_t len);

/* The n-th shape, aliases behind the calls, or NULL. */
const struct call_shape *shape_at(size_t n);

#endif
