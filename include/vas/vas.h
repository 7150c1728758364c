/* vas.h - Linux's virtual memory system as a library: all that a user calls.
 *
 * A *system* (struct vas_system) holds what address spaces share: frames, overcommit accounting,
 * the page-table format and the Linux version answered for. A *space* (struct vas) is one address
 * space, Linux's mm. Calls are named like the system call and take the space first; they return a
 * result or a negative Linux errno (-VAS_EINVAL ...), which is what a system-call table wants.
 *
 * All addresses, lengths and offsets are in bytes unless a name says pages. Any value whatever may
 * come from a guest: a call checks it as Linux does. Pointers are the embedder's and are trusted.
 *
 * Threads: with port.threads any thread may call any function at any time; a space's calls that
 * change its structure exclude each other, faults, reads and translations run side by side. Without
 * it, one thread at a time may use a system and all that belongs to it. Creating a system, auditing
 * it, destroying a space and its last use are the caller's to order. Different systems are
 * independent: the library has no global state.
 *
 * What a call may wait for, with port.threads, stands behind each declaration, "waits: ...":
 *   never    It takes no lock. An interrupt handler may call it (and vas_tlb_lookup), and no other
 *            function but with interrupts disabled around all calls of the system: it may have
 *            interrupted one that holds a lock.
 *   no lock  It takes none either, but is no call for a handler.
 *   briefly  Locks that others hold for a few instructions.
 *   space    Also other calls on the same space, all of which end.
 *   owners   Also, where translations become stale (what is present is unmapped, moved, protected,
 *            discarded, forked, copied on write): the owners of those software TLBs that hold some
 *            of them, and port.invalidate.
 *   object   Also, from an object to its mappings (vas_msync, MADV_REMOVE, truncation): others who
 *            do so with the same object, and calls on each space that maps it.
 *   list     The calls of others of this word, vas_destroy, vas_fork, and vas_system_change.
 *   system   The calls on all spaces, as long as they last.
 * While it waits, whatever the word, vas calls port.wait: a CPU that may be asked for a shootdown
 * (`invalidate` of another) must serve it there. What the embedder does in a hook (vas_object_ops,
 * vas_group_params.reached, a sink) is waited for, too.
 *
 * Errors common to all calls: -VAS_ENOMEM also when vas's own memory (struct vas_port) is used up,
 * or the limit of the space's group forbids more; then nothing has been changed unless the call
 * says otherwise.
 *
 * Giving back needs no memory: vas_munmap, MADV_DONTNEED, MADV_REMOVE, what makes smaller (vas_brk,
 * vas_mremap, vas_object_resize), vas_destroy; nor do vas_mprotect, vas_mlock, vas_munlock,
 * vas_mseal and flags of vas_madvise take any for vmas that they change whole (vas_mprotect does
 * for page tables that fork still shares). Where what goes is part of a vma, of a large page, or of
 * a page table that fork shares, there is something to split: for that each space keeps a reserve,
 * which what is freed fills again, or else the next call that takes memory. -VAS_ENOMEM comes only
 * when the reserve is empty: no memory is left, and calls before have split without freeing any.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_H
#define VAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vas/port.h"
#include "vas/tlb.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vas_system;
struct vas;
struct vas_object;
struct vas_file;

/* ---- Versions ------------------------------------------------------------------------------- */

/* The library's own: what a step of each number means stands at the head of CHANGES.md. */
#define VAS_VERSION_MAJOR 0
#define VAS_VERSION_MINOR 1
#define VAS_VERSION_PATCH 0
#define VAS_VERSION VAS_VERSION_TEXT(VAS_VERSION_MAJOR, VAS_VERSION_MINOR, VAS_VERSION_PATCH)
#define VAS_VERSION_TEXT(major, minor, patch) VAS_VERSION_JOIN(major, minor, patch) /* "0.1.0" */
#define VAS_VERSION_JOIN(major, minor, patch) #major "." #minor "." #patch

/* The Linux answered for. */
/* VAS_LINUX(6, 18, 44); VAS_LINUX(6, 18): the last of that series. Stable updates change facts too,
 * each series at a level of its own. Numbers up to 255, the level up to VAS_LINUX_LAST. Later
 * versions compare greater. */
#define VAS_LINUX(...) VAS_LINUX_PICK(__VA_ARGS__, VAS_LINUX_LAST, 0)
#define VAS_LINUX_PICK(major, minor, level, ...) \
	((uint32_t)(major) << 24 | (uint32_t)(minor) << 16 | (uint32_t)(level))
#define VAS_LINUX_LAST 0xffffu
#define VAS_LINUX_LATEST VAS_LINUX(7, 3) /* the newest behaviour vas knows; later ones act as it */

/* ---- Numbers, as Linux has them ------------------------------------------------------------- */

enum vas_errno {
	VAS_EPERM = 1, VAS_EIO = 5, VAS_EBADF = 9, VAS_EAGAIN = 11, VAS_ENOMEM = 12,
	VAS_EACCES = 13,
	VAS_EFAULT = 14, VAS_EBUSY = 16, VAS_EEXIST = 17, VAS_ENODEV = 19, VAS_EINVAL = 22,
	VAS_ENOSYS = 38, VAS_EOVERFLOW = 75, VAS_EOPNOTSUPP = 95,
};

#define VAS_PROT_NONE 0x0u
#define VAS_PROT_READ 0x1u
#define VAS_PROT_WRITE 0x2u
#define VAS_PROT_EXEC 0x4u
#define VAS_PROT_SEM 0x8u
#define VAS_PROT_GROWSDOWN 0x01000000u
#define VAS_PROT_GROWSUP 0x02000000u

#define VAS_MAP_SHARED 0x01u
#define VAS_MAP_PRIVATE 0x02u
#define VAS_MAP_SHARED_VALIDATE 0x03u
#define VAS_MAP_DROPPABLE 0x08u
#define VAS_MAP_TYPE 0x0fu
#define VAS_MAP_FIXED 0x10u
#define VAS_MAP_ANONYMOUS 0x20u
#define VAS_MAP_32BIT 0x40u
#define VAS_MAP_ABOVE4G 0x80u
#define VAS_MAP_GROWSDOWN 0x0100u
#define VAS_MAP_DENYWRITE 0x0800u
#define VAS_MAP_EXECUTABLE 0x1000u
#define VAS_MAP_LOCKED 0x2000u
#define VAS_MAP_NORESERVE 0x4000u
#define VAS_MAP_POPULATE 0x8000u
#define VAS_MAP_NONBLOCK 0x10000u
#define VAS_MAP_STACK 0x20000u
#define VAS_MAP_HUGETLB 0x40000u
#define VAS_MAP_SYNC 0x80000u
#define VAS_MAP_FIXED_NOREPLACE 0x100000u
#define VAS_MAP_HUGE_SHIFT 26 /* MAP_HUGETLB: log2 of the page size, 6 bits; 0: the default */
#define VAS_MAP_HUGE_MASK 0x3fu

#define VAS_MREMAP_MAYMOVE 1u
#define VAS_MREMAP_FIXED 2u
#define VAS_MREMAP_DONTUNMAP 4u

#define VAS_MLOCK_ONFAULT 1u
#define VAS_MCL_CURRENT 1u
#define VAS_MCL_FUTURE 2u
#define VAS_MCL_ONFAULT 4u

#define VAS_MS_ASYNC 1u
#define VAS_MS_INVALIDATE 2u
#define VAS_MS_SYNC 4u

enum vas_advice {
	VAS_MADV_NORMAL = 0, VAS_MADV_RANDOM = 1, VAS_MADV_SEQUENTIAL = 2, VAS_MADV_WILLNEED = 3,
	VAS_MADV_DONTNEED = 4, VAS_MADV_FREE = 8, VAS_MADV_REMOVE = 9, VAS_MADV_DONTFORK = 10,
	VAS_MADV_DOFORK = 11, VAS_MADV_MERGEABLE = 12, VAS_MADV_UNMERGEABLE = 13,
	VAS_MADV_HUGEPAGE = 14, VAS_MADV_NOHUGEPAGE = 15, VAS_MADV_DONTDUMP = 16,
	VAS_MADV_DODUMP = 17,
	VAS_MADV_WIPEONFORK = 18, VAS_MADV_KEEPONFORK = 19, VAS_MADV_COLD = 20,
	VAS_MADV_PAGEOUT = 21,
	VAS_MADV_POPULATE_READ = 22, VAS_MADV_POPULATE_WRITE = 23, VAS_MADV_DONTNEED_LOCKED = 24,
	VAS_MADV_COLLAPSE = 25, VAS_MADV_HWPOISON = 100, VAS_MADV_SOFT_OFFLINE = 101,
	VAS_MADV_GUARD_INSTALL = 102, VAS_MADV_GUARD_REMOVE = 103,
};

enum { VAS_SIGBUS = 7, VAS_SIGSEGV = 11 };
enum { VAS_SEGV_MAPERR = 1, VAS_SEGV_ACCERR = 2, VAS_BUS_ADRERR = 2, VAS_SI_KERNEL = 0x80 };

/* Attributes of a vma. The two letters are those of VmFlags in /proc/PID/smaps. */
#define VAS_VM_READ ((uint64_t)1 << 0)         /* rd */
#define VAS_VM_WRITE ((uint64_t)1 << 1)        /* wr */
#define VAS_VM_EXEC ((uint64_t)1 << 2)         /* ex */
#define VAS_VM_SHARED ((uint64_t)1 << 3)       /* sh: writes reach the object */
#define VAS_VM_MAYREAD ((uint64_t)1 << 4)      /* mr: mprotect may set PROT_READ */
#define VAS_VM_MAYWRITE ((uint64_t)1 << 5)     /* mw */
#define VAS_VM_MAYEXEC ((uint64_t)1 << 6)      /* me */
#define VAS_VM_MAYSHARE ((uint64_t)1 << 7)     /* ms: was mapped MAP_SHARED */
#define VAS_VM_GROWSDOWN ((uint64_t)1 << 8)    /* gd */
#define VAS_VM_PFNMAP ((uint64_t)1 << 9)       /* pf: frames without reference counts */
#define VAS_VM_LOCKED ((uint64_t)1 << 10)      /* lo */
#define VAS_VM_IO ((uint64_t)1 << 11)          /* io */
#define VAS_VM_SEQ_READ ((uint64_t)1 << 12)    /* sr */
#define VAS_VM_RAND_READ ((uint64_t)1 << 13)   /* rr */
#define VAS_VM_DONTCOPY ((uint64_t)1 << 14)    /* dc: MADV_DONTFORK */
#define VAS_VM_DONTEXPAND ((uint64_t)1 << 15)  /* de */
#define VAS_VM_LOCKONFAULT ((uint64_t)1 << 16) /* lf */
#define VAS_VM_ACCOUNT ((uint64_t)1 << 17)     /* ac: charged against the commit limit */
#define VAS_VM_NORESERVE ((uint64_t)1 << 18)   /* nr */
#define VAS_VM_HUGETLB ((uint64_t)1 << 19)     /* ht */
#define VAS_VM_WIPEONFORK ((uint64_t)1 << 20)  /* wf */
#define VAS_VM_DONTDUMP ((uint64_t)1 << 21)    /* dd */
#define VAS_VM_MIXEDMAP ((uint64_t)1 << 22)    /* mm */
#define VAS_VM_HUGEPAGE ((uint64_t)1 << 23)    /* hg */
#define VAS_VM_NOHUGEPAGE ((uint64_t)1 << 24)  /* nh */
#define VAS_VM_MERGEABLE ((uint64_t)1 << 25)   /* mg */
#define VAS_VM_DROPPABLE ((uint64_t)1 << 26)   /* dp */
#define VAS_VM_SEALED ((uint64_t)1 << 27)      /* sl */
#define VAS_VM_SYNC ((uint64_t)1 << 28)        /* sf */
#define VAS_VM_UFFD ((uint64_t)1 << 29)        /* um, uw, ui: registered with a userfaultfd */
#define VAS_VM_SPECIAL ((uint64_t)1 << 30)     /* the kernel's own (vdso): moved whole or not */
#define VAS_VM_OPAQUE ((uint64_t)1 << 31)      /* imported: vas knows only its range */
#define VAS_VM_POLICY ((uint64_t)1 << 32)      /* has a memory policy of its own (mbind) */
#define VAS_VM_MAYBE_GUARD ((uint64_t)1 << 33) /* gu: guards were once installed in it */
#define VAS_VM_HUGE_OWNER ((uint64_t)1 << 34)  /* huge pages are reserved for it */
#define VAS_VM_APART ((uint64_t)1 << 35)       /* of brk, and vas_config.heap_apart */

/* ---- Formats -------------------------------------------------------------------------------- */

/* A page-table format. The page size follows from it, and what TASK_SIZE, the end of the user's
 * addresses, can be at most (vas_config.task_size says what it is). Frames are named by physical
 * address, so large leaves need a `phys` aligned to their size. */
struct vas_format;
extern const struct vas_format vas_format_x86_64;      /* 4 levels, 48-bit addresses */
extern const struct vas_format vas_format_x86_64_la57; /* 5 levels, 57-bit addresses */
extern const struct vas_format vas_format_aarch64_4k;  /* 4 KiB granule, 48-bit addresses */
extern const struct vas_format vas_format_aarch64_4k_lpa2; /* the same with LPA2, 52-bit */
extern const struct vas_format vas_format_aarch64_16k; /* 16 KiB granule, 48-bit addresses */
extern const struct vas_format vas_format_riscv_sv39;
extern const struct vas_format vas_format_riscv_sv48;
extern const struct vas_format vas_format_riscv_sv57;

/* ---- Systems -------------------------------------------------------------------------------- */

/* /sys/kernel/mm/transparent_hugepage/enabled */
enum vas_thp { VAS_THP_NEVER, VAS_THP_MADVISE, VAS_THP_ALWAYS };

/* Where mappings go that nobody placed: mmap without an address, a mremap that has to move.
 * LINUX: exactly where Linux puts them. ROOMY: with room above to grow into, 16 times the length
 * in all (less beyond 1/64 of the user's addresses); moved so that whole tables (2 MiB, 1 GiB) go
 * along, and aligned to what the room may hold of them. So what grows, in whatever steps, moves
 * once in 16-fold growth, and an odd page in its address or length costs nothing. The room is no
 * reserve: others go there when nothing else is left for them; where there is no room, the address
 * is Linux's. Errors are the same. Neighbours seldom merge: mind max_map_count. */
enum vas_placement { VAS_PLACE_LINUX, VAS_PLACE_ROOMY };

/* What on Linux are sysctls, /sys files and the kernel's own configuration. */
struct vas_settings {
	uint64_t mmap_min_addr;     /* vm.mmap_min_addr, bytes */
	uint64_t lsm_mmap_min_addr; /* CONFIG_LSM_MMAP_MIN_ADDR, bytes; 0: none */
	uint64_t max_map_count;     /* vm.max_map_count */
	uint64_t ram_pages;         /* MemTotal, pages */
	uint64_t swap_pages;        /* SwapTotal, pages */
	uint32_t overcommit_memory; /* vm.overcommit_memory: 0 heuristic, 1 always, 2 never */
	uint32_t overcommit_ratio;  /* vm.overcommit_ratio, percent */
	uint64_t overcommit_kbytes; /* vm.overcommit_kbytes; 0: the ratio counts */
	uint64_t admin_reserve_kbytes; /* vm.admin_reserve_kbytes */
	uint64_t user_reserve_kbytes;  /* vm.user_reserve_kbytes */
	uint64_t committed_elsewhere;  /* pages committed by what vas does not hold (mode 2) */
	bool thp;                   /* transparent huge pages built in: 2 MiB aligned addresses */
	uint32_t thp_enabled;       /* anonymous memory gets them: enum vas_thp */
	bool thp_zero_page;         /* a read maps zeros that all share: .../use_zero_page */
	bool shmem_thp;             /* shmem_enabled gives them to shared memory: 2 MiB aligned */
	uint32_t shmem_sizes;       /* bit n: shared anonymous memory is given 2^n pages at once
	                               (hugepages-N/shmem_enabled); mmap aligns it to the largest */
	uint64_t hugepages[2];      /* vm.nr_hugepages: pages of 2 MiB, of 1 GiB */
	uint32_t placement;         /* of what nobody placed: enum vas_placement */
	bool ignore_rlimit_data;    /* kernel parameter of that name */
	bool anon_vma_name;         /* CONFIG_ANON_VMA_NAME */
	bool ksm;                   /* CONFIG_KSM: MADV_MERGEABLE is known */
	bool memory_failure;        /* CONFIG_MEMORY_FAILURE: HWPOISON, SOFT_OFFLINE are known */
	bool leak_locked;           /* imitate Linux since 6.15, where DONTUNMAP of locked memory
	                               counts its pages twice for ever (docs/differences.md) */
};

struct vas_config {
	uint32_t linux_version;          /* VAS_LINUX(6, 18, 44); 0: VAS_LINUX_LATEST */
	const struct vas_format *format; /* NULL: vas_format_x86_64, but pages in software trees */
	bool software;                   /* keep pages in software trees, see below */
	struct vas_port port;
	struct vas_settings settings;    /* all zero: vas_settings_default */

	/* TASK_SIZE, and the end of what addresses are chosen from unless a hint lies beyond it:
	 * multiples of the page size, window <= task_size <= the format's. On Linux both follow
	 * from the kernel's configuration as much as from the format: AArch64 with pages of 16 KiB
	 * has 2^47 on Debian (the format: up to 2^48), with 4 KiB 2^39 on Android. 0: the
	 * format's most, in a window as Linux has it with that: 2^47 - 4096 of 2^56 - 4096 with
	 * vas_format_x86_64_la57, 2^48 of 2^52 with LPA2, 2^47 of 2^56 with Sv57, else all. */
	uint64_t task_size, window;

	/* What Linux makes of the CPU's extensions, on AArch64 alone. */
	bool exec_reads; /* memory to execute only may be read, too: a CPU without EPAN */
	bool heap_apart; /* memory of brk never merges with mmap's: a CPU without memory tagging */

	/* A kernel's own half, or NULL: as many words as a table has entries, of which those beyond
	 * the user's addresses are copied into the root of each space when it is made (vas_create,
	 * vas_fork). vas never reads or counts what they point to. It must live as long as the
	 * system. Without effect where no entry of the root is beyond them (AArch64, whose TTBR1
	 * has a root of its own) and in software trees. */
	const uint64_t *root_words;
};

/* Software trees, for spaces whose pages no hardware looks for (an emulator, a sandbox): a move of
 * 2 MiB or more then costs the same whatever its size and alignment, and no page table entry is
 * touched; a translation that misses the TLB first looks for the tree. All calls answer alike. */

/* Fills `settings` with what a Debian kernel has: mmap_min_addr and LSM floor 65536, max_map_count
 * 65530, overcommit 0 with 50 %, THP built in but for nobody (VAS_THP_NEVER), `ram_pages` as
 * given. */
void vas_settings_default(struct vas_settings *settings, uint64_t ram_pages); /* waits: never */

/* Makes a system inside config->port.memory; *config may be discarded afterwards. The system lives
 * until its memory is taken away; all spaces and objects should be destroyed before.
 * Settings that are all zero mean vas_settings_default, with as much RAM as the region has. 0, or
 * with nothing changed:
 * EINVAL  port.memory is NULL, or it or port.phys is no multiple of the format's page size (a
 *         static array needs alignas); port.memory_len is no multiple of it, or has more than
 *         2^32 - 1 pages; task_size or window is not as demanded; settings are filled, but
 *         max_map_count and ram_pages are both 0: vas_settings_default was forgotten
 * ENOMEM  port.memory_len is below VAS_MEMORY_MIN */
int64_t vas_system_create(const struct vas_config *config, struct vas_system **system);
	/* waits: briefly */

/* The settings in force; they may be changed between calls, as root changes sysctls: through the
 * pointer while no other thread makes a call, with vas_system_change at any time. That waits for
 * the calls of all spaces. */
struct vas_settings *vas_system_settings(struct vas_system *system); /* waits: never */
void vas_system_change(struct vas_system *system, const struct vas_settings *settings);
	/* waits: system */

/* The Linux version it answers as. */
uint32_t vas_system_version(const struct vas_system *system); /* waits: never */

/* Bytes in a page of its format. */
uint64_t vas_system_page_size(const struct vas_system *system); /* waits: never */

/* Frames in all, and free ones, in pages. */
void vas_system_frames(struct vas_system *system, uint64_t *total, uint64_t *free);
	/* waits: briefly */

/* Pages charged against the commit limit (Committed_AS). */
uint64_t vas_system_committed(struct vas_system *system); /* waits: briefly */

/* Testing aid: the n-th allocation from now on (0: the next) and all after it fail; negative: none
 * fails. Counts frames and small objects alike. */
void vas_system_fail_after(struct vas_system *system, int64_t n); /* waits: briefly */

/* ---- Groups: what a tenant may take ---------------------------------------------------------- */

/* A group of spaces with a limit of frames, so that no guest can take them all: by populating, by
 * guards or locks that need page tables, by vmas. A frame is charged to the group of the space that
 * took it, until it is freed: a page at its first touch, a page table, a frame full of vas's small
 * records (nodes of the tree of vmas, the space's own record; each group has slabs of its own).
 * What several share is charged to who took it first: the page of a file to who touched it first,
 * as long as the file keeps it, also when the group's spaces have gone. A child of fork is in its
 * parent's group. What the embedder takes (vas_object_create, vas_file_open) is charged to nobody.
 *
 * A call whose guest is at the limit fails as if no frame were free: a fault or a call with
 * -VAS_ENOMEM (mlock: -VAS_EAGAIN), nothing changed; what frees still works. Before that, the hook
 * is asked; also for the pages that mmap, brk, mremap and mlockall make present without telling of
 * those that they could not. */
struct vas_group;

struct vas_group_params {
	uint64_t max_frames; /* pages of the format's size; ~0: no limit */

	/* `space` (NULL: one that is being created) has been refused frames because of the limit.
	 * Here the embedder may make room: any function may be called, on other spaces and on this
	 * one, but for its end. True: the call is made again (and asks again if that does not
	 * help); false: it fails. Called by the thread that made the call, with no lock held; where
	 * several threads work in a group, also for a call that failed for another reason; and by
	 * the calls that it makes itself. A move of several vmas that has moved some is not made
	 * again. NULL: the call fails. */
	bool (*reached)(void *ctx, struct vas_group *group, struct vas *space);
	void *ctx;
};

/* A group without spaces; vas_params.group puts spaces into it. The caller holds one reference.
 * The record takes one frame, charged to nobody. 0 or -VAS_ENOMEM. */
int64_t vas_group_create(struct vas_system *system, const struct vas_group_params *params,
                         struct vas_group **group); /* waits: briefly */

/* Lets go of the caller's reference. The group stays as long as it has spaces or frames. */
void vas_group_put(struct vas_group *group); /* waits: briefly */

/* Another limit. One below what is charged takes nothing away: it forbids taking more. May be
 * called at any time, also by the hook. */
void vas_group_set_limit(struct vas_group *group, uint64_t max_frames); /* waits: never */

/* What is charged to a group. */
struct vas_group_usage {
	uint64_t frames;     /* charged now */
	uint64_t max_frames; /* the limit */
	uint64_t refusals;   /* how often it has forbidden frames */
};
void vas_group_get_usage(const struct vas_group *group, struct vas_group_usage *usage);
	/* waits: never */

/* The group of a space, or NULL. */
struct vas_group *vas_group_of(const struct vas *space); /* waits: never */

/* ---- Spaces --------------------------------------------------------------------------------- */

enum vas_rlimit { /* the order is vas's own; units are bytes as with setrlimit(2) */
	VAS_RLIMIT_AS, VAS_RLIMIT_DATA, VAS_RLIMIT_STACK, VAS_RLIMIT_MEMLOCK, VAS_NRLIMITS
};
#define VAS_RLIM_INFINITY (~(uint64_t)0)

struct vas_limit {
	uint64_t soft, hard;
};

#define VAS_CAP_IPC_LOCK 0x1u  /* RLIMIT_MEMLOCK does not count */
#define VAS_CAP_SYS_RAWIO 0x2u /* may map below mmap_min_addr */
#define VAS_CAP_SYS_ADMIN 0x4u /* may use the last admin_reserve_kbytes (overcommit 2) */

/* What exec decides about a space. */
struct vas_params {
	uint64_t mmap_base;   /* addresses are chosen downwards from here; 0: as Linux without
	                         randomisation computes it from the soft RLIMIT_STACK */
	uint64_t legacy_base; /* bottom-up searches start here; 0: P(TASK_SIZE / 3) */
	bool legacy;          /* the legacy layout: bottom-up first */
	uint64_t place_low, place_high; /* addresses that vas chooses lie in here (all but those of
	                         MAP_32BIT; legacy_base is raised to place_low); not what the caller
	                         demands, or hints at. 0: no bound of its own */
	uint64_t start_brk;   /* first byte of the heap; 0: no heap, vas_brk refuses everything */
	uint64_t brk;         /* the break itself; 0: start_brk */
	uint64_t data_len;    /* bytes of the program's own data, which RLIMIT_DATA counts in brk */
	uint64_t start_stack; /* the vma holding it is called [stack] */
	uint32_t capabilities; /* VAS_CAP_* */
	uint32_t mdwe;        /* VAS_MDWE_*, vas_prctl's, that exec left */
	bool merges_all;      /* likewise PR_SET_MEMORY_MERGE; what is imported is left as it is */
	struct vas_limit limit[VAS_NRLIMITS];
	struct vas_group *group; /* who is charged for its frames; NULL: nobody */
};

/* No limits but a stack of 8 MiB (hard: none) and RLIMIT_MEMLOCK 8 MiB, all capabilities, no
 * group. */
void vas_params_default(struct vas_params *params); /* waits: never */

/* An empty space. `params` NULL: the defaults. 0 or -VAS_ENOMEM. */
int64_t vas_create(struct vas_system *system, const struct vas_params *params, struct vas **space);
	/* waits: list */

/* Unmaps everything and frees the space. No CPU may use its tables any more. */
void vas_destroy(struct vas *space); /* waits: owners */

/* config->root_words have changed: copies them into all spaces there are. Invalidating what the
 * CPUs have cached of the old ones is the caller's. */
void vas_root_update(struct vas_system *system); /* waits: list */

/* The system a space belongs to. */
struct vas_system *vas_system_of(struct vas *space); /* waits: never */

/* A pointer of the embedder's that goes with the space: NULL until it is set, in a forked child
 * too. vas does nothing with it. Both take no lock and may be called from a hook. */
void vas_set_context(struct vas *space, void *context); /* waits: never */
void *vas_context(const struct vas *space); /* waits: never */

/* setrlimit for what belongs to memory; checks nothing (that is the caller's prlimit). */
void vas_set_limit(struct vas *space, enum vas_rlimit which, struct vas_limit limit);
	/* waits: owners */
struct vas_limit vas_get_limit(struct vas *space, enum vas_rlimit which); /* waits: space */
void vas_set_capabilities(struct vas *space, uint32_t capabilities); /* waits: owners */

/* Physical address of the top page table: for CR3, satp or TTBR0. Constant for a space's life; 0
 * with software trees, which have none. */
uint64_t vas_root(const struct vas *space); /* waits: never */

/* End of the user's addresses: 0x7ffffffff000 with vas_format_x86_64, or as vas_config says. */
uint64_t vas_task_size(const struct vas *space); /* waits: never */

/* Bytes in a page: 4096, or 16384 with vas_format_aarch64_16k. */
uint64_t vas_page_size(const struct vas *space); /* waits: never */

/* ---- Objects and files ---------------------------------------------------------------------- */

/* An *object* is what has pages (an inode's page cache, a memory file); a *file* is an open file
 * description: an object with access modes and a name. Mappings hold the file, so both may be let
 * go right after vas_mmap. Two files never merge, even of one object, as on Linux. */

/* An object of `size` bytes. `ops` NULL: a memory file, its pages start as zeros and live in the
 * object. The caller holds one reference. 0 or -VAS_ENOMEM. */
int64_t vas_object_create(struct vas_system *system, const struct vas_object_ops *ops, void *ctx,
                          uint64_t size, struct vas_object **object); /* waits: briefly */

/* The size has become `size` bytes (ftruncate): pages past the end are unmapped everywhere and
 * freed, dirty or not, and the tail of the last page becomes zero. Answers 0. */
int64_t vas_object_resize(struct vas_object *object, uint64_t size); /* waits: object */

/* Writes all dirty pages back (fsync). 0, or the first negative errno that write_page answered:
 * the other pages are written, those that failed stay dirty for the next time. */
int64_t vas_object_sync(struct vas_object *object); /* waits: object */

/* What was given to vas_object_create. */
void *vas_object_ctx(const struct vas_object *object); /* waits: never */

/* Lets go of a reference. With the last (its handles', its files', their mappings') the object
 * goes: dirty pages are written back first. */
void vas_object_put(struct vas_object *object); /* waits: briefly */

#define VAS_FILE_READ 0x1u      /* opened for reading */
#define VAS_FILE_WRITE 0x2u     /* opened for writing */
#define VAS_FILE_NOEXEC 0x4u    /* on a noexec mount */
#define VAS_FILE_THP_ALIGN 0x8u /* its filesystem asks for 2 MiB aligned addresses (ext4, xfs) */
#define VAS_FILE_NOMAP 0x10u    /* cannot be mapped: mmap answers ENODEV */
#define VAS_FILE_SHMEM 0x20u    /* shmem-like: MADV_REMOVE works */
#define VAS_FILE_OWN_AREA 0x40u /* its driver knows each mapping: they never merge, and are no part
                                   of a multi-vma mremap (System V segments) */

struct vas_file_info {
	uint32_t mode;           /* VAS_FILE_* */
	uint32_t major, minor;   /* device, as maps shows it */
	uint64_t inode;
	const char *path;        /* as maps shows it; must outlive the file; NULL: "" */
};

/* Opens `object`; takes a reference on it. The caller holds one reference. 0 or -VAS_ENOMEM. */
int64_t vas_file_open(struct vas_object *object, const struct vas_file_info *info,
                      struct vas_file **file); /* waits: briefly */
void vas_file_put(struct vas_file *file); /* waits: briefly */

/* Takes one more reference. */
void vas_file_get(struct vas_file *file); /* waits: never */
const struct vas_file_info *vas_file_info(const struct vas_file *file); /* waits: never */

/* How many references there are: the callers', and one for each vma. Who holds the only one knows
 * that nothing maps it (as long as no other thread maps, splits or unmaps). */
uint32_t vas_file_references(const struct vas_file *file); /* waits: never */

/* The object a file was opened on; NULL: vas has none (an imported region's). */
struct vas_object *vas_file_object(const struct vas_file *file); /* waits: never */

/* ---- The calls ------------------------------------------------------------------------------ */

/* mmap(2). `file`: what the descriptor means; NULL without MAP_ANONYMOUS is a bad descriptor.
 * Returns the address.
 * EINVAL  offset or MAP_FIXED address unaligned; len 0; no or unknown map type; GROWSDOWN of a
 *         file or shared mapping; SHARED_VALIDATE or DROPPABLE where they do not belong
 * EBADF   neither MAP_ANONYMOUS nor a file
 * ENOMEM  no room; a limit (RLIMIT_AS, RLIMIT_DATA, max_map_count, overcommit)
 * EEXIST  MAP_FIXED_NOREPLACE and the range is not free
 * EPERM   below mmap_min_addr; MAP_LOCKED without right; PROT_EXEC of a noexec mount; sealed
 * EAGAIN  locked pages would exceed RLIMIT_MEMLOCK
 * EACCES  file not readable; shared and writable but the file is not open for writing
 * EOVERFLOW  offset + len beyond what a file can have;  ENODEV  file cannot be mapped
 * EOPNOTSUPP  SHARED_VALIDATE with unknown flags, MAP_SYNC
 * MAP_HUGETLB: len is rounded up to huge pages; EINVAL: a page size there is not, an address or
 * offset that is not a multiple of it, a file; ENOMEM: the pool has not enough pages left.
 * On failure nothing is unmapped, but where the commit limit forbids shared memory or the pool has
 * no huge pages: both are asked last, as on Linux, when what was in the place is gone; so is,
 * before Linux 6.12, the commit limit of any memory. Want of vas's own memory changes nothing.
 * Where the range is refused because of a seal or of a limit, the mappings at its ends may have
 * been split. MAP_POPULATE, MAP_LOCKED: pages that cannot be made present are left out, without an
 * error. */
int64_t vas_mmap(struct vas *space, uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags,
                 struct vas_file *file, uint64_t offset); /* waits: owners */

/* munmap(2). EINVAL: unaligned, len 0 or out of range, part of a special mapping; EPERM: sealed
 * (nothing removed, the first vma may be left split); ENOMEM: the split exceeds max_map_count, or
 * the reserve is empty (above). */
int64_t vas_munmap(struct vas *space, uint64_t addr, uint64_t len); /* waits: owners */

/* mremap(2), Linux 6.18 (earlier behaviour by version). Returns the address.
 * EINVAL  unknown flags, unaligned, new_len 0 or too large, overlap, old_len 0 of private memory,
 *         DONTUNMAP with unequal lengths or of a special mapping
 * EFAULT  nothing mapped at old_addr, or the range passes the end of its vma
 * EPERM   sealed; FIXED below mmap_min_addr
 * EAGAIN  locked pages would exceed RLIMIT_MEMLOCK
 * ENOMEM  cannot grow in place without MAYMOVE; no room; a limit
 * A FIXED move that fails late (sealed, low address, overcommit, RLIMIT_AS with DONTUNMAP,
 * max_map_count) may have unmapped the destination and cut the tail, as on Linux; a move of several
 * vmas keeps those already moved, whatever stops it. Want of vas's own memory leaves the vma that
 * was to move, and what is at its destination, as they were. Locked memory that grows is made
 * present; pages that cannot be are left out, without an error. */
int64_t vas_mremap(struct vas *space, uint64_t old_addr, uint64_t old_len, uint64_t new_len,
                   uint64_t flags, uint64_t new_addr); /* waits: owners */

/* mprotect(2). EINVAL, ENOMEM (gap, limit; what lies before it is changed), EACCES, EPERM
 * (sealed). Locked private memory that becomes writable is made so page by page; where that fails,
 * the first write decides. */
int64_t vas_mprotect(struct vas *space, uint64_t addr, uint64_t len, uint64_t prot);
	/* waits: owners */

/* brk(2) as the kernel has it: returns the break after the call, never an errno; the old one, with
 * nothing changed, where there is no memory. */
int64_t vas_brk(struct vas *space, uint64_t brk); /* waits: owners */

/* mlock(2), mlock2(2), munlock(2), mlockall(2), munlockall(2). EINVAL; EPERM (no right to lock);
 * ENOMEM: RLIMIT_MEMLOCK; a gap, or max_map_count (what lies before is locked, or unlocked); a page
 * that is not there for an access (guard, end of file); vas's own memory for the vmas (nothing is
 * changed). EAGAIN: no memory for a page. What is locked then stays so, as on Linux, as far as it
 * was made present. mlockall and munlockall need no memory themselves; pages that cannot be made
 * present are left out, without an error. */
int64_t vas_mlock(struct vas *space, uint64_t addr, uint64_t len); /* waits: owners */
int64_t vas_mlock2(struct vas *space, uint64_t addr, uint64_t len, uint64_t flags);
	/* waits: owners */
int64_t vas_munlock(struct vas *space, uint64_t addr, uint64_t len); /* waits: owners */
int64_t vas_mlockall(struct vas *space, uint64_t flags); /* waits: owners */
int64_t vas_munlockall(struct vas *space); /* waits: owners */

/* madvise(2); see enum vas_advice. EINVAL: unaligned, unknown, or not for this mapping; ENOMEM: gap
 * (the rest is processed); EACCES, EPERM, EFAULT, EBUSY as the man page says. The vmas of a range
 * are advised one after the other: what an error stops stays done in those before it, as on Linux.
 * So does what POPULATE_READ, POPULATE_WRITE (pages) and COLLAPSE (blocks) have done in a vma
 * before they find no memory; of all other advice a vma gets all or nothing then. */
int64_t vas_madvise(struct vas *space, uint64_t addr, uint64_t len, uint64_t advice);
	/* waits: object */

/* msync(2). EINVAL, ENOMEM (gap; the rest is done), EBUSY (INVALIDATE of a locked vma), EIO. */
int64_t vas_msync(struct vas *space, uint64_t addr, uint64_t len, uint64_t flags);
	/* waits: object */

/* mincore(2). `vec` is an address in the space. EINVAL, ENOMEM (gap), EFAULT (vec; also where there
 * is no memory for a page of it). What was answered before an error stands in vec. */
int64_t vas_mincore(struct vas *space, uint64_t addr, uint64_t len, uint64_t vec);
	/* waits: owners */

/* prctl(2) for what belongs to memory. A child of fork has what its parent has.
 *   VAS_PR_SET_MDWE: arg is VAS_MDWE_REFUSE_EXEC_GAIN, or with it VAS_MDWE_NO_INHERIT (a child of
 *     fork has none of it). From now on mmap and mprotect answer EACCES where memory is to be
 *     writable and executable, or to become executable. 0 asks for nothing. EPERM: it is set
 *     otherwise already. Since Linux 6.3
 *   VAS_PR_SET_MEMORY_MERGE: not 0: all memory that MADV_MERGEABLE takes is marked, what is there
 *     and what comes; 0: none any more. Since Linux 6.4
 * EINVAL: another option or arg, or an older Linux. */
#define VAS_PR_SET_MDWE 65u
#define VAS_PR_SET_MEMORY_MERGE 67u
#define VAS_MDWE_REFUSE_EXEC_GAIN 1u
#define VAS_MDWE_NO_INHERIT 2u
int64_t vas_prctl(struct vas *space, uint64_t option, uint64_t arg); /* waits: owners */

/* mseal(2). EINVAL, ENOMEM (gap: nothing sealed; a split that exceeds max_map_count: what lies
 * before it is sealed; vas's own memory: nothing sealed). Before Linux 6.10: ENOSYS. */
int64_t vas_mseal(struct vas *space, uint64_t addr, uint64_t len, uint64_t flags);
	/* waits: owners */

/* fork: a copy-on-write copy of `parent`. 0 or -VAS_ENOMEM (no child, parent unchanged). */
int64_t vas_fork(struct vas *parent, struct vas **child); /* waits: owners */

/* ---- Access --------------------------------------------------------------------------------- */

struct vas_signal {
	int32_t signo; /* 0, VAS_SIGSEGV or VAS_SIGBUS */
	int32_t code;  /* VAS_SEGV_MAPERR ... */
	uint64_t addr; /* si_addr */
};

/* A page fault at `addr`: what the CPU should do next. 0: go on (the page is now present with the
 * right asked for); -VAS_EFAULT: deliver *signal; -VAS_ENOMEM: no frame left, nothing changed (but
 * a stack that had to grow first has grown, and private memory that was to be written counts as
 * touched, as on Linux). `access` is one of enum vas_access. `signal` may be NULL. */
int64_t vas_fault(struct vas *space, uint64_t addr, enum vas_access access,
                  struct vas_signal *signal); /* waits: owners */

/* Copies between the space and the caller's memory, faulting pages in as a CPU would. 0;
 * -VAS_EFAULT: *signal says where it stopped, the bytes before it are copied; -VAS_ENOMEM: so they
 * are, but nothing says where. */
int64_t vas_read(struct vas *space, void *to, uint64_t addr, uint64_t len,
                 struct vas_signal *signal); /* waits: owners */
int64_t vas_write(struct vas *space, uint64_t addr, const void *from, uint64_t len,
                  struct vas_signal *signal); /* waits: owners */

/* Copies a string of at most `max` bytes, its NUL included, to `to`. Returns its length without the
 * NUL; `max` if there is no NUL in as many bytes (they are all copied, `to` has no end then);
 * -VAS_EFAULT: *signal says which byte cannot be read, those before it are copied; -VAS_ENOMEM.
 * (Linux's strncpy_from_user.) */
int64_t vas_read_string(struct vas *space, char *to, uint64_t addr, uint64_t max,
                        struct vas_signal *signal); /* waits: owners */

/* If the `len` bytes at `addr`, as a number of the host's, are *expected, they become `desired`: in
 * one step for all threads of the host. Returns 1: so it is; 0: they are another number, which
 * *expected tells now; -VAS_EINVAL: `len` is not 1, 2, 4 or 8, or `addr` no multiple of it. Both
 * outcomes need the right to write: -VAS_EFAULT, -VAS_ENOMEM as vas_write, nothing is changed. */
int64_t vas_compare_exchange(struct vas *space, uint64_t addr, unsigned len, uint64_t *expected,
                             uint64_t desired, struct vas_signal *signal); /* waits: owners */

/* Registers a translation cache (vas/tlb.h) with a space: what the space's calls change it forgets.
 * A space's end unregisters it; to unregister one that is not registered is harmless, if it was
 * once, or if all its bytes are zero.
 * 0; -VAS_ENOSYS: with port.threads, vas cannot tell the calling thread (port.self is missing); the
 * TLB is not registered and must not be used. */
int64_t vas_tlb_register(struct vas *space, struct vas_tlb *tlb); /* waits: owners */
void vas_tlb_unregister(struct vas_tlb *tlb); /* waits: owners */

/* The owner of `tlb` has no more use for the pointers it got. With port.threads: whoever unmaps
 * waits for this, for a vas_translate after a lookup has missed, or until the owner has to wait
 * inside vas. So call it before waiting for anything outside vas (a lock, a device), from time to
 * time where a guest may run long without an access, and before the thread ends: it would be
 * waited for for ever. Before another call of vas there is no need: a call that has to wait leaves
 * all TLBs of the system which the thread is in, a call that makes the caller's own translations
 * stale does too. Lookups miss then until the next vas_translate. Takes no lock and waits for
 * nothing. */
void vas_tlb_leave(struct vas_tlb *tlb); /* waits: no lock */

/* Where the byte at `addr` is for the host, faulting it in if need be; *host is set on 0, errors
 * are those of vas_fault. The 4 KiB around it may be accessed until the next vas_tlb_lookup,
 * vas_translate or vas_tlb_leave with this tlb, or any other call of the same thread into vas. (Two
 * TLBs at once: what two vas_tlb_lookup find one after the other may both be accessed.) A tlb
 * belongs to one thread. A call leaves no TLB of another system: do that before. */
int64_t vas_translate(struct vas *space, struct vas_tlb *tlb, uint64_t addr,
                      enum vas_access access, void **host, struct vas_signal *signal);
	/* waits: owners */

/* ---- Looking at a space --------------------------------------------------------------------- */

/* One vma. */
struct vas_region {
	uint64_t start, end;
	uint64_t flags;        /* VAS_VM_* */
	uint64_t offset;       /* bytes; of anonymous memory, where it was mapped */
	struct vas_file *file; /* NULL: anonymous (or the kernel's own) */
	const char *name;      /* of a special mapping ("[vdso]"), outlives it; or NULL */
	bool touched;          /* some private page of it was once written (has an anon_vma) */
	bool forked;           /* touched, and that by inheritance through fork */
	uint64_t identity;     /* if touched: neighbours of different ones never merge. If it is
	                          imported, 0: a new one; else that of a region of this system */
};

/* The first vma that ends above `addr`: true and *region filled, or false. */
bool vas_next_region(struct vas *space, uint64_t addr, struct vas_region *region);
	/* waits: space */

/* Places a vma as it is, without the checks of mmap: an imported start map, a kernel's vdso or
 * stack. The range must be free and inside the user's addresses, flags consistent: else
 * -VAS_EINVAL; -VAS_ENOMEM. Limits do not apply, counters are kept. It merges with nothing. */
int64_t vas_import(struct vas *space, const struct vas_region *region); /* waits: owners */

/* What /proc/PID/status and statm count, in pages. */
struct vas_status {
	uint64_t size, locked, data, stack, exec; /* VmSize, VmLck, VmData, VmStk, text+lib */
	uint64_t map_count;
	uint64_t brk; /* bytes */
};
void vas_get_status(struct vas *space, struct vas_status *status); /* waits: space */

/* Whether a page is present at `addr` (pagemap's bit 63), without faulting. */
bool vas_present(struct vas *space, uint64_t addr); /* waits: space */

/* The first pages present at or above `addr`, a page address: [*start, *end) is one page, or what
 * is left of a large one. False: there are none. */
bool vas_next_present(struct vas *space, uint64_t addr, uint64_t *start, uint64_t *end);
	/* waits: space */

/* /proc/PID/maps, byte for byte, handed to `out` in pieces (not terminated). `out` is called with
 * locks held, as a hook is: it must not call vas. */
typedef void vas_sink(void *ctx, const char *text, size_t len);
void vas_maps(struct vas *space, vas_sink *out, void *ctx); /* waits: space */

/* /proc/PID/smaps and smaps_rollup. Only this space is locked, for one vma at a time: what is shown
 * was perhaps never there at once. How often a frame is mapped is told by its references (for Pss
 * not always exactly), and what is not modelled is in docs/differences.md. `out` as above. */
void vas_smaps(struct vas *space, vas_sink *out, void *ctx); /* waits: owners */
void vas_smaps_rollup(struct vas *space, vas_sink *out, void *ctx); /* waits: owners */

/* The lines VmPeak to HugetlbPages of /proc/PID/status. The pages that are present are counted now,
 * by walking the tables; VmHWM is the most that any such report has counted. */
void vas_status_text(struct vas *space, vas_sink *out, void *ctx); /* waits: space */

/* The words of /proc/PID/pagemap for `npages` pages from `addr` on: bit 63 present, 62 swapped (a
 * guard page, with bit 58), 61 a file's or shared, 56 mapped only here, 0-54 the frame's number
 * (its physical address in pages). Returns how many words were filled: fewer where the user's
 * addresses end. -VAS_EINVAL: `addr` is not page aligned. */
int64_t vas_pagemap(struct vas *space, uint64_t addr, uint64_t npages, uint64_t *words);
	/* waits: space */

/* The VmFlags of a vma as smaps prints them ("rd wr mr mw me ac "), into `text`. */
#define VAS_VMFLAGS_MAX 128
size_t vas_vmflags(const struct vas_region *region, char text[VAS_VMFLAGS_MAX]); /* waits: never */

/* One step of the hardware walk of `addr`: entries from the top table down. Returns how many of
 * the VAS_LEVELS_MAX entries were filled (the last is a leaf or absent): with software trees those
 * of the tree that holds addr, 0 if none does. */
#define VAS_LEVELS_MAX 5
struct vas_walk_step {
	unsigned level;    /* 0: the leaf tables */
	uint64_t table;    /* physical address of the table */
	unsigned index;    /* in it */
	uint64_t word;     /* the entry as the hardware reads it */
	bool present, leaf;
	uint64_t phys;     /* what it points to */
	unsigned rights;   /* VAS_PROT_* of a leaf */
};
unsigned vas_walk(struct vas *space, uint64_t addr, struct vas_walk_step step[VAS_LEVELS_MAX]);
	/* waits: space */

/* What an access to `addr` may do now without a fault: the rights (VAS_PROT_*) of the page
 * there, as all levels above allow them (after fork a table may forbid what the leaf in it
 * allows, and vas_walk shows each for itself). 0: no page, or no right. *phys: the physical
 * address of the byte; *len: the bytes from `addr` on that lie side by side there under the same
 * leaf. Both may be NULL; they are set only when a page is present. For those who enter pages of
 * vas's region in an MMU of their own; the answer holds until the next call on the space, or
 * `invalidate`. */
unsigned vas_lookup(struct vas *space, uint64_t addr, uint64_t *phys, uint64_t *len);
	/* waits: space */

/* Verifies every invariant of a space. NULL: all hold; else the words of the first that does
 * not. */
const char *vas_check(struct vas *space); /* waits: space */

/* Verifies every frame of a system: its count is the number of its users, none is lost. Needs the
 * system for itself. NULL or the words of what does not hold. */
const char *vas_audit(struct vas_system *system); /* waits: no lock */

#ifdef __cplusplus
}
#endif

#endif
