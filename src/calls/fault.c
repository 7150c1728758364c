/* fault.c - page faults: what the CPU could not do, done or answered by a signal.
 *
 * Owns which page comes (zeros, the object's, a copy) and with what rights: never more than the vma
 * allows, and to write only what is written now. Vmas change only as Linux's do (identity, stacks).
 * How tables are made, shared and flushed is the page map's and the gather's.
 *
 * The first write to a vma asks the tree for it and, for its identity, for both its neighbours, and
 * writes it back: fewer would not be as Linux, which shares an identity with either. Each goes down
 * from the root, as faults look without moving the tree's position. Later faults ask once.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

/* ---- One page ------------------------------------------------------------------------------- */

struct entry fault_leaf(const struct vas *space, const struct vma *vma, uint32_t frame,
                        enum vas_access access)
{
	unsigned rights = vma_rights(space, vma->flags);

	if (access != VAS_WRITE)
		rights &= ~(unsigned)RIGHT_WRITE;
	return (struct entry){
		.kind = ENTRY_LEAF,
		.rights = rights,
		.accessed = true,
		.dirty = access == VAS_WRITE,
		.phys = frame_phys(&space->system->frames, frame),
	};
}

/* The frame whose bytes a private copy starts from: FRAME_NONE means zeros. */
static int64_t copy_source(struct vas *space, const struct vma *vma, uint64_t addr,
                           const struct entry *old, uint32_t *frame)
{
	*frame = FRAME_NONE;
	if (old->kind == ENTRY_LEAF)
		*frame = frame_of_phys(&space->system->frames, old->phys);
	else if (vma->file)
		return object_page(vma->file->object, space_payer(space),
		                   vma_pgoff(space, vma, addr), frame);
	if (*frame == space->system->zero)
		*frame = FRAME_NONE;
	return 0;
}

/* A write to private memory: the page becomes the space's own. */
static int64_t copy_on_write(struct vas *space, struct vma *vma, uint64_t addr,
                             const struct entry *old)
{
	struct frame_pool *frames = &space->system->frames;
	struct entry new;
	uint32_t source, copy;
	int64_t err;

	/* First, as Linux does: it shows even if the page then cannot be had. */
	vma_touch(space, vma);
	err = copy_source(space, vma, addr, old, &source);
	if (err)
		return err;
	if (old->kind == ENTRY_LEAF && source != FRAME_NONE && frame_refs(frames, source) == 1) {
		/* Nobody shares it any more (an object would hold a reference too). */
		new = fault_leaf(space, vma, source, VAS_WRITE);
		return pagemap_set(&space->pages, addr, 0, &new) ? 0 : -VAS_ENOMEM;
	}
	copy = source == FRAME_NONE ? frame_alloc_zeroed(frames, space_payer(space))
	                            : frame_alloc(frames, space_payer(space), 0);
	if (copy == FRAME_NONE)
		return -VAS_ENOMEM;
	gather_flush(&space->gather); /* nobody writes any more to what is copied */
	if (source != FRAME_NONE)
		memcpy(frame_host(frames, copy), frame_host(frames, source),
		       (size_t)space_page_size(space));
	new = fault_leaf(space, vma, copy, VAS_WRITE);
	if (!pagemap_set(&space->pages, addr, 0, &new)) {
		frame_put(frames, copy);
		frame_free(frames, copy);
		return -VAS_ENOMEM;
	}
	return 0;
}

/* A read of a file maps its neighbours too where they are in the cache: a run of pages that begins
 * with the aligned block of addresses, or with the vma, and ends with the vma or the leaf table. */
#define FAULT_AROUND ((uint64_t)65536) /* bytes */

static void map_around(struct vas *space, const struct vma *vma, uint64_t addr)
{
	uint64_t page = space_page_size(space), block = max_u64(FAULT_AROUND, page);
	uint64_t start = max_u64(align_down(addr, block), vma->start);
	uint64_t table = format_span(space->system->format, 1);
	uint64_t end = min_u64(min_u64(start + block, vma->end), align_down(addr, table) + table);
	struct frame_pool *frames = &space->system->frames;

	for (uint64_t at = start; at < end; at += page) {
		unsigned level;
		struct entry e = pagemap_lookup(&space->pages, at, &level);
		uint32_t frame = FRAME_NONE;

		if (at != addr && e.kind == ENTRY_ABSENT)
			frame = object_find_get(vma->file->object, vma_pgoff(space, vma, at),
			                        false);
		if (frame == FRAME_NONE)
			continue;
		e = fault_leaf(space, vma, frame, VAS_READ);
		if (pagemap_set(&space->pages, at, 0, &e))
			continue;
		if (frame_put(frames, frame))
			frame_free(frames, frame);
		return;
	}
}

/* A page of the object, mapped as it is: for private memory never writable. */
static int64_t map_object_page(struct vas *space, const struct vma *vma, uint64_t addr,
                               const struct entry *old, enum vas_access access)
{
	uint64_t index = vma_pgoff(space, vma, addr);
	struct entry new;
	uint32_t frame;
	int64_t err = object_page(vma->file->object, space_payer(space), index, &frame);

	if (access != VAS_WRITE)
		map_around(space, vma, addr);
	if (err)
		return err;
	new = fault_leaf(space, vma, frame, access);
	if (!pagemap_set(&space->pages, addr, 0, &new))
		return -VAS_ENOMEM;
	if (old->kind != ENTRY_LEAF)
		frame_get(&space->system->frames, frame);
	if (access == VAS_WRITE)
		object_dirty(vma->file->object, index);
	return 0;
}

static int64_t map_zero_page(struct vas *space, const struct vma *vma, uint64_t addr)
{
	struct entry new = fault_leaf(space, vma, space->system->zero, VAS_READ);

	return pagemap_set(&space->pages, addr, 0, &new) ? 0 : -VAS_ENOMEM;
}

/* The right an access needs of a leaf. */
static bool has_right(const struct entry *leaf, enum vas_access access)
{
	return leaf->kind == ENTRY_LEAF && (leaf->rights & access);
}

/* As fault_page; *allowed: the access was so already. */
static int64_t page_in(struct vas *space, struct vma *vma, uint64_t addr, enum vas_access access,
                       bool *allowed)
{
	uint64_t page = align_down(addr, space_page_size(space));
	unsigned level;
	struct entry old = pagemap_lookup(&space->pages, page, &level);

	*allowed = has_right(&old, access);
	if (*allowed)
		return 0;
	if (old.kind == ENTRY_MARK)
		return -VAS_EFAULT;
	if (vma_level(vma) > 0)
		return huge_fault_pool(space, vma, page, access);
	if (!vma_is_ours(vma))
		return -VAS_EIO;
	if (level == 1 && access == VAS_WRITE && huge_fault_zeros(space, vma, page, &old))
		return 0;
	if (old.kind == ENTRY_LEAF) {
		/* Only in a table of its own does a frame's count say who else has it. */
		if (!space_unshare(space, page, page + space_page_size(space)))
			return -VAS_ENOMEM;
		old = pagemap_lookup(&space->pages, page, &level);
	}
	if (old.kind == ENTRY_ABSENT && huge_fault_anon(space, vma, page, access))
		return 0;
	if (access == VAS_WRITE && !(vma->flags & VAS_VM_SHARED))
		return copy_on_write(space, vma, page, &old);
	if (vma->file)
		return map_object_page(space, vma, page, &old, access);
	return map_zero_page(space, vma, page);
}

int64_t fault_page(struct vas *space, struct vma *vma, uint64_t addr, enum vas_access access)
{
	bool allowed;

	space_assert_locked(space);
	return page_in(space, vma, addr, access, &allowed);
}

/* ---- Many pages ----------------------------------------------------------------------------- */

/* How mlock and MAP_POPULATE access a page; 0: they cannot. */
static unsigned access_to_populate(const struct vma *vma)
{
	if (vma_is_private_writable(vma->flags))
		return VAS_WRITE;
	return vma->flags & VMA_ACCESS ? VAS_READ : 0;
}

/* As many as others wait for. */
#define PAGES_AT_ONCE 64u

int64_t fault_some(struct vas *space, struct vma *vma, uint64_t *addr, uint64_t end,
                   enum vas_access access)
{
	for (unsigned n = 0; *addr < end && n < PAGES_AT_ONCE; n++) {
		int64_t err = fault_page(space, vma, *addr, access);

		if (err)
			return err == -VAS_EIO ? -VAS_EFAULT : err;
		*addr += space_page_size(space);
	}
	return 0;
}

static int64_t populate_vma(struct vas *space, struct vma *vma, uint64_t *addr, uint64_t end)
{
	unsigned access = access_to_populate(vma);

	if (!access)
		return -VAS_EFAULT;
	if (access == VAS_READ && !(vma->flags & VAS_VM_READ))
		access = vma->flags & VAS_VM_EXEC ? VAS_EXEC : VAS_READ;
	return fault_some(space, vma, addr, end, (enum vas_access)access);
}

static bool is_not_populated(const struct vas *space, const struct vma *vma)
{
	if ((vma->flags & VAS_VM_LOCKONFAULT) &&
	    (linux_onfault_looks_at_nothing(space) || (vma->flags & VMA_ACCESS)))
		return true;
	return (vma->flags & (VAS_VM_IO | VAS_VM_PFNMAP)) || !vma_is_ours(vma);
}

/* The next pages of the range, which becomes what is left. *vma_end: where to go on after an error,
 * which has the rest of its vma left out. */
static int64_t populate_next(struct vas *space, struct later *range, uint64_t *vma_end)
{
	struct vma vma;

	if (!vma_from(space, range->start, &vma) || vma.start >= range->end) {
		range->start = range->end;
		return 0;
	}
	*vma_end = vma.end;
	range->start = max_u64(range->start, vma.start);
	if (!is_not_populated(space, &vma))
		return populate_vma(space, &vma, &range->start, min_u64(vma.end, range->end));
	range->start = vma.end;
	return 0;
}

int64_t fault_populate(struct vas *space, struct later range, enum populate how)
{
	uint64_t refusals = group_refusals(space->group), vma_end = 0;
	unsigned looks = 0;
	int64_t err = 0;

	if (space_is_elsewhere(space))
		return 0; /* their hook has seen the lock, or the flag */
	while (range.start < range.end && (!err || how == TO_ITS_END)) {
		space_lock(space);
		err = populate_next(space, &range, &vma_end);
		space_unlock(space);
		if (err == -VAS_EAGAIN)
			lock_wait(&space->system->port, &looks);
		else if (err && (err != -VAS_ENOMEM || !group_ask(space->group, space, &refusals)))
			range.start = vma_end;
		if (range.start < vma_end)
			err = 0; /* the same pages again */
	}
	return how == TO_ITS_END ? 0 : err;
}

/* ---- Stacks --------------------------------------------------------------------------------- */

static bool can_grow_stack(struct vas *space, const struct vma *vma, uint64_t start)
{
	uint64_t npages = space_pages(space, vma->start - start);

	if (!space_can_expand(space, vma->flags, npages))
		return false;
	if (vma->end - start > space->limit[VAS_RLIMIT_STACK].soft)
		return false;
	return !(vma->flags & VAS_VM_LOCKED) || space_can_lock_pages(space, npages);
}

/* Grows a growsdown vma down to the page of addr, if nothing forbids it. */
static bool grow_stack(struct vas *space, struct vma *vma, uint64_t addr)
{
	uint64_t start = align_down(addr, space_page_size(space));
	uint64_t npages = space_pages(space, vma->start - start);
	uint64_t gap = STACK_GUARD_PAGES * space_page_size(space);
	struct vma below;

	if (!(vma->flags & VAS_VM_GROWSDOWN) || start < space_floor(space) || npages > vma->pgoff)
		return false;
	if (vma_before(space, vma->start, &below) && !(below.flags & VAS_VM_GROWSDOWN) &&
	    (below.flags & VMA_ACCESS) && start - below.end < gap)
		return false;
	/* It counts as written even if a limit then forbids the growth. */
	vma_touch(space, vma);
	if (!can_grow_stack(space, vma, start))
		return false;
	/* The commit limit is asked whatever the flags; only what counts stays charged. */
	if (!space_charge(space, npages))
		return false;
	if (!(vma->flags & VAS_VM_ACCOUNT))
		space_uncharge(space, npages);
	below = *vma;
	below.start = start;
	below.pgoff -= npages;
	vma_replace(space, vma->start, &below);
	*vma = below;
	space_count(space, vma->flags, npages);
	if (vma->flags & VAS_VM_LOCKED)
		space->locked += npages;
	return true;
}

/* ---- The call ------------------------------------------------------------------------------- */

static int64_t raise_signal(struct vas_signal *signal, int32_t signo, int32_t code, uint64_t addr)
{
	if (signal)
		*signal = (struct vas_signal){.signo = signo, .code = code, .addr = addr};
	return -VAS_EFAULT;
}

/* An address beyond the user's half. */
static int64_t raise_beyond(const struct vas_format *format, struct vas_signal *signal,
                            uint64_t addr)
{
	unsigned bits = format->page_shift + format->levels * format->index_bits;
	uint64_t upper = addr >> (bits - 1), ones = ~(uint64_t)0 >> (bits - 1);

	if (format->noncanonical_traps && upper != 0 && upper != ones)
		return raise_signal(signal, VAS_SIGSEGV, VAS_SI_KERNEL, 0);
	return raise_signal(signal, VAS_SIGSEGV, VAS_SEGV_MAPERR, addr);
}

static bool can_access(const struct vas *space, const struct vma *vma, enum vas_access access)
{
	if (access == VAS_READ)
		return vma->flags & space->system->readable;
	return vma->flags & (access == VAS_WRITE ? VAS_VM_WRITE : VAS_VM_EXEC);
}

/* x86-64 reports a fetch from a page that is not there like a read; only when the page is there
 * does it turn out that it may not be executed. */
static bool fetch_reads_first(const struct vas *space, const struct vma *vma,
                              enum vas_access access)
{
	return access == VAS_EXEC && space->system->format->fetch_reads_first &&
	       can_access(space, vma, VAS_READ);
}

static int64_t handle(struct vas *space, uint64_t addr, enum vas_access access,
                      struct vas_signal *signal)
{
	uint64_t page = align_down(addr, space_page_size(space));
	bool denied, allowed = false;
	struct vma vma;
	int64_t err;

	if (addr >= vas_task_size(space))
		return raise_beyond(space->system->format, signal, addr);
	if (!vma_from(space, addr, &vma) ||
	    (vma.start > addr && (space_is_paused(space) || !grow_stack(space, &vma, addr))))
		return raise_signal(signal, VAS_SIGSEGV, VAS_SEGV_MAPERR, addr);
	denied = !can_access(space, &vma, access);
	if (denied && !fetch_reads_first(space, &vma, access))
		return raise_signal(signal, VAS_SIGSEGV, VAS_SEGV_ACCERR, addr);
	err = page_in(space, &vma, addr, denied ? VAS_READ : access, &allowed);
	if (!err && allowed && !denied)
		/* Who faulted has not heard of a right that was given. */
		gather_note(&space->gather, page, page + space_page_size(space), 0, GATHER_GIVEN);
	if (!err && denied)
		return raise_signal(signal, VAS_SIGSEGV, VAS_SEGV_ACCERR, addr);
	if (err == -VAS_EFAULT)
		return raise_signal(signal, VAS_SIGSEGV, VAS_SEGV_MAPERR, addr);
	if (err == -VAS_EIO)
		return raise_signal(signal, VAS_SIGBUS, VAS_BUS_ADRERR, addr);
	return err;
}

/* ---- Side by side --------------------------------------------------------------------------- */

/* The frame for a page that is absent, with a reference for the leaf; FRAME_NONE: not so simple. */
static uint32_t quick_frame(struct vas *space, const struct vma *vma, uint64_t addr,
                            enum vas_access access)
{
	struct vas_system *system = space->system;

	if (vma->file) {
		if (!vma->file->object || (access == VAS_WRITE && !(vma->flags & VAS_VM_SHARED)))
			return FRAME_NONE;
		return object_find_get(vma->file->object, vma_pgoff(space, vma, addr),
		                       access == VAS_WRITE);
	}
	if (access != VAS_WRITE)
		return system->zero;
	return vma->anon ? frame_alloc_zeroed(&system->frames, space_payer(space)) : FRAME_NONE;
}

/* The common fault, made while others fault in the same space: an absent page, its leaf table
 * there. False: whatever it is, it is not that. */
static bool handle_quickly(struct vas *space, uint64_t addr, enum vas_access access)
{
	const uint64_t never = VAS_VM_HUGETLB | VAS_VM_OPAQUE | VAS_VM_SPECIAL;
	struct frame_pool *frames = &space->system->frames;
	uint64_t page = align_down(addr, space_page_size(space));
	struct spot spot;
	struct entry leaf;
	struct vma vma;
	uint32_t frame;

	if (addr >= vas_task_size(space) || !vma_at(space, addr, &vma) || (vma.flags & never) ||
	    !can_access(space, &vma, access) ||
	    (space_is_paused(space) && space_is_moving(space, addr)))
		return false;
	spot = pagemap_find_own(&space->pages, page);
	frame = !spot.word ? FRAME_NONE : quick_frame(space, &vma, page, access);
	if (frame == FRAME_NONE)
		return false;
	leaf = fault_leaf(space, &vma, frame, access);
	if (pagemap_set_quick(&space->pages, spot, &leaf))
		return true;
	if (frame != space->system->zero && frame_put(frames, frame))
		frame_free(frames, frame);
	return false;
}

/* Any other, with the space for itself. */
static int64_t handle_alone(struct vas *space, uint64_t addr, enum vas_access access,
                            struct vas_signal *signal)
{
	uint64_t refusals = group_refusals(space->group);
	enum guest guest = VISITORS;
	unsigned looks = 0;
	int64_t err;

	for (;;) {
		bool paused = false;

		if (guest == VISITORS)
			space_visit(space);
		else
			space_lock(space);
		paused = space_is_paused(space);
		err = paused && space_is_moving(space, addr) ? -VAS_EAGAIN
		                                             : handle(space, addr, access, signal);
		space_unlock(space);
		if (err && paused)
			guest = OTHERS; /* a call may be the reason: after it */
		else if (err == -VAS_EAGAIN)
			lock_wait(&space->system->port, &looks);
		else if (err != -VAS_ENOMEM || !group_ask(space->group, space, &refusals))
			return err;
		if (signal)
			*signal = (struct vas_signal){0};
	}
}

int64_t vas_fault(struct vas *space, uint64_t addr, enum vas_access access,
                  struct vas_signal *signal)
{
	bool done = false;

	if (signal)
		*signal = (struct vas_signal){0};
	if (space_is_elsewhere(space))
		return -VAS_ENOSYS;
	if (space->system->port.threads) {
		space_visit_shared(space);
		done = handle_quickly(space, addr, access);
		space_unlock_shared(space);
	}
	return done ? 0 : handle_alone(space, addr, access, signal);
}
