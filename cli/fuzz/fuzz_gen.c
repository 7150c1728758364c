/* fuzz_gen.c - random calls: a few pages of address space, few lengths, and every call there is.
 *
 * Most addresses lie in a small window or at the borders of what is mapped; others are chosen by
 * the kernel, lie where 2 MiB count, at the ends of the address space, or are anything at all.
 *
 * SPDX-License-Identifier: MIT */
#include "fuzz/fuzz_gen.h"

#include <stdio.h>
#include <string.h>

#include "fuzz/fuzz_run.h"
#include "target/stub.h"

#define PAGE (gen->page)
#define WINDOW ((uint64_t)0x10000000)
#define LARGE_WINDOW ((uint64_t)0x20000000) /* where huge pages count */
#define LARGE_PAGE (gen->large_page)
#define TASK_END (gen->task_end)
#define FORKS_MAX 8
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Chance ---------------------------------------------------------------------------------- */

uint64_t fuzz_next(struct fuzz_random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15u; /* splitmix64 */
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t fuzz_below(struct fuzz_random *random, uint64_t n)
{
	return fuzz_next(random) % n;
}

uint64_t fuzz_derive(uint64_t seed, uint64_t n)
{
	struct fuzz_random random = {seed ^ (n + 1) * 0xd1342543de82ef95u};
	return fuzz_next(&random);
}

static uint64_t below(struct fuzz_gen *gen, uint64_t n)
{
	return fuzz_below(&gen->random, n);
}

static bool percent(struct fuzz_gen *gen, unsigned n)
{
	return below(gen, 100) < n;
}

#define PICK(gen, ...)                                                                        \
	((const uint64_t[]){__VA_ARGS__}[below(gen, sizeof((const uint64_t[]){__VA_ARGS__}) / \
	                                                    sizeof(uint64_t))])

/* ---- Addresses and lengths ------------------------------------------------------------------- */

static uint64_t hostile_number(struct fuzz_gen *gen)
{
	const uint64_t near = below(gen, 4) * PAGE + (percent(gen, 30) ? below(gen, PAGE) : 0);
	switch (below(gen, 8)) {
	case 0:
		return fuzz_next(&gen->random);
	case 1:
		return (uint64_t)1 << below(gen, 64);
	case 2:
		return ((uint64_t)1 << below(gen, 64)) - near;
	case 3:
		return 0 - near;
	case 4:
		return TASK_END - near;
	case 5:
		return TASK_END + near;
	case 6:
		return fuzz_next(&gen->random) >> below(gen, 64);
	default:
		return fuzz_next(&gen->random) >> below(gen, 64) & ~(PAGE - 1);
	}
}

static bool hostile(struct fuzz_gen *gen)
{
	return below(gen, 1000) < gen->hostile;
}

static const struct vas_region *any_region(struct fuzz_gen *gen)
{
	return gen->regions ? &gen->region[below(gen, gen->regions)] : NULL;
}

static uint64_t window_page(struct fuzz_gen *gen)
{
	if (gen->large && percent(gen, 30))
		return LARGE_WINDOW + below(gen, 8) * LARGE_PAGE +
		       (percent(gen, 40) ? (below(gen, 5) - 2) * PAGE : 0);
	if (gen->low && percent(gen, 20))
		return PICK(gen, 0, PAGE, 2 * PAGE, 14 * PAGE, 15 * PAGE, 16 * PAGE, 17 * PAGE,
		            18 * PAGE);
	if (gen->tops && percent(gen, 20))
		return TASK_END - (1 + below(gen, 16)) * PAGE;
	return WINDOW + below(gen, gen->window_pages) * PAGE;
}

/* A page of a region, or one of its borders. */
static uint64_t region_page(struct fuzz_gen *gen, const struct vas_region *region)
{
	uint64_t pages = (region->end - region->start) / PAGE;
	switch (below(gen, 8)) {
	case 0:
		return region->end;
	case 1:
		return region->end - PAGE;
	case 2:
		return region->start - (1 + below(gen, 3)) * PAGE;
	case 3:
	case 4:
		return region->start + below(gen, pages) * PAGE;
	default:
		return region->start;
	}
}

static uint64_t page(struct fuzz_gen *gen)
{
	const struct vas_region *region = any_region(gen);
	return region && percent(gen, 55) ? region_page(gen, region) : window_page(gen);
}

/* An address for a call about memory that is there. */
static uint64_t mapped(struct fuzz_gen *gen)
{
	const struct vas_region *region = any_region(gen);
	uint64_t pages = region ? (region->end - region->start) / PAGE : 0;
	if (hostile(gen))
		return hostile_number(gen);
	if (!region || percent(gen, 15))
		return page(gen) + (percent(gen, 3) ? below(gen, PAGE) : 0);
	if (percent(gen, 50))
		return region->start;
	return region->start + below(gen, pages) * PAGE + (percent(gen, 2) ? below(gen, PAGE) : 0);
}

static uint64_t small_len(struct fuzz_gen *gen)
{
	uint64_t pages = percent(gen, 75) ? 1 + below(gen, 4)
	                                  : 1 + below(gen, gen->window_pages / 2);
	if (gen->large && percent(gen, 20))
		return (1 + below(gen, 2)) * LARGE_PAGE +
		       (percent(gen, 30) ? below(gen, 3) * PAGE : 0);
	return pages * PAGE - (percent(gen, 3) ? below(gen, PAGE) : 0);
}

/* For what lies at `addr`: to its end, into the next one, or whatever. */
static uint64_t len_at(struct fuzz_gen *gen, uint64_t addr)
{
	if (hostile(gen))
		return percent(gen, 30) ? 0 : hostile_number(gen);
	for (unsigned i = 0; i < gen->regions && percent(gen, 60); i++) {
		const struct vas_region *region = &gen->region[i];
		if (addr < region->start || addr >= region->end)
			continue;
		if (percent(gen, 60))
			return region->end - addr;
		const struct vas_region *last = &gen->region[i + below(gen, gen->regions - i)];
		return last->end - addr < 4 * LARGE_PAGE ? last->end - addr : region->end - addr;
	}
	return small_len(gen);
}

static uint64_t new_len(struct fuzz_gen *gen)
{
	if (hostile(gen))
		return percent(gen, 30) ? 0 : hostile_number(gen);
	if (gen->huge && percent(gen, 5))
		return PICK(gen, (uint64_t)1 << 30, (uint64_t)1 << 35, (uint64_t)1 << 46,
		            ((uint64_t)1 << 46) + PAGE, TASK_END / 2, TASK_END);
	return small_len(gen);
}

/* ---- Flags ----------------------------------------------------------------------------------- */

static uint64_t protection(struct fuzz_gen *gen)
{
	static const uint64_t often[] = {3, 3, 3, 3, 3, 1, 1, 0, 7, 5, 2, 4, 6};
	if (hostile(gen))
		return hostile_number(gen);
	return often[below(gen, COUNT(often))];
}

/* A flag word: each of `n` flags with its own chance in a thousand. */
struct chance {
	uint64_t flag;
	unsigned in_thousand;
};

static uint64_t some_flags(struct fuzz_gen *gen, const struct chance *chance, size_t n)
{
	uint64_t flags = 0;
	for (size_t i = 0; i < n; i++)
		if (below(gen, 1000) < chance[i].in_thousand)
			flags |= chance[i].flag;
	return flags;
}

/* Huge pages of an empty pool: only what reserves none can be mapped. */
static uint64_t hugetlb_flags(struct fuzz_gen *gen)
{
	uint64_t size = PICK(gen, 0, 0, 21, 21, 30, 20) << VAS_MAP_HUGE_SHIFT;
	return VAS_MAP_HUGETLB | size | (percent(gen, 85) ? VAS_MAP_NORESERVE : 0);
}

static uint64_t map_flags(struct fuzz_gen *gen)
{
	static const struct chance rare[] = {
		{VAS_MAP_NORESERVE, 60},  {VAS_MAP_POPULATE, 50}, {VAS_MAP_NONBLOCK, 10},
		{VAS_MAP_STACK, 30},      {VAS_MAP_32BIT, 20},    {VAS_MAP_DENYWRITE, 10},
		{VAS_MAP_EXECUTABLE, 10}, {VAS_MAP_SYNC, 4},      {VAS_MAP_FIXED_NOREPLACE, 80},
	};
	uint64_t flags = some_flags(gen, rare, COUNT(rare));
	if (gen->locks && percent(gen, 10))
		flags |= VAS_MAP_LOCKED;
	if (gen->stacks && percent(gen, 15))
		flags |= VAS_MAP_GROWSDOWN;
	if (hostile(gen))
		flags |= percent(gen, 50) ? (uint64_t)1 << below(gen, 64) : hostile_number(gen);
	if (gen->hugetlb && percent(gen, 20))
		return flags | hugetlb_flags(gen);
	return flags & ~(uint64_t)VAS_MAP_HUGETLB;
}

static uint64_t map_type(struct fuzz_gen *gen, bool *file)
{
	unsigned n = (unsigned)below(gen, 100);
	*file = gen->files && percent(gen, 35);
	uint64_t anonymous = *file ? 0 : VAS_MAP_ANONYMOUS;
	if (n < 76)
		return VAS_MAP_PRIVATE | anonymous;
	if (n < 93)
		return VAS_MAP_SHARED | anonymous;
	if (n < 95)
		return VAS_MAP_SHARED_VALIDATE | anonymous;
	if (n < 98)
		return VAS_MAP_DROPPABLE | anonymous;
	return below(gen, 16) | anonymous;
}

/* ---- The calls ------------------------------------------------------------------------------- */

static uint64_t descriptor(struct fuzz_gen *gen)
{
	if (!gen->opened || percent(gen, 3))
		return PICK(gen, ~(uint64_t)0, 0, 3, 77);
	return 3 + below(gen, gen->opened);
}

static struct call gen_mmap(struct fuzz_gen *gen)
{
	bool file;
	uint64_t type = map_type(gen, &file), flags = type | map_flags(gen);
	uint64_t addr = 0, offset = 0, fd = ~(uint64_t)0;
	unsigned place = (unsigned)below(gen, 100);
	if (place < 55) {
		addr = page(gen);
		flags |= VAS_MAP_FIXED;
	} else if (place < 75) {
		addr = page(gen) + (percent(gen, 10) ? below(gen, PAGE) : 0);
	} else if (place < 77) {
		addr = hostile_number(gen);
	}
	if (file) {
		fd = descriptor(gen);
		offset = below(gen, 4) * PAGE;
	} else if (percent(gen, 2)) {
		offset = below(gen, 16) * PAGE;
	}
	if (hostile(gen))
		offset = hostile_number(gen);
	return FUZZ_CALL(CALL_MMAP, addr, new_len(gen), protection(gen), flags, fd, offset);
}

static struct call gen_mremap(struct fuzz_gen *gen)
{
	enum { MAY = VAS_MREMAP_MAYMOVE, FIX = VAS_MREMAP_FIXED, KEEP = VAS_MREMAP_DONTUNMAP };
	static const uint64_t forms[] = {0,
	                                 0,
	                                 MAY,
	                                 MAY,
	                                 MAY,
	                                 MAY | FIX,
	                                 MAY | FIX,
	                                 MAY | FIX,
	                                 MAY | FIX,
	                                 MAY | KEEP,
	                                 MAY | KEEP | FIX};
	uint64_t old = mapped(gen), old_len = percent(gen, 4) ? 0 : len_at(gen, old);
	uint64_t len = percent(gen, 50) ? old_len : new_len(gen);
	uint64_t flags = forms[below(gen, COUNT(forms))];
	if ((flags & VAS_MREMAP_DONTUNMAP) && percent(gen, 90))
		len = old_len;
	if (!len && percent(gen, 90))
		len = small_len(gen);
	if (percent(gen, 2))
		flags = below(gen, 16);
	else if (hostile(gen))
		flags = hostile_number(gen);
	uint64_t to = hostile(gen)       ? hostile_number(gen)
	              : percent(gen, 85) ? page(gen)
	                                 : mapped(gen);
	if ((flags & VAS_MREMAP_DONTUNMAP) && !(flags & VAS_MREMAP_FIXED) && percent(gen, 30))
		to = 0;
	if (percent(gen, 2))
		to += below(gen, PAGE);
	if (!(flags & (VAS_MREMAP_FIXED | VAS_MREMAP_DONTUNMAP)) && percent(gen, 90))
		return FUZZ_CALL(CALL_MREMAP, old, old_len, len, flags);
	return FUZZ_CALL(CALL_MREMAP, old, old_len, len, flags, to);
}

static struct call gen_mprotect(struct fuzz_gen *gen)
{
	uint64_t addr = mapped(gen), prot = protection(gen);
	if (gen->stacks && percent(gen, 8))
		prot |= VAS_PROT_GROWSDOWN;
	if (percent(gen, 1))
		prot |= PICK(gen, VAS_PROT_GROWSUP, VAS_PROT_SEM, VAS_PROT_GROWSDOWN);
	return FUZZ_CALL(CALL_MPROTECT, addr, len_at(gen, addr), prot);
}

static struct call gen_brk(struct fuzz_gen *gen)
{
	struct vas_status status;
	vas_get_status(gen->space, &status);
	uint64_t heap = stub_addr(PAGE) + PAGE, at = status.brk;
	switch (below(gen, 8)) {
	case 0:
		return FUZZ_CALL(CALL_BRK, 0);
	case 1:
		return FUZZ_CALL(CALL_BRK, hostile(gen) ? hostile_number(gen) : heap);
	case 2:
		return FUZZ_CALL(CALL_BRK, at - below(gen, 4) * PAGE);
	case 3:
		return FUZZ_CALL(CALL_BRK, at + below(gen, 2 * PAGE));
	case 4:
		return FUZZ_CALL(CALL_BRK, heap + below(gen, 64) * PAGE);
	case 5:
		return FUZZ_CALL(CALL_BRK, heap + below(gen, 64 * PAGE));
	default:
		return FUZZ_CALL(CALL_BRK, at + below(gen, 5) * PAGE);
	}
}

static uint64_t advice(struct fuzz_gen *gen)
{
	static const uint64_t often[] = {
		VAS_MADV_NORMAL,         VAS_MADV_RANDOM,         VAS_MADV_SEQUENTIAL,
		VAS_MADV_WILLNEED,       VAS_MADV_DONTNEED,       VAS_MADV_DONTNEED,
		VAS_MADV_REMOVE,         VAS_MADV_DONTFORK,       VAS_MADV_DOFORK,
		VAS_MADV_DONTDUMP,       VAS_MADV_DODUMP,         VAS_MADV_WIPEONFORK,
		VAS_MADV_KEEPONFORK,     VAS_MADV_COLD,           VAS_MADV_POPULATE_READ,
		VAS_MADV_POPULATE_WRITE, VAS_MADV_POPULATE_WRITE, VAS_MADV_DONTNEED_LOCKED,
		VAS_MADV_GUARD_INSTALL,  VAS_MADV_GUARD_INSTALL,  VAS_MADV_GUARD_REMOVE,
		VAS_MADV_MERGEABLE,      VAS_MADV_UNMERGEABLE,    VAS_MADV_NOHUGEPAGE,
	};
	if (hostile(gen))
		return percent(gen, 50) ? below(gen, 128) : hostile_number(gen);
	/* lazily freed memory and PAGEOUT do not go together: one takes what the other left */
	if (percent(gen, 8))
		return gen->lazy ? VAS_MADV_FREE : VAS_MADV_PAGEOUT;
	if (percent(gen, gen->large ? 12 : 3))
		return gen->large && percent(gen, 30) ? VAS_MADV_COLLAPSE : VAS_MADV_HUGEPAGE;
	return often[below(gen, COUNT(often))];
}

static struct call gen_madvise(struct fuzz_gen *gen)
{
	uint64_t addr = mapped(gen), what = advice(gen);
	return FUZZ_CALL(CALL_MADVISE, addr, len_at(gen, addr), what);
}

static struct call gen_range(struct fuzz_gen *gen, enum call_name name)
{
	uint64_t addr = mapped(gen);
	return FUZZ_CALL(name, addr, len_at(gen, addr));
}

static struct call gen_lock(struct fuzz_gen *gen, enum call_name name)
{
	if (name == CALL_MLOCKALL)
		return FUZZ_CALL(CALL_MLOCKALL, hostile(gen) ? hostile_number(gen) : below(gen, 8));
	if (name == CALL_MUNLOCKALL) {
		struct call call = {.name = CALL_MUNLOCKALL};
		return call;
	}
	uint64_t addr = mapped(gen), len = len_at(gen, addr);
	if (name == CALL_MLOCK2)
		return FUZZ_CALL(CALL_MLOCK2, addr, len,
		                 percent(gen, 97) ? below(gen, 2) : below(gen, 8));
	return FUZZ_CALL(name, addr, len);
}

static struct call gen_msync(struct fuzz_gen *gen)
{
	uint64_t addr = mapped(gen);
	return FUZZ_CALL(CALL_MSYNC, addr, len_at(gen, addr),
	                 hostile(gen) ? hostile_number(gen) : below(gen, 8));
}

static struct call gen_mincore(struct fuzz_gen *gen)
{
	uint64_t addr = mapped(gen), len = len_at(gen, addr);
	return FUZZ_CALL(CALL_MINCORE, addr, len, mapped(gen));
}

static struct call gen_seal(struct fuzz_gen *gen)
{
	uint64_t addr = mapped(gen);
	return FUZZ_CALL(CALL_MSEAL, addr, percent(gen, 90) ? PAGE : len_at(gen, addr),
	                 percent(gen, 95) ? 0 : below(gen, 4));
}

/* Limits lie near what is used, so that the next calls meet them; most soon go again. */
static struct call gen_limit(struct fuzz_gen *gen)
{
	static const uint64_t resource[] = {9, 2, 3, 8}; /* AS, DATA, STACK, MEMLOCK */
	struct vas_status status;
	unsigned which = (unsigned)below(gen, 4);
	vas_get_status(gen->space, &status);
	const uint64_t used[] = {status.size, status.data, 0, status.locked};
	uint64_t soft = VAS_RLIM_INFINITY, hard = VAS_RLIM_INFINITY;
	if (percent(gen, 60)) {
		soft = (used[which] + below(gen, 12)) * PAGE -
		       (percent(gen, 20) ? below(gen, PAGE) : 0);
		if (percent(gen, 8))
			soft = PICK(gen, 0, PAGE, 16 * PAGE);
	}
	if (percent(gen, 4))
		hard = percent(gen, 70) ? soft : below(gen, 64) * PAGE;
	return FUZZ_CALL(CALL_SETRLIMIT, resource[which], soft, hard);
}

/* A fetch runs what is stored. These would write to where the zeros behind them point, or through
 * the lower half of a register: the other bytes do no harm in front of zeros. */
static uint64_t stored_byte(struct fuzz_gen *gen)
{
	uint64_t byte = below(gen, 256);
	bool writes = (byte & 0xfc) == 0xa0 || byte == 0x67;
	return writes ? 0x90 : byte;
}

static struct call gen_access(struct fuzz_gen *gen, enum call_name name)
{
	uint64_t addr = mapped(gen);
	const struct vas_region *region = any_region(gen);
	if (gen->stacks && region && percent(gen, 10)) /* below a stack */
		addr = region->start - (1 + below(gen, 300)) * PAGE;
	if (addr % PAGE == 0)
		addr += PICK(gen, 0, 0, 8, PAGE - 1);
	if (name == CALL_STORE)
		return FUZZ_CALL(name, addr, stored_byte(gen));
	return FUZZ_CALL(name, addr);
}

/* A memory file once more, with other rights: another file to merging. */
static struct call gen_open(struct fuzz_gen *gen)
{
	struct call call = FUZZ_CALL(CALL_OPEN, PICK(gen, 0, 0, 1, 2, 2, 01002));
	(void)snprintf(call.text, sizeof(call.text), "/proc/self/fd/%u",
	               3 + (unsigned)below(gen, gen->opened ? gen->opened : 1));
	gen->opened += gen->opened > 0;
	return call;
}

static struct call gen_file(struct fuzz_gen *gen, enum call_name name)
{
	if (name == CALL_MEMFD_CREATE) {
		struct call call = FUZZ_CALL(CALL_MEMFD_CREATE,
		                             percent(gen, 90) ? 0 : below(gen, 4));
		(void)snprintf(call.text, sizeof(call.text), "f%u", gen->opened);
		if (call.arg[0] < 4)
			gen->opened++;
		return call;
	}
	if (name == CALL_CLOSE)
		return FUZZ_CALL(CALL_CLOSE, descriptor(gen));
	if (name == CALL_OPEN)
		return gen_open(gen);
	uint64_t len = below(gen, 12) * PAGE + (percent(gen, 40) ? below(gen, PAGE) : 0);
	if (hostile(gen))
		len = hostile_number(gen);
	return FUZZ_CALL(CALL_FTRUNCATE, descriptor(gen), len);
}

static struct call gen_named(struct fuzz_gen *gen, enum call_name name)
{
	switch (name) {
	case CALL_MMAP:
		return gen_mmap(gen);
	case CALL_MREMAP:
		return gen_mremap(gen);
	case CALL_MPROTECT:
		return gen_mprotect(gen);
	case CALL_BRK:
		return gen_brk(gen);
	case CALL_MADVISE:
		return gen_madvise(gen);
	case CALL_MLOCK:
	case CALL_MLOCK2:
	case CALL_MUNLOCK:
	case CALL_MLOCKALL:
	case CALL_MUNLOCKALL:
		return gen_lock(gen, name);
	case CALL_MSYNC:
		return gen_msync(gen);
	case CALL_MINCORE:
		return gen_mincore(gen);
	case CALL_MSEAL:
		return gen_seal(gen);
	case CALL_SETRLIMIT:
		return gen_limit(gen);
	case CALL_DROP_CAP:
		return FUZZ_CALL(CALL_DROP_CAP, PICK(gen, 14, 17, 21));
	case CALL_MEMFD_CREATE:
	case CALL_OPEN:
	case CALL_FTRUNCATE:
	case CALL_CLOSE:
		return gen_file(gen, name);
	case CALL_LOAD:
	case CALL_STORE:
	case CALL_FETCH:
	case CALL_TOUCH:
		return gen_access(gen, name);
	case CALL_FLAGS:
		return FUZZ_CALL(CALL_FLAGS, mapped(gen));
	case CALL_FORK:
	case CALL_EXIT:
		return (struct call){.name = name};
	default:
		return gen_range(gen, CALL_MUNMAP);
	}
}

/* ---- A round --------------------------------------------------------------------------------- */

static void look_at(struct fuzz_gen *gen)
{
	uint64_t addr = 0;
	gen->regions = 0;
	while (gen->regions < FUZZ_REGIONS &&
	       vas_next_region(gen->space, addr, &gen->region[gen->regions])) {
		addr = gen->region[gen->regions].end;
		if (gen->region[gen->regions].start != stub_addr(PAGE))
			gen->regions++;
	}
}

static void weigh(struct fuzz_gen *gen)
{
	static const unsigned base[CALL_NAMES] = {
		[CALL_MMAP] = 200,   [CALL_MUNMAP] = 80, [CALL_MPROTECT] = 100, [CALL_MREMAP] = 200,
		[CALL_MADVISE] = 90, [CALL_MSYNC] = 8,   [CALL_MINCORE] = 10,   [CALL_LOAD] = 60,
		[CALL_STORE] = 110,  [CALL_FETCH] = 10,  [CALL_TOUCH] = 5,      [CALL_FLAGS] = 8,
	};
	memcpy(gen->weight, base, sizeof(base));
	if (percent(gen, 50))
		gen->weight[CALL_BRK] = 30;
	if (gen->locks) {
		gen->weight[CALL_MLOCK] = gen->weight[CALL_MUNLOCK] = 30;
		gen->weight[CALL_MLOCK2] = 20;
		gen->weight[CALL_MLOCKALL] = 4;
		gen->weight[CALL_MUNLOCKALL] = 6;
	}
	if (percent(gen, 15))
		gen->weight[CALL_MSEAL] = 3;
	if (percent(gen, 35))
		gen->weight[CALL_SETRLIMIT] = 25;
	if (percent(gen, 25))
		gen->weight[CALL_DROP_CAP] = 2;
	if (gen->forks) {
		gen->weight[CALL_FORK] = 6;
		gen->weight[CALL_EXIT] = 6;
	}
	if (gen->files) {
		gen->weight[CALL_MEMFD_CREATE] = 4;
		gen->weight[CALL_OPEN] = 3;
		gen->weight[CALL_CLOSE] = 2;
		gen->weight[CALL_FTRUNCATE] = 25;
	}
}

void fuzz_gen_begin(struct fuzz_gen *gen, uint64_t seed)
{
	*gen = (struct fuzz_gen){.random = {seed},
	                         .only = gen->only,
	                         .may_hugetlb = gen->may_hugetlb,
	                         .page = gen->page,
	                         .large_page = gen->large_page,
	                         .task_end = gen->task_end};
	gen->length = (unsigned)(300 + below(gen, 1700));
	gen->window_pages = (uint64_t)8 << below(gen, 6);
	gen->hostile = (unsigned)below(gen, 30);
	gen->files = percent(gen, 40);
	gen->forks = percent(gen, 20);
	gen->large = percent(gen, 20);
	gen->huge = percent(gen, 10);
	gen->hugetlb = gen->may_hugetlb && gen->large && percent(gen, 40);
	gen->low = percent(gen, 15);
	gen->tops = percent(gen, 10);
	gen->stacks = percent(gen, 30);
	gen->locks = percent(gen, 45);
	gen->lazy = percent(gen, 50);
	weigh(gen);
	for (unsigned i = 0; gen->only && i < CALL_NAMES; i++)
		if (!(gen->only >> i & 1))
			gen->weight[i] = 0;
}

unsigned fuzz_gen_process(struct fuzz_gen *gen, uint64_t living)
{
	unsigned process = 1;
	if ((living & (living - 1)) == 0)
		return process;
	do
		process = (unsigned)below(gen, CALL_PROCESSES);
	while (!(living >> process & 1));
	return process;
}

static struct call gen_any(struct fuzz_gen *gen)
{
	uint64_t sum = 0;
	unsigned name = 0;
	for (unsigned i = 0; i < CALL_NAMES; i++)
		sum += gen->weight[i];
	uint64_t n = below(gen, sum ? sum : 1);
	while (name + 1 < CALL_NAMES && n >= gen->weight[name])
		n -= gen->weight[name++];
	return gen_named(gen, (enum call_name)name);
}

void fuzz_gen_call(struct fuzz_gen *gen, unsigned process, struct vas *space, struct call *call)
{
	gen->space = space;
	look_at(gen);
	*call = gen_any(gen);
	/* more vmas than can be looked at: back to few */
	if (gen->regions == FUZZ_REGIONS && percent(gen, 50))
		*call = FUZZ_CALL(CALL_MUNMAP, WINDOW, gen->window_pages * PAGE);
	/* few processes at once, and few in a round, for each is compared after each call */
	if (call->name == CALL_FORK)
		gen->forked++;
	if (gen->forked == FORKS_MAX)
		gen->weight[CALL_FORK] = 0;
	call->process = process == 1 ? 0 : process;
}
