/* space.c - systems and spaces: their life, limits and counters.
 *
 * Owns the list of spaces, what a space has from exec, and the counters: sums over vmas that are
 * kept as vmas change (vas_check). Which vmas there are is decided by the calls.
 *
 * SPDX-License-Identifier: MIT */
#include "space/hollow.h"
#include "space/space.h"
#include "pages/tlb.h"
#include "space/mapped.h"
#include "space/vma.h"

/* ---- Systems -------------------------------------------------------------------------------- */

void vas_settings_default(struct vas_settings *settings, uint64_t ram_pages)
{
	*settings = (struct vas_settings){
		.mmap_min_addr = 65536,
		.lsm_mmap_min_addr = 65536,
		.max_map_count = 65530,
		.ram_pages = ram_pages,
		.overcommit_ratio = 50,
		.admin_reserve_kbytes = 8192,
		.user_reserve_kbytes = 131072,
		.thp = true,
		.thp_zero_page = true,
		.ksm = true,
		.memory_failure = true,
	};
}

/* Field by field: what stands between them is anything. */
static bool are_unfilled(const struct vas_settings *settings)
{
	uint64_t numbers = settings->mmap_min_addr | settings->lsm_mmap_min_addr |
	                   settings->max_map_count | settings->ram_pages | settings->swap_pages |
	                   settings->overcommit_memory | settings->overcommit_ratio |
	                   settings->overcommit_kbytes | settings->admin_reserve_kbytes |
	                   settings->user_reserve_kbytes | settings->committed_elsewhere |
	                   settings->thp_enabled | settings->shmem_sizes | settings->hugepages[0] |
	                   settings->hugepages[1] | settings->placement;

	return !numbers && !settings->thp && !settings->thp_zero_page && !settings->shmem_thp &&
	       !settings->ignore_rlimit_data && !settings->anon_vma_name && !settings->ksm &&
	       !settings->memory_failure && !settings->leak_locked;
}

/* Settings that nobody has filled are the defaults: with no page of memory and no vma allowed,
 * every call would answer ENOMEM. With some of them filled, somebody has forgotten the others. */
static bool settings_complete(struct vas_settings *settings, uint64_t npages)
{
	if (settings->max_map_count || settings->ram_pages)
		return true;
	if (!are_unfilled(settings))
		return false;
	vas_settings_default(settings, npages);
	return true;
}

int64_t vas_system_create(const struct vas_config *config, struct vas_system **out)
{
	const struct vas_format *format = config->format ? config->format : &vas_format_x86_64;
	uint64_t task_size = config->task_size ? config->task_size : format->task_size;
	uint64_t window = config->window ? config->window : min_u64(task_size, format->window);
	uint64_t page = format_page_size(format);
	uint64_t count = config->port.memory_len >> format->page_shift;
	uint64_t records = align_up(sizeof(struct vas_system), 64);
	struct vas_system *system = config->port.memory;
	struct vas_settings settings = config->settings;

	if (!settings_complete(&settings, count) || !system ||
	    !is_aligned((uintptr_t)system | config->port.phys, page) ||
	    !is_aligned(config->port.memory_len, page) || count > UINT32_MAX ||
	    !is_aligned(task_size | window, page) || window > task_size ||
	    task_size > format->task_size)
		return -VAS_EINVAL;
	if (config->port.memory_len < VAS_MEMORY_MIN)
		return -VAS_ENOMEM;
	memset(system, 0, sizeof(*system));
	system->port = config->port;
	system->settings = settings;
	system->format = format;
	system->task_size = task_size;
	system->window = window;
	system->readable = format->readable | (config->exec_reads ? RIGHT_EXEC : 0);
	system->heap_apart = config->heap_apart;
	/* The map of pages that are elsewhere is one that stays empty. */
	system->software = config->software || !config->format || config->port.pages;
	system->root_words = config->root_words;
	system->version = config->linux_version ? config->linux_version : VAS_LINUX_LATEST;
	system->frames = (struct frame_pool){
		.frame = (struct frame *)(void *)((uint8_t *)system + records),
		.memory = config->port.memory,
		.phys = config->port.phys,
		.port = &system->port,
		.count = (uint32_t)count,
		.page_shift = format->page_shift,
		.fail_after = -1,
	};
	if (!config->port.zeroed)
		memset(system->frames.frame, 0, count * sizeof(struct frame));
	records += count * sizeof(struct frame);
	system->frames.payer = (uint32_t *)(void *)((uint8_t *)system + records);
	records = align_up(records + count * sizeof(uint32_t), page);
	frame_pool_init(&system->frames, (uint32_t)(records >> format->page_shift));
	slab_init(&system->slab, &system->frames, FRAME_NONE);
	system->zero = frame_alloc_zeroed(&system->frames, FRAME_NONE);
	*out = system;
	return system->zero == FRAME_NONE ? -VAS_ENOMEM : 0;
}

struct vas_settings *vas_system_settings(struct vas_system *system)
{
	return &system->settings;
}

/* Parents stand behind their children in the list, and are locked before them, as by fork. */
static void lock_spaces(struct vas_system *system)
{
	struct vas *space;

	write_lock(&system->port, &system->spaces_lock, LOCK_LIST, OTHERS);
	space = system->spaces;
	while (space && space->next)
		space = space->next;
	for (; space; space = space->prev)
		space_lock(space);
}

static void unlock_spaces(struct vas_system *system)
{
	for (struct vas *space = system->spaces; space; space = space->next)
		space_unlock(space);
	write_unlock(&system->port, &system->spaces_lock);
}

void vas_system_change(struct vas_system *system, const struct vas_settings *settings)
{
	lock_spaces(system);
	system->settings = *settings;
	unlock_spaces(system);
}

uint32_t vas_system_version(const struct vas_system *system)
{
	return system->version;
}

uint64_t vas_system_page_size(const struct vas_system *system)
{
	return format_page_size(system->format);
}

void vas_system_frames(struct vas_system *system, uint64_t *total, uint64_t *free)
{
	*total = system->frames.count - system->frames.reserved;
	*free = frame_count_free(&system->frames);
}

uint64_t vas_system_committed(struct vas_system *system)
{
	uint64_t committed;

	spin_lock(&system->port, &system->lock, LOCK_RECORDS);
	committed = system->committed;
	spin_unlock(&system->port, &system->lock);
	return committed;
}

void vas_system_fail_after(struct vas_system *system, int64_t n)
{
	frame_fail_after(&system->frames, n);
}

uint64_t system_next(struct vas_system *system, uint64_t *series)
{
	uint64_t number;

	spin_lock(&system->port, &system->lock, LOCK_RECORDS);
	number = ++*series;
	spin_unlock(&system->port, &system->lock);
	return number;
}

/* ---- Spaces --------------------------------------------------------------------------------- */

void vas_params_default(struct vas_params *params)
{
	*params = (struct vas_params){
		.capabilities = VAS_CAP_IPC_LOCK | VAS_CAP_SYS_RAWIO | VAS_CAP_SYS_ADMIN,
	};
	for (unsigned i = 0; i < VAS_NRLIMITS; i++)
		params->limit[i] = (struct vas_limit){VAS_RLIM_INFINITY, VAS_RLIM_INFINITY};
	params->limit[VAS_RLIMIT_STACK].soft = (uint64_t)8 << 20;
	params->limit[VAS_RLIMIT_MEMLOCK] = (struct vas_limit){(uint64_t)8 << 20,
	                                                       (uint64_t)8 << 20};
}

/* Where Linux starts to search without randomisation: below the room the stack may need. */
static uint64_t default_mmap_base(const struct vas *space)
{
	uint64_t top = space->system->window, page = space_page_size(space);
	uint64_t gap = add_saturated(space->limit[VAS_RLIMIT_STACK].soft, STACK_GUARD_PAGES * page);

	gap = max_u64(gap, (uint64_t)128 << 20);
	gap = min_u64(gap, top / 6 * 5);
	return align_up(top - gap, page);
}

static void configure(struct vas *space, const struct vas_params *params)
{
	space->capabilities = params->capabilities;
	for (unsigned i = 0; i < VAS_NRLIMITS; i++)
		space->limit[i] = params->limit[i];
	space->legacy = params->legacy;
	space->mmap_base = params->mmap_base ? params->mmap_base : default_mmap_base(space);
	space->legacy_base = params->legacy_base ? params->legacy_base
	                                         : space_align(space, space->system->window / 3);
	space->place_low = params->place_low;
	space->place_high = params->place_high ? params->place_high : ~(uint64_t)0;
	space->legacy_base = max_u64(space->legacy_base, space->place_low);
	space->start_brk = params->start_brk;
	space->brk = params->brk ? params->brk : params->start_brk;
	space->data_len = params->data_len;
	space->start_stack = params->start_stack;
	space->mdwe = (uint8_t)params->mdwe;
	space->merges_all = params->merges_all;
}

/* Everything but its place in the list. NULL: no memory. */
static struct vas *make_space(struct vas_system *system, const struct vas_params *params)
{
	struct slab_cache *slab = params->group ? &params->group->slab : &system->slab;
	struct vas *space = slab_alloc(slab, sizeof(*space));

	if (!space)
		return NULL;
	space->system = system;
	space->id = system_next(system, &system->space_ids);
	space->group = params->group;
	space->tree.slab = slab;
	space->intervals.slab = slab;
	gather_init(&space->gather, space, &system->port, system->format, &system->frames,
	            system->zero);
	if (!pagemap_init(&space->pages, &space->gather, slab, system->software)) {
		slab_free(&system->frames, space);
		return NULL;
	}
	if (space->group)
		group_hold(space->group);
	configure(space, params);
	return space;
}

int64_t vas_create(struct vas_system *system, const struct vas_params *params, struct vas **out)
{
	uint64_t refusals = group_refusals(params ? params->group : NULL);
	struct vas_params defaults;
	struct vas *space;

	vas_params_default(&defaults);
	params = params ? params : &defaults;
	do
		space = make_space(system, params);
	while (!space && group_ask(params->group, NULL, &refusals));
	if (!space)
		return -VAS_ENOMEM;
	write_lock(&system->port, &system->spaces_lock, LOCK_LIST, OTHERS);
	if (system->root_words)
		pagemap_set_upper(&space->pages, system->root_words);
	space->next = system->spaces;
	if (space->next)
		space->next->prev = space;
	system->spaces = space;
	system->nspaces++;
	write_unlock(&system->port, &system->spaces_lock);
	*out = space;
	return 0;
}

/* Takes the space from the objects that it maps. */
static void leave_objects(struct vas *space)
{
	struct vma vma;

	for (uint64_t addr = 0; vma_from(space, addr, &vma); addr = vma.end) {
		if (vma.file && vma.file->object)
			mapped_exchange(space, vma.file->object, vma.start, 1, NULL, 0);
		space_pause(space, PAUSE_VMA);
	}
}

/* What the vmas of a space that ends hold. */
static void release_vmas(struct vas *space)
{
	struct vma vma;

	for (uint64_t addr = 0; vma_from(space, addr, &vma); addr = vma.end) {
		if (vma.flags & VAS_VM_ACCOUNT)
			space_uncharge(space, vma_pages(space, &vma));
		if (vma.file)
			vas_file_put(vma.file);
	}
	range_tree_destroy(&space->tree);
	hollow_end(space);
}

/* The last space has gone: nobody maps the block of zeros. */
static void release_zeros(struct vas_system *system)
{
	uint32_t zeros = system->frames.zeros;

	system->frames.zeros = FRAME_NONE;
	if (zeros != FRAME_NONE)
		frame_put_row(&system->frames, zeros, format_frames(system->format, 1));
}

void vas_destroy(struct vas *space)
{
	struct vas_system *system = space->system;
	struct vas_group *group = space->group;
	unsigned looks = 0;

	write_lock(&system->port, &system->spaces_lock, LOCK_LIST, OTHERS);
	if (space->prev)
		space->prev->next = space->next;
	else
		system->spaces = space->next;
	if (space->next)
		space->next->prev = space->prev;
	write_unlock(&system->port, &system->spaces_lock);
	while (space->gather.tlbs)
		vas_tlb_unregister(space->gather.tlbs);

	space_lock(space);
	space_ends(space);
	pagemap_destroy(&space->pages);
	gather_note(&space->gather, 0, system->task_size, 0,
	            GATHER_LEAVES | GATHER_TABLES | GATHER_SPACE);
	gather_flush(&space->gather);
	leave_objects(space);
	space_unlock(space);
	/* Nobody finds it by an object any more; who has found it already lets go soon. */
	while (__atomic_load_n(&space->pins, __ATOMIC_ACQUIRE) > 0)
		lock_wait(&system->port, &looks);
	interval_stock_drain(&space->intervals);
	release_vmas(space);
	slab_free(&system->frames, space);
	if (group)
		group_let_go(group);
	write_lock(&system->port, &system->spaces_lock, LOCK_LIST, OTHERS);
	if (--system->nspaces == 0)
		release_zeros(system);
	write_unlock(&system->port, &system->spaces_lock);
	system_verify(system);
}

int64_t vas_tlb_register(struct vas *space, struct vas_tlb *tlb)
{
	const struct vas_port *port = &space->system->port;
	struct lock_port *waiting = &space->system->waiting;

	tlb_init(tlb, port);
	if (port->threads && !thread_self(port))
		return -VAS_ENOSYS;
	tlb->space = space;
	space_lock(space);
	tlb->next = space->gather.tlbs;
	space->gather.tlbs = tlb;
	spin_lock(port, &waiting->tlbs_lock, LOCK_FRAMES);
	tlb->all = waiting->tlbs;
	waiting->tlbs = tlb;
	spin_unlock(port, &waiting->tlbs_lock);
	space_unlock(space);
	return 0;
}

/* Nobody who waits looks at it any more. */
static void unlist_tlb(struct vas_system *system, struct vas_tlb *tlb)
{
	struct vas_tlb **at = &system->waiting.tlbs;

	spin_lock(&system->port, &system->waiting.tlbs_lock, LOCK_FRAMES);
	while (*at != tlb)
		at = &(*at)->all;
	*at = tlb->all;
	spin_unlock(&system->port, &system->waiting.tlbs_lock);
}

void vas_tlb_unregister(struct vas_tlb *tlb)
{
	struct vas *space = tlb->space;
	struct vas_tlb **at;

	if (!space) /* it was never registered, or its space is gone */
		return;
	at = &space->gather.tlbs;
	vas_tlb_leave(tlb);
	space_lock(space);
	while (*at != tlb)
		at = &(*at)->next;
	*at = tlb->next;
	unlist_tlb(space->system, tlb);
	space_unlock(space);
	tlb_init(tlb, &space->system->port);
}

struct vas_system *vas_system_of(struct vas *space)
{
	return space->system;
}

void vas_root_update(struct vas_system *system)
{
	write_lock(&system->port, &system->spaces_lock, LOCK_LIST, OTHERS);
	for (struct vas *space = system->spaces; space && system->root_words; space = space->next)
		pagemap_set_upper(&space->pages, system->root_words);
	write_unlock(&system->port, &system->spaces_lock);
}

void vas_set_context(struct vas *space, void *context)
{
	__atomic_store_n(&space->context, context, __ATOMIC_RELEASE);
}

void *vas_context(const struct vas *space)
{
	return __atomic_load_n(&space->context, __ATOMIC_ACQUIRE);
}

void vas_set_limit(struct vas *space, enum vas_rlimit which, struct vas_limit limit)
{
	space_lock(space);
	space->limit[which] = limit;
	space_unlock(space);
}

struct vas_limit vas_get_limit(struct vas *space, enum vas_rlimit which)
{
	struct vas_limit limit;

	space_lock_shared(space);
	limit = space->limit[which];
	space_unlock_shared(space);
	return limit;
}

void vas_set_capabilities(struct vas *space, uint32_t capabilities)
{
	space_lock(space);
	space->capabilities = capabilities;
	space_unlock(space);
}

uint64_t vas_root(const struct vas *space)
{
	const struct pagetable *table = &space->pages.table;

	return space->pages.software ? 0 : frame_phys(table->frames, table->root);
}

uint64_t vas_task_size(const struct vas *space)
{
	return space->system->task_size;
}

uint64_t vas_page_size(const struct vas *space)
{
	return space_page_size(space);
}

void space_unlock_open(struct vas *space)
{
	struct waste waste;

	gather_take(&space->gather, &waste);
	space_verify(space);
	space_let_go(space);
	if (waste.some)
		waste_release(&space->gather, &waste);
}

/* A stock that is open is for the call alone. */
bool space_pause_now(struct vas *space)
{
	const bool open = space->pages.stock.open;
	struct waste waste;

	space->since_pause = 0;
	if (!write_is_wanted(&space->lock) || lock_is_paused(&space->lock))
		return false;
	gather_take(&space->gather, &waste);
	space->pages.stock.open = false;
	write_pause(&space->lock);
	if (waste.some)
		waste_release(&space->gather, &waste);
	write_resume(&space->system->port, &space->lock, LOCK_SPACE);
	space->pages.stock.open = open;
	return true;
}

static bool note_entry(void *ctx, uint64_t addr, unsigned level, const struct entry *entry)
{
	uint64_t *found = ctx;

	(void)level;
	(void)entry;
	*found = addr;
	return false;
}

bool space_next_part(const struct vas *space, struct page_parts *parts)
{
	uint64_t span = parts->at_once;

	parts->start = parts->end;
	if (parts->start >= parts->last)
		return false;
	if (parts->last - parts->start <= span) {
		parts->end = parts->last;
		return true;
	}
	if (pagemap_walk(&space->pages, parts->start, parts->last, note_entry, &parts->start))
		return false;
	parts->end = min_u64(align_down(parts->start, span) + span, parts->last);
	return true;
}

static __attribute__((noinline)) bool fill_reserve(struct vas *space, unsigned n)
{
	return range_tree_reserve(&space->tree, n) && interval_stock_fill(&space->intervals, n) &&
	       stock_fill(&space->pages.stock, space->pages.stock.keep);
}

bool space_reserve_vmas(struct vas *space, unsigned n)
{
	const struct table_stock *stock = &space->pages.stock;

	/* Mostly it is there. */
	if (range_tree_has_reserve(&space->tree, n) && space->intervals.nspare >= n &&
	    stock->n >= stock->keep)
		return true;
	return fill_reserve(space, n);
}

bool space_reserve(struct vas *space)
{
	space_assert_locked(space);
	/* Two splits and a new vma; one more for what merging takes apart on the way. And one that
	 * is left for a call that frees when there is no memory (space_reserve_to_free). */
	return space_reserve_vmas(space, 5);
}

/* A page of the huge page pool stays one leaf: whoever wants to cut it will be refused. */
static bool split_at(struct vas *space, uint64_t addr)
{
	struct vma vma;

	if (space->pages.large && vma_at(space, addr, &vma) &&
	    !is_aligned(addr, format_span(space->system->format, vma_level(&vma))))
		return true;
	return pagemap_split_at(&space->pages, addr);
}

bool space_split_at(struct vas *space, uint64_t start, uint64_t end)
{
	space_assert_locked(space);
	return !pagemap_can_cross(&space->pages) ||
	       (split_at(space, start) && split_at(space, end));
}

bool space_split_to_free(struct vas *space, uint64_t start, uint64_t end)
{
	struct table_stock *stock = &space->pages.stock;
	bool was_open = stock->open, ok;

	stock->open = true;
	ok = space_split_at(space, start, end);
	stock->open = was_open;
	return ok;
}

void space_restock(struct vas *space)
{
	const struct table_stock *stock = &space->pages.stock;

	if (stock->n >= stock->keep && space->tree.nspare > space->tree.height + 2)
		return;
	gather_close(&space->gather);
	space_reserve(space);
}

/* Whether a vma goes on at addr. */
static bool is_crossed(const struct vas *space, uint64_t addr)
{
	struct vma vma;

	return vma_at(space, addr, &vma) && vma.start < addr;
}

static bool splits_none(const struct vas *space, uint64_t start, uint64_t end)
{
	return !is_crossed(space, start) && !is_crossed(space, end);
}

bool space_reserve_change(struct vas *space, uint64_t start, uint64_t end)
{
	if (!space_reserve(space) && !splits_none(space, start, end))
		return false;
	end = min_u64(end, vas_task_size(space));
	return start >= end || space_split_at(space, start, end);
}

bool space_reserve_to_free(struct vas *space, uint64_t start, uint64_t end)
{
	return space_reserve(space) || splits_none(space, start, end) ||
	       (range_tree_reserve(&space->tree, 1) && interval_stock_fill(&space->intervals, 2));
}

bool space_unshare(struct vas *space, uint64_t start, uint64_t end)
{
	space_assert_locked(space);
	return space_split_at(space, start, end) && pagemap_unshare(&space->pages, start, end);
}

/* ---- Limits --------------------------------------------------------------------------------- */

static bool is_exec(uint64_t flags)
{
	return (flags & (VAS_VM_EXEC | VAS_VM_WRITE | VAS_VM_GROWSDOWN)) == VAS_VM_EXEC;
}

static bool is_stack(uint64_t flags)
{
	return flags & VAS_VM_GROWSDOWN;
}

static bool is_data(uint64_t flags)
{
	return (flags & (VAS_VM_WRITE | VAS_VM_SHARED | VAS_VM_GROWSDOWN)) == VAS_VM_WRITE;
}

static uint64_t limit_pages(const struct vas *space, enum vas_rlimit which)
{
	return space_pages(space, space->limit[which].soft);
}

bool space_can_expand(const struct vas *space, uint64_t flags, uint64_t npages)
{
	if (space->size + npages > limit_pages(space, VAS_RLIMIT_AS))
		return false;
	if (!is_data(flags) || space->data + npages <= limit_pages(space, VAS_RLIMIT_DATA))
		return true;
	/* A soft limit of 0 is Valgrind's way to see who asks; the hard one counts then. */
	if (space->limit[VAS_RLIMIT_DATA].soft == 0 &&
	    space->data + npages <= space_pages(space, space->limit[VAS_RLIMIT_DATA].hard))
		return true;
	return space->system->settings.ignore_rlimit_data;
}

bool space_can_lock(const struct vas *space)
{
	return space->limit[VAS_RLIMIT_MEMLOCK].soft > 0 ||
	       (space->capabilities & VAS_CAP_IPC_LOCK);
}

bool space_can_lock_pages(const struct vas *space, uint64_t npages)
{
	return (space->capabilities & VAS_CAP_IPC_LOCK) ||
	       space->locked + space->leaked + npages <= limit_pages(space, VAS_RLIMIT_MEMLOCK);
}

/* Mode 2: what may be committed in all, less what is kept for root and for other processes. */
static bool can_commit_strictly(const struct vas *space, uint64_t npages)
{
	const struct vas_settings *s = &space->system->settings;
	unsigned kb_shift = space->system->format->page_shift - 10;
	uint64_t allowed = s->overcommit_kbytes ? s->overcommit_kbytes >> kb_shift
	                                        : s->ram_pages * s->overcommit_ratio / 100;
	uint64_t reserve = min_u64(space->size / 32, s->user_reserve_kbytes >> kb_shift);

	allowed += s->swap_pages;
	if (!(space->capabilities & VAS_CAP_SYS_ADMIN))
		allowed = sub_saturated(allowed, s->admin_reserve_kbytes >> kb_shift);
	allowed = sub_saturated(allowed, reserve);
	return space->system->committed + s->committed_elsewhere + npages < allowed;
}

bool space_charge(struct vas *space, uint64_t npages)
{
	struct vas_system *system = space->system;
	const struct vas_settings *settings = &system->settings;
	bool allowed = true;

	spin_lock(&system->port, &system->lock, LOCK_RECORDS);
	if (settings->overcommit_memory == 0)
		allowed = npages <= settings->ram_pages + settings->swap_pages;
	else if (settings->overcommit_memory == 2)
		allowed = can_commit_strictly(space, npages);
	if (allowed)
		system->committed += npages;
	spin_unlock(&system->port, &system->lock);
	return allowed;
}

void space_recharge(struct vas *space, uint64_t npages)
{
	spin_lock(&space->system->port, &space->system->lock, LOCK_RECORDS);
	space->system->committed += npages;
	spin_unlock(&space->system->port, &space->system->lock);
}

void space_uncharge(struct vas *space, uint64_t npages)
{
	space_recharge(space, (uint64_t)0 - npages);
}

void space_count(struct vas *space, uint64_t flags, uint64_t npages)
{
	space->size += npages;
	space->peak = max_u64(space->peak, space->size);
	if (is_exec(flags))
		space->exec += npages;
	else if (is_stack(flags))
		space->stack += npages;
	else if (is_data(flags))
		space->data += npages;
}

void space_discount(struct vas *space, uint64_t flags, uint64_t npages)
{
	space_count(space, flags, (uint64_t)0 - npages);
}
