/* hold.c - sets vm.nr_hugepages for a while, and sees to it that it is put back.
 *
 * The lock on the setting's own file is shared with the process that puts it back, so that the next
 * run does not begin before.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "hold.h"

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

static bool take_setting(struct hold *hold)
{
	uint64_t before;
	hold->fd = open(setting, O_WRONLY | O_CLOEXEC);
	if (hold->fd < 0)
		return false;
	while (flock(hold->fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return false;
	return number_read(setting, &before) && start_guardian(hold, before);
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
	if (hold && hold->fd >= 0)
		(void)close(hold->fd);
	free(hold);
	return NULL;
}

/* Of the pool that vm.nr_hugepages is about; pages may be promised and still be free. */
static bool pool_read(uint64_t *unused, uint64_t *promised)
{
	static const char dir[] = "/sys/kernel/mm/hugepages/hugepages-2048kB/";
	char path[sizeof(dir) + 32];
	(void)snprintf(path, sizeof(path), "%sfree_hugepages", dir);
	if (!number_read(path, unused))
		return false;
	(void)snprintf(path, sizeof(path), "%sresv_hugepages", dir);
	return number_read(path, promised);
}

/* Kernels forget to take back a promise now and then (6.18: after the move of a part of a private
 * mapping). Such pages are lost to the machine until it starts anew, so more are asked for. */
bool hold_set(struct hold *hold, uint64_t pages, char *why, size_t size)
{
	uint64_t count = 0, unused = 0, promised = 0;
	if (!pool_read(&unused, &promised) || !number_write(hold->fd, pages + promised) ||
	    !number_read(setting, &count) || !pool_read(&unused, &promised))
		(void)snprintf(why, size, "vm.nr_hugepages cannot be set here: %s",
		               strerror(errno));
	else if (count < pages + promised)
		(void)snprintf(why, size, "this machine has only %" PRIu64 " huge pages to give",
		               count - promised);
	else if (unused != pages + promised)
		(void)snprintf(why, size, "huge pages of this machine are in use");
	else
		return true;
	return false;
}

void hold_end(struct hold *hold)
{
	int status = 0;
	if (!hold)
		return;
	(void)close(hold->lifeline);
	while (waitpid(hold->guardian, &status, 0) < 0 && errno == EINTR)
		;
	if (status != 0)
		fprintf(stderr, "vas: %s could not be put back\n", setting);
	(void)close(hold->fd);
	free(hold);
}
