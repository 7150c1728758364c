/* realize.c - vas's decisions carried out on this process's memory: the hooks of its books.
 *
 * What both realizations do alike is here; realize_linux.c moves pages by the host's mremap,
 * realize_portable.c by copying or by mapping again.
 *
 * SPDX-License-Identifier: MIT */
#include "process.h"

static int64_t refused(int64_t err)
{
	if (err < 0 && err != -VAS_EEXIST)
		process_count(&the_process->stats->refused, 1);
	return err < 0 ? err : 0;
}

static int64_t hook_map(void *ctx, struct vas *space, const struct vas_region *vma, uint64_t map)
{
	uint64_t flags = map, rights = vma->flags & (VAS_VM_READ | VAS_VM_WRITE | VAS_VM_EXEC);
	int64_t err;

	(void)ctx;
	(void)space;
	if (the_process->muted)
		return 0;
	if (!(flags & VAS_MAP_FIXED))
		flags |= VAS_MAP_FIXED_NOREPLACE;
	err = process_fault_injected();
	if (!err)
		err = host_mmap(vma->start, vma->end - vma->start, rights, flags, the_process->fd,
		                vma->file ? vma->offset : 0);
	if (err == -VAS_EEXIST && !(map & (VAS_MAP_FIXED | VAS_MAP_FIXED_NOREPLACE)))
		return process_foreign(vma->start, vma->end);
	return refused(err);
}

static int64_t hook_unmap(void *ctx, struct vas *space, uint64_t start, uint64_t end)
{
	int64_t err;

	(void)ctx;
	(void)space;
	if (the_process->muted)
		return 0;
	err = process_fault_injected();
	return refused(err ? err : host_munmap(start, end - start));
}

static int64_t hook_protect(void *ctx, struct vas *space, const struct vas_region *vma,
                            uint64_t start, uint64_t end, uint64_t flags)
{
	(void)ctx;
	(void)space;
	if (the_process->muted)
		return 0;
	return refused(the_process->portable ? portable_protect(vma, start, end, flags)
	                                     : linux_protect(vma, start, end, flags));
}

static int64_t hook_move(void *ctx, struct vas *space, const struct vas_move *move)
{
	int64_t err;

	(void)ctx;
	(void)space;
	err = refused(the_process->portable ? portable_move(move) : linux_move(move));
	if (!err && move->new_addr != move->old_addr && move->old_len > 0)
		process_count(&the_process->stats->moves, 1);
	return err;
}

static int64_t hook_advise(void *ctx, struct vas *space, const struct vas_region *vma,
                           uint64_t start, uint64_t end, uint64_t advice)
{
	(void)ctx;
	(void)space;
	return refused(the_process->portable ? portable_advise(vma, start, end, advice)
	                                     : linux_advise(start, end, advice));
}

const struct vas_pages process_pages = {
	.map = hook_map,
	.unmap = hook_unmap,
	.protect = hook_protect,
	.move = hook_move,
	.advise = hook_advise,
};
