/* bench_limit.c - raises vm.max_map_count for a while.
 *
 * It is a setting of the whole machine, so it is put back whatever happens to the benchmark: by a
 * process of its own, which waits until nobody holds the other end of a pipe.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static const char path[] = "/proc/sys/vm/max_map_count";
static pid_t guardian;
static int lifeline = -1;

static bool limit_read(uint64_t *count)
{
	unsigned long long value;
	FILE *stream = fopen(path, "re");
	bool good = stream && fscanf(stream, "%llu", &value) == 1;
	if (stream)
		(void)fclose(stream);
	if (good)
		*count = value;
	return good;
}

static bool limit_write(uint64_t count)
{
	FILE *stream = fopen(path, "we");
	if (!stream)
		return false;
	bool good = fprintf(stream, "%llu\n", (unsigned long long)count) > 0;
	return fclose(stream) == 0 && good;
}

/* It was born with all signals blocked, and the terminal's do not concern it. If somebody else has
 * set the limit meanwhile, that stands. */
static _Noreturn void guard(int end, uint64_t before, uint64_t raised)
{
	uint64_t count;
	char byte;
	(void)setsid();
	while (read(end, &byte, 1) < 0 && errno == EINTR)
		;
	bool good = !limit_read(&count) || count != raised || limit_write(before);
	_exit(good ? 0 : 1);
}

bool bench_limit_raise(uint64_t count)
{
	uint64_t before;
	int ends[2];
	sigset_t all, mask;
	if (!limit_read(&before) || before >= count)
		return before >= count;
	if (access(path, W_OK) < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return false;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &mask);
	guardian = fork();
	if (guardian == 0) {
		(void)close(ends[1]);
		guard(ends[0], before, count);
	}
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	(void)close(ends[0]);
	lifeline = ends[1];
	if (guardian > 0 && limit_write(count))
		return true;
	bench_limit_restore();
	return false;
}

void bench_limit_restore(void)
{
	int status = 0;
	if (lifeline < 0)
		return;
	(void)close(lifeline);
	lifeline = -1;
	while (guardian > 0 && waitpid(guardian, &status, 0) < 0 && errno == EINTR)
		;
	if (status != 0)
		fprintf(stderr, "vas: %s could not be put back\n", path);
	guardian = 0;
}

void bench_limit_forget(void)
{
	if (lifeline >= 0)
		(void)close(lifeline);
	lifeline = -1;
}
