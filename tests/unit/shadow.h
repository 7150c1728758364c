/* shadow.h - what a test knows of a space's pages and of the files behind them: who may do what
 * with each page, and which word it holds. Random calls are made on both, and compared.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_SHADOW_H
#define VAS_SHADOW_H

#include "unit.h"

#define OBJECT_PAGES 96u

enum kind { NOTHING, PRIVATE, SHARED };

struct page {
	enum kind kind;
	unsigned prot;
	int object;     /* -1: anonymous */
	unsigned index; /* in it */
	bool own;       /* a private page that was written: `value` is in it */
	bool locked;
	bool guard;     /* nobody may touch it */
	bool sealed;
	bool huge; /* of the huge page pool */
	uint64_t value;
};

/* Memory, or a file that is written back. */
struct object {
	struct vas_object *object;
	struct vas_file *file;
	bool open;       /* the test has a handle */
	bool gone;       /* nobody has: said by whoever had it last */
	unsigned npages; /* its size */
	uint64_t value[OBJECT_PAGES];
	uint64_t disk[OBJECT_PAGES];
};

/* `objects`: those that `page->object` counts in. */
static inline bool page_past_end(const struct page *page, const struct object *objects)
{
	return page->object >= 0 && !page->own && page->index >= objects[page->object].npages;
}

static inline bool page_allows(const struct page *page, const struct object *objects,
                               unsigned access)
{
	return page->kind != NOTHING && (page->prot & access) && !page->guard &&
	       !page_past_end(page, objects);
}

static inline uint64_t page_value(const struct page *page, const struct object *objects)
{
	if (page->kind == PRIVATE && (page->own || page->object < 0))
		return page->own ? page->value : 0;
	return objects[page->object].value[page->index];
}

static inline void page_stored(struct page *page, struct object *objects, uint64_t value)
{
	if (page->kind == SHARED) {
		objects[page->object].value[page->index] = value;
	} else {
		page->own = true;
		page->value = value;
	}
}

/* What there was is gone, what is mapped next is fresh. */
static inline void page_drop(struct page *page)
{
	page->own = false;
}

/* It goes elsewhere; or only what it holds does (DONTUNMAP), or it is there twice (old_len 0). */
static inline void page_move(struct page *from, struct page *to, bool stays)
{
	*to = *from;
	if (stays)
		from->own = from->guard = false;
	else
		memset(from, 0, sizeof(*from));
}

/* All of n pages are mapped, with what `alike` wants to be the same along them. */
static inline bool pages_mapped(const struct page *first, unsigned n, bool alike)
{
	for (unsigned i = 0; i < n; i++) {
		const struct page *page = first + i;

		if (page->kind == NOTHING)
			return false;
		if (alike && (page->kind != first->kind || page->object != first->object ||
		              page->prot != first->prot || page->index != first->index + i ||
		              page->locked != first->locked || page->sealed != first->sealed ||
		              page->huge != first->huge))
			return false;
	}
	return true;
}

static inline bool any_locked(const struct page *first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (first[i].locked)
			return true;
	}
	return false;
}

/* Nothing of it is a file's, or a guard, and all may be written. */
static inline bool pages_plain(const struct page *first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (first[i].kind != PRIVATE || first[i].object >= 0 || first[i].guard ||
		    first[i].prot != RW)
			return false;
	}
	return true;
}

/* Pages that lie behind a file's new end are gone, private copies too. */
static inline void pages_truncated(struct page *first, unsigned n, int object, unsigned npages)
{
	for (unsigned i = 0; i < n; i++) {
		if (first[i].kind == PRIVATE && first[i].object == object &&
		    first[i].index >= npages)
			first[i].own = false;
	}
}

#endif
