/* pagemodel.h - a page map, the truth about it, and a cache that forgets only what it is told to.
 *
 * The truth is a sorted array of single pages. The cache stands for a CPU: after every step it
 * remembers all translations; what it still holds after the next step must not be stale.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_PAGEMODEL_H
#define VAS_PAGEMODEL_H

#include "unit.h"

#include "pages/pagemap.h"
#include "space/space.h"

#define MODEL_PAGES 16384

struct model_page {
	uint64_t addr, phys;
	unsigned rights;
	bool mark;
};

struct model {
	struct model_page page[MODEL_PAGES];
	unsigned n;
};

struct mapped {
	struct pagemap pm;
	struct gather gather;
	struct vas_port port;
	struct model model, cached;
	bool shared; /* others may hold its tables: the right to write may come and go */
};

/* ---- The truth ------------------------------------------------------------------------------- */

/* The first page at or above addr. */
static inline unsigned model_above(const struct model *model, uint64_t addr)
{
	unsigned low = 0, high = model->n;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (model->page[middle].addr < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static inline const struct model_page *model_find(const struct model *model, uint64_t addr)
{
	unsigned i = model_above(model, addr);

	return i < model->n && model->page[i].addr == addr ? &model->page[i] : NULL;
}

static inline void model_put(struct model *model, const struct model_page *page)
{
	unsigned i = model_above(model, page->addr);

	assert_true(model->n < MODEL_PAGES);
	assert_false(i < model->n && model->page[i].addr == page->addr);
	memmove(&model->page[i + 1], &model->page[i], (model->n - i) * sizeof(*page));
	model->page[i] = *page;
	model->n++;
}

/* Takes [start, end) out, but for marks if they are to stay. */
static inline void model_clear(struct model *model, uint64_t start, uint64_t end, bool keep_marks)
{
	unsigned kept = model_above(model, start), i = kept;

	for (; i < model->n; i++) {
		struct model_page *page = &model->page[i];

		if (page->addr >= end || (keep_marks && page->mark))
			model->page[kept++] = *page;
	}
	model->n = kept;
}

static inline void model_protect(struct model *model, uint64_t start, uint64_t end,
                                 unsigned rights)
{
	for (unsigned i = model_above(model, start); i < model->n; i++) {
		struct model_page *page = &model->page[i];

		if (page->addr >= end)
			break;
		if (!page->mark)
			page->rights = rights & (page->rights | ~(unsigned)RIGHT_WRITE);
	}
}

/* Nothing is at the target. */
static inline void model_move(struct model *model, uint64_t from, uint64_t to, uint64_t len)
{
	static struct model_page moved[MODEL_PAGES];
	unsigned first = model_above(model, from), n = model_above(model, from + len) - first;

	memcpy(moved, &model->page[first], n * sizeof(moved[0]));
	model_clear(model, from, from + len, false);
	for (unsigned i = 0; i < n; i++) {
		moved[i].addr = moved[i].addr - from + to;
		model_put(model, &moved[i]);
	}
}

/* ---- The cache ------------------------------------------------------------------------------- */

static inline void mapped_invalidate(void *ctx, struct vas *space,
                                     const struct vas_invalidation *what)
{
	struct mapped *mapped = ctx;

	(void)space;
	assert_true(what->start < what->end);
	model_clear(&mapped->cached, what->start, what->end, false);
}

static inline void assert_not_stale(const struct mapped *mapped)
{
	for (unsigned i = 0; i < mapped->cached.n; i++) {
		const struct model_page *old = &mapped->cached.page[i];
		uint64_t offset;
		unsigned level;
		struct entry now = pagemap_lookup(&mapped->pm, old->addr, &level);

		if (old->mark || old->rights == 0)
			continue; /* never in a CPU's cache */
		offset = old->addr & (format_span(mapped->pm.table.format, level) - 1);
		assert_int_equal(now.kind, ENTRY_LEAF);
		assert_int_equal(now.phys + offset, old->phys);
		assert_int_equal(old->rights & ~now.rights, 0);
	}
}

/* ---- Both compared --------------------------------------------------------------------------- */

struct comparison {
	struct mapped *mapped;
	unsigned next;
};

static inline unsigned raised(const struct vas_format *format, unsigned rights)
{
	return rights & format->readable ? rights | RIGHT_READ : rights;
}

static inline bool compare_entry(void *ctx, uint64_t addr, unsigned level,
                                 const struct entry *entry)
{
	struct comparison *comparison = ctx;
	struct mapped *mapped = comparison->mapped;
	const struct vas_format *format = mapped->pm.table.format;
	uint64_t page = format_page_size(format);

	for (uint64_t offset = 0; offset < format_span(format, level); offset += page) {
		struct model_page *truth = &mapped->model.page[comparison->next++];
		unsigned unsure = mapped->shared ? RIGHT_WRITE : 0;

		assert_true(comparison->next <= mapped->model.n);
		assert_int_equal(addr + offset, truth->addr);
		assert_int_equal(entry->kind == ENTRY_MARK, truth->mark);
		mapped->cached.page[mapped->cached.n] = *truth;
		mapped->cached.page[mapped->cached.n++].rights = entry->rights;
		if (truth->mark)
			continue;
		assert_int_equal(entry->phys + offset, truth->phys);
		assert_int_equal(entry->rights & ~unsure, raised(format, truth->rights) & ~unsure);
		if (entry->rights & RIGHT_WRITE)
			assert_true(truth->rights & RIGHT_WRITE);
	}
	return true;
}

static inline void assert_mapped(struct mapped *mapped)
{
	struct comparison comparison = {.mapped = mapped};

	assert_holds(pagemap_check(&mapped->pm));
	assert_not_stale(mapped);
	mapped->cached.n = 0;
	assert_true(pagemap_walk(&mapped->pm, 0, mapped->pm.table.format->task_size, compare_entry,
	                         &comparison));
	assert_int_equal(comparison.next, mapped->model.n);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static inline void mapped_begin(struct mapped *mapped, struct unit *unit)
{
	memset(mapped, 0, sizeof(*mapped));
	mapped->port.ctx = mapped;
	mapped->port.invalidate = mapped_invalidate;
	gather_init(&mapped->gather, NULL, &mapped->port, unit->config.format,
	            &unit->system->frames, unit->system->zero);
	assert_true(pagemap_init(&mapped->pm, &mapped->gather, &unit->system->slab,
	                         unit->config.software));
}

static inline void mapped_clear(struct mapped *mapped, uint64_t start, uint64_t end, bool zap)
{
	assert_true(pagemap_split_at(&mapped->pm, start) && pagemap_split_at(&mapped->pm, end));
	if (zap)
		pagemap_zap(&mapped->pm, start, end);
	else
		pagemap_clear(&mapped->pm, start, end);
	gather_close(&mapped->gather);
	model_clear(&mapped->model, start, end, zap);
}

static inline void mapped_end(struct mapped *mapped)
{
	mapped_clear(mapped, 0, mapped->pm.table.format->task_size, false);
	assert_mapped(mapped);
	assert_int_equal(pagemap_count_tables(&mapped->pm), 0);
	pagemap_destroy(&mapped->pm);
	gather_close(&mapped->gather);
}

/* A fresh leaf of this level in the place of what is there. */
static inline void mapped_set(struct mapped *mapped, uint64_t addr, unsigned level,
                              unsigned rights)
{
	const struct vas_format *format = mapped->pm.table.format;
	uint64_t page = format_page_size(format), span = format_span(format, level);
	struct entry leaf = {.kind = ENTRY_LEAF, .rights = rights, .accessed = true};
	uint32_t frame =
		frame_alloc(mapped->pm.table.frames, FRAME_NONE, level * format->index_bits);

	addr &= ~(span - 1);
	mapped_clear(mapped, addr, addr + span, false);
	assert_int_not_equal(frame, FRAME_NONE);
	leaf.phys = frame_phys(mapped->pm.table.frames, frame);
	assert_true(pagemap_set(&mapped->pm, addr, level, &leaf));
	gather_close(&mapped->gather);
	for (uint64_t offset = 0; offset < span; offset += page) {
		struct model_page truth = {addr + offset, leaf.phys + offset, rights, false};

		model_put(&mapped->model, &truth);
	}
}

static inline void mapped_mark(struct mapped *mapped, uint64_t addr)
{
	const struct entry mark = {.kind = ENTRY_MARK, .mark = MARK_GUARD};
	struct model_page truth = {.addr = addr, .mark = true};

	mapped_clear(mapped, addr, addr + format_page_size(mapped->pm.table.format), false);
	assert_true(pagemap_set(&mapped->pm, addr, 0, &mark));
	gather_close(&mapped->gather);
	model_put(&mapped->model, &truth);
}

static inline void mapped_protect(struct mapped *mapped, uint64_t start, uint64_t end,
                                  unsigned rights)
{
	assert_true(pagemap_split_at(&mapped->pm, start) && pagemap_split_at(&mapped->pm, end));
	assert_true(pagemap_unshare(&mapped->pm, start, end));
	pagemap_protect(&mapped->pm, start, end, 7, rights);
	gather_close(&mapped->gather);
	model_protect(&mapped->model, start, end, rights);
}

static inline bool mapped_try_move(struct mapped *mapped, uint64_t from, uint64_t to, uint64_t len)
{
	bool ok = pagemap_split_at(&mapped->pm, from) &&
	          pagemap_split_at(&mapped->pm, from + len) &&
	          pagemap_split_at(&mapped->pm, to) && pagemap_split_at(&mapped->pm, to + len);

	ok = ok && pagemap_prepare_move(&mapped->pm, from, to, len);
	gather_close(&mapped->gather);
	if (!ok)
		return false;
	/* From here on it cannot fail. */
	mapped->pm.table.frames->fail_after = 0;
	pagemap_move(&mapped->pm, from, to, len);
	gather_close(&mapped->gather);
	mapped->pm.table.frames->fail_after = -1;
	model_move(&mapped->model, from, to, len);
	return true;
}

/* With each allocation failing once: nothing has changed then. */
static inline void mapped_move(struct mapped *mapped, uint64_t from, uint64_t to, uint64_t len)
{
	bool done = false;

	mapped_clear(mapped, to, to + len, false);
	for (int64_t n = 0; !done; n++) {
		assert_true(n < 10000);
		mapped->pm.table.frames->fail_after = n;
		done = mapped_try_move(mapped, from, to, len);
		mapped->pm.table.frames->fail_after = -1;
		if (!done)
			assert_mapped(mapped);
	}
}

#endif
