/* bench_limit.c - raises vm.max_map_count for a while.
 *
 * It is a setting of the whole machine, so it is put back whatever happens to the benchmark: by a
 * process of its own, which waits until nobody holds the other end of a pipe. A lock on the file
 * keeps a second benchmark from taking the raised limit for the usual one.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

static const char path[] = "/proc/sys/vm/max_map_count";
static pid_t guardian;
static int lifeline = -1, lock = -1;

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

static bool limit_lock(void)
{
	lock = open(path, O_RDWR | O_CLOEXEC);
	while (lock >= 0 && flock(lock, LOCK_EX) < 0)
		if (errno != EINTR)
			return false;
	return lock >= 0;
}

bool bench_limit_raise(uint64_t count)
{
	uint64_t before = 0;
	int ends[2];
	sigset_t all, mask;
	bool locked = limit_lock();
	if (!limit_read(&before) || before >= count || !locked || pipe2(ends, O_CLOEXEC) < 0) {
		bench_limit_forget();
		return before >= count;
	}
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
	bench_limit_forget();
}

void bench_limit_forget(void)
{
	if (lifeline >= 0)
		(void)close(lifeline);
	if (lock >= 0)
		(void)close(lock);
	lifeline = lock = -1;
}
