/* host.h - what is asked of the host, and nothing else: each answers a result or a negative errno
 * (in vas's numbers, which are Linux's).
 *
 * host_linux.c and host_linux_self.c make system calls, so that they can stand behind functions
 * named mmap; host_posix.c calls a C library, for other systems; cli/run has calls made by another
 * process.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_PROCESS_HOST_H
#define VAS_PROCESS_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `flags` are VAS_MAP_*. MAP_FIXED_NOREPLACE: -VAS_EEXIST if something is there. */
int64_t host_mmap(uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags, int fd,
                  uint64_t offset);
int64_t host_munmap(uint64_t addr, uint64_t len);
int64_t host_mprotect(uint64_t addr, uint64_t len, uint64_t prot);
int64_t host_mlock(uint64_t addr, uint64_t len, bool on_fault);
int64_t host_munlock(uint64_t addr, uint64_t len);
int64_t host_mlockall(uint64_t flags);
int64_t host_munlockall(void);
int64_t host_msync(uint64_t addr, uint64_t len, uint64_t flags);
int64_t host_mincore(uint64_t addr, uint64_t len, uint64_t vec);

/* -VAS_ENOSYS where the host has none. */
int64_t host_mremap(uint64_t old_addr, uint64_t old_len, uint64_t new_len, uint64_t flags,
                    uint64_t new_addr);
int64_t host_madvise(uint64_t addr, uint64_t len, uint64_t advice);

/* Copies whole pages; a page that is as the target's is already (zeros, or the file's) is not
 * written, so that it costs no memory. */
int64_t host_copy(uint64_t from, uint64_t to, uint64_t len);

/* Has pages come into memory, for reading or for writing. */
int64_t host_touch(uint64_t start, uint64_t end, bool write);

/* What an open file is. */
struct host_file {
	uint64_t device, inode, size;
	uint32_t mode; /* VAS_FILE_* */
};
int64_t host_identify(int fd, struct host_file *file);
int64_t host_duplicate(int fd);
void host_close(int fd);

/* What host_duplicate and host_shared_memory have given may be no descriptor of the process that
 * maps: *fd becomes one (-1 stays), until it is taken back. False: it cannot. */
bool host_lend(int *fd);
void host_take_back(int fd, int lent);

/* A file without a name for shared memory: a descriptor. */
int64_t host_shared_memory(uint64_t len);

/* All signals wait until they are restored. */
struct host_signals {
	uint64_t words[16]; /* the host's set, whatever its type */
};
void host_block_signals(struct host_signals *before);
void host_restore_signals(const struct host_signals *before);

void host_yield(void);
uint64_t host_page_size(void);

/* The version a Linux host has; 0: it is none. */
uint32_t host_linux_version(void);

/* Has `before`, `after` and `child` called around fork. */
void host_at_fork(void (*before)(void), void (*after)(void), void (*child)(void));

#endif
