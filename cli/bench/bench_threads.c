/* bench_threads.c - `vas bench --threads`: several threads in one space.
 *
 * Each figure is made in a process of its own, whose threads are pinned to a CPU each, with
 * real-time priority where that may be had: who yields then yields to none but them. A round begins
 * when all of them are there; it took as long as its slowest lane.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

#define ROUNDS 41

static const struct {
	const char *name, *what;
} rows[LANE_COUNT] = {
	[LANE_FAULT_APART] = {"fault-apart", "read faults, each thread in a vma of its own"},
	[LANE_FAULT_TOGETHER] = {"fault-together", "read faults, all threads in one leaf table"},
	[LANE_WRITE_APART] = {"fault-write-apart", "write faults, each thread in a vma of its own"},
	[LANE_MAP] = {"mmap-munmap", "mmap and munmap of 4 pages, each thread elsewhere"},
	[LANE_FAULT_BESIDE_MAP] = {"fault-beside-map",
	                           "the first thread's read faults, while others map and unmap"},
	[LANE_HIT] = {"translate-hit", "vas_tlb_lookup, inline, against a load"},
	[LANE_MISS] = {"translate-miss", "vas_translate of random pages of 32 MiB, against a load"},
	[LANE_HIT_BESIDE_MAP] = {"hit-beside-map",
	                         "the first thread's lookups, while others map and unmap"},
};

/* ---- In the process that is measured --------------------------------------------------------- */

struct race {
	const struct lane_work *work;
	struct lane lanes[LANES_MAX];
	unsigned nlanes;
	pthread_barrier_t begin, end; /* of a round */
	unsigned ready;               /* lanes that are awake for it */
	bool over;
};

/* A CPU of its own, and, if it may be had, before what else runs on the machine. */
static void settle(const struct lane *lane)
{
	const struct sched_param first = {.sched_priority = 1};
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(lane->number % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
	(void)sched_setscheduler(0, SCHED_FIFO, &first);
}

static void *lane_thread(void *arg)
{
	struct lane *lane = arg;
	struct race *race = lane->race;
	settle(lane);
	for (unsigned round = 0; round < ROUNDS; round++) {
		(void)pthread_barrier_wait(&race->begin);
		__atomic_fetch_add(&race->ready, 1, __ATOMIC_ACQ_REL);
		while (__atomic_load_n(&race->ready, __ATOMIC_ACQUIRE) % race->nlanes != 0)
			(void)sched_yield();
		race->work->run(lane);
		(void)pthread_barrier_wait(&race->end);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* ns for one operation in the slowest lane, or, where the first one is what is looked at, in it;
 * < 0: a call failed. */
static double race_result(const struct race *race, bool first_only)
{
	double slowest = 0;
	for (unsigned i = 0; i < (first_only ? 1 : race->nlanes); i++) {
		const struct lane *lane = &race->lanes[i];
		if (lane->failed)
			return -1;
		slowest = lane->ns / (double)lane->ops > slowest ? lane->ns / (double)lane->ops
		                                                 : slowest;
	}
	return slowest;
}

static double measure(const struct bench_side *bench, enum lane_id id, unsigned nlanes, bool locks)
{
	struct race race = {.work = &bench->lanes[id], .nlanes = nlanes};
	bool first_only = id == LANE_FAULT_BESIDE_MAP || id == LANE_HIT_BESIDE_MAP;
	struct side *side = bench->open(locks ? SIDE_THREADS : 0);
	pthread_t threads[LANES_MAX];
	double results[ROUNDS];
	if (!side || race.work->prepare(side) ||
	    pthread_barrier_init(&race.begin, NULL, nlanes + 1) != 0 ||
	    pthread_barrier_init(&race.end, NULL, nlanes + 1) != 0)
		return -1;
	for (unsigned i = 0; i < nlanes; i++) {
		race.lanes[i] = (struct lane){.side = bench->join(side),
		                              .race = &race,
		                              .over = &race.over,
		                              .number = i,
		                              .of = nlanes};
		if (!race.lanes[i].side ||
		    pthread_create(&threads[i], NULL, lane_thread, &race.lanes[i]) != 0)
			return -1;
	}
	for (unsigned round = 0; round < ROUNDS; round++) {
		if (race.work->clean)
			race.work->clean(side);
		race.over = false;
		(void)pthread_barrier_wait(&race.begin);
		(void)pthread_barrier_wait(&race.end);
		results[round] = race_result(&race, first_only);
	}
	for (unsigned i = 0; i < nlanes; i++)
		(void)pthread_join(threads[i], NULL);
	qsort(results, ROUNDS, sizeof(results[0]), compare);
	return results[0] < 0 ? -1 : results[ROUNDS / 2];
}

/* ---- In the parent --------------------------------------------------------------------------- */

static double measure_apart(const struct bench_side *side, enum lane_id id, unsigned nlanes,
                            bool locks)
{
	double result = -1;
	int ends[2];
	if (pipe(ends) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		result = measure(side, id, nlanes, locks);
		_exit(write(ends[1], &result, sizeof(result)) != sizeof(result));
	}
	(void)close(ends[1]);
	if (pid < 0 || read(ends[0], &result, sizeof(result)) != sizeof(result))
		result = -1;
	(void)close(ends[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return result;
}

static void print_figure(FILE *out, double ns)
{
	if (ns < 0)
		fprintf(out, " %9s", "-");
	else
		fprintf(out, ns < 10 ? " %6.1f ns" : " %6.0f ns", ns);
}

bool bench_threads(FILE *out, unsigned nlanes)
{
	bool good = true;
	fprintf(out,
	        "ns for one operation of each thread, in one space; a thread alone, without vas's "
	        "locks and\n"
	        "with them, and %u threads at once. Medians of %d rounds.\n\n"
	        "%-18s %9s %9s %7u at once %9s %7u at once\n",
	        nlanes, ROUNDS, "row", "no locks", "vas", nlanes, "kernel", nlanes);
	for (enum lane_id id = 0; id < LANE_COUNT; id++) {
		const double figures[] = {
			measure_apart(&bench_vas, id, 1, false),
			measure_apart(&bench_vas, id, 1, true),
			measure_apart(&bench_vas, id, nlanes, true),
			measure_apart(&bench_kernel, id, 1, true),
			measure_apart(&bench_kernel, id, nlanes, true),
		};
		fprintf(out, "%-18s", rows[id].name);
		for (unsigned i = 0; i < 5; i++) {
			print_figure(out, figures[i]);
			if (i == 2 || i == 4)
				fprintf(out, " (%4.2fx)", figures[i] / figures[i - 1]);
			good = good && figures[i] >= 0;
		}
		fprintf(out, "  %s\n", rows[id].what);
		(void)fflush(out);
	}
	return good;
}
