/* bench.h - what the parts of `vas bench` share.
 *
 * A *work* is something to be timed. Its source is compiled twice, once against vas and once
 * against the running kernel (bench_work.h), so both sides do the same. A *row* is one line of the
 * table: a work at one or several *points*, numbers of vmas or of bytes.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_BENCH_H
#define VAS_CLI_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum work_id {
	WORK_MMAP_MUNMAP,
	WORK_MMAP_ANYWHERE,
	WORK_MMAP,
	WORK_SPLIT,
	WORK_MERGE,
	WORK_GROW,
	WORK_SHRINK,
	WORK_MOVE_1G,
	WORK_MOVE_2M,
	WORK_MOVE_SHIFTED,
	WORK_MOVE_SHIFTED_SOFT,
	WORK_PROTECT,
	WORK_FORK,
	WORK_FIRST_WRITE,
	WORK_FAULT,
	WORK_FAULT_WRITE,
	WORK_TLB_HIT,
	WORK_TLB_HIT_LATENCY,
	WORK_TLB_HIT_CALL,
	WORK_TLB_MISS,
	WORK_TLB_MISS_LATENCY,
	WORK_TLB_MISS_HUGE,
	WORK_TLB_MISS_SOFT,
	WORK_GROW_X2,
	WORK_GROW_X2_ROOMY,
	WORK_GROW_X2_ODD,
	WORK_GROW_X2_ODD_ROOMY,
	WORK_GROW_1M,
	WORK_GROW_1M_ROOMY,
	WORK_GROW_MANY_64K,
	WORK_GROW_MANY_64K_ROOMY,
	WORK_GROW_MANY_X2,
	WORK_GROW_MANY_X2_ROOMY,
	WORK_BYTES,
	WORK_BYTES_RANDOM,
	WORK_BYTES_TOUCHED,
	WORK_COUNT,
};

struct side; /* each side has its own */

#define SIDE_THREADS 1u  /* several threads will use it */
#define SIDE_SOFTWARE 2u /* vas keeps pages in software trees */

struct work {
	/* Builds what is worked on; `scale` is the point: vmas or bytes. NULL, or why not. */
	const char *(*prepare)(struct side *side, uint64_t scale);
	/* About n operations (a work may do a few more, to fill its last batch): *n becomes how
	 * many, the answer is their time in all, in ns (or bytes). < 0: a call failed. */
	double (*round)(struct side *side, uint64_t *n);
	/* What there is to tell of the last round besides its time; NULL: nothing. */
	void (*tell)(const struct side *side, char *text, size_t len);
	unsigned how; /* the side is opened: SIDE_* */
};

/* ---- Several threads in one space (bench_threads.c, bench_lanes.h) ---- */

#define LANES_MAX 16u

enum lane_id {
	LANE_FAULT_APART,
	LANE_FAULT_TOGETHER,
	LANE_WRITE_APART,
	LANE_MAP,
	LANE_FAULT_BESIDE_MAP,
	LANE_HIT,
	LANE_MISS,
	LANE_HIT_BESIDE_MAP,
	LANE_COUNT,
};

struct race;

/* One thread's share. */
struct lane {
	struct side *side;
	struct race *race;
	bool *over; /* the first lane has finished its round */
	unsigned number, of;
	uint64_t ops, failed, sink;
	double ns;
} __attribute__((aligned(128))); /* no two of them in a cache line */

struct lane_work {
	const char *(*prepare)(struct side *side); /* NULL, or why not */
	void (*clean)(struct side *side);          /* before a round; NULL: nothing to do */
	void (*run)(struct lane *lane);
};

/* ---- The worst of each call (bench_worst.c, bench_worst.h) ---- */

enum worst_id {
	WORST_MMAP_OVER,
	WORST_MMAP_SEARCH,
	WORST_MMAP_POPULATE,
	WORST_MUNMAP_VMAS,
	WORST_MUNMAP_PAGES,
	WORST_MUNMAP_TABLES,
	WORST_MREMAP_PAGES,
	WORST_MREMAP_OVER,
	WORST_MPROTECT_VMAS,
	WORST_MPROTECT_PAGES,
	WORST_BRK,
	WORST_MLOCK,
	WORST_MUNLOCK,
	WORST_MLOCKALL,
	WORST_MUNLOCKALL,
	WORST_MADVISE_VMAS,
	WORST_DONTNEED,
	WORST_FREE,
	WORST_POPULATE,
	WORST_GUARD,
	WORST_COLLAPSE,
	WORST_REMOVE_UNRELATED,
	WORST_REMOVE_OTHERS,
	WORST_REMOVE_ALIASES,
	WORST_MSYNC,
	WORST_MINCORE_EMPTY,
	WORST_MINCORE_EMPTIED,
	WORST_MINCORE_PRESENT,
	WORST_MSEAL,
	WORST_FORK_VMAS,
	WORST_FORK_PAGES,
	WORST_EXIT_VMAS,
	WORST_EXIT_PAGES,
	WORST_FAULT_COPY,
	WORST_FAULT_HUGE,
	WORST_READ,
	WORST_WRITE,
	WORST_STRING,
	WORST_TRUNCATE_NOWHERE,
	WORST_TRUNCATE_MAPPINGS,
	WORST_TRUNCATE_PAGES,
	WORST_SYNC,
	WORST_MAPS,
	WORST_SMAPS_VMAS,
	WORST_SMAPS_PAGES,
	WORST_ROLLUP,
	WORST_STATUS,
	WORST_STATUS_TABLES,
	WORST_PAGEMAP_EMPTY,
	WORST_PAGEMAP_PRESENT,
	WORST_NEXT_PRESENT,
	WORST_COUNT,
};

enum report { REPORT_maps, REPORT_smaps, REPORT_smaps_rollup, REPORT_status };

struct worst_work {
	const char *(*prepare)(struct side *side, uint64_t n); /* NULL, or why not */
	int64_t (*call)(struct side *side, uint64_t n);        /* < 0: it failed */
};

/* What others saw meanwhile: the longest that a call of theirs took, ns. */
struct waits {
	double same;  /* a look at a page of the same space, which waits for those who change it */
	double other; /* a fault and an madvise in another space of the same system */
};

/* bench_worst.c: docs/worst-cases.md, or as much of it as concerns `which`: a call, "all" or "list"
 * (its rows, without figures). The exit status. */
int bench_worst(FILE *out, const char *which);

/* ---- Sides ---- */

struct bench_side {
	const char *name;
	const struct work *works; /* WORK_COUNT of them; prepare NULL: no such thing here */
	const struct lane_work *lanes;      /* LANE_COUNT of them */
	struct side *(*open)(unsigned how); /* SIDE_*; NULL: no memory */
	struct side *(*join)(struct side *side); /* for one more thread in the same space */
	const struct worst_work *worst;    /* WORST_COUNT of them */
	void (*clear)(struct side *side);  /* after a worst case */
	/* Another thread, until *over: *begun when it has begun. NULL: none. */
	void (*neighbour)(struct side *side, bool *begun, const bool *over, struct waits *waits);
};
extern const struct bench_side bench_vas, bench_kernel;

enum axis { AXIS_NONE, AXIS_VMAS, AXIS_BYTES };

#define POINTS_MAX 8
#define ROUNDS_MAX 99

struct row {
	const char *name;
	enum work_id work;
	enum axis axis;
	uint64_t points[POINTS_MAX]; /* 0 ends them; the first is the one the row is named after */
	double goal;                 /* of that point: ns, or bytes; 0: none */
	bool bytes;                  /* bytes, not ns */
	const char *what;            /* is compared with what */
	const char *note; /* if the goal is missed: what was tried, what is left; or NULL */
};
extern const struct row bench_rows[];
extern const size_t bench_nrows;

/* What one side took for one operation (or how many bytes). */
struct figure {
	bool there;
	char why[120];                 /* if not: in words, or "" */
	char note[80];                 /* what else there is to tell, or "" */
	double median, low, high, min; /* low and high are the quartiles */
};

struct result {
	uint64_t point;
	struct figure vas, kernel;
};

struct bench_options {
	unsigned rounds;
	int cpu; /* all is pinned to it */
};

/* bench_run.c: measures one point of a row on both sides in turn. */
void bench_measure(const struct row *row, uint64_t point, const struct bench_options *options,
                   struct result *result);

/* bench_threads.c: the table of what several threads do. False: something could not be measured. */
bool bench_threads(FILE *out, unsigned nlanes);

/* bench_limit.c: raises vm.max_map_count to `count` if it is lower; a process of its own puts it
 * back when bench_limit_restore is called or this process has ended, however it does. False: it
 * may not be raised. */
bool bench_limit_raise(uint64_t count);
void bench_limit_restore(void);
void bench_limit_forget(void); /* in a child: its life does not count */

/* bench_print.c */
bool bench_missed(const struct row *row, const struct result *result); /* the goal */
double bench_ratio(const struct result *result); /* kernel / vas; 0: one side has no figure */
void bench_print_head(FILE *out);
void bench_print(FILE *out, const struct row *row, const struct result *result, bool first);
void bench_json(FILE *out, const struct row *row, const struct result *results, size_t n,
                bool last);

#endif
