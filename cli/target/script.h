/* script.h - a script: calls in the notation with what they should answer, and its directives.
 *
 * docs/notation.md describes both. A script is read and checked as a whole before any of it runs.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_SCRIPT_H
#define VAS_CLI_SCRIPT_H

#include "strace/words.h"
#include "target/version.h"

/* A call, or a word. Where it refers to variables, its numbers are good after script_resolve. */
struct script_line {
	unsigned number; /* 1-based */
	struct call call;
	struct answer expected; /* ANSWER_NONE: none given */
	struct word_line word;  /* word.word NULL: it is a call */
	char *text;             /* of a line that refers to variables; else NULL */
};

#define SCRIPT_MAX_SYSCTLS 8

struct script {
	const char *path; /* "-": standard input */
	struct script_line *lines;
	size_t count;
	bool refers; /* to variables, somewhere */
	bool looks;  /* has a word about what the last call did */

	/* the directives */
	struct version_range range; /* the Linux versions it holds for */
	bool needs_root;
	char needs_thp[16];  /* the word of transparent_hugepage/enabled; "": any */
	char needs_shmem[16]; /* of .../shmem_enabled, likewise */
	char needs_format[32];  /* how its name begins; "": any */
	uint64_t needs_page;    /* bytes; 0: any */
	uint32_t needs_caps; /* VAS_CAP_* */
	struct call needs_sysctl[SCRIPT_MAX_SYSCTLS]; /* as calls of sysctl() */
	unsigned sysctls;
	char kernel_no[160]; /* why the kernel cannot judge; "": it can */
};

/* False: "path:line:column: what" has been printed. */
bool script_read(const char *path, struct script *script);
void script_free(struct script *script);

/* The line with the values that its variables have now; nothing, where it has none. */
bool script_resolve(struct script_line *line, const struct variables *variables,
                    struct parse_error *error);

#endif
