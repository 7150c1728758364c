/* realize_portable.c - what POSIX has does it: private memory moves by copying, shared memory and
 * files by mapping them again.
 *
 * Nothing of the program's may be lost whichever call of the host's fails, so each step either
 * comes before the source is touched, or can be taken back, or needs no answer:
 *
 *   1 target mapped, locked     taken back by unmapping it
 *   2 source made read-only     taken back by its own rights
 *   3 copied                    the source gives its pages back on the way where step 4 is empty:
 *                               if the first part cannot be given back, all is taken back; what
 *                               cannot later stays mapped, as nobody's
 *   4 target gets its rights    taken back as 1 and 2
 *   5 source unmapped, or emptied (DONTUNMAP)
 *
 * A thread that writes to the source meanwhile either is early enough for the copy or faults, as it
 * does where the host moves pages: no write is lost.
 *
 * SPDX-License-Identifier: MIT */
#include "process.h"

#define RIGHTS (VAS_VM_READ | VAS_VM_WRITE | VAS_VM_EXEC)
#define READ_WRITE (VAS_VM_READ | VAS_VM_WRITE)

/* So much is copied before the source gives it back. */
#define CHUNK ((uint64_t)2 << 20)

/* ---- The host, a call of which may fail ------------------------------------------------------ */

static int64_t map(uint64_t addr, uint64_t len, uint64_t rights, uint64_t flags, int fd,
                   uint64_t offset)
{
	int64_t err = process_fault_injected();

	if (!err)
		err = host_mmap(addr, len, rights, flags, fd, offset);
	return err < 0 ? err : 0;
}

static int64_t unmap(uint64_t addr, uint64_t len)
{
	int64_t err = process_fault_injected();

	return err ? err : host_munmap(addr, len);
}

static int64_t protect(uint64_t addr, uint64_t len, uint64_t rights)
{
	int64_t err = process_fault_injected();

	return err ? err : host_mprotect(addr, len, rights);
}

static int64_t lock(uint64_t addr, uint64_t len, uint64_t flags)
{
	int64_t err = process_fault_injected();

	return err ? err : host_mlock(addr, len, flags & VAS_VM_LOCKONFAULT);
}

/* ---- What is mapped -------------------------------------------------------------------------- */

/* Maps [addr, addr + len) as *vma is at `from`, an address in it (or behind its end), with these
 * rights. */
static int64_t map_like(const struct vas_region *vma, uint64_t from, uint64_t addr, uint64_t len,
                        uint64_t rights, uint64_t how)
{
	uint64_t flags = how | (vma->flags & VAS_VM_MAYSHARE ? VAS_MAP_SHARED : VAS_MAP_PRIVATE);
	int fd = process_file_fd(vma->file);

	if (vma->flags & VAS_VM_NORESERVE)
		flags |= VAS_MAP_NORESERVE;
	if (!vma->file)
		return map(addr, len, rights, flags | VAS_MAP_ANONYMOUS, -1, 0);
	if (fd < 0)
		return -VAS_ENOMEM; /* what was not mapped here cannot be mapped again */
	return map(addr, len, rights, flags, fd, vma->offset + (from - vma->start));
}

/* The same at a target, locked if *vma is. */
static int64_t map_target(const struct vas_move *move, uint64_t rights)
{
	uint64_t how = move->chosen ? VAS_MAP_FIXED_NOREPLACE : VAS_MAP_FIXED;
	int64_t err = map_like(move->vma, move->old_addr, move->new_addr, move->new_len, rights,
	                       how);

	if (err == -VAS_EEXIST && move->chosen)
		return process_foreign(move->new_addr, move->new_addr + move->new_len);
	if (err || !(move->vma->flags & VAS_VM_LOCKED))
		return err;
	err = lock(move->new_addr, move->new_len, move->vma->flags);
	if (err)
		host_munmap(move->new_addr, move->new_len);
	return err;
}

static int64_t grow(const struct vas_move *move)
{
	uint64_t end = move->old_addr + move->old_len, len = move->new_len - move->old_len;
	int64_t err = map_like(move->vma, end, end, len, move->vma->flags & RIGHTS,
	                       VAS_MAP_FIXED_NOREPLACE);

	if (err == -VAS_EEXIST)
		return process_foreign(end, end + len);
	if (!err && (move->vma->flags & VAS_VM_LOCKED))
		(void)lock(end, len, move->vma->flags); /* Linux does not tell either */
	return err;
}

/* What stays of the source loses its locks (DONTUNMAP). */
static void unlock_source(const struct vas_move *move)
{
	if (move->keep && (move->vma->flags & VAS_VM_LOCKED))
		host_munlock(move->unlock_start, move->unlock_end - move->unlock_start);
}

static int64_t move_shared(const struct vas_move *move)
{
	int64_t err = map_target(move, move->vma->flags & RIGHTS);

	if (!err && !move->keep && move->old_len > 0) {
		err = unmap(move->old_addr, move->old_len);
		if (err)
			host_munmap(move->new_addr, move->new_len);
	}
	if (err)
		return err;
	unlock_source(move);
	if (move->old_len > 0)
		process_count(&the_process->stats->pages_moved,
		              move->old_len / the_process->page_size);
	return 0;
}

/* ---- Copying --------------------------------------------------------------------------------- */

static int64_t copy(uint64_t from, uint64_t to, uint64_t len)
{
	process_count(&the_process->stats->bytes_copied, len);
	return len ? host_copy(from, to, len) : 0;
}

/* Copies, and the source gives back what has been copied. */
static int64_t copy_and_give_back(const struct vas_move *move, uint64_t len)
{
	uint64_t old = move->old_addr, end = old + move->old_len, done = 0;
	bool gives = true;

	for (uint64_t at = 0; at < len; at += CHUNK) {
		uint64_t part = len - at < CHUNK ? len - at : CHUNK;

		int64_t err = copy(old + at, move->new_addr + at, part);

		if (err && done == 0)
			return err;
		if (!gives)
			continue;
		gives = unmap(old + done, part) == 0;
		if (!gives && done == 0)
			return -VAS_ENOMEM;
		done += gives ? part : 0;
	}
	if (old + done < end && (!gives || unmap(old + done, end - old - done) != 0) &&
	    host_munmap(old + done, end - old - done) != 0) {
		the_process->left_over = true;
		the_process->left_start = old + done;
		the_process->left_end = end;
	}
	return 0;
}

/* How much of the source has bytes: a file may end before its mapping does. */
static int64_t bytes_of(const struct vas_move *move, uint64_t *len)
{
	uint64_t page = the_process->page_size, end;
	uint64_t offset = move->vma->offset + (move->old_addr - move->vma->start);
	struct host_file file;
	int64_t err;
	int fd;

	*len = move->old_len;
	if (!move->vma->file)
		return 0;
	fd = process_file_fd(move->vma->file);
	err = fd < 0 ? -VAS_ENOMEM : host_identify(fd, &file);
	if (err)
		return err;
	end = (file.size + page - 1) / page * page;
	if (end <= offset)
		*len = 0;
	else if (end - offset < *len)
		*len = end - offset;
	return 0;
}

/* The rest once all is at the target, whose rights are not those that copying needed. */
static int64_t finish(const struct vas_move *move)
{
	uint64_t rights = move->vma->flags & RIGHTS;
	int64_t err = 0;

	if (rights != READ_WRITE)
		err = protect(move->new_addr, move->new_len, rights);
	if (err)
		return err;
	if (move->keep)
		return map_like(move->vma, move->old_addr, move->old_addr, move->old_len, rights,
		                VAS_MAP_FIXED);
	return unmap(move->old_addr, move->old_len);
}

static int64_t move_private(const struct vas_move *move)
{
	uint64_t rights = move->vma->flags & RIGHTS, len;
	bool read_only = (rights & READ_WRITE) == VAS_VM_READ;
	int64_t err = bytes_of(move, &len);

	if (!err)
		err = map_target(move, READ_WRITE);
	if (err)
		return err;
	if (!read_only)
		err = protect(move->old_addr, move->old_len, VAS_VM_READ | (rights & VAS_VM_EXEC));
	if (!err && rights == READ_WRITE && !move->keep) {
		err = copy_and_give_back(move, len);
	} else if (!err) {
		err = copy(move->old_addr, move->new_addr, len);
		if (!err)
			err = finish(move);
	}
	if (!err) {
		unlock_source(move);
		return 0;
	}
	if (!read_only)
		host_mprotect(move->old_addr, move->old_len, rights);
	host_munmap(move->new_addr, move->new_len);
	return err;
}

int64_t portable_move(const struct vas_move *move)
{
	if (move->new_addr == move->old_addr)
		return grow(move);
	if (move->vma->flags & VAS_VM_OPAQUE)
		return -VAS_ENOMEM;
	return move->vma->flags & VAS_VM_MAYSHARE ? move_shared(move) : move_private(move);
}

/* ---- Attributes and advice ------------------------------------------------------------------- */

int64_t portable_protect(const struct vas_region *vma, uint64_t start, uint64_t end, uint64_t flags)
{
	const uint64_t locks = VAS_VM_LOCKED | VAS_VM_LOCKONFAULT;
	const uint64_t hints = VAS_VM_SEQ_READ | VAS_VM_RAND_READ | VAS_VM_SEALED;
	uint64_t changed = vma->flags ^ flags;

	if (changed & RIGHTS)
		return protect(start, end - start, flags & RIGHTS);
	if ((changed & locks) && (flags & VAS_VM_LOCKED))
		return lock(start, end - start, flags);
	if (changed & locks)
		return host_munlock(start, end - start);
	return changed & ~hints ? -VAS_EINVAL : 0;
}

/* Fresh pages in the place of private ones; shared ones are the file's, and stay. */
static int64_t discard(const struct vas_region *vma, uint64_t start, uint64_t end)
{
	int64_t err;

	if (vma->flags & VAS_VM_MAYSHARE)
		return 0;
	err = map_like(vma, start, start, end - start, vma->flags & RIGHTS, VAS_MAP_FIXED);
	if (!err && (vma->flags & VAS_VM_LOCKED))
		(void)lock(start, end - start, vma->flags);
	return err;
}

int64_t portable_advise(const struct vas_region *vma, uint64_t start, uint64_t end, uint64_t advice)
{
	switch (advice) {
	case VAS_MADV_DONTNEED:
	case VAS_MADV_DONTNEED_LOCKED:
		return discard(vma, start, end);
	case VAS_MADV_POPULATE_READ:
	case VAS_MADV_POPULATE_WRITE:
		return host_touch(start, end, advice == VAS_MADV_POPULATE_WRITE);
	case VAS_MADV_FREE:
	case VAS_MADV_WILLNEED:
	case VAS_MADV_COLD:
	case VAS_MADV_PAGEOUT:
		return 0;
	}
	return -VAS_EINVAL;
}
