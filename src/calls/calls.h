/* calls.h - what the calls do for each other.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CALLS_H
#define VAS_CALLS_H

#include "space/elsewhere.h"
#include "space/linux.h"

/* ---- munmap.c ---- */

/* Unmapping [start, end) step by step. */
struct unmap {
	struct vas *space;
	uint64_t start, end;
	bool mapped;              /* some vma lies there */
	bool absent;              /* no page is present there: known when reserved */
	uint64_t npages, charged; /* what is mapped there, and charged: known when checked */
};

/* First looks whether any vma lies there. */
VAS_INTERNAL void munmap_look(struct unmap *u, struct vas *space, uint64_t start, uint64_t end);

/* Then takes the memory that unmapping and one insertion can need. False: none. */
VAS_INTERNAL bool munmap_reserve(struct unmap *u);

/* Then checks. Errors as munmap; a split that Linux makes before an error is made. */
VAS_INTERNAL int64_t munmap_check(struct unmap *u);

/* What Linux has done by then: splits, so that whole vmas lie in the range. */
VAS_INTERNAL void munmap_split(const struct unmap *u);

/* The rest, which cannot fail. */
VAS_INTERNAL void munmap_commit(const struct unmap *u);

/* All of it, with munmap's own argument checks; `len` is in bytes, rounded up. */
VAS_INTERNAL int64_t munmap_range(struct vas *space, uint64_t start, uint64_t len);

/* ---- fault.c ---- */

/* Makes one page present as an access would. The vma holds addr and allows the access. 0; -EFAULT:
 * a guard page; -EIO: nothing behind it (SIGBUS); -ENOMEM. */
VAS_INTERNAL int64_t fault_page(struct vas *space, struct vma *vma, uint64_t addr,
                                enum vas_access access);

/* The leaf that maps `frame` for an access: with the vma's rights, but writable only if it is
 * written now. */
VAS_INTERNAL struct entry fault_leaf(const struct vas *space, const struct vma *vma, uint32_t frame,
                                     enum vas_access access);

/* Makes all pages of [start, end) present, as mlock and MAP_POPULATE do: written to where memory is
 * private and writable. 0 or the first error (-EFAULT, -ENOMEM); stops there unless `keep_going`,
 * which goes on with the next vma and answers 0. */
VAS_INTERNAL int64_t fault_populate(struct vas *space, uint64_t start, uint64_t end,
                                    bool keep_going);

/* ---- huge.c ---- */

/* Makes a page of the huge page pool present for an access. Errors as fault_page. */
VAS_INTERNAL int64_t huge_fault_pool(struct vas *space, struct vma *vma, uint64_t addr,
                                     enum vas_access access);

/* Makes a transparent huge page present for a write to anonymous memory, if the policy and the
 * surroundings of addr allow one. False: use small pages. */
VAS_INTERNAL bool huge_fault_anon(struct vas *space, struct vma *vma, uint64_t addr);

/* Whether there is room in *vma for one, and the policy and the advice allow it. */
VAS_INTERNAL bool huge_is_eligible(const struct vas *space, const struct vma *vma);

/* Pages [start, end) of *vma are about to be unmapped, or only discarded: keeps the reserve in
 * step, of which the owner has one page for each that is mapped and not present. */
enum huge_unmap { HUGE_UNMAP, HUGE_DISCARD };
VAS_INTERNAL void huge_unmap(struct vas *space, const struct vma *vma, uint64_t start, uint64_t end,
                             enum huge_unmap how);

/* MADV_COLLAPSE: turns the small pages of [start, end) in *vma into huge ones. */
VAS_INTERNAL int64_t huge_collapse(struct vas *space, struct vma *vma, uint64_t start,
                                   uint64_t end);

/* ---- mmap.c ---- */

/* The rights a call asks for, as vma flags. */
VAS_INTERNAL uint64_t mmap_prot_flags(uint64_t prot);

/* ---- rmap.c ---- */

/* Unmaps pages [first, last) of the object in all spaces; `private_too`: copies of them made by
 * writing to private mappings as well. False: no memory, nothing unmapped. */
VAS_INTERNAL bool rmap_zap(struct vas_object *object, uint64_t first, uint64_t last,
                           bool private_too);

/* Makes the next write to pages [first, last) fault, so that it is seen. */
VAS_INTERNAL void rmap_clean(struct vas_object *object, uint64_t first, uint64_t last);

#endif
