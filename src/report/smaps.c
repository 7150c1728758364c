/* smaps.c - how a space uses its pages: smaps, smaps_rollup, the Vm lines of status, pagemap.
 *
 * All is found by walking the tables when it is asked for; faults keep no counters for it.
 *
 * SPDX-License-Identifier: MIT */
#include "report/report.h"

/* ---- How often a frame is mapped ------------------------------------------------------------ */

/* What a frame's count tells only if nothing is shared: tables that spaces share hold their
 * references once, and an object holds one. Where that may be, all spaces are walked, once for a
 * report, and each frame's mappings are counted in its record. */
struct mapcount {
	struct vas *space;
	uint64_t table_start, table_end; /* a leaf table's addresses; whether spaces share it */
	bool table_shared;
	bool counted;
};

static void mapcount_begin(struct mapcount *count, struct vas *space)
{
	*count = (struct mapcount){.space = space};
}

struct mapcount_pass {
	struct vas *space;
	bool clear;
};

static bool mapcount_leaf(void *ctx, uint64_t addr, unsigned level, const struct entry *entry)
{
	const struct mapcount_pass *pass = ctx;
	const struct vas_format *format = pass->space->system->format;
	struct frame_pool *frames = &pass->space->system->frames;
	uint64_t npages = format_span(format, level) >> format->page_shift;

	(void)addr;
	if (entry->kind != ENTRY_LEAF)
		return true;
	for (uint64_t i = 0; i < npages; i++) {
		struct frame *f = &frames->frame[frame_of_phys(frames, entry->phys) + i];

		f->prev = pass->clear ? 0 : f->prev + 1;
	}
	return true;
}

static void mapcount_all(struct vas_system *system, bool clear)
{
	for (struct vas *space = system->spaces; space; space = space->next) {
		struct mapcount_pass pass = {space, clear};

		pagemap_walk(&space->pages, 0, vas_task_size(space), mapcount_leaf, &pass);
	}
}

static bool table_is_shared(struct mapcount *count, uint64_t addr)
{
	if (addr < count->table_start || addr >= count->table_end) {
		count->table_start = addr;
		count->table_shared = pagemap_is_shared(&count->space->pages, addr,
		                                        &count->table_end);
	}
	return count->table_shared;
}

/* In how many places the frame mapped at addr is mapped. */
static uint32_t mapcount_get(struct mapcount *count, uint64_t addr, uint32_t frame, bool cached)
{
	struct vas_system *system = count->space->system;

	if (!count->counted) {
		if (frame_refs(&system->frames, frame) == 1u + cached &&
		    !table_is_shared(count, addr))
			return 1;
		mapcount_all(system, true);
		mapcount_all(system, false);
		count->counted = true;
	}
	return system->frames.frame[frame].prev;
}

/* ---- One page ------------------------------------------------------------------------------- */

enum page_kind { PAGE_ANON, PAGE_FILE, PAGE_SHMEM, PAGE_HUGETLB };

struct page_use {
	enum page_kind kind;
	uint32_t frame;
	bool cached; /* it is the object's, not a copy */
	bool dirty;
};

/* What is mapped at addr by a leaf. False: nothing that counts. */
static bool page_look(const struct vas *space, const struct vma *vma, uint64_t addr,
                      const struct entry *leaf, uint32_t frame, struct page_use *use)
{
	struct vas_object *object = vma->file ? vma->file->object : NULL;
	uint64_t index = vma_pgoff(space, vma, addr);

	if (frame == space->system->zero || (vma->flags & VAS_VM_PFNMAP))
		return false;
	*use = (struct page_use){.kind = PAGE_ANON, .frame = frame, .dirty = leaf->dirty};
	use->cached = object && object_find(object, index) == frame;
	if (use->cached) {
		use->kind = vma->file->info.mode & VAS_FILE_SHMEM ? PAGE_SHMEM : PAGE_FILE;
		use->dirty = object_is_dirty(object, index);
	}
	if (vma->flags & VAS_VM_HUGETLB)
		use->kind = PAGE_HUGETLB;
	return true;
}

/* ---- smaps ---------------------------------------------------------------------------------- */

enum smaps_field {
	RSS,
	PSS,
	PSS_DIRTY,
	PSS_ANON,
	PSS_FILE,
	PSS_SHMEM,
	SHARED_CLEAN,
	SHARED_DIRTY,
	PRIVATE_CLEAN,
	PRIVATE_DIRTY,
	REFERENCED,
	ANONYMOUS,
	KSM,
	LAZY_FREE,
	ANON_HUGE,
	SHMEM_HUGE,
	FILE_HUGE,
	SHARED_HUGETLB,
	PRIVATE_HUGETLB,
	SWAP,
	SWAP_PSS,
	LOCKED,
	NFIELDS
};

/* In Linux's order. */
static const struct {
	const char *name;
	bool shares; /* counted in shares of a page */
	bool rollup_only;
} smaps_fields[NFIELDS] = {
	[RSS] = {"Rss:", false, false},
	[PSS] = {"Pss:", true, false},
	[PSS_DIRTY] = {"Pss_Dirty:", true, false},
	[PSS_ANON] = {"Pss_Anon:", true, true},
	[PSS_FILE] = {"Pss_File:", true, true},
	[PSS_SHMEM] = {"Pss_Shmem:", true, true},
	[SHARED_CLEAN] = {"Shared_Clean:", false, false},
	[SHARED_DIRTY] = {"Shared_Dirty:", false, false},
	[PRIVATE_CLEAN] = {"Private_Clean:", false, false},
	[PRIVATE_DIRTY] = {"Private_Dirty:", false, false},
	[REFERENCED] = {"Referenced:", false, false},
	[ANONYMOUS] = {"Anonymous:", false, false},
	[KSM] = {"KSM:", false, false},
	[LAZY_FREE] = {"LazyFree:", false, false},
	[ANON_HUGE] = {"AnonHugePages:", false, false},
	[SHMEM_HUGE] = {"ShmemPmdMapped:", false, false},
	[FILE_HUGE] = {"FilePmdMapped:", false, false},
	[SHARED_HUGETLB] = {"Shared_Hugetlb:", false, false},
	[PRIVATE_HUGETLB] = {"Private_Hugetlb:", false, false},
	[SWAP] = {"Swap:", false, false},
	[SWAP_PSS] = {"SwapPss:", true, false},
	[LOCKED] = {"Locked:", true, false},
};

/* Shares of pages are kept with 12 more bits, and summed so: many small ones make a kilobyte. */
#define SHARE_SHIFT 12

struct tally {
	struct mapcount count;
	const struct vma *vma;
	uint64_t sum[NFIELDS]; /* bytes, or shares of bytes */
};

static void tally_page(struct tally *tally, const struct page_use *use, uint64_t size,
                       uint32_t nmaps, bool accessed)
{
	static const enum smaps_field by_kind[] = {
		[PAGE_ANON] = PSS_ANON, [PAGE_FILE] = PSS_FILE, [PAGE_SHMEM] = PSS_SHMEM};
	uint64_t *sum = tally->sum, share = (size << SHARE_SHIFT) / nmaps;

	sum[RSS] += size;
	sum[PSS] += share;
	sum[by_kind[use->kind]] += share;
	if (use->dirty) {
		sum[PSS_DIRTY] += share;
		sum[nmaps > 1 ? SHARED_DIRTY : PRIVATE_DIRTY] += size;
	} else {
		sum[nmaps > 1 ? SHARED_CLEAN : PRIVATE_CLEAN] += size;
	}
	if (accessed)
		sum[REFERENCED] += size;
	if (use->kind == PAGE_ANON)
		sum[ANONYMOUS] += size;
	if (tally->vma->flags & VAS_VM_LOCKED)
		sum[LOCKED] += share;
}

/* A leaf of more than one page is also counted as such. */
static void tally_large(struct tally *tally, const struct page_use *use, uint64_t size,
                        uint32_t nmaps)
{
	uint64_t *sum = tally->sum;

	if (use->kind == PAGE_HUGETLB)
		sum[nmaps > 1 ? SHARED_HUGETLB : PRIVATE_HUGETLB] += size;
	else if (use->kind == PAGE_ANON)
		sum[ANON_HUGE] += size;
	else
		sum[use->kind == PAGE_SHMEM ? SHMEM_HUGE : FILE_HUGE] += size;
}

static bool tally_leaf(void *ctx, uint64_t addr, unsigned level, const struct entry *leaf)
{
	struct tally *tally = ctx;
	struct vas *space = tally->count.space;
	uint64_t span = format_span(space->system->format, level), page = space_page_size(space);
	uint32_t first = frame_of_phys(&space->system->frames, leaf->phys);

	for (uint64_t at = 0; leaf->kind == ENTRY_LEAF && at < span; at += page) {
		uint32_t frame = first + (uint32_t)space_pages(space, at), nmaps;
		struct page_use use;

		if (!page_look(space, tally->vma, addr + at, leaf, frame, &use))
			return true;
		nmaps = mapcount_get(&tally->count, addr, frame, use.cached);
		if (level > 0 && at == 0)
			tally_large(tally, &use, span, nmaps);
		if (use.kind == PAGE_HUGETLB)
			return true;
		tally_page(tally, &use, page, nmaps, leaf->accessed);
	}
	return true;
}

static void tally_vma(struct tally *tally, const struct vma *vma)
{
	tally->vma = vma;
	pagemap_walk(&tally->count.space->pages, vma->start, vma->end, tally_leaf, tally);
}

/* "Name:" and a right-aligned number, which a space at least parts from a name that is long. */
static void put_field(struct text *text, const char *name, uint64_t value, const char *unit)
{
	text_put(text, name);
	text_pad(text, 15);
	text_char(text, ' ');
	text_right(text, value, text->column > 16 ? 7 : 8);
	text_put(text, unit);
	text_char(text, '\n');
}

static void put_tally(struct text *text, const struct tally *tally, bool rollup)
{
	for (unsigned i = 0; i < NFIELDS; i++) {
		unsigned shift = smaps_fields[i].shares ? SHARE_SHIFT + 10 : 10;

		if (rollup || !smaps_fields[i].rollup_only)
			put_field(text, smaps_fields[i].name, tally->sum[i] >> shift, " kB");
	}
}

static void put_flags(struct text *text, const struct vma *vma)
{
	const struct vas_region region = {.flags = vma->flags};
	char flags[VAS_VMFLAGS_MAX];

	vas_vmflags(&region, flags);
	text_put(text, "VmFlags: ");
	text_put(text, flags);
	text_char(text, '\n');
}

void vas_smaps(struct vas *space, vas_sink *out, void *ctx)
{
	struct text text = {.out = out, .ctx = ctx};
	struct tally tally;
	struct vma vma;

	system_lock_all(space->system);
	mapcount_begin(&tally.count, space);
	for (uint64_t addr = 0; vma_tree_find(&space->tree, addr, &vma); addr = vma.end) {
		uint64_t page = format_span(space->system->format, vma_level(&vma));

		memset(tally.sum, 0, sizeof(tally.sum));
		tally_vma(&tally, &vma);
		report_vma(&text, space, &vma);
		put_field(&text, "Size:", (vma.end - vma.start) >> 10, " kB");
		put_field(&text, "KernelPageSize:", page >> 10, " kB");
		put_field(&text, "MMUPageSize:", page >> 10, " kB");
		put_tally(&text, &tally, false);
		put_field(&text, "THPeligible:", huge_is_eligible(space, &vma), "");
		put_flags(&text, &vma);
	}
	system_unlock_all(space->system);
	text_flush(&text);
}

void vas_smaps_rollup(struct vas *space, vas_sink *out, void *ctx)
{
	struct text text = {.out = out, .ctx = ctx};
	struct tally tally = {.vma = NULL};
	uint64_t start = 0, end = 0;
	struct vma vma;

	system_lock_all(space->system);
	mapcount_begin(&tally.count, space);
	for (uint64_t addr = 0; vma_tree_find(&space->tree, addr, &vma); addr = end = vma.end) {
		if (addr == 0)
			start = vma.start;
		tally_vma(&tally, &vma);
	}
	system_unlock_all(space->system);
	report_range(&text, start, end);
	text_put(&text, "---p 00000000 00:00 0 ");
	report_name(&text, "[rollup]");
	text_char(&text, '\n');
	put_tally(&text, &tally, true);
	text_flush(&text);
}

/* ---- The Vm lines of status ----------------------------------------------------------------- */

struct residents {
	const struct vas *space;
	const struct vma *vma;
	uint64_t npages[PAGE_HUGETLB + 1]; /* by kind */
};

static bool residents_leaf(void *ctx, uint64_t addr, unsigned level, const struct entry *leaf)
{
	struct residents *residents = ctx;
	const struct vas *space = residents->space;
	struct page_use use;

	if (leaf->kind == ENTRY_LEAF &&
	    page_look(space, residents->vma, addr, leaf,
	              frame_of_phys(&space->system->frames, leaf->phys), &use))
		residents->npages[use.kind] += space_pages(
			space, format_span(space->system->format, level));
	return true;
}

/* Counts the pages that are present. Returns those of VmRSS. */
static uint64_t residents_count(struct vas *space, struct residents *residents)
{
	const uint64_t *npages = residents->npages;
	struct vma vma;
	uint64_t rss;

	*residents = (struct residents){.space = space, .vma = &vma};
	for (uint64_t addr = 0; vma_tree_find(&space->tree, addr, &vma); addr = vma.end)
		pagemap_walk(&space->pages, vma.start, vma.end, residents_leaf, residents);
	rss = npages[PAGE_ANON] + npages[PAGE_FILE] + npages[PAGE_SHMEM];
	space->rss_peak = max_u64(space->rss_peak, rss);
	return rss;
}

struct status_line {
	const char *name;
	uint64_t npages;
};

#define STATUS_LINES 16

static void status_count(struct vas *space, struct status_line lines[STATUS_LINES])
{
	struct residents residents;
	uint64_t rss = residents_count(space, &residents);
	const struct status_line counted[STATUS_LINES] = {
		{"VmPeak:\t", space->peak},
		{"VmSize:\t", space->size},
		{"VmLck:\t", space->locked + space->leaked},
		{"VmPin:\t", 0},
		{"VmHWM:\t", space->rss_peak},
		{"VmRSS:\t", rss},
		{"RssAnon:\t", residents.npages[PAGE_ANON]},
		{"RssFile:\t", residents.npages[PAGE_FILE]},
		{"RssShmem:\t", residents.npages[PAGE_SHMEM]},
		{"VmData:\t", space->data},
		{"VmStk:\t", space->stack},
		{"VmExe:\t", 0},
		{"VmLib:\t", space->exec},
		/* Linux does not count the top one. */
		{"VmPTE:\t", pagemap_count_tables(&space->pages)},
		{"VmSwap:\t", 0},
		{"HugetlbPages:\t", residents.npages[PAGE_HUGETLB]},
	};

	memcpy(lines, counted, sizeof(counted));
}

void vas_status_text(struct vas *space, vas_sink *out, void *ctx)
{
	struct text text = {.out = out, .ctx = ctx};
	struct status_line lines[STATUS_LINES];

	space_lock(space);
	status_count(space, lines);
	space_unlock(space);
	for (unsigned i = 0; i < STATUS_LINES; i++) {
		text_put(&text, lines[i].name);
		text_right(&text, (lines[i].npages * space_page_size(space)) >> 10, 8);
		text_put(&text, " kB\n");
	}
	text_flush(&text);
}

/* ---- pagemap -------------------------------------------------------------------------------- */

#define PAGEMAP_PRESENT ((uint64_t)1 << 63)
#define PAGEMAP_SWAP ((uint64_t)1 << 62)
#define PAGEMAP_FILE ((uint64_t)1 << 61)
#define PAGEMAP_GUARD ((uint64_t)1 << 58)
#define PAGEMAP_EXCLUSIVE ((uint64_t)1 << 56)
#define PAGEMAP_PFN (((uint64_t)1 << 55) - 1)
#define PAGEMAP_MARK 0x9fu /* a mark, as if in swap: the last swap type, 4 for a guard above it */

static uint64_t pagemap_word(struct mapcount *count, const struct vma *vma, uint64_t addr)
{
	const struct vas *space = count->space;
	const struct vas_format *format = space->system->format;
	struct page_use use;
	uint64_t phys, word;
	unsigned level;
	struct entry e = pagemap_lookup(&space->pages, addr, &level);

	if (e.kind == ENTRY_MARK)
		return PAGEMAP_SWAP | PAGEMAP_MARK |
		       (linux_pagemap_guard(space) ? PAGEMAP_GUARD : 0);
	if (e.kind != ENTRY_LEAF)
		return 0;
	phys = e.phys +
	       (align_down(addr, format_page_size(format)) & (format_span(format, level) - 1));
	word = PAGEMAP_PRESENT | (phys >> format->page_shift & PAGEMAP_PFN);
	if (!page_look(space, vma, addr, &e, frame_of_phys(&space->system->frames, phys), &use))
		return word;
	if (use.cached)
		word |= PAGEMAP_FILE;
	if (mapcount_get(count, addr, use.frame, use.cached) == 1)
		word |= PAGEMAP_EXCLUSIVE;
	return word;
}

int64_t vas_pagemap(struct vas *space, uint64_t addr, uint64_t npages, uint64_t *words)
{
	uint64_t task_size = vas_task_size(space), page = space_page_size(space);
	struct vma vma = {.end = 0};
	struct mapcount count;

	if (!space_aligned(space, addr))
		return -VAS_EINVAL;
	npages = min_u64(npages, space_pages(space, sub_saturated(task_size, addr)));
	system_lock_all(space->system);
	mapcount_begin(&count, space);
	for (uint64_t i = 0; i < npages; i++, addr += page) {
		if (vma.end <= addr && !vma_tree_find(&space->tree, addr, &vma))
			vma = (struct vma){.start = task_size, .end = task_size};
		words[i] = addr < vma.start ? 0 : pagemap_word(&count, &vma, addr);
	}
	system_unlock_all(space->system);
	return (int64_t)npages;
}
