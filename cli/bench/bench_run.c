/* bench_run.c - measures one point: each side in a process of its own, in turn.
 *
 * The processes are made for the point and end with it, so neither side finds anything of an
 * earlier one in its address space. All are pinned to one CPU; only one of them runs at a time.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"

#define ROUND_NS 2e6 /* how long a round should last: less than a turn on a busy CPU */
#define POINT_NS 6e8 /* ... and all rounds of a point, where that leaves enough of them */
#define ROUNDS_MIN 3
#define OPS_MAX 1e7
#define MAPS_OF_OUR_OWN 1000 /* vmas that a process has anyway, and to spare */

/* A side's process as its parent has it. */
struct worker {
	const struct bench_side *side;
	pid_t pid;
	int to, from;
	double ops; /* in a round */
	double per_op[ROUNDS_MAX];
	unsigned rounds;
	char why[120]; /* not "": it cannot go on */
	char note[80];
};

/* Its answer to a number of operations; the first one, unasked, tells how preparing went. */
struct answer {
	uint64_t ops;
	double total; /* ns or bytes; < 0: a call failed */
	double wall_ns;
	char why[120];
	char note[80];
};

/* ---- In the worker --------------------------------------------------------------------------- */

static double wall_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static bool transfer(ssize_t done, size_t len)
{
	return done == (ssize_t)len;
}

static _Noreturn void work_on(const struct bench_side *side, const struct work *work,
                              uint64_t point, int in, int out)
{
	struct answer answer = {.total = 0};
	struct side *state = side->open(work->how);
	const char *why = state ? work->prepare(state, point) : "no memory";
	if (why)
		(void)snprintf(answer.why, sizeof(answer.why), "%s", why);
	while (transfer(write(out, &answer, sizeof(answer)), sizeof(answer)) && !why &&
	       transfer(read(in, &answer.ops, sizeof(answer.ops)), sizeof(answer.ops))) {
		/* The other side has used the caches meanwhile. */
		uint64_t warm_up = answer.ops / 4;
		if (warm_up > 0)
			(void)work->round(state, &warm_up);
		double start = wall_now();
		answer.total = work->round(state, &answer.ops);
		answer.wall_ns = wall_now() - start;
		if (work->tell)
			work->tell(state, answer.note, sizeof(answer.note));
	}
	_exit(0);
}

static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

/* ---- In the parent --------------------------------------------------------------------------- */

static void fail(struct worker *worker, const char *why)
{
	(void)snprintf(worker->why, sizeof(worker->why), "%s", why);
}

static bool hear(struct worker *worker, struct answer *answer)
{
	ssize_t got = worker->why[0] ? 0 : read(worker->from, answer, sizeof(*answer));
	if (!worker->why[0] && !transfer(got, sizeof(*answer)))
		fail(worker, "its process died (memory?)");
	else if (!worker->why[0] && answer->why[0])
		fail(worker, answer->why);
	else if (!worker->why[0] && answer->total < 0)
		fail(worker, "a call failed");
	return !worker->why[0];
}

static void start(struct worker *worker, const struct row *row, uint64_t point, int cpu)
{
	const struct work *work = &worker->side->works[row->work];
	int to[2], from[2];
	struct answer answer;
	if (!work->prepare) {
		fail(worker, "nothing to compare with");
		return;
	}
	if (pipe(to) < 0 || pipe(from) < 0) {
		fail(worker, strerror(errno));
		return;
	}
	worker->pid = fork();
	if (worker->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		bench_limit_forget();
		(void)close(to[1]);
		(void)close(from[0]);
		pin(cpu);
		work_on(worker->side, work, point, to[0], from[1]);
	}
	(void)close(to[0]);
	(void)close(from[1]);
	worker->to = to[1];
	worker->from = from[0];
	if (worker->pid < 0)
		fail(worker, strerror(errno));
	(void)hear(worker, &answer);
}

static void stop(struct worker *worker)
{
	if (worker->pid <= 0)
		return;
	(void)close(worker->to);
	(void)close(worker->from);
	(void)kill(worker->pid, SIGKILL);
	while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static bool ask(struct worker *worker, struct answer *answer)
{
	uint64_t ops = (uint64_t)worker->ops;
	if (worker->why[0])
		return false;
	if (!transfer(write(worker->to, &ops, sizeof(ops)), sizeof(ops)))
		fail(worker, "its process died (memory?)");
	return hear(worker, answer);
}

/* Finds how many operations last a round, whatever they need around what is timed. */
static void calibrate(struct worker *worker)
{
	struct answer answer = {.ops = 0};
	worker->ops = 1;
	for (unsigned i = 0; i < 8 && ask(worker, &answer); i++) {
		double per_op = answer.wall_ns / (double)answer.ops;
		double wanted = ROUND_NS / (per_op > 1 ? per_op : 1);
		if (wanted < (double)answer.ops * 2)
			break;
		worker->ops = wanted > worker->ops * 100 ? worker->ops * 100 : wanted;
		worker->ops = worker->ops > OPS_MAX ? OPS_MAX : worker->ops;
	}
}

static void round_of(struct worker *worker)
{
	struct answer answer;
	if (!ask(worker, &answer))
		return;
	worker->per_op[worker->rounds++] = answer.total / (double)answer.ops;
	memcpy(worker->note, answer.note, sizeof(worker->note));
}

/* ---- Figures --------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double quantile(const double *sorted, unsigned n, double q)
{
	double at = q * (n - 1);
	unsigned below = (unsigned)at;
	unsigned above = below + 1 < n ? below + 1 : below;
	return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

static void summarise(struct worker *worker, struct figure *figure)
{
	double *values = worker->per_op;
	unsigned n = worker->rounds;
	memset(figure, 0, sizeof(*figure));
	memcpy(figure->why, worker->why, sizeof(figure->why));
	memcpy(figure->note, worker->note, sizeof(figure->note));
	if (worker->why[0] || n == 0)
		return;
	qsort(values, n, sizeof(values[0]), compare);
	figure->there = true;
	figure->min = values[0];
	figure->low = quantile(values, n, 0.25);
	figure->median = quantile(values, n, 0.5);
	figure->high = quantile(values, n, 0.75);
}

void bench_measure(const struct row *row, uint64_t point, const struct bench_options *options,
                   struct result *result)
{
	struct worker workers[2] = {{.side = &bench_vas}, {.side = &bench_kernel}};
	bool many = row->axis == AXIS_VMAS;
	result->point = point;
	pin(options->cpu);
	if (many && !bench_limit_raise(point * 2 + MAPS_OF_OUR_OWN))
		fail(&workers[1], "vm.max_map_count is too low, and only root may raise it");
	for (unsigned i = 0; i < 2; i++)
		if (!workers[i].why[0])
			start(&workers[i], row, point, options->cpu);
	for (unsigned i = 0; i < 2 && !row->bytes; i++)
		calibrate(&workers[i]);
	double begin = wall_now();
	for (unsigned i = 0; i < (row->bytes ? 1 : options->rounds); i++) {
		if (i >= ROUNDS_MIN && wall_now() - begin > POINT_NS)
			break;
		round_of(&workers[0]);
		round_of(&workers[1]);
	}
	for (unsigned i = 0; i < 2; i++)
		stop(&workers[i]);
	bench_limit_restore();
	summarise(&workers[0], &result->vas);
	summarise(&workers[1], &result->kernel);
}
