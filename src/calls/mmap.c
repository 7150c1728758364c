/* mmap.c - mmap(2): a new vma, in a hole or in the place of what is there.
 *
 *	|AAAAAAAA|  |BBBB| |CCC|
 *	      |  new   |              ->   |AAAAAA|  new   |B| |CCC|     and joined where they match
 *
 * Owns Linux's order of checks, which shows: arguments, address, rights, limits, charge; then what
 * is replaced goes, then the vma is placed. Pages come later, by faults: none is known here.
 *
 * Without an address it asks the tree for the hole, and for the vma above it (whose guard gap may
 * reach into the hole); then the position goes there once, and both neighbours and the change are
 * asked at it.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

/* Flags every kernel knows; MAP_SHARED drops what it does not know, SHARED_VALIDATE refuses it. */
#define MAP_KNOWN                                                                      \
	(VAS_MAP_SHARED | VAS_MAP_PRIVATE | VAS_MAP_FIXED | VAS_MAP_ANONYMOUS |        \
	 VAS_MAP_DENYWRITE | VAS_MAP_EXECUTABLE | VAS_MAP_GROWSDOWN | VAS_MAP_LOCKED | \
	 VAS_MAP_NORESERVE | VAS_MAP_POPULATE | VAS_MAP_NONBLOCK | VAS_MAP_STACK |     \
	 VAS_MAP_HUGETLB | VAS_MAP_32BIT | (VAS_MAP_HUGE_MASK >> 1) << VAS_MAP_HUGE_SHIFT)

/* One call on its way: what was asked for, and what has been decided. */
struct mapping {
	struct vas *space;
	uint64_t addr, len, offset; /* len rounded up to pages */
	uint64_t map;               /* MAP_* */
	struct vas_file *file;      /* NULL: anonymous */
	unsigned level;             /* of the pages: not 0 for MAP_HUGETLB */
	bool shared_anon;           /* needs an object of its own */
	uint64_t flags;             /* VAS_VM_* of the new vma */
	struct unmap replaced;      /* what is in its place, */
	struct unmap_ready *ready;  /* when there is memory to unmap it */
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

/* ---- Checks --------------------------------------------------------------------------------- */

/* The level of the huge pages asked for; 0: there are none of this size, or it is a file. */
static unsigned huge_level(const struct mapping *m)
{
	const struct vas_format *format = m->space->system->format;
	unsigned shift = (unsigned)(m->map >> VAS_MAP_HUGE_SHIFT) & VAS_MAP_HUGE_MASK;

	if (m->file)
		return 0;
	if (shift == 0)
		return 1;
	for (unsigned level = 1; level <= format->max_leaf_level; level++) {
		if (shift == format_shift(format, level))
			return level;
	}
	return 0;
}

static int64_t check_length(struct mapping *m, uint64_t len)
{
	struct vas *space = m->space;
	uint64_t first = space_pages(space, m->offset);

	if (!m->file && !(m->map & VAS_MAP_ANONYMOUS))
		return -VAS_EBADF;
	if (m->map & VAS_MAP_ANONYMOUS)
		m->file = NULL;
	if (m->map & VAS_MAP_HUGETLB) {
		m->level = huge_level(m);
		if (m->level == 0)
			return -VAS_EINVAL;
		len = align_up(len, format_span(space->system->format, m->level));
	}
	if (len == 0)
		return -VAS_EINVAL;
	m->len = space_align(space, len);
	if (m->len == 0)
		return -VAS_ENOMEM;
	if (first + space_pages(space, m->len) < first)
		return -VAS_EOVERFLOW;
	if (space->tree.count > space->system->settings.max_map_count)
		return -VAS_ENOMEM;
	return 0;
}

/* Like MAP_32BIT, a flag of x86-64 alone. */
static bool has_above_4g(const struct vas *space)
{
	return space->system->format->map_32bit && linux_map_above4g(space);
}

static int64_t choose_address(struct mapping *m)
{
	struct vas *space = m->space;
	bool noreplace = (m->map & VAS_MAP_FIXED_NOREPLACE) && linux_map_fixed_noreplace(space);
	struct place place = {
		.hint = m->addr,
		.len = m->len,
		.fixed = (m->map & VAS_MAP_FIXED) || noreplace,
		.map_32bit = (m->map & VAS_MAP_32BIT) && space->system->format->map_32bit,
		.above_4g = (m->map & VAS_MAP_ABOVE4G) && has_above_4g(space),
		.shared = m->map & VAS_MAP_SHARED,
		.file = m->file,
		.offset = m->offset,
		.level = m->level,
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
	m->addr = (uint64_t)addr;
	munmap_look(&m->replaced, space, m->addr, m->addr + m->len);
	return noreplace && m->replaced.mapped ? -VAS_EEXIST : 0;
}

static int64_t check_lock(const struct mapping *m)
{
	if ((m->map & VAS_MAP_LOCKED) && !space_can_lock(m->space))
		return -VAS_EPERM;
	if ((m->flags & VAS_VM_LOCKED) &&
	    !space_can_lock_pages(m->space, space_pages(m->space, m->len)))
		return -VAS_EAGAIN;
	return 0;
}

/* Flags that MAP_SHARED_VALIDATE lets pass. */
static uint64_t known_flags_of(const struct vas *space)
{
	return MAP_KNOWN | (has_above_4g(space) ? VAS_MAP_ABOVE4G : 0);
}

/* The end of a regular file is a signed number; a device's offsets have all 64 bits. */
static bool is_past_file_end(const struct mapping *m)
{
	uint64_t max = m->file->info.mode & VAS_FILE_NOMAP ? UINT64_MAX : INT64_MAX;

	return m->len > max ||
	       space_pages(m->space, m->offset) > space_pages(m->space, max - m->len);
}

static int64_t check_shared_file(struct mapping *m)
{
	uint32_t mode = m->file->info.mode;

	if ((m->flags & VAS_VM_WRITE) && !(mode & VAS_FILE_WRITE))
		return -VAS_EACCES;
	m->flags |= VAS_VM_SHARED | VAS_VM_MAYSHARE;
	if (!(mode & VAS_FILE_WRITE))
		m->flags &= ~(VAS_VM_MAYWRITE | VAS_VM_SHARED);
	return 0;
}

static int64_t check_file(struct mapping *m)
{
	uint32_t mode = m->file->info.mode;
	int64_t err = 0;

	if (is_past_file_end(m))
		return -VAS_EOVERFLOW;
	switch (m->map & VAS_MAP_TYPE) {
	case VAS_MAP_SHARED_VALIDATE:
		if (!linux_map_shared_validate(m->space))
			return -VAS_EINVAL;
		if (m->map & ~known_flags_of(m->space))
			return -VAS_EOPNOTSUPP;
		err = check_shared_file(m);
		break;
	case VAS_MAP_SHARED:
		err = check_shared_file(m);
		break;
	case VAS_MAP_PRIVATE:
		break;
	default:
		return -VAS_EINVAL;
	}
	if (err)
		return err;
	if (!(mode & VAS_FILE_READ))
		return -VAS_EACCES;
	if (mode & VAS_FILE_NOEXEC) {
		if (m->flags & VAS_VM_EXEC)
			return -VAS_EPERM;
		m->flags &= ~VAS_VM_MAYEXEC;
	}
	if (mode & VAS_FILE_NOMAP || !m->file->object)
		return -VAS_ENODEV;
	return m->flags & VAS_VM_GROWSDOWN ? -VAS_EINVAL : 0;
}

/* Huge pages are a file to Linux, if one without a name. */
static int64_t check_hugetlb_type(struct mapping *m)
{
	switch (m->map & VAS_MAP_TYPE) {
	case VAS_MAP_SHARED_VALIDATE:
		if (m->map & ~known_flags_of(m->space))
			return -VAS_EOPNOTSUPP;
		m->flags |= VAS_VM_SHARED | VAS_VM_MAYSHARE;
		break;
	case VAS_MAP_SHARED:
		m->flags |= VAS_VM_SHARED | VAS_VM_MAYSHARE;
		break;
	case VAS_MAP_PRIVATE:
		break;
	default:
		return -VAS_EINVAL;
	}
	if ((m->flags & VAS_VM_GROWSDOWN) ||
	    !is_aligned(m->offset, format_span(m->space->system->format, m->level)))
		return -VAS_EINVAL;
	m->flags |= VAS_VM_HUGETLB | VAS_VM_DONTEXPAND;
	return 0;
}

static int64_t check_anonymous(struct mapping *m)
{
	m->offset = 0;
	switch (m->map & VAS_MAP_TYPE) {
	case VAS_MAP_SHARED:
		if (m->flags & VAS_VM_GROWSDOWN)
			return -VAS_EINVAL;
		m->flags |= VAS_VM_SHARED | VAS_VM_MAYSHARE;
		return 0;
	case VAS_MAP_DROPPABLE:
		if (!linux_map_droppable(m->space))
			return -VAS_EINVAL;
		if ((m->map & VAS_MAP_LOCKED) || (m->flags & VAS_VM_GROWSDOWN))
			return -VAS_EINVAL;
		m->flags |= VAS_VM_DROPPABLE | VAS_VM_NORESERVE | VAS_VM_WIPEONFORK |
		            VAS_VM_DONTDUMP;
		return 0;
	case VAS_MAP_PRIVATE:
		return 0;
	}
	return -VAS_EINVAL;
}

/* ---- Mapping -------------------------------------------------------------------------------- */

/* Keeps pages of the pool for a mapping of huge pages; asked last, as for shared memory. */
static int64_t reserve_hugetlb(struct mapping *m)
{
	struct vas_system *system = m->space->system;
	uint64_t npages = m->len >> format_shift(system->format, m->level);

	if (m->flags & VAS_VM_NORESERVE)
		return 0;
	if (!system_reserve_huge(system, m->file->object, npages))
		return -VAS_ENOMEM;
	if (!(m->flags & VAS_VM_SHARED))
		m->flags |= VAS_VM_HUGE_OWNER;
	return 0;
}

/* Limits and commit charge for the mapping less what it replaces. */
static int64_t admit(struct mapping *m)
{
	struct vas *space = m->space;
	uint64_t npages = space_pages(space, m->len);

	if (!space_can_expand(space, m->flags, npages - m->replaced.npages))
		return -VAS_ENOMEM;
	if (!vma_is_accountable(m->flags))
		return 0;
	m->flags |= VAS_VM_ACCOUNT;
	if (!space_charge(space, npages - m->replaced.charged))
		return -VAS_ENOMEM;
	/* What is replaced gives its charge back in a moment. */
	if (m->replaced.charged > 0)
		space_recharge(space, m->replaced.charged);
	return 0;
}

/* Linux charges shared memory last, when what it replaces is already gone. */
static int64_t charge_shared(struct mapping *m)
{
	uint64_t npages = space_pages(m->space, m->len);

	if (m->flags & VAS_VM_NORESERVE)
		return 0;
	if (!space_charge(m->space, npages))
		return -VAS_ENOMEM;
	m->file->object->charged = npages;
	return 0;
}

/* The file behind the mapping, with a reference for the vma. */
static int64_t take_file(struct mapping *m)
{
	if (m->level > 0)
		m->file = file_hugetlb(m->space->system, space_slab(m->space), m->level, m->len);
	else if (m->shared_anon)
		m->file = file_shared_anon(m->space->system, space_slab(m->space),
		                           space_pages(m->space, m->len));
	else if (m->file)
		file_get(m->file);
	else
		return 0;
	return m->file ? 0 : -VAS_ENOMEM;
}

/* The vma to come. */
static struct vma new_vma(const struct mapping *m)
{
	return (struct vma){
		.start = m->addr,
		.end = m->addr + m->len,
		.flags = m->flags,
		.file = m->file,
		.pgoff = space_pages(m->space, m->file ? m->offset : m->addr),
	};
}

/* Whether Linux may still refuse the mapping when what it replaces is gone. */
static bool is_refused_late(const struct mapping *m)
{
	return m->level > 0 || m->shared_anon;
}

/* Pages that are elsewhere: one step puts the new in the place of the old, but where a later
 * refusal is to leave a hole. */
static int64_t replace_elsewhere(struct mapping *m)
{
	struct vas *space = m->space;
	struct vma vma = new_vma(m);
	int64_t err = 0;

	if (!space_is_elsewhere(space))
		return 0;
	if (!is_refused_late(m))
		err = elsewhere_map(space, &vma, m->map);
	else if (m->replaced.mapped)
		err = elsewhere_unmap(space, vma.start, vma.end);
	if (err && (m->flags & VAS_VM_ACCOUNT))
		space_uncharge(space, space_pages(space, m->len));
	return err;
}

/* Linux before 6.12 tests the limits, unmaps, and then asks for all of the charge. */
static int64_t make_room_first(struct mapping *m)
{
	struct vas *space = m->space;
	const struct unmap_checked *checked = NULL;
	struct unmap *replaced = &m->replaced;
	uint64_t npages = space_pages(space, m->len);
	struct vma vma;
	int64_t err;

	if (!space_can_expand(space, m->flags, npages - munmap_pages(replaced)))
		return -VAS_ENOMEM;
	err = replaced->mapped ? munmap_check(m->ready, &checked) : 0;
	if (!err && replaced->mapped)
		err = elsewhere_unmap(space, replaced->start, replaced->end);
	if (err)
		return err == -VAS_EPERM ? err : -VAS_ENOMEM;
	if (checked)
		munmap_commit(checked);
	if (vma_is_accountable(m->flags)) {
		m->flags |= VAS_VM_ACCOUNT;
		if (!space_charge(space, npages))
			return -VAS_ENOMEM;
	}
	vma = new_vma(m);
	if (!is_refused_late(m))
		err = elsewhere_map(space, &vma, m->map);
	if (err && (m->flags & VAS_VM_ACCOUNT))
		space_uncharge(space, npages);
	return err;
}

/* Unmaps what is in the place of the mapping, once that has been admitted. */
static int64_t make_room(struct mapping *m)
{
	const struct unmap_checked *checked = NULL;
	int64_t err = m->replaced.mapped ? munmap_check(m->ready, &checked) : 0;

	if (err)
		return err;
	err = admit(m);
	if (!err) {
		err = replace_elsewhere(m);
		if (err)
			return err;
	}
	if (checked && !err)
		munmap_commit(checked);
	else if (checked)
		munmap_split(checked);
	return err;
}

static int64_t map_region(struct mapping *m)
{
	struct vas *space = m->space;
	uint64_t npages = space_pages(space, m->len);
	struct vma vma;
	int64_t err;

	m->shared_anon = !m->file && m->level == 0 && (m->flags & VAS_VM_SHARED);
	m->ready = munmap_reserve(&m->replaced);
	if (!m->ready)
		return -VAS_ENOMEM;
	err = take_file(m);
	if (err)
		return err;
	err = linux_mmap_admits_first(space) ? make_room(m) : make_room_first(m);
	if (!err && m->level > 0)
		err = reserve_hugetlb(m);
	else if (!err && m->shared_anon)
		err = charge_shared(m);
	vma = new_vma(m);
	if (!err && is_refused_late(m))
		err = elsewhere_map(space, &vma, m->map);
	if (err) {
		if (m->file)
			vas_file_put(m->file);
		return err;
	}

	vma_place(space, &vma, JOIN_BOTH);
	space_count(space, m->flags, npages);
	if ((m->flags & VMA_LOCKS) && !vma_is_lockable(m->flags) &&
	    (!(m->flags & VAS_VM_DROPPABLE) || linux_droppable_stays_unlocked(space))) {
		/* Linux takes the lock back only after it has looked for a neighbour to join. */
		vma.flags &= ~(uint64_t)VMA_LOCKS;
		vma_replace(space, vma.start, &vma);
		m->flags = vma.flags;
	}
	if (m->flags & VAS_VM_LOCKED)
		space->locked += npages;
	return 0;
}

static int64_t map_memory(struct vas *space, uint64_t addr, uint64_t len, uint64_t prot,
                          uint64_t flags, struct vas_file *file, uint64_t offset,
                          struct later *later)
{
	struct mapping m = {
		.space = space,
		.addr = addr,
		.offset = offset,
		.map = flags,
		.file = file,
	};
	int64_t err = space_is_aligned(space, offset) ? 0 : -VAS_EINVAL;
	struct vma vma;
	bool locked;

	if (!err)
		err = check_length(&m, len);
	if (!err)
		err = choose_address(&m);
	if (err)
		return err;
	m.flags = mmap_prot_flags(space, prot) | map_flags(space, flags) | space->def_flags |
	          VAS_VM_MAYREAD | VAS_VM_MAYWRITE | VAS_VM_MAYEXEC;
	err = check_lock(&m);
	if (!err)
		err = m.level > 0 ? check_hugetlb_type(&m)
		      : m.file    ? check_file(&m)
		                  : check_anonymous(&m);
	if (err)
		return err;
	if ((flags & VAS_MAP_NORESERVE) && space->system->settings.overcommit_memory != 2)
		m.flags |= VAS_VM_NORESERVE;
	if (prctl_refuses_exec(space, VAS_VM_EXEC, m.flags))
		return -VAS_EACCES;
	vma = new_vma(&m);
	m.flags |= prctl_merges(space, &vma);
	locked = m.flags & VAS_VM_LOCKED;
	err = map_region(&m);
	if (err)
		return err;
	if (locked || (flags & (VAS_MAP_POPULATE | VAS_MAP_NONBLOCK)) == VAS_MAP_POPULATE)
		*later = (struct later){m.addr, m.addr + m.len};
	return (int64_t)m.addr;
}

static int64_t map_once(struct vas *space, uint64_t addr, uint64_t len, uint64_t prot,
                        uint64_t flags, struct vas_file *file, uint64_t offset)
{
	struct later later = {0, 0};
	int64_t result;

	space_lock(space);
	result = map_memory(space, addr, len, prot, flags, file, offset, &later);
	space_unlock(space);
	if (later.start < later.end)
		fault_populate(space, later, TO_ITS_END);
	return result;
}

/* Apart, so that who has no group need not keep the arguments. */
static __attribute__((noinline, cold)) int64_t map_in_group(struct vas *space, uint64_t addr,
                                                            uint64_t len, uint64_t prot,
                                                            uint64_t flags, struct vas_file *file,
                                                            uint64_t offset)
{
	uint64_t refusals = group_refusals(space->group);
	int64_t result;

	do
		result = map_once(space, addr, len, prot, flags, file, offset);
	while (result < 0 && group_ask(space->group, space, &refusals));
	return result;
}

int64_t vas_mmap(struct vas *space, uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags,
                 struct vas_file *file, uint64_t offset)
{
	if (space->group)
		return map_in_group(space, addr, len, prot, flags, file, offset);
	return map_once(space, addr, len, prot, flags, file, offset);
}
