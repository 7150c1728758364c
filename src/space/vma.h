/* vma.h - which vmas merge and split, and what anonymous identity they carry.
 *
 * pgoff: the page offset in the file; of private anonymous memory the page number where it was
 * first mapped, which a touched vma keeps when it moves.
 *
 * anon: 0 while no private page of the vma was ever written ("untouched"); then an identity, shared
 * by the parts a vma is split into. Bit 0 says that it was inherited through fork ("forked").
 * Two neighbours with different identities never become one.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_VMA_H
#define VAS_VMA_H

#include "space/space.h"

#define VMA_ACCESS (VAS_VM_READ | VAS_VM_WRITE | VAS_VM_EXEC)
#define VMA_MAY_SHIFT 4 /* VM_MAYREAD is VM_READ << 4, and so on */
#define VMA_LOCKS (VAS_VM_LOCKED | VAS_VM_LOCKONFAULT)

/* Flags that keep no neighbours apart; what they become has them if either had. */
#define VMA_STICKY VAS_VM_MAYBE_GUARD

/* The kernel's own: nothing merges with it. */
#define VMA_KERNELS (VAS_VM_IO | VAS_VM_PFNMAP | VAS_VM_DONTEXPAND | VAS_VM_MIXEDMAP)

static inline uint64_t vma_len(const struct vma *vma)
{
	return vma->end - vma->start;
}

static inline uint64_t vma_pages(const struct vas *space, const struct vma *vma)
{
	return space_pages(space, vma_len(vma));
}

/* The level of the pages behind a vma: 0, or that of the huge page pool's. */
static inline unsigned vma_level(const struct vma *vma)
{
	const struct vas_object *object = vma->file ? vma->file->object : NULL;

	return (vma->flags & VAS_VM_HUGETLB) && object ? object->level : 0;
}

/* The page offset of addr, which need not lie inside. */
static inline uint64_t vma_pgoff(const struct vas *space, const struct vma *vma, uint64_t addr)
{
	return vma->pgoff + space_pages(space, addr) - space_pages(space, vma->start);
}

static inline bool vma_is_forked(const struct vma *vma)
{
	return vma->anon & 1;
}

static inline bool vma_is_private_writable(uint64_t flags)
{
	return (flags & (VAS_VM_WRITE | VAS_VM_SHARED)) == VAS_VM_WRITE;
}

/* Whether pages of the mapping count against the commit limit. */
static inline bool vma_is_accountable(uint64_t flags)
{
	return (flags & (VAS_VM_NORESERVE | VAS_VM_SHARED | VAS_VM_WRITE | VAS_VM_HUGETLB)) ==
	       VAS_VM_WRITE;
}

/* Memory that is never locked: the kernel's own, huge pages, and what may vanish anyway. */
static inline bool vma_is_lockable(uint64_t flags)
{
	return !(flags & (VMA_KERNELS | VAS_VM_HUGETLB | VAS_VM_DROPPABLE));
}

/* Whether vas has the pages: those of the kernel's own and of imported mappings count as
 * present. */
static inline bool vma_is_ours(const struct vma *vma)
{
	return !(vma->flags & (VAS_VM_SPECIAL | VAS_VM_OPAQUE)) &&
	       (!vma->file || vma->file->object);
}

/* The rights a page of such a vma may have: the hardware may not know one without another. */
static inline unsigned vma_rights(const struct vas *space, uint64_t flags)
{
	unsigned rights = (unsigned)(flags & VMA_ACCESS);

	return rights & space->system->readable ? rights | RIGHT_READ : rights;
}

/* ---- Which vmas there are. Those that `seek` are for who holds the space's lock exclusively: the
 * tree's position goes there ---- */

/* The vma that holds addr or is the first above it; false: there is none. */
static inline bool vma_from(const struct vas *space, uint64_t addr, struct vma *out)
{
	return range_tree_find(&space->tree, addr, &out->range);
}

static inline bool vma_seek_from(struct vas *space, uint64_t addr, struct vma *out)
{
	return range_tree_seek(&space->tree, addr, &out->range);
}

/* The vma that holds addr. */
static inline bool vma_at(const struct vas *space, uint64_t addr, struct vma *out)
{
	return vma_from(space, addr, out) && out->start <= addr;
}

static inline bool vma_seek(struct vas *space, uint64_t addr, struct vma *out)
{
	return vma_seek_from(space, addr, out) && out->start <= addr;
}

/* The vma that starts at addr, the one that ends there, and the last that starts below. */
static inline bool vma_starting(const struct vas *space, uint64_t addr, struct vma *out)
{
	return range_tree_starting(&space->tree, addr, &out->range);
}

static inline bool vma_ending(const struct vas *space, uint64_t addr, struct vma *out)
{
	return range_tree_ending(&space->tree, addr, &out->range);
}

static inline bool vma_before(const struct vas *space, uint64_t addr, struct vma *out)
{
	return range_tree_before(&space->tree, addr, &out->range);
}

/* Writes *vma over the one that starts at `start`; it may not reach over a neighbour. */
static inline void vma_replace(struct vas *space, uint64_t start, const struct vma *vma)
{
	range_tree_replace(&space->tree, start, &vma->range);
}

/* Whether any vma lies in [start, end); the tree's position goes there. */
static inline bool space_has_vma(struct vas *space, uint64_t start, uint64_t end)
{
	struct vma vma;

	return vma_seek_from(space, start, &vma) && vma.start < end;
}

/* ---- Splitting, joining, changing ---- */

/* Whether *vma may be split at addr, which lies inside. -EINVAL: special, or a huge page would be
 * cut. */
VAS_INTERNAL int64_t vma_check_split(const struct vas *space, const struct vma *vma, uint64_t addr);

/* Splits the vma that addr lies inside of, if any. -EINVAL as above. The memory has been reserved;
 * the limit of vmas is the caller's to check. */
VAS_INTERNAL int64_t vma_split(struct vas *space, uint64_t addr);

/* Adds a vma where nothing is, merged with its neighbours where they match; takes over the caller's
 * reference on vma->file. *vma becomes the vma that holds the new range. */
enum vma_joins {
	JOIN_LOWER = 1,
	JOIN_UPPER = 2,
	JOIN_BOTH = JOIN_LOWER | JOIN_UPPER,
	JOIN_MOVED = 4,     /* beside those above: the vma was moved here */
	JOIN_UNTOUCHED = 8, /* vma.c's own */
	/* beside JOIN_BOTH: what would join the neighbour there joins neither */
	JOIN_NOT_LOWER = 16,
	JOIN_NOT_UPPER = 32,
};
VAS_INTERNAL void vma_place(struct vas *space, struct vma *vma, unsigned joins);

/* Adds a vma and merges it with nothing. */
VAS_INTERNAL void vma_insert(struct vas *space, const struct vma *vma);

/* Takes what lies in [start, end) away from a vma: all of it, an end, or a piece in the middle. */
VAS_INTERNAL void vma_cut(struct vas *space, const struct vma *vma, uint64_t start, uint64_t end);

/* Grows a vma at its upper end over free space, and joins it with the next one if they now meet
 * and match. *vma becomes the result. */
VAS_INTERNAL void vma_extend(struct vas *space, struct vma *vma, uint64_t end);

/* Gives [start, end) inside *vma other flags: joins it to matching neighbours or splits it off.
 * *vma becomes the vma that holds start. -ENOMEM: a split would exceed max_map_count (an earlier
 * split stays). Pages that are elsewhere get them too; what their hook answers. */
VAS_INTERNAL int64_t vma_modify(struct vas *space, struct vma *vma, uint64_t start, uint64_t end,
                                uint64_t flags);

/* A private page of *vma is about to be written: gives it an identity if it has none, a
 * neighbour's where Linux shares it. */
VAS_INTERNAL void vma_touch(struct vas *space, struct vma *vma);

#endif
