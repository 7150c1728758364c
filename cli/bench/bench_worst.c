/* bench_worst.c - `vas bench --worst`: the worst that a guest can make of each call.
 *
 * Each side of each size is measured in a process of its own. On vas's side the rounds are made
 * twice: alone, for the time of the call, and beside another thread, for how long that waits. The
 * table is a document (docs/worst-cases.md), which a test compares with the calls there are.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "cli.h"

#define SIZES 3
#define ROUNDS 3
#define KI ((uint64_t)1 << 10)
#define MI ((uint64_t)1 << 20)
#define GI ((uint64_t)1 << 30)
/* clang-format off */
#define VMAS AXIS_VMAS, {2 * KI, 8 * KI, 32 * KI}
#define PAGES AXIS_BYTES, {32 * MI, 128 * MI, 512 * MI}
#define EMPTY AXIS_BYTES, {16 * GI, 64 * GI, 256 * GI}
#define SPARSE AXIS_BYTES, {4 * GI, 16 * GI, 64 * GI}

static const struct worst {
	const char *call, *what;
	enum axis axis;
	uint64_t sizes[SIZES];
} rows[WORST_COUNT] = {
	[WORST_MMAP_OVER] = {"vas_mmap", "`MAP_FIXED` over many vmas", VMAS},
	[WORST_MMAP_SEARCH] = {"vas_mmap", "a search past stacks with gaps too small", VMAS},
	[WORST_MMAP_POPULATE] = {"vas_mmap", "`MAP_POPULATE`", PAGES},
	[WORST_MUNMAP_VMAS] = {"vas_munmap", "many vmas", VMAS},
	[WORST_MUNMAP_PAGES] = {"vas_munmap", "every page present", PAGES},
	[WORST_MUNMAP_TABLES] = {"vas_munmap", "one page below each leaf table", SPARSE},
	[WORST_MREMAP_PAGES] = {"vas_mremap", "every page present, a page out of step", PAGES},
	[WORST_MREMAP_OVER] = {"vas_mremap", "`MREMAP_FIXED` over many vmas", VMAS},
	[WORST_MPROTECT_VMAS] = {"vas_mprotect", "many vmas, which merge", VMAS},
	[WORST_MPROTECT_PAGES] = {"vas_mprotect", "every page present", PAGES},
	[WORST_BRK] = {"vas_brk", "a heap with every page present, given back", PAGES},
	[WORST_MLOCK] = {"vas_mlock", "nothing present", PAGES},
	[WORST_MUNLOCK] = {"vas_munlock", "many vmas", VMAS},
	[WORST_MLOCKALL] = {"vas_mlockall", "many vmas, nothing present", VMAS},
	[WORST_MUNLOCKALL] = {"vas_munlockall", "many vmas", VMAS},
	[WORST_MADVISE_VMAS] = {"vas_madvise", "`DONTDUMP` of many vmas", VMAS},
	[WORST_DONTNEED] = {"vas_madvise", "`DONTNEED`, every page present", PAGES},
	[WORST_FREE] = {"vas_madvise", "`FREE`, every page present", PAGES},
	[WORST_POPULATE] = {"vas_madvise", "`POPULATE_WRITE`, nothing present", PAGES},
	[WORST_GUARD] = {"vas_madvise", "`GUARD_INSTALL`, nothing present", PAGES},
	[WORST_COLLAPSE] = {"vas_madvise", "`COLLAPSE`, every page present", PAGES},
	[WORST_REMOVE_UNRELATED] = {"vas_madvise",
	 "`REMOVE` of a page mapped once, beside vmas that do not map the file", VMAS},
	[WORST_REMOVE_OTHERS] = {"vas_madvise",
	 "`REMOVE` of a page mapped once, beside mappings of the file's other pages", VMAS},
	[WORST_REMOVE_ALIASES] = {"vas_madvise", "`REMOVE` of a page with many mappings", VMAS},
	[WORST_MSYNC] = {"vas_msync", "many mappings of one file, all written", VMAS},
	[WORST_MINCORE_EMPTY] = {"vas_mincore", "nothing present", EMPTY},
	[WORST_MINCORE_EMPTIED] = {"vas_mincore",
	 "nothing present, leaf tables everywhere", SPARSE},
	[WORST_MINCORE_PRESENT] = {"vas_mincore", "every page present", PAGES},
	[WORST_MSEAL] = {"vas_mseal", "many vmas", VMAS},
	[WORST_FORK_VMAS] = {"vas_fork", "many vmas", VMAS},
	[WORST_FORK_PAGES] = {"vas_fork", "every page present", PAGES},
	[WORST_EXIT_VMAS] = {"vas_destroy", "many vmas", VMAS},
	[WORST_EXIT_PAGES] = {"vas_destroy", "every page present and its own", PAGES},
	[WORST_FAULT_COPY] = {"vas_fault", "the first write after fork", PAGES},
	[WORST_FAULT_HUGE] = {"vas_fault", "a huge page", AXIS_BYTES, {4 * MI, 16 * MI, 64 * MI}},
	[WORST_READ] = {"vas_read", "nothing present", PAGES},
	[WORST_WRITE] = {"vas_write", "nothing present", PAGES},
	[WORST_STRING] = {"vas_read_string", "a string without an end", PAGES},
	[WORST_TRUNCATE_NOWHERE] = {"vas_object_resize",
	 "a file mapped nowhere, beside vmas that do not map it", VMAS},
	[WORST_TRUNCATE_MAPPINGS] = {"vas_object_resize", "a file with many mappings", VMAS},
	[WORST_TRUNCATE_PAGES] = {"vas_object_resize", "every page present and mapped", PAGES},
	[WORST_SYNC] = {"vas_object_sync", "many mappings, all written", VMAS},
	[WORST_MAPS] = {"vas_maps", "many vmas", VMAS},
	[WORST_SMAPS_VMAS] = {"vas_smaps", "many vmas", VMAS},
	[WORST_SMAPS_PAGES] = {"vas_smaps", "every page present", PAGES},
	[WORST_ROLLUP] = {"vas_smaps_rollup", "every page present", PAGES},
	[WORST_STATUS] = {"vas_status_text", "every page present", PAGES},
	[WORST_STATUS_TABLES] = {"vas_status_text", "one page below each leaf table", SPARSE},
	[WORST_PAGEMAP_EMPTY] = {"vas_pagemap",
	 "nothing present", AXIS_BYTES, {1 * GI, 4 * GI, 16 * GI}},
	[WORST_PAGEMAP_PRESENT] = {"vas_pagemap", "every page present", PAGES},
	[WORST_NEXT_PRESENT] = {"vas_next_present",
	 "nothing present, leaf tables everywhere", SPARSE},
};
/* clang-format on */

/* The other calls in vas.h. */
static const struct {
	const char *why, *calls;
} others[] = {
	{"Searches of a tree or walks of one address, whose time grows with the logarithm of what "
	 "the guest owns at the most, or not at all",
	 "vas_compare_exchange vas_context vas_get_limit vas_get_status vas_lookup "
	 "vas_next_region vas_page_size vas_present vas_root vas_task_size vas_tlb_leave "
	 "vas_tlb_register vas_tlb_unregister vas_translate vas_vmflags vas_walk"},
	{"As the call that it is a form of (`vas_mlock`), or that looks at every vma once as it "
	 "does (`vas_mlockall`)",
	 "vas_mlock2 vas_prctl"},
	{"The embedder's own, which no guest can ask for",
	 "vas_audit vas_check vas_create vas_file_get vas_file_info vas_file_object vas_file_open "
	 "vas_file_put vas_file_references vas_group_create vas_group_get_usage vas_group_of "
	 "vas_group_put vas_group_set_limit vas_import vas_object_create vas_object_ctx "
	 "vas_object_put vas_params_default vas_root_update vas_set_capabilities vas_set_context "
	 "vas_set_limit vas_settings_default vas_system_change vas_system_committed "
	 "vas_system_create vas_system_fail_after vas_system_frames vas_system_of "
	 "vas_system_page_size vas_system_settings vas_system_version"},
};

/* ---- In the process that is measured --------------------------------------------------------- */

/* What it answers; in ns, < 0: there is none. */
struct measured {
	double call;
	struct waits waits;
	char why[120]; /* not "": it failed */
};

static double wall_now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* A CPU of its own, and, if it may be had, before what else runs on the machine. */
static void settle(int cpu)
{
	const struct sched_param first = {.sched_priority = 1};
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
	(void)sched_setscheduler(0, SCHED_FIFO, &first);
}

struct beside {
	const struct bench_side *bench;
	struct side *side;
	bool begun, over;
	struct waits waits;
};

static void *neighbour_thread(void *arg)
{
	struct beside *beside = arg;
	settle(1);
	beside->bench->neighbour(beside->side, &beside->begun, &beside->over, &beside->waits);
	return NULL;
}

/* One round: ns, or < 0. */
static double time_call(const struct bench_side *bench, struct side *side, enum worst_id id,
                        uint64_t size, struct measured *measured)
{
	const char *why = bench->worst[id].prepare(side, size);
	double start = wall_now(), ns = -1;
	if (!why && bench->worst[id].call(side, size) < 0)
		why = "the call failed";
	ns = wall_now() - start;
	bench->clear(side);
	if (why)
		(void)snprintf(measured->why, sizeof(measured->why), "%s", why);
	return ns;
}

/* The same beside another thread. */
static void time_waits(const struct bench_side *bench, struct side *side, enum worst_id id,
                       uint64_t size, struct measured *measured)
{
	struct beside beside = {.bench = bench, .side = side};
	struct waits *least = &measured->waits;
	const char *why = bench->worst[id].prepare(side, size);
	pthread_t thread;
	if (why || pthread_create(&thread, NULL, neighbour_thread, &beside) != 0) {
		(void)snprintf(measured->why, sizeof(measured->why), "%s",
		               why ? why : "there is no other thread");
		return;
	}
	while (!__atomic_load_n(&beside.begun, __ATOMIC_ACQUIRE))
		(void)sched_yield();
	(void)bench->worst[id].call(side, size);
	__atomic_store_n(&beside.over, true, __ATOMIC_RELEASE);
	(void)pthread_join(thread, NULL);
	bench->clear(side);
	/* Least of the longest: what the machine did besides is in the others. */
	if (least->same < 0 || beside.waits.same < least->same)
		least->same = beside.waits.same;
	if (least->other < 0 || beside.waits.other < least->other)
		least->other = beside.waits.other;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void measure(const struct bench_side *bench, enum worst_id id, uint64_t size,
                    struct measured *measured)
{
	double times[ROUNDS];
	struct side *side = bench->open(SIDE_THREADS);
	if (!side)
		(void)snprintf(measured->why, sizeof(measured->why), "no memory");
	for (unsigned i = 0; i < ROUNDS && !measured->why[0]; i++)
		times[i] = time_call(bench, side, id, size, measured);
	if (measured->why[0])
		return;
	qsort(times, ROUNDS, sizeof(times[0]), compare);
	measured->call = times[ROUNDS / 2];
	for (unsigned i = 0; i < ROUNDS && !measured->why[0]; i++)
		if (bench->neighbour && sysconf(_SC_NPROCESSORS_ONLN) > 1)
			time_waits(bench, side, id, size, measured);
}

/* ---- In the parent --------------------------------------------------------------------------- */

static void measure_apart(const struct bench_side *bench, enum worst_id id, uint64_t size,
                          struct measured *measured)
{
	int ends[2];
	*measured = (struct measured){.call = -1, .waits = {-1, -1}};
	if (!bench->worst[id].prepare || pipe(ends) < 0)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		bench_limit_forget();
		settle(0);
		measure(bench, id, size, measured);
		_exit(write(ends[1], measured, sizeof(*measured)) != sizeof(*measured));
	}
	(void)close(ends[1]);
	if (pid < 0 || read(ends[0], measured, sizeof(*measured)) != sizeof(*measured)) {
		*measured = (struct measured){.call = -1, .waits = {-1, -1}};
		(void)snprintf(measured->why, sizeof(measured->why), "its process died");
	}
	(void)close(ends[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
}

/* ---- The table ------------------------------------------------------------------------------- */

static void put_size(FILE *out, enum axis axis, uint64_t size)
{
	static const char *const units[] = {"", "k", "M", "G"};
	unsigned unit = 0;
	for (; size >= KI && unit < 3; unit++)
		size /= KI;
	fprintf(out, "%u%s%s", (unsigned)size, axis == AXIS_BYTES ? " " : "", units[unit]);
	if (axis == AXIS_BYTES)
		fprintf(out, "iB");
}

static void put_time(FILE *out, double ns)
{
	if (ns < 0)
		fprintf(out, "-");
	else if (ns < 1e4)
		fprintf(out, "%.1f us", ns / 1e3);
	else if (ns < 1e6)
		fprintf(out, "%.0f us", ns / 1e3);
	else
		fprintf(out, ns < 1e7 ? "%.1f ms" : "%.0f ms", ns / 1e6);
}

/* With which power of the size the time grows, from the middle one to the largest. */
static double growth(const struct worst *row, const struct measured *measured)
{
	double times = measured[2].call / measured[1].call;
	return log(times) / log((double)row->sizes[2] / (double)row->sizes[1]);
}

static void put_row(FILE *out, const struct worst *row, const struct measured *vas,
                    const struct measured *kernel)
{
	fprintf(out, "| `%s` | %s | ", row->call, row->what);
	for (unsigned i = 0; i < SIZES; i++) {
		fprintf(out, "%s", i ? ", " : "");
		put_size(out, row->axis, row->sizes[i]);
	}
	fprintf(out, " | ");
	for (unsigned i = 0; i < SIZES; i++) {
		fprintf(out, "%s", i ? ", " : "");
		put_time(out, vas[i].call);
	}
	fprintf(out, " | n^%.1f | ", growth(row, vas));
	put_time(out, kernel[2].call);
	if (kernel[2].call > 0 && vas[2].call > 0)
		fprintf(out, " | %.1f | ", kernel[2].call / vas[2].call);
	else
		fprintf(out, " | - | ");
	put_time(out, vas[2].waits.same);
	fprintf(out, " | ");
	put_time(out, vas[2].waits.other);
	fprintf(out, " |\n");
	(void)fflush(out);
}

static bool run_row(FILE *out, enum worst_id id)
{
	struct measured vas[SIZES], kernel[SIZES];
	const struct worst *row = &rows[id];
	bool good = true;
	for (unsigned i = 0; i < SIZES; i++) {
		bool raised = row->axis != AXIS_VMAS || bench_limit_raise(row->sizes[i] * 4 + 1000);
		measure_apart(&bench_vas, id, row->sizes[i], &vas[i]);
		kernel[i] = (struct measured){.call = -1};
		if (raised)
			measure_apart(&bench_kernel, id, row->sizes[i], &kernel[i]);
		bench_limit_restore();
		good = good && vas[i].call >= 0 && !vas[i].why[0];
		if (vas[i].why[0])
			fprintf(stderr, "vas: %s, %s: vas: %s\n", row->call, row->what, vas[i].why);
		if (kernel[i].why[0])
			fprintf(stderr, "vas: %s, %s: kernel: %s\n", row->call, row->what,
			        kernel[i].why);
	}
	put_row(out, row, vas, kernel);
	return good;
}

static void put_head(FILE *out)
{
	struct utsname name;
	(void)uname(&name);
	fprintf(out,
	        "# The worst that a guest can make of each call\n\n"
	        "Written by `make worst` (`vas bench --worst`), beside Linux %s. A library call on "
	        "vas's own tables against\n"
	        "a system call; what is the same on both sides is in `cli/bench/bench_worst.h`.\n\n"
	        "- *vas*: the time of the call at the three sizes; *grows*: as which power of the "
	        "size, between the last two.\n"
	        "- *kernel*, and how many times as long it takes: at the largest size.\n"
	        "- *same space*: the longest that another thread waited for a look at one page of "
	        "the same space, which is the longest\n"
	        "  that the call held the space's lock. *other space*: the longest that a fault "
	        "and "
	        "a `DONTNEED` in another space took\n"
	        "  meanwhile. At the largest size; the least of %d rounds, and still the machine's "
	        "own noise is in them.\n"
	        "- Times of calls are medians of %d rounds.\n\n"
	        "| call | made bad by | sizes | vas | grows | kernel | ratio | same space | other "
	        "space |\n|---|---|---|---|---|---|---|---|---|\n",
	        name.release, ROUNDS, ROUNDS);
}

static void put_others(FILE *out)
{
	fprintf(out, "\n## The calls without a row\n");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const char *at = others[i].calls;
		int column = 0;
		fprintf(out, "\n%s:", others[i].why);
		for (int len; *at; at += len + (at[len] == ' ')) {
			len = (int)strcspn(at, " ");
			fprintf(out, "%c`%.*s`", column == 0 ? '\n' : ' ', len, at);
			column = column + len > 100 ? 0 : column + len + 3;
		}
		fprintf(out, "\n");
	}
}

static bool wanted(const struct worst *row, const char *which)
{
	return strcmp(which, "all") == 0 || strcmp(row->call, which) == 0;
}

static void put_list(FILE *out)
{
	for (enum worst_id id = 0; id < WORST_COUNT; id++)
		fprintf(out, "| `%s` | %s |\n", rows[id].call, rows[id].what);
}

int bench_worst(FILE *out, const char *which)
{
	bool found = false, good = true;
	if (strcmp(which, "list") == 0) {
		put_list(out);
		return EXIT_SAME;
	}
	for (enum worst_id id = 0; id < WORST_COUNT; id++)
		found = found || wanted(&rows[id], which);
	if (!found) {
		fprintf(stderr,
		        "vas: --worst takes a call, all, or list, which names them, "
		        "not '%s'\n",
		        which);
		return EXIT_USAGE;
	}
	put_head(out);
	for (enum worst_id id = 0; id < WORST_COUNT; id++)
		if (wanted(&rows[id], which))
			good = run_row(out, id) && good;
	if (strcmp(which, "all") == 0)
		put_others(out);
	return good ? EXIT_SAME : EXIT_DIFFERENT;
}
