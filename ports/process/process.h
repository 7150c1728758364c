/* process.h - the memory of a process as vas keeps its books, and who carries out its decisions.
 *
 * In libmremap there is one process, the one that it is linked into, so there is one `struct
 * process`. `vas run` (cli/run) serves many from outside: it says whose call it is, and brings a
 * host.h of its own. Calls take the lock; the hooks of the books (realize.c) run under it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_PROCESS_INTERNAL_H
#define VAS_PROCESS_INTERNAL_H

#include "vas/process.h"
#include "vas/vas.h"

#include "host.h"

/* What the books call one file: the same for all descriptors of one inode and access mode, so that
 * what was mapped through either may merge. */
struct process_file {
	struct process_file *next; /* in its bucket, or of the free ones */
	uint64_t device, inode;
	uint32_t mode;
	int fd;                /* kept to map it again (portable); -1 */
	struct vas_file *file; /* not counted: the object says when it goes */
};

enum { PROCESS_BUCKETS = 1024, PROCESS_FILES = 32768 };

/* Those of one system, which forked processes share. */
struct process_files {
	struct process_file *buckets[PROCESS_BUCKETS];
	struct process_file *free;
	uint32_t nfiles; /* of `files` that were ever used */
	uint64_t numbers; /* given to shared memory */
	struct process_file files[PROCESS_FILES];
};

struct process {
	uint32_t lock;
	bool begun;
	bool complete;  /* the books know every mapping of the process; */
	uint64_t own_low, own_high; /* or at least what is in here */
	bool portable;  /* see realize.c */
	bool muted;     /* the host has done it already: hooks answer 0 */
	uint64_t page_size;
	struct vas_system *system;
	struct vas *space;
	struct vas_process_stats *stats;
	struct vas_process_stats own_stats;
	int64_t fail_after;

	/* The call on its way. */
	int fd;               /* mmap's */
	bool found_foreign;   /* a hook has found something where the books have nothing, */
	uint64_t foreign_start, foreign_end; /* here */
	bool left_over;       /* memory could not be given back: it stays, as nobody's, */
	uint64_t left_start, left_end;       /* here */

	struct process_files *files;
};

/* Whose call it is. */
extern struct process *the_process;

/* How to begin; `stats` NULL: counted in the process itself. */
struct process_setup {
	uint32_t version;
	bool portable, complete;
	uint64_t own_low, own_high; /* nobody else maps in here */
	void *memory; /* for the books; zeroed */
	uint64_t memory_len;
	struct vas_params params;
	struct vas_process_stats *stats;
};
int64_t process_begin(const struct process_setup *setup);

/* The lock, from outside of a call: around fork. */
void process_lock(void);
void process_unlock(void);

/* Bring the books to what the host has where it has done something by itself: [start, end), where
 * they have nothing, is mapped with these flags (VAS_VM_*); or it is not mapped. False: no
 * memory. */
bool process_note(uint64_t start, uint64_t end, uint64_t flags);
bool process_forget(uint64_t start, uint64_t end);

/* In a child of fork, which holds the lock: the books become the child's. False: no memory for
 * them; they still say what the parent had. */
bool process_become_child(void);

/* The calls, under the lock: a result or a negative errno. */
int64_t process_mmap(uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags, int fd,
                     uint64_t offset);
int64_t process_munmap(uint64_t addr, uint64_t len);
int64_t process_mremap(uint64_t old_addr, uint64_t old_len, uint64_t new_len, uint64_t flags,
                       uint64_t new_addr);
int64_t process_mprotect(uint64_t addr, uint64_t len, uint64_t prot);
int64_t process_advise(uint64_t addr, uint64_t len, uint64_t advice);
int64_t process_mlock(uint64_t addr, uint64_t len, uint64_t flags);
int64_t process_munlock(uint64_t addr, uint64_t len);
int64_t process_mlockall(uint64_t flags);
int64_t process_munlockall(void);
int64_t process_msync(uint64_t addr, uint64_t len, uint64_t flags);
int64_t process_mincore(uint64_t addr, uint64_t len, uint64_t vec);
int64_t process_mseal(uint64_t addr, uint64_t len, uint64_t flags);
int64_t process_brk(uint64_t brk);

/* ---- files.c ---- */

/* The books' file for a descriptor, with a reference for the caller. -EBADF, -ENOMEM, ... */
int64_t process_file_open(int fd, struct vas_file **file);

/* Shared memory as a file that can be mapped again; *fd is its descriptor, kept until it goes. */
int64_t process_file_shared(uint64_t len, struct vas_file **file, int *fd);

/* A descriptor of what a region maps; -1: there is none. */
int process_file_fd(const struct vas_file *file);

/* ---- realize.c and its two realizations ---- */

extern const struct vas_pages process_pages;

int64_t linux_move(const struct vas_move *move);
int64_t linux_advise(uint64_t start, uint64_t end, uint64_t advice);
int64_t linux_protect(const struct vas_region *vma, uint64_t start, uint64_t end, uint64_t flags);

int64_t portable_move(const struct vas_move *move);
int64_t portable_advise(const struct vas_region *vma, uint64_t start, uint64_t end,
                        uint64_t advice);
int64_t portable_protect(const struct vas_region *vma, uint64_t start, uint64_t end,
                         uint64_t flags);

/* A host call is about to be made. Not 0: the error to answer instead (vas_process_fail_after). */
int64_t process_fault_injected(void);

/* Something that the books do not know is in [start, end): -VAS_EEXIST. */
int64_t process_foreign(uint64_t start, uint64_t end);

static inline void process_count(uint64_t *counter, uint64_t by)
{
	__atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

#endif
