/* report.c - a space as Linux shows it: maps, VmFlags, counters, the hardware walk.
 *
 * Owns the words of the reports, in Linux's order; it changes nothing but what importing makes. The
 * names of vmas are what their files and their places say.
 *
 * SPDX-License-Identifier: MIT */
#include "report/report.h"
#include "space/linux.h"

#define MAPS_NAME_COLUMN 73

/* ---- maps ----------------------------------------------------------------------------------- */

static bool is_heap(const struct vas *space, const struct vma *vma)
{
	if (space->start_brk == 0)
		return false;
	if (linux_heap_is_not_empty(space))
		return vma->start < space->brk && vma->end > space->start_brk;
	return vma->start <= space->brk && vma->end >= space->start_brk;
}

/* What stands in the last column; "" for none. */
static const char *name_of(const struct vas *space, const struct vma *vma)
{
	if (vma->file)
		return vma->file->info.path;
	if (is_heap(space, vma))
		return "[heap]";
	if (vma->start <= space->start_stack && vma->end >= space->start_stack &&
	    space->start_stack)
		return "[stack]";
	return "";
}

void report_range(struct text *text, uint64_t start, uint64_t end)
{
	text_number(text, start, 16, 8);
	text_char(text, '-');
	text_number(text, end, 16, 8);
	text_char(text, ' ');
}

/* Where in the file it begins; the kernel's own mappings are files only to us. */
static uint64_t shown_offset(const struct vas *space, const struct vma *vma)
{
	if (!vma->file || (vma->flags & VAS_VM_SPECIAL))
		return 0;
	return vma->pgoff * space_page_size(space);
}

void report_vma(struct text *text, const struct vas *space, const struct vma *vma)
{
	const struct vas_file_info *info = vma->file ? &vma->file->info : NULL;
	const char *name = name_of(space, vma);

	report_range(text, vma->start, vma->end);
	text_char(text, vma->flags & VAS_VM_READ ? 'r' : '-');
	text_char(text, vma->flags & VAS_VM_WRITE ? 'w' : '-');
	text_char(text, vma->flags & VAS_VM_EXEC ? 'x' : '-');
	text_char(text, vma->flags & VAS_VM_MAYSHARE ? 's' : 'p');
	text_char(text, ' ');
	text_number(text, shown_offset(space, vma), 16, 8);
	text_char(text, ' ');
	text_number(text, info ? info->major : 0, 16, 2);
	text_char(text, ':');
	text_number(text, info ? info->minor : 0, 16, 2);
	text_char(text, ' ');
	text_number(text, info ? info->inode : 0, 10, 1);
	text_char(text, ' ');
	if (name[0])
		report_name(text, name);
	text_char(text, '\n');
}

void report_name(struct text *text, const char *name)
{
	text_pad(text, MAPS_NAME_COLUMN);
	text_path(text, name);
}

#define LINES_AT_ONCE 128u

/* As on Linux, others get the lock now and then: what is shown was never there at once. */
void vas_maps(struct vas *space, vas_sink *out, void *ctx)
{
	struct text text = {.out = out, .ctx = ctx};
	struct vma vma = {.end = 0};
	bool found = true;

	while (found) {
		space_lock_shared(space);
		for (unsigned i = 0; found && i < LINES_AT_ONCE; i++) {
			found = vma_from(space, vma.end, &vma);
			if (found)
				report_vma(&text, space, &vma);
		}
		space_unlock_shared(space);
	}
	text_flush(&text);
}

/* ---- VmFlags -------------------------------------------------------------------------------- */

/* In the order in which smaps prints them: that of Linux's own bits. */
static const struct {
	uint64_t flag;
	char name[3];
} flag_names[] = {
	{VAS_VM_READ, "rd"},        {VAS_VM_WRITE, "wr"},      {VAS_VM_EXEC, "ex"},
	{VAS_VM_SHARED, "sh"},      {VAS_VM_MAYREAD, "mr"},    {VAS_VM_MAYWRITE, "mw"},
	{VAS_VM_MAYEXEC, "me"},     {VAS_VM_MAYSHARE, "ms"},   {VAS_VM_GROWSDOWN, "gd"},
	{VAS_VM_MAYBE_GUARD, "gu"}, {VAS_VM_PFNMAP, "pf"},     {VAS_VM_LOCKED, "lo"},
	{VAS_VM_IO, "io"},          {VAS_VM_SEQ_READ, "sr"},   {VAS_VM_RAND_READ, "rr"},
	{VAS_VM_DONTCOPY, "dc"},    {VAS_VM_DONTEXPAND, "de"}, {VAS_VM_LOCKONFAULT, "lf"},
	{VAS_VM_ACCOUNT, "ac"},     {VAS_VM_NORESERVE, "nr"},  {VAS_VM_HUGETLB, "ht"},
	{VAS_VM_SYNC, "sf"},        {VAS_VM_WIPEONFORK, "wf"}, {VAS_VM_DONTDUMP, "dd"},
	{VAS_VM_MIXEDMAP, "mm"},    {VAS_VM_HUGEPAGE, "hg"},   {VAS_VM_NOHUGEPAGE, "nh"},
	{VAS_VM_MERGEABLE, "mg"},   {VAS_VM_UFFD, "um"},       {VAS_VM_DROPPABLE, "dp"},
	{VAS_VM_SEALED, "sl"},
};

size_t vas_vmflags(const struct vas_region *region, char text[VAS_VMFLAGS_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_LEN(flag_names); i++) {
		if (!(region->flags & flag_names[i].flag))
			continue;
		text[len++] = flag_names[i].name[0];
		text[len++] = flag_names[i].name[1];
		text[len++] = ' ';
	}
	text[len] = '\0';
	return len;
}

/* ---- Regions and counters ------------------------------------------------------------------- */

static void fill_region(const struct vas *space, const struct vma *vma, struct vas_region *region)
{
	bool has_object = vma->file && vma->file->object;
	const char *name = has_object ? "" : name_of(space, vma);

	*region = (struct vas_region){
		.start = vma->start,
		.end = vma->end,
		.flags = vma->flags,
		.offset = vma->pgoff * space_page_size(space),
		.file = has_object ? vma->file : NULL,
		.name = name[0] ? name : NULL,
		.touched = vma->anon != 0,
		.forked = vma_is_forked(vma),
		.identity = vma->anon >> 1,
	};
}

bool vas_next_region(struct vas *space, uint64_t addr, struct vas_region *region)
{
	struct vma vma;
	bool found;

	/* Once unlocked, another thread may unmap it and let its file go. */
	space_lock_shared(space);
	found = vma_from(space, addr, &vma);
	if (found)
		fill_region(space, &vma, region);
	space_unlock_shared(space);
	return found;
}

static bool has_sound_flags(const struct vas_region *r)
{
	const uint64_t known = ((VAS_VM_MAYBE_GUARD << 1) - 1) | VAS_VM_APART;
	const uint64_t shared = VAS_VM_SHARED | VAS_VM_MAYSHARE;

	if ((r->flags & ~known) || ((r->flags & VAS_VM_SHARED) && !(r->flags & VAS_VM_MAYSHARE)))
		return false;
	/* Only private anonymous memory is a stack, as with mmap. */
	if ((r->flags & VAS_VM_GROWSDOWN) && (r->file || (r->flags & shared)))
		return false;
	return r->file || r->name || !(r->flags & (shared | VAS_VM_HUGETLB));
}

static bool is_sound(struct vas *space, const struct vas_region *r)
{
	return r->start < r->end && r->end <= vas_task_size(space) &&
	       space_is_aligned(space, r->start | r->end | r->offset) && has_sound_flags(r) &&
	       !space_has_vma(space, r->start, r->end) &&
	       !(r->touched && (r->flags & VAS_VM_MAYSHARE)) && !(r->forked && !r->touched) &&
	       !(r->identity && !r->touched) && !(r->identity >> 63);
}

static int64_t import_region(struct vas *space, const struct vas_region *region)
{
	struct vma vma = {
		.start = region->start,
		.end = region->end,
		.flags = region->flags,
		.pgoff = space_pages(space, region->offset),
		.file = region->file,
	};
	uint64_t npages = space_pages(space, region->end - region->start);

	if (!is_sound(space, region))
		return -VAS_EINVAL;
	if (!space_reserve(space))
		return -VAS_ENOMEM;
	if (vma.file) {
		file_get(vma.file);
	} else if (region->name) {
		struct vas_file_info info = {.path = region->name};

		vma.file = file_named(space->system, space_slab(space), &info);
		if (!vma.file)
			return -VAS_ENOMEM;
	}
	if (region->touched) {
		vma.anon = region->identity ? region->identity
		                            : system_next(space->system, &space->system->anon_ids);
		vma.anon = vma.anon << 1 | region->forked;
	}
	vma_insert(space, &vma);
	space_count(space, vma.flags, npages);
	if (vma.flags & VAS_VM_LOCKED)
		space->locked += npages;
	if (vma.flags & VAS_VM_ACCOUNT)
		space_recharge(space, npages);
	return 0;
}

int64_t vas_import(struct vas *space, const struct vas_region *region)
{
	uint64_t refusals = group_refusals(space->group);
	int64_t result;

	do {
		space_lock(space);
		result = import_region(space, region);
		space_unlock(space);
	} while (result < 0 && group_ask(space->group, space, &refusals));
	return result;
}

void vas_get_status(struct vas *space, struct vas_status *status)
{
	space_lock_shared(space);
	*status = (struct vas_status){
		.size = space->size,
		.locked = space->locked + space->leaked,
		.data = space->data,
		.stack = space->stack,
		.exec = space->exec,
		.map_count = space->tree.count,
		.brk = space->brk,
	};
	space_unlock_shared(space);
}

bool vas_present(struct vas *space, uint64_t addr)
{
	bool present;
	unsigned level;

	if (addr >= vas_task_size(space))
		return false;
	space_visit_shared(space);
	present = pagemap_lookup(&space->pages, addr, &level).kind == ENTRY_LEAF;
	space_unlock_shared(space);
	return present;
}

struct first_present {
	const struct vas *space;
	uint64_t start, end;
	bool found;
};

static bool note_first(void *ctx, uint64_t addr, unsigned level, const struct entry *entry)
{
	struct first_present *first = ctx;

	if (entry->kind != ENTRY_LEAF)
		return true;
	first->start = addr;
	first->end = align_down(addr, format_span(first->space->system->format, level)) +
	             format_span(first->space->system->format, level);
	first->found = true;
	return false;
}

bool vas_next_present(struct vas *space, uint64_t addr, uint64_t *start, uint64_t *end)
{
	struct first_present first = {.space = space};
	uint64_t page = space_page_size(space);

	if (addr > vas_task_size(space) - page)
		return false;
	space_lock(space);
	pagemap_walk(&space->pages, align_down(addr, page), vas_task_size(space), note_first,
	             &first);
	space_let_go(space);
	*start = first.start;
	*end = first.end;
	return first.found;
}

unsigned vas_lookup(struct vas *space, uint64_t addr, uint64_t *phys, uint64_t *len)
{
	struct entry leaf = {.kind = ENTRY_ABSENT};
	unsigned level = 0;
	uint64_t span;

	space_visit_shared(space);
	if (addr < vas_task_size(space))
		leaf = pagemap_lookup(&space->pages, addr, &level);
	space_unlock_shared(space);
	if (leaf.kind != ENTRY_LEAF)
		return 0;
	span = format_span(space->system->format, level);
	if (phys)
		*phys = leaf.phys + (addr & (span - 1));
	if (len)
		*len = span - (addr & (span - 1));
	return leaf.rights;
}

unsigned vas_walk(struct vas *space, uint64_t addr, struct vas_walk_step step[VAS_LEVELS_MAX])
{
	const struct vas_format *format = space->system->format;
	const struct frame_pool *frames = &space->system->frames;
	struct spot spots[VAS_LEVELS_MAX];
	unsigned n = 0;

	space_lock(space);
	if (addr < vas_task_size(space))
		n = pagemap_trace(&space->pages, addr, spots);
	for (unsigned i = 0; i < n; i++) {
		struct entry e = format->decode(*spots[i].word, spots[i].level);
		const uint64_t *first = frame_host(frames, spots[i].table);

		step[i] = (struct vas_walk_step){
			.level = spots[i].level,
			.table = frame_phys(frames, spots[i].table),
			.index = (unsigned)(spots[i].word - first),
			.word = *spots[i].word,
			.present = e.kind == ENTRY_TABLE || e.kind == ENTRY_LEAF,
			.leaf = e.kind == ENTRY_LEAF,
			.phys = e.phys,
			.rights = e.rights,
		};
	}
	space_let_go(space);
	return n;
}
