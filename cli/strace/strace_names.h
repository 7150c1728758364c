/* strace_names.h - the constants of the notation: flags, advice, limits, errnos, signals.
 *
 * A set knows how strace writes its values: names joined by |, what is left over in hexadecimal.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_STRACE_NAMES_H
#define VAS_CLI_STRACE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name {
	const char *text; /* NULL ends a list */
	uint64_t value;
};

struct name_set {
	const char *unknown;      /* "MREMAP_???": the comment behind a value without any name */
	uint64_t choice;          /* bits that hold one of several values, rather than flags */
	const char *shift_name;   /* "MAP_HUGE_SHIFT": bits 26..31 hold a number; or NULL */
	const struct name *names; /* of two names for one value the first is printed */
};

#define HUGE_SHIFT 26
#define HUGE_MASK ((uint64_t)0x3f << HUGE_SHIFT)
#define CHOICE_ONLY (~(uint64_t)0) /* the whole value is one choice */

extern const struct name_set names_prot, names_map, names_mremap, names_madvise, names_mlock,
	names_mcl, names_ms, names_mfd, names_open, names_rlimit, names_cap, names_prctl,
	names_empty;

/* Looks a name of `len` bytes up. */
bool name_find(const struct name_set *set, const char *text, size_t len, uint64_t *value);

/* The name of a value that has one of its own, or NULL. */
const char *name_of(const struct name_set *set, uint64_t value);

/* Errnos are 1..; NULL or 0 where there is none. The text is strerror's of the C locale. */
const char *errno_name(int64_t number);
const char *errno_text(int64_t number);
int64_t errno_find(const char *text, size_t len);

/* Signals and their si_codes. A code's name depends on the signal. */
const char *signal_name(int32_t signo);
const char *signal_code_name(int32_t signo, int32_t code);
bool signal_find(const char *text, size_t len, int32_t *signo);
bool signal_code_find(int32_t signo, const char *text, size_t len, int32_t *code);

/* The fields of /proc/PID/status that status("...") knows. */
bool status_name_known(const char *text);

#endif
