/* space.h - systems and address spaces: what they hold, their limits and counters.
 *
 * Fields stand with the lock that guards them. Nobody here knows a call: calls change vmas, pages
 * and counters, in this order, and vas_check says whether they agree.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_SPACE_H
#define VAS_SPACE_H

#include "vas/vas.h"
#include "space/object.h"
#include "memory/group.h"
#include "pages/pagemap.h"
#include "tree/interval.h"
#include "tree/range_tree.h"

/* A virtual memory area: one line of maps. To the tree it is a range with a body of four words. */
struct vma {
	union {
		struct range range;
		struct {
			uint64_t start, end; /* page aligned, start < end */
			uint64_t flags;      /* VAS_VM_* */
			uint64_t pgoff;      /* in the file, pages; else see vma.h */
			uint64_t anon;       /* identity, 0: untouched; see vma.h */
			struct vas_file *file; /* or NULL; the tree holds a reference */
		};
	};
};

_Static_assert(sizeof(struct vma) == sizeof(struct range), "a vma has the words of a range");

/* What spaces share. It lives at the start of the region it manages. */
struct vas_system {
	union {
		struct vas_port port;
		struct lock_port waiting; /* its port is this one */
	};
	struct vas_settings settings;
	const struct vas_format *format;
	uint64_t task_size, window; /* vas_config's: window <= task_size <= the format's */
	unsigned readable;          /* rights that imply the right to read: RIGHT_* */
	bool heap_apart;            /* vas_config's */
	bool software; /* pages are kept in software trees */
	const uint64_t *root_words; /* the embedder's part of each root, or NULL */
	uint32_t version;
	struct frame_pool frames;
	struct slab_cache slab;
	uint32_t zero;      /* the shared frame of zeros */
	struct vas *spaces; /* all, linked by next/prev */
	struct vas_object *objects;
	uint64_t committed; /* pages charged: those of VM_ACCOUNT vmas and of shared memory */
	struct spin lock;   /* guards committed, huge_reserved and the series */
	uint64_t nspaces;   /* those that are being destroyed too */
	struct rwlock spaces_lock; /* guards the list of spaces, and their number */
	struct spin objects_lock;  /* guards the list of objects */
	uint64_t anon_ids;         /* identities given out so far, see vma.h */
	uint64_t space_ids;        /* and ids of spaces */
	uint64_t inodes;           /* inode numbers given to shared anonymous memory */
	uint64_t huge_reserved[3]; /* pages of the huge page pool promised to mappings, by level */
#ifdef VAS_CHECKED
	uint64_t audit_credit;
#endif
};

struct moving {
	uint64_t start, len;
};

/* Invariants (verified by vas_check):
 *   size, locked, data, stack and exec are the sums of pages over the vmas they count
 *   peak is not below size
 *   every leaf lies in a vma, and has no right that the vma has not
 *   no leaf, and no shared table with something on both sides, crosses the border of a vma
 *   every vma lies below the end of the user's addresses, page aligned
 *   a touched vma is private (or was guarded, before Linux had a flag for that) */
struct vas {
	struct vas_system *system;
	uint64_t id;             /* spaces are created in the order of these */
	struct vas_group *group; /* constant; NULL: none */
	struct vas *next, *prev; /* guarded by system->spaces_lock */
	void *context;           /* the embedder's; atomic */
	uint32_t pins;           /* atomic: who found it by an object and may still lock it */

	/* Guards all below, and the words of the tables: see lock.h. Whoever faults writes it, and
	 * reads what is around it, so it has a cache line of its own. */
	char before_lock[CACHE_LINE];
	struct rwlock lock;
	char after_lock[CACHE_LINE];

	/* What may be where, and what is where. */
	struct range_tree tree;
	struct pagemap pages;
	struct range_tree *hollow; /* see hollow.h; NULL: nothing was ever noted */
	struct gather gather; /* what a call lets go of; empty outside of calls */
	struct interval_tree mapped; /* what maps an object: see mapped.h */
	struct interval_stock intervals;
	struct moving moving[2]; /* what a call moves or copies: not to be visited */
	uint64_t since_pause;        /* what has been done since a call last asked who waits */

	/* Decided at exec. */
	uint64_t mmap_base, legacy_base;
	bool legacy;
	uint64_t place_low, place_high; /* what vas chooses lies in here */
	uint64_t start_brk, data_len, start_stack;
	uint32_t capabilities;
	uint8_t mdwe;    /* VAS_MDWE_*, 0: memory may become executable */
	bool merges_all; /* what can be is VAS_VM_MERGEABLE */
	struct vas_limit limit[VAS_NRLIMITS];

	uint64_t brk;       /* bytes */
	uint64_t def_flags; /* VM_LOCKED, VM_LOCKONFAULT of new vmas: mlockall(MCL_FUTURE) */

	/* Pages, as /proc/PID/status counts them. */
	uint64_t size, locked, data, stack, exec;
	uint64_t peak;     /* the highest size there was */
	uint64_t rss_peak; /* the most pages present that a report has seen */
	uint64_t leaked;   /* what Linux's locked counter is too high by, see leak_locked */

#ifdef VAS_CHECKED
	uint64_t check_credit, check_cost; /* see check.c */
	bool ends;                         /* it is half taken apart: not checked */
#endif
};

/* The guard gap below a growsdown vma, in pages. */
#define STACK_GUARD_PAGES 256u

static inline uint64_t space_page_size(const struct vas *space)
{
	return format_page_size(space->system->format);
}

static inline uint64_t space_pages(const struct vas *space, uint64_t bytes)
{
	return bytes >> space->system->format->page_shift;
}

/* Linux's PAGE_ALIGN: wraps to 0 at the top. */
static inline uint64_t space_align(const struct vas *space, uint64_t bytes)
{
	return align_up(bytes, space_page_size(space));
}

static inline bool space_is_aligned(const struct vas *space, uint64_t addr)
{
	return is_aligned(addr, space_page_size(space));
}

/* What a call changes, in words and records, before it asks whether somebody waits: some 50 us. */
#define PAUSE_AFTER 8192u
#define PAUSE_VMA 16u /* as much as a vma is worth */

/* The space's lock: exclusive for what changes structure, shared for faults and translations. With
 * the exclusive one comes the gather: what was let go of is flushed before the lock is given up,
 * and released at the latest after it. */
static inline void space_lock(struct vas *space)
{
	write_lock(&space->system->port, &space->lock, LOCK_SPACE, OTHERS);
}

/* For faults, and for what happens to objects: these need not wait for the end of a long call, but
 * come in where it pauses (space_pause). They change no vma but for its identity. */
static inline void space_visit(struct vas *space)
{
	write_lock(&space->system->port, &space->lock, LOCK_SPACE, VISITORS);
}

static inline void space_visit_shared(struct vas *space)
{
	read_lock(&space->system->port, &space->lock, LOCK_SPACE, VISITORS);
}

/* Of a visitor: whether there is a call that has paused. Then what it finds missing, or forbidden,
 * may be so for the moment only, and no large page is made: the call may have cut its range. */
static inline bool space_is_paused(const struct vas *space)
{
	return lock_is_paused(&space->lock);
}

static inline bool space_is_moving(const struct vas *space, uint64_t addr)
{
	return addr - space->moving[0].start < space->moving[0].len ||
	       addr - space->moving[1].start < space->moving[1].len;
}

/* A call that has done more `work`: if that is much since the last time, those get in who wait and
 * may visit it. The tree of vmas is sound then, and no page has a right that its vma never gave. Of
 * what was read before, vmas may have got an identity. True: there was a pause. */
VAS_INTERNAL bool space_pause_now(struct vas *space);

static inline bool space_pause(struct vas *space, uint64_t work)
{
	space->since_pause += work;
	return space->since_pause >= PAUSE_AFTER && space_pause_now(space);
}

/* Pages from `end` to `last`, in parts between which the call may pause: where nothing is present
 * is passed over. False: nothing more is. */
struct page_parts {
	uint64_t start, end; /* this part */
	uint64_t last;
	uint64_t at_once; /* the borders of parts: a power of two, not below the size of a leaf */
};
VAS_INTERNAL bool space_next_part(const struct vas *space, struct page_parts *parts);

/* Of a space that another makes, whose lock is held. */
static inline void space_lock_child(struct vas *child)
{
	write_lock(&child->system->port, &child->lock, LOCK_CHILD, OTHERS);
}

/* The checking build looks whether the invariants hold whenever an exclusive lock is let go of; and
 * at the end of a space whether all frames are accounted for. */
#ifdef VAS_CHECKED
VAS_INTERNAL void space_verify(struct vas *space);
VAS_INTERNAL void system_verify(struct vas_system *system);

static inline void space_ends(struct vas *space)
{
	space->ends = true;
}
#else
static inline void space_ends(struct vas *space)
{
	(void)space;
}

static inline void space_verify(struct vas *space)
{
	(void)space;
}

static inline void system_verify(struct vas_system *system)
{
	(void)system;
}
#endif

/* Who has only looked lets go as it is. */
static inline void space_let_go(struct vas *space)
{
	write_unlock(&space->system->port, &space->lock);
}

/* There is something to be flushed, or to be released. */
VAS_INTERNAL void space_unlock_open(struct vas *space);

static inline void space_unlock(struct vas *space)
{
	if (gather_is_open(&space->gather)) {
		space_unlock_open(space);
		return;
	}
	space_verify(space);
	space_let_go(space);
}

/* For what is done under it, of which no part takes it. */
static inline void space_assert_locked(const struct vas *space)
{
#ifdef VAS_CHECKED
	vas_assert(held_has(&space->lock, HELD_ALONE));
#endif
	(void)space;
}

static inline void space_lock_shared(struct vas *space)
{
	read_lock(&space->system->port, &space->lock, LOCK_SPACE, OTHERS);
}

static inline void space_unlock_shared(struct vas *space)
{
	read_unlock(&space->system->port, &space->lock);
}

/* Who pays for frames that the space takes (frame_alloc), and where its small objects are. */
static inline uint32_t space_payer(const struct vas *space)
{
	return space->group ? space->group->slab.payer : FRAME_NONE;
}

static inline struct slab_cache *space_slab(const struct vas *space)
{
	return space->group ? &space->group->slab : &space->system->slab;
}

/* A call that failed because the group's limit forbids is made again, if the embedder says so. It
 * notes first how often that has been so, and asks with no lock held; it has changed nothing that
 * would keep it from being made again. */
static inline uint64_t group_refusals(const struct vas_group *group)
{
	return group ? __atomic_load_n(&group->refusals, __ATOMIC_RELAXED) : 0;
}

VAS_INTERNAL bool group_ask(struct vas_group *group, struct vas *space, uint64_t *refusals);

/* The next number of a series, under the system's lock. */
VAS_INTERNAL uint64_t system_next(struct vas_system *system, uint64_t *series);

/* Takes the memory that changing the tree in a call can need: a call adds at most a few vmas. And
 * tops up what calls that free have used up. */
VAS_INTERNAL bool space_reserve(struct vas *space);

/* The same for n vmas. */
VAS_INTERNAL bool space_reserve_vmas(struct vas *space, unsigned n);

/* Takes what giving the vmas of a range other flags can need: only the first and the last are
 * split, those between merge at the most. Where none is split that is nothing. False: no memory,
 * nothing changed. */
VAS_INTERNAL bool space_reserve_change(struct vas *space, uint64_t start, uint64_t end);

/* The range may be taken apart at its ends: no large leaf and no shared table has something on both
 * sides of them. Whoever makes a border between vmas does this first, so that is so at all borders.
 * False: no memory. */
VAS_INTERNAL bool space_split_at(struct vas *space, uint64_t start, uint64_t end);

/* For who frees: if there is no memory, out of the stock (stock.h). He restocks when what he frees
 * is free. */
VAS_INTERNAL bool space_split_to_free(struct vas *space, uint64_t start, uint64_t end);
VAS_INTERNAL void space_restock(struct vas *space);

/* Room for the vma that unmapping the middle of one adds, if it is that. Likewise. */
VAS_INTERNAL bool space_reserve_to_free(struct vas *space, uint64_t start, uint64_t end);

/* And every page in it may be changed: no table is shared. False: no memory. */
VAS_INTERNAL bool space_unshare(struct vas *space, uint64_t start, uint64_t end);

/* ---- Limits and counters ---- */

/* RLIMIT_AS and RLIMIT_DATA allow `npages` more of a vma with these flags. */
VAS_INTERNAL bool space_can_expand(const struct vas *space, uint64_t flags, uint64_t npages);

/* RLIMIT_MEMLOCK allows `npages` more locked ones; there is a right to lock at all. */
VAS_INTERNAL bool space_can_lock_pages(const struct vas *space, uint64_t npages);
VAS_INTERNAL bool space_can_lock(const struct vas *space);

/* Charges pages against the commit limit, if it allows. */
VAS_INTERNAL bool space_charge(struct vas *space, uint64_t npages);
VAS_INTERNAL void space_uncharge(struct vas *space, uint64_t npages);

/* Counts pages as charged without asking: their charge comes from elsewhere. */
VAS_INTERNAL void space_recharge(struct vas *space, uint64_t npages);

/* Counts pages of a vma with these flags in (or out). */
VAS_INTERNAL void space_count(struct vas *space, uint64_t flags, uint64_t npages);
VAS_INTERNAL void space_discount(struct vas *space, uint64_t flags, uint64_t npages);

static inline bool space_is_full(const struct vas *space)
{
	return space->tree.count >= space->system->settings.max_map_count;
}

/* ---- Choice of address (address.c) ---- */

struct place {
	uint64_t hint; /* or the fixed address */
	uint64_t len;  /* page aligned, not 0 */
	bool fixed, map_32bit, above_4g, shared;
	unsigned level;        /* of the pages: the address is a multiple of their size */
	struct vas_file *file; /* NULL: anonymous */
	uint64_t offset;       /* in it, bytes */
	uint64_t from, from_len; /* where its pages come from (mremap); from_len 0: none */
};

/* The address the mapping gets, or -EINVAL, -ENOMEM, -EPERM. */
VAS_INTERNAL int64_t space_place(const struct vas *space, const struct place *place);

/* Whether pages of this level may be mapped at [addr, addr + len), if nothing is there: 0, or as
 * above. */
VAS_INTERNAL int64_t space_check_place(const struct vas *space, uint64_t addr, uint64_t len,
                                       unsigned level);

/* The lowest address a hint is raised to. */
VAS_INTERNAL uint64_t space_floor(const struct vas *space);

/* Where the hole below `vma` ends for others: at its start, or lower by its guard gap. */
VAS_INTERNAL uint64_t space_guard_start(const struct vas *space, const struct vma *vma);

#endif
