/* calls.c - the table of calls that a space answers.
 *
 * SPDX-License-Identifier: MIT */
#include "target/calls.h"

#ifdef __linux__
#include "target/numbers.h"
#define NUMBER(call) __NR_##call
#else
#define NUMBER(call) (-1)
#endif

#define ARG(n) (1u << (n))

typedef int64_t make_call(struct vas *space, const uint64_t *arg, struct vas_file *file);

/* Functions of so many arguments, in the same order as Linux's. */
#define MAKE0(call)                                                                          \
	static int64_t make_##call(struct vas *space, const uint64_t *a, struct vas_file *f) \
	{                                                                                    \
		(void)a, (void)f;                                                            \
		return vas_##call(space);                                                    \
	}
#define MAKE(call, ...)                                                                      \
	static int64_t make_##call(struct vas *space, const uint64_t *a, struct vas_file *f) \
	{                                                                                    \
		(void)f;                                                                     \
		return vas_##call(space, __VA_ARGS__);                                       \
	}

MAKE(mmap, a[0], a[1], a[2], a[3], f, a[5])
MAKE(munmap, a[0], a[1])
MAKE(mprotect, a[0], a[1], a[2])
MAKE(mremap, a[0], a[1], a[2], a[3], a[4])
MAKE(brk, a[0])
MAKE(madvise, a[0], a[1], a[2])
MAKE(mlock, a[0], a[1])
MAKE(mlock2, a[0], a[1], a[2])
MAKE(munlock, a[0], a[1])
MAKE(mlockall, a[0])
MAKE0(munlockall)
MAKE(msync, a[0], a[1], a[2])
MAKE(mincore, a[0], a[1], a[2])
MAKE(mseal, a[0], a[1], a[2])
MAKE(prctl, a[0], a[1])

/* Whether [start, end) is mapped from one file, shared and in one piece. */
static bool is_one_shared(struct vas *space, uint64_t start, uint64_t end, struct vas_region *first)
{
	struct vas_region next;
	uint64_t at = start;
	if (!vas_next_region(space, start, first) || first->start > start ||
	    !(first->flags & VAS_VM_SHARED) || !first->file)
		return false;
	for (next = *first; next.end < end; at = next.end)
		if (!vas_next_region(space, next.end, &next) || next.start > at ||
		    next.file != first->file || next.flags != first->flags)
			return false;
	return true;
}

/* Linux makes of it an mmap of the same file; vas has no call for it. */
static int64_t make_remap_file_pages(struct vas *space, const uint64_t *a, struct vas_file *f)
{
	const uint64_t page = vas_page_size(space), limit = ~(uint64_t)0 / page;
	uint64_t start = a[0] & ~(page - 1), len = a[1] & ~(page - 1);
	struct vas_region region;
	(void)f;
	if (a[2] || start + len <= start || a[3] + len / page < a[3] ||
	    !is_one_shared(space, start, start + len, &region))
		return -VAS_EINVAL;
	if (a[3] > limit - len / page)
		return -VAS_EOVERFLOW;
	uint64_t flags = VAS_MAP_SHARED | VAS_MAP_FIXED | VAS_MAP_POPULATE |
	                 (a[4] & VAS_MAP_NONBLOCK) |
	                 (region.flags & VAS_VM_LOCKED ? VAS_MAP_LOCKED : 0);
	uint64_t prot = (region.flags & VAS_VM_READ ? VAS_PROT_READ : 0) |
	                (region.flags & VAS_VM_WRITE ? VAS_PROT_WRITE : 0) |
	                (region.flags & VAS_VM_EXEC ? VAS_PROT_EXEC : 0);
	int64_t result = vas_mmap(space, start, len, prot, flags, region.file, a[3] * page);
	return result < 0 ? result : 0;
}

static const struct row {
	long number;
	make_call *make;
	unsigned ints;
} rows[CALL_NAMES] = {
	[CALL_MMAP] = {NUMBER(mmap), make_mmap, 0},
	[CALL_MUNMAP] = {NUMBER(munmap), make_munmap, 0},
	[CALL_MPROTECT] = {NUMBER(mprotect), make_mprotect, 0},
	[CALL_MREMAP] = {NUMBER(mremap), make_mremap, 0},
	[CALL_BRK] = {NUMBER(brk), make_brk, 0},
	[CALL_MADVISE] = {NUMBER(madvise), make_madvise, ARG(2)},
	[CALL_MLOCK] = {NUMBER(mlock), make_mlock, 0},
	[CALL_MLOCK2] = {NUMBER(mlock2), make_mlock2, ARG(2)},
	[CALL_MUNLOCK] = {NUMBER(munlock), make_munlock, 0},
	[CALL_MLOCKALL] = {NUMBER(mlockall), make_mlockall, ARG(0)},
	[CALL_MUNLOCKALL] = {NUMBER(munlockall), make_munlockall, 0},
	[CALL_MSYNC] = {NUMBER(msync), make_msync, ARG(2)},
	[CALL_MINCORE] = {NUMBER(mincore), make_mincore, 0},
	[CALL_MSEAL] = {NUMBER(mseal), make_mseal, 0},
	[CALL_REMAP_FILE_PAGES] = {NUMBER(remap_file_pages), make_remap_file_pages, 0},
	[CALL_PRCTL] = {NUMBER(prctl), make_prctl, ARG(0)},
	/* calls that no space answers, but a target: those of descriptors */
	[CALL_FTRUNCATE] = {NUMBER(ftruncate), NULL, 0},
	[CALL_CLOSE] = {NUMBER(close), NULL, 0},
};

long call_number(enum call_name name)
{
	const struct row *row = &rows[name];
	bool has = row->make || name == CALL_FTRUNCATE || name == CALL_CLOSE;
	return has ? row->number : -1;
}

unsigned call_ints(enum call_name name)
{
	return rows[name].ints;
}

bool call_is_of_space(enum call_name name)
{
	return rows[name].make != NULL;
}

int64_t call_make(struct vas *space, const struct call *call, struct vas_file *file)
{
	const struct row *row = &rows[call->name];
	uint64_t arg[CALL_MAX_ARGS];
	for (unsigned i = 0; i < CALL_MAX_ARGS; i++)
		arg[i] = row->ints >> i & 1 ? (uint32_t)call->arg[i] : call->arg[i];
	return row->make(space, arg, file);
}
