/* fuzz_run.h - both sides of a fuzzing round: a fresh process and a fresh space, call by call.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_FUZZ_RUN_H
#define VAS_CLI_FUZZ_RUN_H

#include "fuzz/fuzz_look.h"

enum fuzz_kind {
	FUZZ_ANSWER,
	FUZZ_MAPS,
	FUZZ_COUNTER,
	FUZZ_PAGE,
	FUZZ_FLAGS,
	FUZZ_INVARIANT,
	FUZZ_CRASH
};

/* The first difference of a round. Two are of the same sort if all but the words is equal. */
struct fuzz_difference {
	enum fuzz_kind kind;
	enum call_name name; /* of the call after which it showed */
	int64_t vas, kernel; /* of FUZZ_ANSWER: errno or signal of each side, 0 for a success */
	unsigned which;      /* of FUZZ_COUNTER */
	uint64_t addr;       /* of FUZZ_PAGE, FUZZ_FLAGS; like the next not part of the sort */
	unsigned process;    /* in which it showed */
	unsigned behind;     /* how many calls had been made after that one */
	char words[4096];
};

bool fuzz_same_sort(const struct fuzz_difference *a, const struct fuzz_difference *b);

#define FUZZ_AT_ONCE_MAX 64

struct fuzz_run {
	const struct machine *machine;
	/* After so many calls all is compared, answers of each; set it between two rounds. Within a
	 * round the kernel side makes its calls that much later than vas. */
	unsigned at_once;
	struct target *vas, *kernel;
	struct fuzz_look look[CALL_PROCESSES]; /* by their numbers */
	struct answer answer;                  /* the kernel's, of the last call */
	struct call made[FUZZ_AT_ONCE_MAX];    /* by vas alone so far */
	struct answer answered[FUZZ_AT_ONCE_MAX];
	unsigned ahead; /* how many of them */
	uint64_t living;                       /* bits of the processes there are */
	uint64_t future; /* where mlockall(MCL_FUTURE) is in force: new memory is populated */
	bool lazy;       /* some memory may have been freed by MADV_FREE */
};

enum fuzz_result {
	FUZZ_SAME,
	FUZZ_DIFFERENT,
	FUZZ_LEFT_OUT, /* a call that is not made: it could harm the machine, or takes too long */
	FUZZ_BROKEN,   /* a side cannot go on; said on stderr */
};

/* False: a message has been printed. fuzz_run_end is due in either case; run->machine is kept, as
 * is room that the next round uses. */
bool fuzz_run_begin(struct fuzz_run *run);
void fuzz_run_end(struct fuzz_run *run);
void fuzz_run_free(struct fuzz_run *run);

/* Makes one call on both sides and compares all that can be seen, now or when at_once calls have
 * been made. */
enum fuzz_result fuzz_run_call(struct fuzz_run *run, const struct call *call,
                               struct fuzz_difference *difference);

/* What has not been compared yet is. */
enum fuzz_result fuzz_run_compare(struct fuzz_run *run, struct fuzz_difference *difference);

/* At the end of a round, for it costs as much as a hundred calls: the flags of every vma are
 * compared and every frame verified. */
enum fuzz_result fuzz_run_audit(struct fuzz_run *run, struct fuzz_difference *difference);

/* A call of `name` with up to six arguments. */
#define FUZZ_CALL(name, ...)                                          \
	fuzz_call(name, (const uint64_t[CALL_MAX_ARGS]){__VA_ARGS__}, \
	          sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))
struct call fuzz_call(enum call_name name, const uint64_t arg[CALL_MAX_ARGS], size_t nargs);

#endif
