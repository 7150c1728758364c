/* filesystem.h - what is known of the filesystems that files lie on: how their files are mapped.
 *
 * The one table that vas_host and the program `vas` share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_HOST_FILESYSTEM_H
#define VAS_HOST_FILESYSTEM_H

#include <stdbool.h>
#include <stdint.h>

struct filesystem {
	uint32_t magic; /* statfs(2)'s f_type */
	const char *name;
	bool aligns;  /* Linux gives its mappings 2 MiB aligned addresses (VAS_FILE_THP_ALIGN) */
	bool memory;  /* its files are shared memory (VAS_FILE_SHMEM) */
	bool punches; /* MADV_REMOVE makes holes in them */
};

/* Of the filesystem that `fd`, or the file at `path`, lies on. NULL: it is not in the table, so
 * what its mappings do is not known; or it cannot be asked (no Linux). */
const struct filesystem *vas_host_filesystem(int fd);
const struct filesystem *vas_host_filesystem_at(const char *path);

/* Whether nothing there may be executed. */
bool vas_host_noexec(int fd);
bool vas_host_noexec_at(const char *path);

#endif
