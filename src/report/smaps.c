/* smaps.c - how a space uses its pages: smaps, smaps_rollup, the Vm lines of status, pagemap.
 *
 * All is found by walking the tables when it is asked for; faults keep no counters for it.
 *
 * SPDX-License-Identifier: MIT */
#include "report/report.h"

/* ---- How often a frame is mapped ------------------------------------------------------------ */

/* A frame's count has a reference for each leaf and one of the object's; but tables that spaces
 * share hold theirs once, so whoever shares a table of ours counts too. Only this space is looked
 * at and locked. That nobody else maps a frame is so told exactly; how many do, is too few where a
 * table of others reaches one of ours and is itself shared (docs/differences.md). */
struct mapcount {
	struct vas *space;
	uint64_t table_start, table_end; /* a leaf table's addresses; who else has it */
	uint32_t sharers;
};

static void begin_mapcounts(struct mapcount *count, struct vas *space)
{
	*count = (struct mapcount){.space = space};
}

/* In how many places the frame mapped at addr is mapped. */
static uint32_t get_mapcount(struct mapcount *count, uint64_t addr, uint32_t frame, bool cached)
{
	uint32_t refs = frame_refs(&count->space->system->frames, frame), own = 1u + cached;

	if (addr < count->table_start || addr >= count->table_end) {
		count->table_start = addr;
		count->sharers = pagemap_sharers(&count->space->pages, addr, &count->table_end);
	}
	return 1 + count->sharers + (refs > own ? refs - own : 0);
}

/* ---- One page ------------------------------------------------------------------------------- */

enum page_kind { PAGE_ANON, PAGE_FILE, PAGE_SHMEM, PAGE_HUGETLB };

struct page_use {
	enum page_kind kind;
	uint32_t frame;
	bool cached; /* it is the object's, not a copy */
	bool dirty;
};

static bool is_zeros(const struct vas *space, const struct entry *leaf)
{
	const struct frame_pool *frames = &space->system->frames;

	return frame_is_zeros(frames, frame_of_phys(frames, leaf->phys));
}

/* What is mapped at addr by a leaf. False: nothing that counts. */
static bool look_at_page(const struct vas *space, const struct vma *vma, uint64_t addr,
                         const struct entry *leaf, uint32_t frame, struct page_use *use)
{
	struct vas_object *object = vma->file ? vma->file->object : NULL;
	uint64_t index = vma_pgoff(space, vma, addr);

	if (frame == space->system->zero || is_zeros(space, leaf) || (vma->flags & VAS_VM_PFNMAP))
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

		if (!look_at_page(space, tally->vma, addr + at, leaf, frame, &use))
			return true;
		nmaps = get_mapcount(&tally->count, addr, frame, use.cached);
		if (level > 0 && at == 0)
			tally_large(tally, &use, span, nmaps);
		if (use.kind == PAGE_HUGETLB)
			return true;
		tally_page(tally, &use, page, nmaps, leaf->accessed);
	}
	return true;
}

/* As on Linux no call comes in between, but faults do. */
static void tally_vma(struct tally *tally, const struct vma *vma)
{
	struct vas *space = tally->count.space;
	const struct vas_format *format = space->system->format;
	struct page_parts parts = {
		.end = vma->start,
		.last = vma->end,
		.at_once = max_u64(format_span(format, 1) * 4, format_span(format, vma_level(vma))),
	};

	tally->vma = vma;
	while (space_next_part(space, &parts)) {
		pagemap_walk(&space->pages, parts.start, parts.end, tally_leaf, tally);
		if (parts.end < parts.last && space_pause(space, PAUSE_AFTER))
			begin_mapcounts(&tally->count, space);
	}
}

/* "Name:" and a right-aligned number, which a space at least parts from a name that is long. */
static void print_field(struct text *text, const char *name, uint64_t value, const char *unit)
{
	text_string(text, name);
	text_pad(text, 15);
	text_char(text, ' ');
	text_right(text, value, text->column > 16 ? 7 : 8);
	text_string(text, unit);
	text_char(text, '\n');
}

static void print_tally(struct text *text, const struct tally *tally, bool rollup)
{
	for (unsigned i = 0; i < NFIELDS; i++) {
		unsigned shift = smaps_fields[i].shares ? SHARE_SHIFT + 10 : 10;

		if (rollup || !smaps_fields[i].rollup_only)
			print_field(text, smaps_fields[i].name, tally->sum[i] >> shift, " kB");
	}
}

static void print_flags(struct text *text, const struct vma *vma)
{
	const struct vas_region region = {.flags = vma->flags};
	char flags[VAS_VMFLAGS_MAX];

	vas_vmflags(&region, flags);
	text_string(text, "VmFlags: ");
	text_string(text, flags);
	text_char(text, '\n');
}

static void print_vma(struct text *text, struct vas *space, const struct vma *vma)
{
	uint64_t page = format_span(space->system->format, vma_level(vma));
	struct tally tally = {.vma = NULL};

	begin_mapcounts(&tally.count, space);
	tally_vma(&tally, vma);
	report_vma(text, space, vma);
	print_field(text, "Size:", (vma->end - vma->start) >> 10, " kB");
	print_field(text, "KernelPageSize:", page >> 10, " kB");
	print_field(text, "MMUPageSize:", page >> 10, " kB");
	print_tally(text, &tally, false);
	print_field(text, "THPeligible:", huge_is_eligible(space, vma), "");
	print_flags(text, vma);
}

/* As on Linux, others get the lock between two vmas, so what is shown was never there at once. */
void vas_smaps(struct vas *space, vas_sink *out, void *ctx)
{
	struct text text = {.out = out, .ctx = ctx};
	struct vma vma = {.end = 0};
	bool found = true;

	while (found) {
		space_lock(space);
		found = vma_from(space, vma.end, &vma);
		if (found)
			print_vma(&text, space, &vma);
		space_let_go(space);
	}
	text_flush(&text);
}

void vas_smaps_rollup(struct vas *space, vas_sink *out, void *ctx)
{
	struct text text = {.out = out, .ctx = ctx};
	struct tally tally = {.vma = NULL};
	uint64_t start = 0, end = 0;
	bool found = true;
	struct vma vma;

	while (found) {
		space_lock(space);
		begin_mapcounts(&tally.count, space);
		found = vma_from(space, end, &vma);
		if (found) {
			start = end == 0 ? vma.start : start;
			end = vma.end;
			tally_vma(&tally, &vma);
		}
		space_let_go(space);
	}
	report_range(&text, start, end);
	text_string(&text, "---p 00000000 00:00 0 ");
	report_name(&text, "[rollup]");
	text_char(&text, '\n');
	print_tally(&text, &tally, true);
	text_flush(&text);
}

/* ---- The Vm lines of status ----------------------------------------------------------------- */

struct residents {
	const struct vas *space;
	const struct vma *vma;
	uint64_t npages[PAGE_HUGETLB + 1]; /* by kind */
	uint64_t at, left;                 /* where to go on, how many more with the space locked */
};

#define RESIDENTS_AT_ONCE 4096u /* leaves, or what takes as long */
#define TABLE_COSTS 64u         /* leaves: a leaf table is looked through, whatever is in it */

static bool count_resident(void *ctx, uint64_t addr, unsigned level, const struct entry *leaf)
{
	struct residents *residents = ctx;
	const struct vas *space = residents->space;
	uint64_t span = format_span(space->system->format, level);
	struct page_use use;
	uint64_t cost = 1;

	if (leaf->kind == ENTRY_LEAF &&
	    look_at_page(space, residents->vma, addr, leaf,
	                 frame_of_phys(&space->system->frames, leaf->phys), &use))
		residents->npages[use.kind] += space_pages(space, span);
	if (level > 0 || addr >= residents->at + span) /* not the next word */
		cost = TABLE_COSTS;
	residents->at = align_down(addr, span) + span;
	residents->left -= min_u64(cost, residents->left);
	return residents->left > 0;
}

/* The next part. False: there is none. */
static bool count_some_residents(struct vas *space, struct residents *residents)
{
	uint64_t start = residents->at;
	struct vma vma;

	if (!vma_from(space, start, &vma))
		return false;
	residents->vma = &vma;
	residents->left = RESIDENTS_AT_ONCE;
	pagemap_walk(&space->pages, max_u64(start, vma.start), vma.end, count_resident, residents);
	if (residents->left > 0)
		residents->at = vma.end;
	return true;
}

/* Counts the pages that are present, and lets others in meanwhile; locks the space. */
static void count_residents(struct vas *space, struct residents *residents)
{
	bool more = true;

	*residents = (struct residents){.space = space};
	while (more) {
		space_lock(space);
		more = count_some_residents(space, residents);
		space_let_go(space);
	}
}

struct status_line {
	const char *name;
	uint64_t npages;
};

#define STATUS_LINES 16

static void print_status(struct vas *space, const struct residents *residents,
                         struct status_line lines[STATUS_LINES])
{
	const uint64_t *npages = residents->npages;
	uint64_t rss = npages[PAGE_ANON] + npages[PAGE_FILE] + npages[PAGE_SHMEM];
	const struct status_line counted[STATUS_LINES] = {
		{"VmPeak:\t", space->peak},
		{"VmSize:\t", space->size},
		{"VmLck:\t", space->locked + space->leaked},
		{"VmPin:\t", 0},
		{"VmHWM:\t", max_u64(space->rss_peak, rss)},
		{"VmRSS:\t", rss},
		{"RssAnon:\t", npages[PAGE_ANON]},
		{"RssFile:\t", npages[PAGE_FILE]},
		{"RssShmem:\t", npages[PAGE_SHMEM]},
		{"VmData:\t", space->data},
		{"VmStk:\t", space->stack},
		{"VmExe:\t", 0},
		{"VmLib:\t", space->exec},
		/* Linux does not count the top one. */
		{"VmPTE:\t", pagemap_count_tables(&space->pages)},
		{"VmSwap:\t", 0},
		{"HugetlbPages:\t", npages[PAGE_HUGETLB]},
	};

	space->rss_peak = max_u64(space->rss_peak, rss);
	memcpy(lines, counted, sizeof(counted));
}

void vas_status_text(struct vas *space, vas_sink *out, void *ctx)
{
	struct text text = {.out = out, .ctx = ctx};
	struct status_line lines[STATUS_LINES];
	struct residents residents;

	count_residents(space, &residents);
	space_lock(space);
	print_status(space, &residents, lines);
	space_let_go(space);
	for (unsigned i = 0; i < STATUS_LINES; i++) {
		text_string(&text, lines[i].name);
		text_right(&text, (lines[i].npages * space_page_size(space)) >> 10, 8);
		text_string(&text, " kB\n");
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
#define PAGEMAP_AT_ONCE 4096u /* pages of a vma, with the space locked */
#define PAGEMAP_MARK 0x9fu /* a mark, as if in swap: the last swap type, 4 for a guard above it */

/* Pages from addr on, all in one vma. */
struct pagemap_part {
	struct mapcount count;
	struct vma vma;
	uint64_t addr, npages;
	uint64_t *words;
};

static uint64_t pagemap_word(struct pagemap_part *part, uint64_t addr, uint64_t phys,
                             const struct entry *leaf)
{
	struct vas *space = part->count.space;
	uint64_t word = PAGEMAP_PRESENT | (phys >> space->system->format->page_shift & PAGEMAP_PFN);
	uint32_t frame = frame_of_phys(&space->system->frames, phys);
	struct page_use use;

	if (is_zeros(space, leaf))
		return word | PAGEMAP_FILE; /* as Linux has it, but for small pages of zeros */
	if (!look_at_page(space, &part->vma, addr, leaf, frame, &use))
		return word;
	if (use.cached)
		word |= PAGEMAP_FILE;
	if (get_mapcount(&part->count, addr, use.frame, use.cached) == 1)
		word |= PAGEMAP_EXCLUSIVE;
	return word;
}

static bool pagemap_entry(void *ctx, uint64_t addr, unsigned level, const struct entry *entry)
{
	struct pagemap_part *part = ctx;
	struct vas *space = part->count.space;
	uint64_t page = space_page_size(space);
	uint64_t base = align_down(addr, format_span(space->system->format, level));
	uint64_t end = min_u64(base + format_span(space->system->format, level),
	                       part->addr + part->npages * page);

	for (uint64_t at = max_u64(addr, part->addr); at < end; at += page) {
		uint64_t *word = &part->words[space_pages(space, at - part->addr)];

		if (entry->kind == ENTRY_MARK)
			*word = PAGEMAP_SWAP | PAGEMAP_MARK |
			        (linux_pagemap_guard(space) ? PAGEMAP_GUARD : 0);
		else if (entry->kind == ENTRY_LEAF)
			*word = pagemap_word(part, at, entry->phys + (at - base), entry);
	}
	return true;
}

/* What is behind up to npages of the words, with the space locked: how many that were. */
static uint64_t pagemap_some(struct vas *space, uint64_t addr, uint64_t npages, uint64_t *words)
{
	struct pagemap_part part = {.addr = addr, .words = words};
	struct entry first;
	unsigned level;

	if (!vma_from(space, addr, &part.vma))
		return npages;
	if (part.vma.start > addr)
		return min_u64(npages, space_pages(space, part.vma.start - addr));
	part.npages = min_u64(npages, space_pages(space, part.vma.end - addr));
	part.npages = min_u64(part.npages, PAGEMAP_AT_ONCE);
	begin_mapcounts(&part.count, space);
	/* A walk shows what begins in its range: a large page may have begun before it. */
	first = pagemap_lookup(&space->pages, addr, &level);
	if (level > 0 && first.kind == ENTRY_LEAF)
		pagemap_entry(&part, addr, level, &first);
	pagemap_walk(&space->pages, addr, addr + part.npages * space_page_size(space),
	             pagemap_entry, &part);
	return part.npages;
}

int64_t vas_pagemap(struct vas *space, uint64_t addr, uint64_t npages, uint64_t *words)
{
	uint64_t task_size = vas_task_size(space), page = space_page_size(space), done = 0;

	if (!space_is_aligned(space, addr))
		return -VAS_EINVAL;
	npages = min_u64(npages, space_pages(space, sub_saturated(task_size, addr)));
	memset(words, 0, (size_t)npages * sizeof(*words));
	while (done < npages) {
		space_lock(space);
		done += pagemap_some(space, addr + done * page, npages - done, words + done);
		space_let_go(space);
	}
	return (int64_t)npages;
}
