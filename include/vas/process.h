/* process.h - mremap(2) and its family inside a process, served by vas: libmremap.
 *
 * The functions are the man pages' (mmap(2), munmap(2), mremap(2), mprotect(2), madvise(2),
 * mlock(2), msync(2), mincore(2), brk(2), sbrk(2)): the same prototypes, results, `errno` and
 * MAP_FAILED. vas decides (arguments, errors and their order, vmas, addresses) as the Linux version
 * that was asked for; the memory is ordinary memory of the host's, so that system calls, fork,
 * debuggers and signals see nothing unusual. What nobody placed gets room above it to grow in
 * place.
 *
 * The names here end in _host and stand beside the system's own. libvasmremap.so has the same
 * functions under their plain names, for systems that have none and to be preloaded.
 *
 * Memory that was not mapped by these functions (the program's image, the system's malloc) is not
 * vas's: a call on it is passed through to the host untouched, and counted (mremap in the portable
 * realization, which has no host's: ENOMEM). MAP_HUGETLB is passed through, too. Do not unmap or
 * move what was mapped here by the host's own calls.
 *
 * Two realizations. On Linux pages move by the host's mremap. The portable one asks of the host no
 * more than POSIX has (mmap, munmap, mprotect, mlock, shm_open); there private memory moves by
 * copying, in chunks that give the source back on the way, and shared memory and files by mapping
 * them again. It serves no madvise that POSIX cannot (EINVAL: HUGEPAGE, DONTFORK, GUARD_INSTALL
 * and the like), no MAP_GROWSDOWN, MAP_HUGETLB, MAP_POPULATE beyond a hint; and what is moved is
 * not moved in one step for other threads: while it is copied it can be read at both places and
 * written at neither (a write faults, as it does on Linux behind a move: none is lost).
 *
 * All functions may be called by any thread at any time, from signal handlers too: one lock is
 * held, with signals blocked, while a call is served. fork is safe at any time; a child has its own
 * books. vfork's child must not call any of these.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_PROCESS_H
#define VAS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* mremap(2)'s flags, where the system's headers have none. */
#ifndef MREMAP_MAYMOVE
#define MREMAP_MAYMOVE 1
#define MREMAP_FIXED 2
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* What a process's memory is to be like. */
struct vas_process_options {
	uint32_t linux_version; /* VAS_LINUX(6, 18); 0: the host's own, or the newest */
	bool portable;          /* the portable realization though the host is Linux */
};

/* Begins to serve. Not needed: the first call begins with the defaults, or with what the
 * environment says (VAS_PROCESS="portable,linux=6.17"; where it says anything else, one line on
 * stderr tells, and every call fails with EINVAL). 0; -1 with errno: EBUSY: already begun;
 * EINVAL: a version before 2.6; ENOMEM: no memory for the books; ENOSYS: the host's page size is
 * neither 4 nor 16 KiB, or its addresses have 32 bits. */
int vas_process_begin(const struct vas_process_options *options);

/* mmap(2) and the rest. What Linux has since the version chosen is there whatever the host is;
 * errno is Linux's, in the host's numbers. The host's own refusals (limits, no memory, a file that
 * cannot be mapped) come last, and then nothing has been changed but by the steps before (munmap of
 * a MREMAP_FIXED target, the vmas before it). Additional ENOMEM: no memory left for the books. */
void *vas_mmap_host(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
int vas_munmap_host(void *addr, size_t len);

/* mremap(2). The optional fifth argument, `void *new_address`, counts with MREMAP_FIXED and
 * MREMAP_DONTUNMAP. Cost: growing where there is room is one call of the host's and moves nothing;
 * moving costs page tables on Linux, a copy elsewhere. */
void *vas_mremap_host(void *old_address, size_t old_size, size_t new_size, int flags, ...);
int vas_mprotect_host(void *addr, size_t len, int prot);
int vas_madvise_host(void *addr, size_t len, int advice);
int vas_mlock_host(const void *addr, size_t len);
int vas_mlock2_host(const void *addr, size_t len, unsigned flags);
int vas_munlock_host(const void *addr, size_t len);
int vas_mlockall_host(int flags);
int vas_munlockall_host(void);
int vas_msync_host(void *addr, size_t len, int flags);
int vas_mincore_host(void *addr, size_t len, unsigned char *vec);

/* brk(2), sbrk(2): a heap of its own, beside the system's. */
int vas_brk_host(void *addr);
void *vas_sbrk_host(intptr_t increment);

/* What has been done so far. */
struct vas_process_stats {
	uint64_t calls;         /* served by vas */
	uint64_t mremaps;       /* of these */
	uint64_t moves;         /* memory that went to another address */
	uint64_t pages_moved;   /* without copying */
	uint64_t bytes_copied;  /* the others */
	uint64_t passed;        /* calls passed through untouched */
	uint64_t refused;       /* by the host, at the last step */
	uint64_t size, peak;    /* bytes mapped now, and the most there were */
};
void vas_process_stats(struct vas_process_stats *stats);

/* Testing aid: the n-th call of the host's from now on (0: the next) fails with ENOMEM, once;
 * negative: none does. */
void vas_process_fail_after(int64_t n);

/* NULL, or the words of what does not hold of the books. */
const char *vas_process_check(void);

#ifdef __cplusplus
}
#endif

#endif
