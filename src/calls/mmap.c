/* mmap.c - mmap(2): a new vma, in a hole or in the place of what is there.
 *
 *	|AAAAAAAA|  |BBBB| |CCC|
 *	      |  new   |              ->   |AAAAAA|  new   |B| |CCC|     and joined where they match
 *
 * Owns Linux's order of checks, which shows: arguments, address, rights, limits, charge; then what
 * is replaced goes, then the vma is placed. Pages come later, by faults: none is known here.
 *
 * Without an address it asks the tree five times, on three ways down from the root: for the hole;
 * for the vma above it, whose guard gap may reach into the hole; and for what is there, where the
 * position goes and both neighbours and the change are asked at it. Into a hole that is named it
 * takes the last way alone.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

/* Flags every kernel knows; MAP_SHARED drops what it does not know, SHARED_VALIDATE refuses it. */
#define MAP_KNOWN                                                                      \
	(VAS_MAP_SHARED | VAS_MAP_PRIVATE | VAS_MAP_FIXED | VAS_MAP_ANONYMOUS |        \
	 VAS_MAP_DENYWRITE | VAS_MAP_EXECUTABLE | VAS_MAP_GROWSDOWN | VAS_MAP_LOCKED | \
	 VAS_MAP_NORESERVE | VAS_MAP_POPULATE | VAS_MAP_NONBLOCK | VAS_MAP_STACK |     \
	 VAS_MAP_HUGETLB | VAS_MAP_32BIT | (VAS_MAP_HUGE_MASK >> 1) << VAS_MAP_HUGE_SHIFT)

/* What is asked for; it stays as it is. */
struct map_request {
	struct vas *space;
	uint64_t addr, len, prot;
	uint64_t map;          /* MAP_* */
	struct vas_file *file; /* NULL: anonymous */
	uint64_t offset;
};

/* What has been decided, one field after the other. */
struct map_plan {
	const struct map_request *asked;
	struct vas *space;
	struct vas_file *file;     /* NULL: anonymous */
	uint64_t offset;           /* in it */
	unsigned level;            /* of the pages: not 0 for MAP_HUGETLB */
	uint64_t len;              /* rounded up to pages */
	uint64_t npages;           /* the same */
	uint64_t addr;             /* where it goes, */
	struct unmap replaced;     /* what is there, */
	struct unmap_ready *ready; /* when there is memory to unmap it */
	uint64_t flags;            /* VAS_VM_* of the new vma */
	bool shared_anon;          /* needs an object of its own */
	struct later later;        /* what is to be populated */
};

uint64_t mmap_prot_flags(const struct vas *space, uint64_t prot)
{
	uint64_t flags = prot & VMA_ACCESS; /* PROT_* and VAS_VM_* agree */

	if ((flags & VAS_VM_WRITE) && space->system->format->write_reads &&
	    linux_riscv_write_reads(space))
		flags |= VAS_VM_READ;
	return flags;
}

static uint64_t map_flags(const struct vas *space, uint64_t map)
{
	uint64_t flags = 0;

	if (map & VAS_MAP_GROWSDOWN)
		flags |= VAS_VM_GROWSDOWN;
	if (map & VAS_MAP_LOCKED)
		flags |= VAS_VM_LOCKED;
	if (map & VAS_MAP_SYNC)
		flags |= VAS_VM_SYNC;
	if ((map & VAS_MAP_STACK) && linux_map_stack_nohugepage(space))
		flags |= VAS_VM_NOHUGEPAGE;
	return flags;
}

static bool is_shared(const struct map_request *asked)
{
	uint64_t type = asked->map & VAS_MAP_TYPE;

	return type == VAS_MAP_SHARED || type == VAS_MAP_SHARED_VALIDATE;
}

/* ---- Size and place ------------------------------------------------------------------------- */

/* The level of the huge pages asked for; 0: there are none of this size, or it is a file. */
static unsigned huge_level(const struct map_plan *p)
{
	const struct vas_format *format = p->space->system->format;
	unsigned shift = (unsigned)(p->asked->map >> VAS_MAP_HUGE_SHIFT) & VAS_MAP_HUGE_MASK;

	if (p->file)
		return 0;
	if (shift == 0)
		return 1;
	for (unsigned level = 1; level <= format->max_leaf_level; level++) {
		if (shift == format_shift(format, level))
			return level;
	}
	return 0;
}

/* What is mapped, and how much of it. */
static int64_t decide_length(struct map_plan *p)
{
	const struct vas *space = p->space;
	uint64_t len = p->asked->len, first = space_pages(space, p->asked->offset);
	bool anonymous = p->asked->map & VAS_MAP_ANONYMOUS;

	if (!space_is_aligned(space, p->asked->offset))
		return -VAS_EINVAL;
	if (!anonymous && !p->asked->file)
		return -VAS_EBADF;
	p->file = anonymous ? NULL : p->asked->file;
	p->level = 0;
	if (p->asked->map & VAS_MAP_HUGETLB) {
		p->level = huge_level(p);
		if (p->level == 0)
			return -VAS_EINVAL;
		len = align_up(len, format_span(space->system->format, p->level));
	}
	p->offset = p->file || p->level > 0 ? p->asked->offset : 0;
	if (len == 0)
		return -VAS_EINVAL;
	p->len = space_align(space, len);
	p->npages = space_pages(space, p->len);
	if (p->len == 0)
		return -VAS_ENOMEM;
	if (first + p->npages < first)
		return -VAS_EOVERFLOW;
	return space->tree.count > space->system->settings.max_map_count ? -VAS_ENOMEM : 0;
}

/* Like MAP_32BIT, a flag of x86-64 alone. */
static bool has_above_4g(const struct vas *space)
{
	return space->system->format->map_32bit && linux_map_above4g(space);
}

static int64_t choose_address(struct map_plan *p)
{
	struct vas *space = p->space;
	uint64_t map = p->asked->map;
	bool noreplace = (map & VAS_MAP_FIXED_NOREPLACE) && linux_map_fixed_noreplace(space);
	struct place place = {
		.hint = p->asked->addr,
		.len = p->len,
		.fixed = (map & VAS_MAP_FIXED) || noreplace,
		.map_32bit = (map & VAS_MAP_32BIT) && space->system->format->map_32bit,
		.above_4g = (map & VAS_MAP_ABOVE4G) && has_above_4g(space),
		.shared = map & VAS_MAP_SHARED,
		.file = p->file,
		.offset = p->asked->offset,
		.level = p->level,
	};
	int64_t addr;

	if (!place.fixed) {
		place.hint = align_down(place.hint, space_page_size(space));
		if (place.hint && place.hint < space_floor(space))
			place.hint = space_align(space, space_floor(space));
	}
	addr = space_place(space, &place);
	if (addr < 0)
		return addr;
	p->addr = (uint64_t)addr;
	munmap_look(&p->replaced, space, p->addr, p->addr + p->len);
	return noreplace && p->replaced.mapped ? -VAS_EEXIST : 0;
}

/* ---- Checks --------------------------------------------------------------------------------- */

static int64_t check_lock(const struct map_plan *p)
{
	if ((p->asked->map & VAS_MAP_LOCKED) && !space_can_lock(p->space))
		return -VAS_EPERM;
	if ((p->flags & VAS_VM_LOCKED) && !space_can_lock_pages(p->space, p->npages))
		return -VAS_EAGAIN;
	return 0;
}

/* Flags that MAP_SHARED_VALIDATE lets pass. */
static uint64_t known_flags_of(const struct vas *space)
{
	return MAP_KNOWN | (has_above_4g(space) ? VAS_MAP_ABOVE4G : 0);
}

/* The end of a regular file is a signed number; a device's offsets have all 64 bits. */
static bool is_past_file_end(const struct map_plan *p)
{
	uint64_t max = p->file->info.mode & VAS_FILE_NOMAP ? UINT64_MAX : INT64_MAX;

	return p->len > max ||
	       space_pages(p->space, p->offset) > space_pages(p->space, max - p->len);
}

/* How a file may be shared. */
static int64_t check_file_type(const struct map_plan *p)
{
	switch (p->asked->map & VAS_MAP_TYPE) {
	case VAS_MAP_SHARED_VALIDATE:
		if (!linux_map_shared_validate(p->space))
			return -VAS_EINVAL;
		if (p->asked->map & ~known_flags_of(p->space))
			return -VAS_EOPNOTSUPP;
		break;
	case VAS_MAP_SHARED:
	case VAS_MAP_PRIVATE:
		break;
	default:
		return -VAS_EINVAL;
	}
	if (is_shared(p->asked) && (p->flags & VAS_VM_WRITE) &&
	    !(p->file->info.mode & VAS_FILE_WRITE))
		return -VAS_EACCES;
	return 0;
}

static int64_t check_file(const struct map_plan *p)
{
	uint32_t mode = p->file->info.mode;
	int64_t err;

	if (is_past_file_end(p))
		return -VAS_EOVERFLOW;
	err = check_file_type(p);
	if (err)
		return err;
	if (!(mode & VAS_FILE_READ))
		return -VAS_EACCES;
	if ((mode & VAS_FILE_NOEXEC) && (p->flags & VAS_VM_EXEC))
		return -VAS_EPERM;
	if (mode & VAS_FILE_NOMAP || !p->file->object)
		return -VAS_ENODEV;
	return p->flags & VAS_VM_GROWSDOWN ? -VAS_EINVAL : 0;
}

/* Huge pages are a file to Linux, if one without a name. */
static int64_t check_hugetlb_type(const struct map_plan *p)
{
	switch (p->asked->map & VAS_MAP_TYPE) {
	case VAS_MAP_SHARED_VALIDATE:
		if (p->asked->map & ~known_flags_of(p->space))
			return -VAS_EOPNOTSUPP;
		break;
	case VAS_MAP_SHARED:
	case VAS_MAP_PRIVATE:
		break;
	default:
		return -VAS_EINVAL;
	}
	if ((p->flags & VAS_VM_GROWSDOWN) ||
	    !is_aligned(p->offset, format_span(p->space->system->format, p->level)))
		return -VAS_EINVAL;
	return 0;
}

static int64_t check_anonymous(const struct map_plan *p)
{
	bool grows = p->flags & VAS_VM_GROWSDOWN;

	switch (p->asked->map & VAS_MAP_TYPE) {
	case VAS_MAP_SHARED:
		return grows ? -VAS_EINVAL : 0;
	case VAS_MAP_DROPPABLE:
		if (!linux_map_droppable(p->space))
			return -VAS_EINVAL;
		return grows || (p->asked->map & VAS_MAP_LOCKED) ? -VAS_EINVAL : 0;
	case VAS_MAP_PRIVATE:
		return 0;
	}
	return -VAS_EINVAL;
}

static int64_t check_kind(const struct map_plan *p)
{
	if (p->level > 0)
		return check_hugetlb_type(p);
	return p->file ? check_file(p) : check_anonymous(p);
}

/* The flags of the vma, now that what it is of is known to allow them. */
static uint64_t kind_flags(const struct map_plan *p)
{
	uint64_t flags = p->flags;

	if (is_shared(p->asked))
		flags |= VAS_VM_SHARED | VAS_VM_MAYSHARE;
	if (p->level > 0)
		return flags | VAS_VM_HUGETLB | VAS_VM_DONTEXPAND;
	if (!p->file)
		return (p->asked->map & VAS_MAP_TYPE) != VAS_MAP_DROPPABLE
		               ? flags
		               : flags | VAS_VM_DROPPABLE | VAS_VM_NORESERVE | VAS_VM_WIPEONFORK |
		                         VAS_VM_DONTDUMP;
	if (is_shared(p->asked) && !(p->file->info.mode & VAS_FILE_WRITE))
		flags &= ~(VAS_VM_MAYWRITE | VAS_VM_SHARED);
	if (p->file->info.mode & VAS_FILE_NOEXEC)
		flags &= ~VAS_VM_MAYEXEC;
	return flags;
}

/* ---- Mapping -------------------------------------------------------------------------------- */

/* Keeps pages of the pool for a mapping of huge pages; asked last, as for shared memory. */
static int64_t reserve_hugetlb(struct map_plan *p)
{
	struct vas_system *system = p->space->system;
	uint64_t npages = p->len >> format_shift(system->format, p->level);

	if (p->flags & VAS_VM_NORESERVE)
		return 0;
	if (!system_reserve_huge(system, p->file->object, npages))
		return -VAS_ENOMEM;
	if (!(p->flags & VAS_VM_SHARED))
		p->flags |= VAS_VM_HUGE_OWNER;
	return 0;
}

/* Limits and commit charge for the mapping less what it replaces. */
static int64_t admit(struct map_plan *p)
{
	struct vas *space = p->space;

	if (!space_can_expand(space, p->flags, p->npages - p->replaced.npages))
		return -VAS_ENOMEM;
	if (!vma_is_accountable(p->flags))
		return 0;
	p->flags |= VAS_VM_ACCOUNT;
	if (!space_charge(space, p->npages - p->replaced.charged))
		return -VAS_ENOMEM;
	/* What is replaced gives its charge back in a moment. */
	if (p->replaced.charged > 0)
		space_recharge(space, p->replaced.charged);
	return 0;
}

/* Linux charges shared memory last, when what it replaces is already gone. */
static int64_t charge_shared(struct map_plan *p)
{
	if (p->flags & VAS_VM_NORESERVE)
		return 0;
	if (!space_charge(p->space, p->npages))
		return -VAS_ENOMEM;
	p->file->object->charged = p->npages;
	return 0;
}

/* The file behind the mapping, with a reference for the vma. */
static int64_t take_file(struct map_plan *p)
{
	if (p->level > 0)
		p->file = file_hugetlb(p->space->system, space_slab(p->space), p->level, p->len);
	else if (p->shared_anon)
		p->file = file_shared_anon(p->space->system, space_slab(p->space), p->npages);
	else if (p->file)
		file_get(p->file);
	else
		return 0;
	return p->file ? 0 : -VAS_ENOMEM;
}

/* The vma to come. */
static struct vma new_vma(const struct map_plan *p)
{
	return (struct vma){
		.start = p->addr,
		.end = p->addr + p->len,
		.flags = p->flags,
		.file = p->file,
		.pgoff = space_pages(p->space, p->file ? p->offset : p->addr),
	};
}

/* Whether Linux may still refuse the mapping when what it replaces is gone. */
static bool is_refused_late(const struct map_plan *p)
{
	return p->level > 0 || p->shared_anon;
}

/* Pages that are elsewhere: one step puts the new in the place of the old, but where a later
 * refusal is to leave a hole. */
static int64_t replace_elsewhere(struct map_plan *p)
{
	struct vas *space = p->space;
	struct vma vma = new_vma(p);
	int64_t err = 0;

	if (!space_is_elsewhere(space))
		return 0;
	if (!is_refused_late(p))
		err = elsewhere_map(space, &vma, p->asked->map);
	else if (p->replaced.mapped)
		err = elsewhere_unmap(space, vma.start, vma.end);
	if (err && (p->flags & VAS_VM_ACCOUNT))
		space_uncharge(space, p->npages);
	return err;
}

/* Linux before 6.12 tests the limits, unmaps, and then asks for all of the charge. */
static int64_t make_room_first(struct map_plan *p)
{
	struct vas *space = p->space;
	const struct unmap_checked *checked = NULL;
	struct unmap *replaced = &p->replaced;
	struct vma vma;
	int64_t err;

	if (!space_can_expand(space, p->flags, p->npages - munmap_pages(replaced)))
		return -VAS_ENOMEM;
	err = replaced->mapped ? munmap_check(p->ready, &checked) : 0;
	if (!err && replaced->mapped)
		err = elsewhere_unmap(space, replaced->start, replaced->end);
	if (err)
		return err == -VAS_EPERM ? err : -VAS_ENOMEM;
	if (checked)
		munmap_commit(checked);
	if (vma_is_accountable(p->flags)) {
		p->flags |= VAS_VM_ACCOUNT;
		if (!space_charge(space, p->npages))
			return -VAS_ENOMEM;
	}
	vma = new_vma(p);
	if (!is_refused_late(p))
		err = elsewhere_map(space, &vma, p->asked->map);
	if (err && (p->flags & VAS_VM_ACCOUNT))
		space_uncharge(space, p->npages);
	return err;
}

/* Unmaps what is in the place of the mapping, once that has been admitted. */
static int64_t make_room(struct map_plan *p)
{
	const struct unmap_checked *checked = NULL;
	int64_t err = p->replaced.mapped ? munmap_check(p->ready, &checked) : 0;

	if (err)
		return err;
	err = admit(p);
	if (!err) {
		err = replace_elsewhere(p);
		if (err)
			return err;
	}
	if (checked && !err)
		munmap_commit(checked);
	else if (checked)
		munmap_split(checked);
	return err;
}

static int64_t map_region(struct map_plan *p)
{
	struct vas *space = p->space;
	struct vma vma;
	int64_t err;

	p->ready = munmap_reserve(&p->replaced);
	if (!p->ready)
		return -VAS_ENOMEM;
	err = take_file(p);
	if (err)
		return err;
	err = linux_mmap_admits_first(space) ? make_room(p) : make_room_first(p);
	if (!err && p->level > 0)
		err = reserve_hugetlb(p);
	else if (!err && p->shared_anon)
		err = charge_shared(p);
	vma = new_vma(p);
	if (!err && is_refused_late(p))
		err = elsewhere_map(space, &vma, p->asked->map);
	if (err) {
		if (p->file)
			vas_file_put(p->file);
		return err;
	}
	vma_place(space, &vma, JOIN_BOTH);
	space_count(space, p->flags, p->npages);
	if ((p->flags & VMA_LOCKS) && !vma_is_lockable(p->flags) &&
	    (!(p->flags & VAS_VM_DROPPABLE) || linux_droppable_stays_unlocked(space))) {
		/* Linux takes the lock back only after it has looked for a neighbour to join. */
		vma.flags &= ~(uint64_t)VMA_LOCKS;
		vma_replace(space, vma.start, &vma);
		p->flags = vma.flags;
	}
	if (p->flags & VAS_VM_LOCKED)
		space->locked += p->npages;
	return 0;
}

/* What was asked for about rights, pages and limits; and what comes of it. */
static int64_t decide_flags(struct map_plan *p)
{
	const struct map_request *asked = p->asked;
	struct vas *space = p->space;
	struct vma vma;
	int64_t err;

	p->flags = mmap_prot_flags(space, asked->prot) | map_flags(space, asked->map) |
	           space->def_flags | VAS_VM_MAYREAD | VAS_VM_MAYWRITE | VAS_VM_MAYEXEC;
	err = check_lock(p);
	if (err)
		return err;
	err = check_kind(p);
	if (err)
		return err;
	p->flags = kind_flags(p);
	if ((asked->map & VAS_MAP_NORESERVE) && space->system->settings.overcommit_memory != 2)
		p->flags |= VAS_VM_NORESERVE;
	if (prctl_refuses_exec(space, VAS_VM_EXEC, p->flags))
		return -VAS_EACCES;
	vma = new_vma(p);
	p->flags |= prctl_merges(space, &vma);
	p->shared_anon = !p->file && p->level == 0 && (p->flags & VAS_VM_SHARED);
	return 0;
}

static int64_t map_memory(struct map_plan *p)
{
	const uint64_t map = p->asked->map;
	int64_t err = decide_length(p);
	bool locked;

	if (err)
		return err;
	err = choose_address(p);
	if (err)
		return err;
	err = decide_flags(p);
	if (err)
		return err;
	locked = p->flags & VAS_VM_LOCKED;
	err = map_region(p);
	if (err)
		return err;
	if (locked || (map & (VAS_MAP_POPULATE | VAS_MAP_NONBLOCK)) == VAS_MAP_POPULATE)
		p->later = (struct later){p->addr, p->addr + p->len};
	return (int64_t)p->addr;
}

static int64_t map_once(const struct map_request *asked)
{
	struct map_plan p;
	int64_t result;

	p.asked = asked;
	p.space = asked->space;
	p.later.start = p.later.end = 0;
	space_lock(p.space);
	result = map_memory(&p);
	space_unlock(p.space);
	if (p.later.start < p.later.end)
		fault_populate(p.space, p.later, TO_ITS_END);
	return result;
}

int64_t vas_mmap(struct vas *space, uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags,
                 struct vas_file *file, uint64_t offset)
{
	const struct map_request asked = {space, addr, len, prot, flags, file, offset};
	uint64_t refusals = group_refusals(space->group);
	int64_t result;

	do
		result = map_once(&asked);
	while (result < 0 && group_ask(space->group, space, &refusals));
	return result;
}
