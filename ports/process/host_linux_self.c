/* host_linux_self.c - what is asked of a Linux host about the calling process itself: descriptors,
 * signals, the version.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/syscall.h>

#include "host.h"
#include "raw.h"
#include "vas/vas.h"

enum { SIG_SETMASK_NOW = 2, SIGNAL_SET_BYTES = 8, MEMFD_CLOEXEC = 1 };

int64_t host_identify(int fd, struct host_file *file)
{
	const uint64_t d = (uint64_t)(int64_t)fd;
	const uint16_t type = 0170000, regular = 0100000;
	int64_t flags = process_raw(SYS_fcntl, d, F_GETFL, 0, 0, 0, 0), err;
	struct statx st;

	if (flags < 0)
		return flags;
	err = process_raw(SYS_statx, d, (uint64_t)(uintptr_t)"", AT_EMPTY_PATH, STATX_BASIC_STATS,
	                  (uint64_t)(uintptr_t)&st, 0);
	if (err)
		return err;
	*file = (struct host_file){
		.device = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor,
		.inode = st.stx_ino,
		.size = st.stx_size,
		.mode = ((flags & O_ACCMODE) != O_WRONLY ? VAS_FILE_READ : 0) |
	                ((flags & O_ACCMODE) != O_RDONLY ? VAS_FILE_WRITE : 0) | VAS_FILE_SHMEM,
	};
	/* A device may want its mappings where and how it says. */
	if ((st.stx_mode & type) != regular)
		file->mode |= VAS_FILE_OWN_AREA;
	return 0;
}

int64_t host_duplicate(int fd)
{
	return process_raw(SYS_fcntl, (uint64_t)(int64_t)fd, F_DUPFD_CLOEXEC, 512, 0, 0, 0);
}

void host_close(int fd)
{
	process_raw(SYS_close, (uint64_t)(int64_t)fd, 0, 0, 0, 0, 0);
}

bool host_lend(int *fd)
{
	(void)fd;
	return true;
}

void host_take_back(int fd, int lent)
{
	(void)fd;
	(void)lent;
}

int64_t host_shared_memory(uint64_t len)
{
	int64_t fd = process_raw(SYS_memfd_create, (uint64_t)(uintptr_t)"vas", MEMFD_CLOEXEC, 0, 0,
	                         0, 0);
	int64_t high = fd < 0 ? fd : host_duplicate((int)fd), err;

	if (fd < 0)
		return fd;
	host_close((int)fd);
	if (high < 0)
		return high;
	err = process_raw(SYS_ftruncate, (uint64_t)high, len, 0, 0, 0, 0);
	if (err) {
		host_close((int)high);
		return err;
	}
	return high;
}

void host_block_signals(struct host_signals *before)
{
	uint64_t all = ~(uint64_t)0;

	process_raw(SYS_rt_sigprocmask, SIG_SETMASK_NOW, (uint64_t)(uintptr_t)&all,
	            (uint64_t)(uintptr_t)before, SIGNAL_SET_BYTES, 0, 0);
}

void host_restore_signals(const struct host_signals *before)
{
	process_raw(SYS_rt_sigprocmask, SIG_SETMASK_NOW, (uint64_t)(uintptr_t)before, 0,
	            SIGNAL_SET_BYTES, 0, 0);
}

void host_yield(void)
{
	process_raw(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

/* One number of a version's text. */
static uint32_t number(const char **text)
{
	uint32_t n = 0;

	while (**text >= '0' && **text <= '9')
		n = n * 10 + (uint32_t)(*(*text)++ - '0');
	return n;
}

uint32_t host_linux_version(void)
{
	struct {
		char field[6][65];
	} names;
	const char *text = names.field[2];
	uint32_t major;

	if (process_raw(SYS_uname, (uint64_t)(uintptr_t)&names, 0, 0, 0, 0, 0))
		return 0;
	major = number(&text);
	return VAS_LINUX(major, *text == '.' ? (text++, number(&text)) : 0);
}
