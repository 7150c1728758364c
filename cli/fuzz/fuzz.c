/* fuzz.c - `vas fuzz`: random calls on vas and on a live process, compared after each.
 *
 * Rounds are independent: each starts a new process and a new space, from a seed derived from that
 * of the run. Jobs are processes of their own, so one that crashes takes only its round along; what
 * they have done stands in memory that they share with the first process, which counts and prints.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "fuzz/fuzz_gen.h"
#include "fuzz/fuzz_shrink.h"
#include "target/hold.h"
#include "target/script.h"
#include "strace/strace_shape.h"

#define JOBS_MAX 64
#define SORTS_MAX 64
#define SHRINKS_OF_A_SORT 2

struct options {
	uint64_t seed, ops, only;
	unsigned jobs, at_once;
	uint32_t linux_version; /* vas's; 0: the machine's */
	bool hugetlb, software;
	const char *out;
};

/* Shared between a job and the first process. */
struct job {
	uint64_t rounds, calls, differences, left_out;
	uint64_t once;   /* rounds that differed once, and not again */
	uint64_t wanted; /* calls */
	pid_t pid;
	bool done, broken;
	struct fuzz_script script; /* the round's calls so far */
};

/* A job's own. */
struct worker {
	const struct options *options;
	struct job *job;
	unsigned number;
	uint64_t seed;
	struct fuzz_run run;
	struct fuzz_gen gen;
	struct {
		struct fuzz_difference difference;
		unsigned times;
	} sort[SORTS_MAX];
	size_t sorts;
};

enum { SEED, OPS, JOBS, AT_ONCE, ONLY, LINUX, PAGES, HUGETLB, OUT };

static const struct command_option options_known[] = {
	[SEED] = {"seed", .value = "N",
	          .help = "the same seed makes the same calls (default: a new one)"},
	[OPS] = {"ops", .value = "N", .help = "how many calls (default: 100000)"},
	[JOBS] = {"jobs", .value = "N", .help = "in N processes at once (default: 1)"},
	[AT_ONCE] = {"at-once", .value = "N",
	             .help = "all but the answers is compared after N calls, up to 64, not after "
	                     "each; a round that differs is made again and compared after each"},
	[ONLY] = {"only", .value = "NAMES",
	          .help = "only these calls: mmap,munmap,mremap,store ..."},
	[LINUX] = OPTION_LINUX,
	[PAGES] = OPTION_PAGES,
	[HUGETLB] = {"hugetlb",
	             .help = "MAP_HUGETLB too, of an empty pool, which is kept so meanwhile"},
	[OUT] = {"out", .value = "DIR", .file = true,
	         .help = "where scripts are written (default: .)"},
	{0},
};

static volatile sig_atomic_t stopped;

static void stop(int signo)
{
	(void)signo;
	stopped = 1;
}

/* ---- Telling of a difference ----------------------------------------------------------------- */

/* Comments in front, and what differs behind. */
static void write_script(FILE *out, struct worker *worker, const struct fuzz_difference *difference,
                         const char *calls)
{
	fprintf(out, "# vas fuzz --seed %" PRIu64 ", job %u, round %" PRIu64 "\n",
	        worker->options->seed, worker->number, worker->job->rounds);
	for (const char *line = difference->words; *line;) {
		int len = (int)strcspn(line, "\n");
		fprintf(out, "# %.*s\n", len, line);
		line += len + (line[len] == '\n');
	}
	fprintf(out, "%s", calls);
}

static char *replay_text(struct worker *worker)
{
	char *text = NULL;
	size_t size = 0, at;
	struct fuzz_difference difference;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	(void)fuzz_replay(&worker->run, &worker->job->script, &difference, &at, out);
	(void)fclose(out);
	return text;
}

static char *script_text(const struct fuzz_script *script)
{
	char *text = NULL, line[2048];
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	for (size_t i = 0; i < script->count; i++) {
		(void)call_print(line, sizeof(line), &script->call[i], NULL);
		fprintf(out, "%s\n", line);
	}
	(void)fclose(out);
	return text;
}

static void save(struct worker *worker, const struct fuzz_difference *difference, const char *note)
{
	char path[4096];
	bool crash = difference->kind == FUZZ_CRASH;
	char *calls = crash ? script_text(&worker->job->script) : replay_text(worker);
	(void)snprintf(path, sizeof(path), "%s/fuzz-%" PRIu64 "-%u-%" PRIu64 ".strace",
	               worker->options->out, worker->options->seed, worker->number,
	               worker->job->rounds);
	FILE *out = calls ? fopen(path, "we") : NULL;
	if (out) {
		write_script(out, worker, difference, calls);
		if (fclose(out) != 0)
			fprintf(stderr, "vas: %s: %s\n", path, strerror(errno));
	} else {
		fprintf(stderr, "vas: %s: %s\n", path, strerror(errno));
	}
	printf("%s\n%s:%s\n%s%s\n", isatty(STDOUT_FILENO) ? "\r\033[K" : "", path, note,
	       calls ? calls : "", difference->words);
	(void)fflush(stdout);
	free(calls);
}

/* How often a difference of this sort has been seen before. */
static unsigned seen_before(struct worker *worker, const struct fuzz_difference *difference)
{
	for (size_t i = 0; i < worker->sorts; i++)
		if (fuzz_same_sort(&worker->sort[i].difference, difference))
			return worker->sort[i].times++;
	if (worker->sorts < SORTS_MAX) {
		worker->sort[worker->sorts].difference = *difference;
		worker->sort[worker->sorts++].times = 1;
	}
	return 0;
}

static void report(struct worker *worker, struct fuzz_difference *difference)
{
	worker->job->script.count -= difference->behind;
	if (worker->run.at_once > 1 && difference->kind != FUZZ_CRASH)
		fuzz_find_first(&worker->run, &worker->job->script, difference);
	if (seen_before(worker, difference) >= SHRINKS_OF_A_SORT) {
		worker->job->differences++;
		return;
	}
	bool again = fuzz_shrink(&worker->run, &worker->job->script, difference, &stopped);
	if (again)
		worker->job->differences++;
	else
		worker->job->once++;
	save(worker, difference, again ? "" : " (it did not show again)");
}

/* ---- A round --------------------------------------------------------------------------------- */

static enum fuzz_result make_call(struct worker *worker, const struct call *call,
                                  struct fuzz_difference *difference)
{
	struct fuzz_script *script = &worker->job->script;
	script->call[script->count++] = *call;
	enum fuzz_result result = fuzz_run_call(&worker->run, call, difference);
	if (result == FUZZ_LEFT_OUT) {
		script->count--;
		worker->job->left_out++;
		return FUZZ_SAME;
	}
	worker->job->calls++;
	return result;
}

/* The bytes of a vma's first pages, as far as they are present. */
static enum fuzz_result sweep_pages(struct worker *worker, unsigned process,
                                    const struct vas_region *region,
                                    struct fuzz_difference *difference)
{
	const uint64_t page = worker->run.machine->format->page_size;
	enum fuzz_result result = FUZZ_SAME;
	uint64_t addr = region->start;
	for (unsigned n = 0; n < 4 && addr < region->end && result == FUZZ_SAME; n++) {
		struct call load = FUZZ_CALL(CALL_LOAD, addr);
		load.process = process;
		if (vas_present(worker->run.look[process].space, addr))
			result = make_call(worker, &load, difference);
		addr += page;
	}
	return result;
}

static enum fuzz_result sweep_process(struct worker *worker, unsigned process,
                                      struct fuzz_difference *difference)
{
	enum fuzz_result result = FUZZ_SAME;
	struct vas *space = worker->run.look[process].space;
	struct vas_region region;
	uint64_t addr = 0;
	for (unsigned n = 0;
	     n < FUZZ_REGIONS && result == FUZZ_SAME && vas_next_region(space, addr, &region);
	     n++) {
		result = sweep_pages(worker, process, &region, difference);
		addr = region.end;
	}
	return result;
}

/* At the end of a round: bytes here and there. */
static enum fuzz_result sweep(struct worker *worker, struct fuzz_difference *difference)
{
	enum fuzz_result result = FUZZ_SAME;
	for (unsigned process = 1; process < CALL_PROCESSES && result == FUZZ_SAME; process++)
		if (worker->run.living >> process & 1)
			result = sweep_process(worker, process, difference);
	return result;
}

static bool round_begins(struct worker *worker)
{
	struct job *job = worker->job;
	job->script.count = 0;
	if (!fuzz_run_begin(&worker->run))
		return false;
	fuzz_gen_begin(&worker->gen, fuzz_derive(worker->seed, job->rounds));
	return true;
}

/* False: a side is broken. */
static bool run_round(struct worker *worker)
{
	struct job *job = worker->job;
	struct fuzz_difference difference;
	enum fuzz_result result = FUZZ_SAME;
	bool begun = round_begins(worker);
	struct hold *pool = worker->gen.hugetlb ? hold_share() : NULL; /* it is to stay empty */
	unsigned calls = 0;
	for (; begun && result == FUZZ_SAME && !stopped && calls < worker->gen.length &&
	       job->calls < job->wanted;
	     calls++) {
		struct call call;
		unsigned process = fuzz_gen_process(&worker->gen, worker->run.living);
		fuzz_gen_call(&worker->gen, process, worker->run.look[process].space, &call);
		result = make_call(worker, &call, &difference);
	}
	if (begun && result == FUZZ_SAME && !stopped)
		result = sweep(worker, &difference);
	if (begun && result == FUZZ_SAME)
		result = fuzz_run_compare(&worker->run, &difference);
	if (begun && result == FUZZ_SAME)
		result = fuzz_run_audit(&worker->run, &difference);
	fuzz_run_end(&worker->run);
	if (result == FUZZ_DIFFERENT)
		report(worker, &difference);
	hold_end(pool);
	return begun && result != FUZZ_BROKEN;
}

/* ---- A job ----------------------------------------------------------------------------------- */

/* Each on a CPU of its own, if there are so many: its process on the kernel side goes with it. */
static void choose_cpu(unsigned number)
{
	cpu_set_t all, one;
	if (sched_getaffinity(0, sizeof(all), &all) < 0 || CPU_COUNT(&all) == 0)
		return;
	unsigned left = number % (unsigned)CPU_COUNT(&all);
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all) || left-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		(void)sched_setaffinity(0, sizeof(one), &one); /* only speed depends on it */
		return;
	}
}

static void work(struct worker *worker)
{
	struct job *job = worker->job;
	choose_cpu(worker->number);
	for (; !stopped && job->calls < job->wanted; job->rounds++) {
		if (!run_round(worker)) {
			job->broken = true;
			break;
		}
	}
	fuzz_run_free(&worker->run);
	job->done = true;
}

/* The job's round ended the process itself. */
static void work_on_crash(struct worker *worker)
{
	struct fuzz_difference difference = {.kind = FUZZ_CRASH};
	(void)snprintf(difference.words, sizeof(difference.words), "  vas crashes\n");
	report(worker, &difference);
	worker->job->rounds++;
	fuzz_run_free(&worker->run);
}

static bool start(struct worker *worker, void (*run)(struct worker *))
{
	(void)fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		run(worker);
		(void)fflush(stdout);
		_exit(0);
	}
	if (pid < 0)
		fprintf(stderr, "vas: fork: %s\n", strerror(errno));
	worker->job->pid = pid;
	return pid > 0;
}

/* ---- All jobs -------------------------------------------------------------------------------- */

struct total {
	uint64_t calls, differences, left_out, once;
};

static struct total count(const struct worker *worker, unsigned jobs)
{
	struct total total = {0};
	for (unsigned i = 0; i < jobs; i++) {
		total.calls += worker[i].job->calls;
		total.differences += worker[i].job->differences;
		total.left_out += worker[i].job->left_out;
		total.once += worker[i].job->once;
	}
	return total;
}

static double seconds(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void progress(const struct worker *worker, unsigned jobs, double start_time)
{
	struct total total = count(worker, jobs);
	double spent = seconds() - start_time;
	printf("\r%" PRIu64 " calls, %.0f a second, %" PRIu64 " differences\033[K", total.calls,
	       (double)total.calls / (spent > 0 ? spent : 1), total.differences);
	(void)fflush(stdout);
}

/* A job has ended: well, or by a signal, which is vas's fault and goes on after its round. */
static bool ended(struct worker *worker, int status)
{
	worker->job->pid = 0;
	if (!WIFSIGNALED(status))
		return true;
	if (stopped)
		return false;
	fprintf(stderr, "vas: job %u: killed by signal %d\n", worker->number, WTERMSIG(status));
	return start(worker, work_on_crash);
}

static bool reap(struct worker *worker, unsigned jobs, unsigned *running)
{
	int status;
	pid_t pid = waitpid(-1, &status, WNOHANG);
	for (unsigned i = 0; pid > 0 && i < jobs; i++) {
		if (worker[i].job->pid != pid)
			continue;
		bool good = ended(&worker[i], status);
		if (good && !worker[i].job->pid && !worker[i].job->done)
			good = start(&worker[i], work); /* the crash has been told of */
		if (!worker[i].job->pid)
			--*running;
		return good;
	}
	return true;
}

static bool watch(struct worker *worker, unsigned jobs)
{
	double begin = seconds();
	bool terminal = isatty(STDOUT_FILENO), good = true, told = false;
	for (unsigned running = jobs; running > 0;) {
		struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
		unsigned before = running;
		good &= reap(worker, jobs, &running);
		for (unsigned i = 0; stopped && !told && i < jobs; i++)
			if (worker[i].job->pid > 0)
				(void)kill(worker[i].job->pid, SIGINT);
		told = stopped;
		if (running == before)
			(void)nanosleep(&pause, NULL);
		if (terminal)
			progress(worker, jobs, begin);
	}
	if (terminal)
		printf("\r\033[K");
	double spent = seconds() - begin;
	struct total total = count(worker, jobs);
	printf("%.1f s, %.0f calls a second, %" PRIu64 " calls left out\n", spent,
	       (double)total.calls / (spent > 0 ? spent : 1), total.left_out);
	if (total.once)
		printf("%" PRIu64
		       " rounds differed once, but not when repeated: the machine's doing\n",
		       total.once);
	return good;
}

static void tell_changes(const struct machine *machine)
{
	char *changes = machine_changes(machine);
	if (changes)
		printf(MACHINE_CHANGED "%s.\n", changes);
	free(changes);
}

static int run_jobs(const struct options *options, const struct machine *machine)
{
	static struct worker worker[JOBS_MAX];
	bool good = true;
	size_t size = options->jobs * sizeof(struct job);
	struct job *job = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	                       0);
	if (job == MAP_FAILED) {
		fprintf(stderr, "vas: out of memory\n");
		return EXIT_DIFFERENT;
	}
	for (unsigned i = 0; i < options->jobs; i++) {
		worker[i].options = options;
		worker[i].job = &job[i];
		worker[i].number = i;
		worker[i].seed = fuzz_derive(options->seed, i);
		worker[i].run.machine = machine;
		worker[i].run.at_once = options->at_once;
		worker[i].gen.only = options->only;
		worker[i].gen.page = machine->format->page_size;
		worker[i].gen.large_page = machine_huge_size(machine, 0);
		worker[i].gen.task_end = machine->task_size;
		worker[i].gen.may_hugetlb = options->hugetlb;
		job[i].wanted = options->ops / options->jobs + (i < options->ops % options->jobs);
		good = good && start(&worker[i], work);
	}
	if (good)
		good = watch(worker, options->jobs);
	struct total total = count(worker, options->jobs);
	for (unsigned i = 0; i < options->jobs; i++)
		good = good && !job[i].broken;
	if (total.differences || total.once)
		tell_changes(machine);
	printf("%" PRIu64 " calls, %" PRIu64 " differences\n", total.calls, total.differences);
	(void)munmap(job, size);
	return good && total.differences == 0 ? EXIT_SAME : EXIT_DIFFERENT;
}

/* ---- The command ----------------------------------------------------------------------------- */

static bool names_parse(const char *text, uint64_t *only)
{
	while (*text) {
		size_t len = strcspn(text, ",");
		const struct call_shape *shape = shape_find(text, len);
		if (!shape) {
			command_error("--only: there is no call '%.*s'", (int)len, text);
			return false;
		}
		*only |= (uint64_t)1 << shape->name;
		text += len + (text[len] == ',');
	}
	return true;
}

static bool take_option(void *into, unsigned option, const char *value)
{
	struct options *options = into;
	uint64_t number;
	switch (option) {
	case SEED:
		return command_number("seed", value, 0, UINT64_MAX, &options->seed);
	case OPS:
		return command_number("ops", value, 0, UINT64_MAX, &options->ops);
	case JOBS:
		if (!command_number("jobs", value, 1, JOBS_MAX, &number))
			return false;
		options->jobs = (unsigned)number;
		return true;
	case AT_ONCE:
		if (!command_number("at-once", value, 1, FUZZ_AT_ONCE_MAX, &number))
			return false;
		options->at_once = (unsigned)number;
		return true;
	case ONLY:
		return names_parse(value, &options->only);
	case PAGES:
		options->software = strcmp(value, "software") == 0;
		return true;
	case LINUX:
		return linux_parse(value, &options->linux_version);
	case HUGETLB:
		options->hugetlb = true;
		return true;
	default:
		options->out = value;
		return true;
	}
}

static bool kernel_answers(void)
{
	struct target *kernel = target_kernel_create();
	if (kernel)
		kernel->ops->destroy(kernel);
	return kernel != NULL;
}

static int fuzz(int argc, char **argv)
{
	struct options options = {.ops = 100000, .jobs = 1, .at_once = 1, .out = "."};
	struct machine machine;
	const struct sigaction action = {.sa_handler = stop};
	if (getrandom(&options.seed, sizeof(options.seed), 0) != (ssize_t)sizeof(options.seed))
		options.seed = (uint64_t)time(NULL);
	options.seed %= 1000000;
	int first;
	int status = command_parse(&command_fuzz, argc, argv, take_option, &options, &first);
	if (status != COMMAND_GO_ON)
		return status;
	if (!machine_or_default(&machine))
		return EXIT_DIFFERENT;
	machine.software = options.software;
	if (options.linux_version)
		machine.version = version_like(options.linux_version, machine.version);
	if (!kernel_answers())
		return EXIT_SKIPPED;
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	printf("seed %" PRIu64 "\n", options.seed);
	struct hold *pool = options.hugetlb ? hold_share() : NULL;
	status = run_jobs(&options, &machine);
	hold_end(pool);
	return status;
}

const struct command command_fuzz = {
	.name = "fuzz",
	.what = "makes random calls on both sides, and shrinks what differs",
	.synopsis = "",
	.text = "Makes random calls on vas and on a process of the running kernel. After each, "
		"answers, maps, VmSize, VmLck, VmData, VmStk, VmExe with VmLib, signals of "
		"accesses, "
		"bytes loaded and present pages are compared, and vas's invariants verified. A "
		"difference is shrunk to a script that `vas exec` reproduces.",
	.status = "0 no differences\n1 there are differences\n2 wrong usage\n"
		  "77 the kernel cannot be asked",
	.options = options_known,
	.run = fuzz,
};
