/* strace.h - the one language for calls: parsed and printed as strace writes them.
 *
 * A line is a call with its arguments and, optionally, its answer:
 *   mremap(0x7f0000000000, 8192, 16384, MREMAP_MAYMOVE) = 0x7f0000010000
 *   mprotect(0x10000000, 4096, PROT_READ) = -1 ENOMEM (Cannot allocate memory)
 *   load(0x10000000) = SIGSEGV (SEGV_MAPERR)
 *   [2] munmap(0x10000000, 4096) = 0
 *   p = mmap(NULL, 8k, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)
 * Everything that reads or writes such lines (scripts, logs, the shell, the fuzzer's
 * counterexamples) goes through this file. docs/notation.md describes the language.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_STRACE_H
#define VAS_CLI_STRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vas/vas.h"

enum call_name {
	/* Linux's calls */
	CALL_MMAP,
	CALL_MUNMAP,
	CALL_MPROTECT,
	CALL_MREMAP,
	CALL_BRK,
	CALL_MADVISE,
	CALL_MLOCK,
	CALL_MLOCK2,
	CALL_MUNLOCK,
	CALL_MLOCKALL,
	CALL_MUNLOCKALL,
	CALL_MSYNC,
	CALL_MINCORE,
	CALL_MSEAL,
	CALL_REMAP_FILE_PAGES,
	CALL_PRCTL, /* prctl(PR_SET_MDWE, 1) = 0   or PR_SET_MEMORY_MERGE */
	CALL_MEMFD_CREATE, /* memfd_create("name", flags) = fd */
	CALL_OPEN,         /* open("path", flags[, mode]) = fd: docs/notation.md lists the paths */
	CALL_FTRUNCATE,
	CALL_CLOSE,
	CALL_SETRLIMIT, /* setrlimit(RLIMIT_AS, {rlim_cur=N, rlim_max=N}) = 0 */
	CALL_FORK,      /* fork() = 2                  processes are numbered as they come */
	CALL_EXIT,      /* exit() = 0                  the process has ended */
	/* ours */
	CALL_LOAD,     /* load(addr) = 0x55            one byte */
	CALL_STORE,    /* store(addr, 0x55) = 0        one byte */
	CALL_FETCH,    /* fetch(addr) = 0 | SIGSEGV (SEGV_ACCERR): instruction fetch */
	CALL_TOUCH,    /* touch(addr) = 0              the page was written with what it held */
	CALL_DROP_CAP, /* drop_cap(CAP_IPC_LOCK) = 0   or CAP_SYS_RAWIO, CAP_SYS_ADMIN */
	CALL_SYSCTL,   /* sysctl("vm.overcommit_memory", 2) = 0   vas is set, the machine is so */
	CALL_FLAGS,    /* flags(addr) = "rd wr mr mw me ac"        VmFlags of the vma at addr */
	CALL_STATUS,   /* status("VmLck") = 8          kB, a line of /proc/PID/status */
	CALL_PRESENT,  /* present(addr) = 0 | 1        pagemap's present bit */
	CALL_MAPS,     /* maps() = {"10000000-10002000 rw-p 00000000 00:00 0", ...} */
	CALL_NAMES
};

#define CALL_PROCESSES 64u /* the processes of a script have numbers below this */
#define CALL_MAX_ARGS 6
#define CALL_TEXT_MAX 256
#define VARIABLE_NAME_MAX 32

struct call {
	enum call_name name;
	unsigned process; /* whose call it is; 0: the first process's, as 1 would be */
	bool refers;      /* it was said with a variable: its numbers are good for now only */
	char result[VARIABLE_NAME_MAX]; /* the variable that is what it answers; "": none */
	unsigned nargs;
	uint64_t arg[CALL_MAX_ARGS]; /* numbers, flags; a file descriptor is its number */
	char text[CALL_TEXT_MAX];    /* the string argument, if the call has one; else "" */
};

/* What a call answered. */
struct answer {
	enum answer_kind {
		ANSWER_NONE,    /* not given (a script line without "= ..."), or "= ?" */
		ANSWER_VALUE,   /* value >= 0, or a negative errno */
		ANSWER_SIGNAL,  /* signal */
		ANSWER_TEXT,    /* flags(), maps(), mincore's vector: text, owned (malloc) */
		ANSWER_REFUSED, /* the target will not make this call: text says why */
	} kind;
	int64_t value;            /* also 0 beside a text */
	struct vas_signal signal; /* addr is printed only if it is not the one accessed */
	char *text;
};

/* Where a line could not be parsed: 1-based column, and what was expected or wrong there. */
struct parse_error {
	unsigned column;
	char message[160];
};

/* Parses one line (no newline). An empty line or a comment (#...) is not a call: callers skip
 * those. On success true, *call and *answer filled (answer->kind ANSWER_NONE if it has none). */
bool call_parse(const char *line, struct call *call, struct answer *answer,
                struct parse_error *error);

/* The same with names for answers: "p = mmap(...)", "load(p+4096)". Names are looked up in
 * `variables`; the call's own is not added to them. NULL: a line may have none. */
struct variables;
bool call_parse_with(const char *line, const struct variables *variables, struct call *call,
                     struct answer *answer, struct parse_error *error);

/* The number of the process that makes the call, from 1 on. */
static inline unsigned call_process(const struct call *call)
{
	return call->process ? call->process : 1;
}

/* Reads "[2] " or strace's "[pid  2] " at the start of a line. Where it stood, *process is set (0
 * for the first process and for a real pid) and what follows is returned; else `line`. */
const char *call_speaker(const char *line, unsigned *process);

/* Prints `call` (and " = answer" if answer is not NULL and not ANSWER_NONE) as strace would, into
 * buf; always terminated, truncated if need be. Returns the length it would have. Parsing what was
 * printed gives the same call and answer. */
size_t call_print(char *buf, size_t size, const struct call *call, const struct answer *answer);

/* Only the answer, as after "= ". */
size_t answer_print(char *buf, size_t size, const struct call *call, const struct answer *answer);

/* Whether both say the same. Of two answers of which one has no text (mincore without its vector)
 * only the values count; two refusals are equal whatever their reasons. */
bool answer_equal(const struct answer *a, const struct answer *b);
void answer_free(struct answer *answer); /* frees text; leaves kind ANSWER_NONE */

#endif
