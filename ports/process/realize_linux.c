/* realize_linux.c - pages moved by the host's mremap: to congruent addresses, so that it moves
 * whole page tables.
 *
 * The host may have split what is one vma in the books (it knows which pages were written, which
 * nobody tells us) and then refuses to move or grow the parts at once: EFAULT. They are moved one
 * by one.
 *
 * SPDX-License-Identifier: MIT */
#include "process.h"

static int64_t remap(uint64_t old_addr, uint64_t old_len, uint64_t new_len, uint64_t flags,
                     uint64_t new_addr)
{
	int64_t err = process_fault_injected();

	return err ? err : host_mremap(old_addr, old_len, new_len, flags, new_addr);
}

/* ---- Growing in place ------------------------------------------------------------------------ */

/* Whether the host has something in [start, end). */
static bool is_occupied(uint64_t start, uint64_t end)
{
	const uint64_t flags = VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS | VAS_MAP_NORESERVE |
	                       VAS_MAP_FIXED_NOREPLACE;
	int64_t addr = host_mmap(start, end - start, VAS_PROT_NONE, flags, -1, 0);

	if (addr >= 0)
		host_munmap(start, end - start);
	return addr == -VAS_EEXIST;
}

/* The last page alone is grown: it is in one vma, whatever the rest is. */
static int64_t grow(uint64_t addr, uint64_t len, uint64_t new_len)
{
	uint64_t page = the_process->page_size;
	int64_t err = remap(addr, len, new_len, 0, 0);

	if (err == -VAS_EFAULT && len > page)
		err = remap(addr + len - page, page, new_len - len + page, 0, 0);
	if (err == -VAS_ENOMEM && is_occupied(addr + len, addr + new_len))
		return process_foreign(addr + len, addr + new_len);
	return err < 0 ? err : 0;
}

/* ---- Moving ---------------------------------------------------------------------------------- */

/* Moves what the host has in several vmas, half by half. How much was moved when it failed is added
 * to *done. */
static int64_t move_parts(uint64_t old, uint64_t len, uint64_t new, uint64_t flags, uint64_t *done)
{
	uint64_t page = the_process->page_size, half = len / 2 / page * page;
	int64_t err = remap(old, len, len, flags, new);

	if (err >= 0) {
		*done += len;
		return 0;
	}
	if (err != -VAS_EFAULT || len <= page)
		return err;
	err = move_parts(old, half, new, flags, done);
	return err ? err : move_parts(old + half, len - half, new + half, flags, done);
}

/* Moves and then grows; on failure what was moved goes back. With DONTUNMAP the source is still
 * mapped, and is replaced by its own pages. */
static int64_t move_all(const struct vas_move *move, uint64_t flags)
{
	uint64_t done = 0, back = 0;
	int64_t err = move_parts(move->old_addr, move->old_len, move->new_addr, flags, &done);

	if (!err && move->new_len > move->old_len)
		err = grow(move->new_addr, move->old_len, move->new_len);
	if (!err)
		return 0;
	if (done > 0 && move_parts(move->new_addr, done, move->old_addr,
	                           VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED, &back))
		__builtin_trap(); /* pages that can be moved neither there nor back are lost */
	return err == -VAS_EEXIST ? -VAS_ENOMEM : err;
}

/* Nobody is at an address that vas chose: it is taken first, for mremap would unmap it. */
static int64_t claim(const struct vas_move *move)
{
	const uint64_t flags = VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS | VAS_MAP_NORESERVE |
	                       VAS_MAP_FIXED_NOREPLACE;
	int64_t err = process_fault_injected();

	if (!err)
		err = host_mmap(move->new_addr, move->new_len, VAS_PROT_NONE, flags, -1, 0);
	if (err == -VAS_EEXIST)
		return process_foreign(move->new_addr, move->new_addr + move->new_len);
	return err < 0 ? err : 0;
}

int64_t linux_move(const struct vas_move *move)
{
	uint64_t flags = VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED |
	                 (move->keep ? VAS_MREMAP_DONTUNMAP : 0);
	int64_t err;

	if (move->new_addr == move->old_addr)
		return grow(move->old_addr, move->old_len, move->new_len);
	err = move->chosen ? claim(move) : 0;
	if (err)
		return err;
	err = remap(move->old_addr, move->old_len, move->new_len, flags, move->new_addr);
	if (err == -VAS_EFAULT && move->old_len > 0)
		err = move_all(move, flags);
	if (err < 0) {
		if (move->chosen)
			host_munmap(move->new_addr, move->new_len);
		return err;
	}
	process_count(&the_process->stats->pages_moved, move->old_len / the_process->page_size);
	return 0;
}

/* ---- Attributes and advice ------------------------------------------------------------------- */

int64_t linux_advise(uint64_t start, uint64_t end, uint64_t advice)
{
	int64_t err = process_fault_injected();

	return err ? err : host_madvise(start, end - start, advice);
}

/* A flag that madvise sets, or clears. */
static const struct {
	uint64_t flag, set, clear;
} advised[] = {
	{VAS_VM_DONTCOPY, VAS_MADV_DONTFORK, VAS_MADV_DOFORK},
	{VAS_VM_WIPEONFORK, VAS_MADV_WIPEONFORK, VAS_MADV_KEEPONFORK},
	{VAS_VM_DONTDUMP, VAS_MADV_DONTDUMP, VAS_MADV_DODUMP},
	{VAS_VM_MERGEABLE, VAS_MADV_MERGEABLE, VAS_MADV_UNMERGEABLE},
	{VAS_VM_SEQ_READ, VAS_MADV_SEQUENTIAL, VAS_MADV_NORMAL},
	{VAS_VM_RAND_READ, VAS_MADV_RANDOM, VAS_MADV_NORMAL},
	{VAS_VM_HUGEPAGE, VAS_MADV_HUGEPAGE, 0},
	{VAS_VM_NOHUGEPAGE, VAS_MADV_NOHUGEPAGE, 0},
};

/* One madvise at the most changes flags; setting one clears its opposite. */
static int64_t advise_flags(uint64_t start, uint64_t end, uint64_t old, uint64_t new)
{
	const size_t n = sizeof(advised) / sizeof(advised[0]);

	for (size_t i = 0; i < n; i++) {
		if (new & ~old & advised[i].flag)
			return linux_advise(start, end, advised[i].set);
	}
	for (size_t i = 0; i < n; i++) {
		if (old & ~new & advised[i].flag)
			return linux_advise(start, end, advised[i].clear);
	}
	return 0;
}

int64_t linux_protect(const struct vas_region *vma, uint64_t start, uint64_t end, uint64_t flags)
{
	const uint64_t rights = VAS_VM_READ | VAS_VM_WRITE | VAS_VM_EXEC;
	const uint64_t locks = VAS_VM_LOCKED | VAS_VM_LOCKONFAULT;
	uint64_t changed = vma->flags ^ flags;
	int64_t err = 0;

	if (changed & rights) {
		err = process_fault_injected();
		return err ? err : host_mprotect(start, end - start, flags & rights);
	}
	if (changed & locks) {
		err = process_fault_injected();
		if (err)
			return err;
		if (flags & VAS_VM_LOCKED)
			return host_mlock(start, end - start, flags & VAS_VM_LOCKONFAULT);
		return host_munlock(start, end - start);
	}
	return advise_flags(start, end, vma->flags, flags);
}
