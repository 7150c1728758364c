/* hold.c - sets vm.nr_hugepages for a while, and sees to it that it is put back.
 *
 * The lock on the setting's own file is shared with the process that puts it back, so that the next
 * run does not begin before.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "target/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static const char setting[] = "/proc/sys/vm/nr_hugepages";

struct hold {
	int fd; /* of the setting, locked */
	int lifeline;
	pid_t guardian;
	uint64_t in_use, lost; /* at the beginning: by others, and by nobody */
};

static bool number_read(const char *path, uint64_t *number)
{
	FILE *stream = fopen(path, "re");
	bool good = stream && fscanf(stream, "%" SCNu64, number) == 1;
	if (stream)
		(void)fclose(stream);
	return good;
}

static bool number_write(int fd, uint64_t number)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%" PRIu64 "\n", number);
	return pwrite(fd, text, (size_t)len, 0) == len;
}

/* It was born with all signals blocked, and the terminal's do not concern it. */
static _Noreturn void guard(int fd, int end, uint64_t before)
{
	char byte;
	(void)setsid();
	while (read(end, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(number_write(fd, before) ? 0 : 1);
}

static bool start_guardian(struct hold *hold, uint64_t before)
{
	int ends[2];
	sigset_t all, mask;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &mask);
	hold->guardian = fork();
	if (hold->guardian == 0) {
		(void)close(ends[1]);
		guard(hold->fd, ends[0], before);
	}
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	(void)close(ends[0]);
	if (hold->guardian > 0) {
		hold->lifeline = ends[1];
		return true;
	}
	(void)close(ends[1]);
	return false;
}

static bool take_lock(struct hold *hold, int access, int kind)
{
	hold->fd = open(setting, access | O_CLOEXEC);
	if (hold->fd < 0)
		return false;
	while (flock(hold->fd, kind) < 0)
		if (errno != EINTR)
			return false;
	return true;
}

/* Of the pool that vm.nr_hugepages is about. Kernels forget to take back a promise now and then
 * (6.18: after the move of a part of a private mapping); such pages are lost until it
 * starts anew, so as many more are asked for. */
static bool pool_read(struct hold *hold)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	char dir[64], path[sizeof(dir) + 32];
	uint64_t all = 0, unused = 0;
	(void)snprintf(dir, sizeof(dir), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/",
	               page * (page / sizeof(uint64_t)) / 1024);
	(void)snprintf(path, sizeof(path), "%snr_hugepages", dir);
	if (!number_read(path, &all))
		return false;
	(void)snprintf(path, sizeof(path), "%sfree_hugepages", dir);
	if (!number_read(path, &unused))
		return false;
	hold->in_use = all - unused;
	(void)snprintf(path, sizeof(path), "%sresv_hugepages", dir);
	return number_read(path, &hold->lost);
}

static bool take_setting(struct hold *hold)
{
	uint64_t before;
	return take_lock(hold, O_WRONLY, LOCK_EX) && number_read(setting, &before) &&
	       pool_read(hold) && start_guardian(hold, before);
}

static void drop(struct hold *hold)
{
	if (hold && hold->fd >= 0)
		(void)close(hold->fd);
	free(hold);
}

struct hold *hold_begin(char *why, size_t size)
{
	struct hold *hold = malloc(sizeof(*hold));
	if (hold) {
		*hold = (struct hold){.fd = -1};
		if (take_setting(hold))
			return hold;
	}
	(void)snprintf(why, size, "vm.nr_hugepages cannot be set here: %s", strerror(errno));
	drop(hold);
	return NULL;
}

struct hold *hold_share(void)
{
	struct hold *hold = malloc(sizeof(*hold));
	if (hold) {
		*hold = (struct hold){.fd = -1};
		if (take_lock(hold, O_RDONLY, LOCK_SH))
			return hold;
	}
	drop(hold);
	return NULL;
}

bool hold_set(struct hold *hold, uint64_t pages, char *why, size_t size)
{
	uint64_t count = 0;
	if (!number_write(hold->fd, pages + hold->lost) || !number_read(setting, &count))
		(void)snprintf(why, size, "vm.nr_hugepages cannot be set here: %s",
		               strerror(errno));
	else if (count < pages + hold->lost)
		(void)snprintf(why, size, "this machine has only %" PRIu64 " huge pages to give",
		               count - (count > hold->lost ? hold->lost : 0));
	else if (hold->in_use || count > pages + hold->lost)
		(void)snprintf(why, size, "huge pages of this machine are in use");
	else
		return true;
	return false;
}

void hold_end(struct hold *hold)
{
	int status = 0;
	if (hold && hold->guardian > 0) {
		(void)close(hold->lifeline);
		while (waitpid(hold->guardian, &status, 0) < 0 && errno == EINTR)
			;
	}
	if (status != 0)
		fprintf(stderr, "vas: %s could not be put back\n", setting);
	drop(hold);
}
