/* calls.h - what the calls do for each other.
 *
 * Each part is one call's, which alone knows how it is done; others say only what they want. All of
 * it wants the space locked exclusively, but where it says otherwise.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CALLS_H
#define VAS_CALLS_H

#include "space/elsewhere.h"
#include "space/hollow.h"
#include "space/linux.h"

/* ---- munmap.c ---- */

/* Unmapping [start, end), phase by phase: each phase answers what the next one asks for, and only
 * they can make one, so that none is left out. All are the one struct unmap, the caller's. */
struct unmap {
	struct vas *space;
	uint64_t start, end;
	bool mapped;              /* some vma lies there */
	bool absent;              /* no page is present there: known when reserved */
	uint64_t npages, charged; /* what is mapped there, and charged: known when checked, */
	uint64_t nvmas;           /* and in how many vmas */
	bool huge;                /* pages of the huge page pool are among it: likewise */
};
struct unmap_ready;
struct unmap_checked;

/* First looks whether any vma lies there. */
VAS_INTERNAL void munmap_look(struct unmap *u, struct vas *space, uint64_t start, uint64_t end);

/* Pages that are mapped there. */
VAS_INTERNAL uint64_t munmap_pages(const struct unmap *u);

/* Then takes the memory that unmapping and one insertion can need, or unmapping alone: that fails
 * only where a vma, a large leaf or a table that fork shares is to be split and what is kept for
 * that (stock.h) has been used up. NULL: no memory. */
VAS_INTERNAL struct unmap_ready *munmap_reserve(struct unmap *u);
VAS_INTERNAL struct unmap_ready *munmap_reserve_alone(struct unmap *u);

/* Then checks. Errors as munmap; a split that Linux makes before an error is made. */
VAS_INTERNAL int64_t munmap_check(struct unmap_ready *ready, const struct unmap_checked **checked);

/* Or all that was there has moved away, which has checked and reserved what is needed: the vmas are
 * left to be unmapped, no page is. */
VAS_INTERNAL const struct unmap_checked *munmap_moved(struct unmap *u, struct vas *space,
                                                      uint64_t start, uint64_t end);

/* What Linux has done by then: splits, so that whole vmas lie in the range. */
VAS_INTERNAL void munmap_split(const struct unmap_checked *checked);

/* The rest, which cannot fail. */
VAS_INTERNAL void munmap_commit(const struct unmap_checked *checked);

/* All of it, with munmap's own argument checks; `len` is in bytes, rounded up. */
VAS_INTERNAL int64_t munmap_range(struct vas *space, uint64_t start, uint64_t len);

/* The same of what is known to be pages of vmas. */
VAS_INTERNAL int64_t munmap_mapped(struct vas *space, uint64_t start, uint64_t end);

/* ---- fault.c ---- */

/* Makes one page present as an access would. The vma holds addr and allows the access. 0; -EFAULT:
 * a guard page; -EIO: nothing behind it (SIGBUS); -ENOMEM; -EAGAIN: to be tried again when the
 * space has been unlocked for a while, see object_hole. */
VAS_INTERNAL int64_t fault_page(struct vas *space, struct vma *vma, uint64_t addr,
                                enum vas_access access);

/* The same for the first pages of [*addr, end), which lies in the vma, a few of them, so that
 * others get the lock soon; *addr: where to go on. -EFAULT also for -EIO. */
VAS_INTERNAL int64_t fault_some(struct vas *space, struct vma *vma, uint64_t *addr, uint64_t end,
                                enum vas_access access);

/* The leaf that maps `frame` for an access: with the vma's rights, but writable only if it is
 * written now. */
VAS_INTERNAL struct entry fault_leaf(const struct vas *space, const struct vma *vma, uint32_t frame,
                                     enum vas_access access);

/* What a call has found to be made present: it does so last, when it has unlocked the space. */
struct later {
	uint64_t start, end; /* start == end: nothing */
};

/* Makes all pages of a range present, as mlock and MAP_POPULATE do: written to where memory is
 * private and writable. 0 or the first error (-EFAULT, -ENOMEM); stops there unless TO_ITS_END,
 * which goes on with the next vma and answers 0. Locks the space for a few pages at a time. */
enum populate { TO_FIRST_ERROR, TO_ITS_END };
VAS_INTERNAL RARELY int64_t fault_populate(struct vas *space, struct later range,
                                            enum populate how);

/* ---- huge.c ---- */

/* Makes a page of the huge page pool present for an access. Errors as fault_page. */
VAS_INTERNAL int64_t huge_fault_pool(struct vas *space, struct vma *vma, uint64_t addr,
                                     enum vas_access access);

/* Makes a transparent huge page present for an access to anonymous memory, if the policy and the
 * surroundings of addr allow one: for a read one of zeros, that all share. False: use small
 * pages. */
VAS_INTERNAL bool huge_fault_anon(struct vas *space, struct vma *vma, uint64_t addr,
                                  enum vas_access access);

/* A write to what *leaf maps at addr: where that is a huge page of zeros, another comes in its
 * place. False: use small pages. */
VAS_INTERNAL bool huge_fault_zeros(struct vas *space, struct vma *vma, uint64_t addr,
                                   const struct entry *leaf);

/* Whether there is room in *vma for one, and the policy and the advice allow it. */
VAS_INTERNAL bool huge_is_eligible(const struct vas *space, const struct vma *vma);

/* Pages [start, end) of *vma are about to be unmapped, or only discarded: keeps the reserve in
 * step, of which the owner has one page for each that is mapped and not present. */
enum huge_unmap { HUGE_UNMAP, HUGE_DISCARD };
VAS_INTERNAL void huge_unmap(struct vas *space, const struct vma *vma, uint64_t start, uint64_t end,
                             enum huge_unmap how);

/* MADV_COLLAPSE: turns the small pages of [start, end) in *vma into huge ones. Unlocks the space
 * now and then: only addresses are good afterwards. */
VAS_INTERNAL int64_t huge_collapse(struct vas *space, struct vma *vma, uint64_t start,
                                   uint64_t end);

/* ---- madvise.c ---- */

/* Whether MADV_MERGEABLE takes such memory. */
VAS_INTERNAL bool madvise_can_be_ksm(const struct vma *vma);

/* ---- mmap.c ---- */

/* The rights a call asks for, as vma flags. */
VAS_INTERNAL uint64_t mmap_prot_flags(const struct vas *space, uint64_t prot);

/* ---- rmap.c ---- */

/* Takes pages [first, last) from an object, and unmaps them everywhere; copies of them made by
 * writing to private mappings stay. No lock is held. */
VAS_INTERNAL void rmap_punch(struct vas_object *object, uint64_t first, uint64_t last);

/* Writes the dirty ones of pages [first, last) back to the file; whoever writes to one afterwards
 * faults first. 0 or the first error, after which the others are written too. No lock is held. */
VAS_INTERNAL int64_t rmap_sync(struct vas_object *object, uint64_t first, uint64_t last);

/* ---- prctl.c ---- */

/* Whether PR_SET_MDWE forbids that a vma's flags become `flags`, of which it had `old`. New memory
 * counts as if it had been executable: only writable and executable is forbidden. */
VAS_INTERNAL bool prctl_refuses_exec(const struct vas *space, uint64_t old, uint64_t flags);

/* VAS_VM_MERGEABLE, if PR_SET_MEMORY_MERGE gives it to such a new vma, or 0. */
VAS_INTERNAL uint64_t prctl_merges(const struct vas *space, const struct vma *vma);

#endif
