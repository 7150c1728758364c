/* test_shadow.c - random calls in several threads with software TLBs, beside a shadow of every
 * page: what a thread finds is what it stored there last, it may do what the shadow says and no
 * more, and nothing is anybody else's.
 *
 * Each worker has an arena, in a space that it shares with another: only he calls there and stores
 * there, so his shadow is exact whatever the others do meanwhile, to the tables, frames and locks
 * that they have in common. He has files of his own, and at times a child by fork, where he goes
 * on in his arena, and watches the others' arenas stay as they were. A visitor in each space looks
 * into all arenas meanwhile and holds on to what it has translated: it may find what their workers
 * put there, and no one else.
 *
 * Counted: foreign words (another's, or the child's in the parent), stale ones (not the last that
 * was stored), accesses that were wrongly denied or allowed, calls that did not answer as they
 * should, and files whose disk is not as they were stored to.
 *
 * VAS_SHADOW_STEPS says how many calls (all workers together; `make stress` makes many),
 * VAS_SHADOW_SEED where they begin.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "shadow.h"

#define SPACES 2u
#define WORKERS 4u
#define VISITORS SPACES
#define ARENA_PAGES 1400u /* holds whole large pages; its neighbours share a leaf table with it */
#define ARENAS ((uint64_t)0x40064000)
#define OBJECTS 3u /* memory, files */
#define WITNESSES 8u
#define REGION ((uint64_t)512 << 20)

/* A word says who stored it, in whose space, and whether to an object. */
#define WORD_TAG(number) (((uint64_t)(number) + 1) << 56)
#define WORD_CHILD ((uint64_t)1 << 55)
#define WORD_OBJECT ((uint64_t)1 << 54)

enum wrong { FOREIGN, STALE, DENIED, ALLOWED, ANSWER, DISK, WRONGS };

static const char *const wrong_names[WRONGS] = {
	"foreign words",   "stale words",   "wrongly denied",
	"wrongly allowed", "wrong answers", "wrong on disk",
};

struct side {
	struct vas *space;
	struct vas_tlb tlb;
	struct page page[ARENA_PAGES];
	bool child;
};

struct witness {
	uint64_t addr, value; /* 0: nothing */
};

struct worker {
	pthread_t thread;
	struct random random;
	unsigned number;
	uint64_t base, next_value;
	struct side side[2]; /* the second: at times */
	struct object object[OBJECTS];
	struct witness witness[WITNESSES];
	uint64_t share, steps, looks, wrong[WRONGS];
	uint64_t first_wrong[4]; /* step, address, found, expected */
};

struct visitor {
	pthread_t thread;
	struct random random;
	struct vas *space;
	struct vas_tlb tlb;
	uint64_t looks, foreign;
};

static struct unit unit;
static struct worker workers[WORKERS];
static struct visitor visitors[VISITORS];
static struct vas *spaces[SPACES];
static bool stop;

static unsigned below(struct worker *w, unsigned limit)
{
	return (unsigned)random_below(&w->random, limit);
}

static uint64_t arena(unsigned number)
{
	return ARENAS + (number / SPACES) * ARENA_PAGES * UNIT_PAGE;
}

static uint64_t page_addr(const struct worker *w, unsigned p)
{
	return w->base + p * UNIT_PAGE;
}

static void wrong(struct worker *w, enum wrong what, uint64_t addr, uint64_t found,
                  uint64_t expected)
{
	if (w->wrong[what]++ == 0 && w->first_wrong[1] == 0)
		memcpy(w->first_wrong, (uint64_t[4]){w->steps, addr, found, expected},
		       sizeof(w->first_wrong));
}

static void answers(struct worker *w, uint64_t addr, int64_t found, int64_t expected)
{
	if (found != expected)
		wrong(w, ANSWER, addr, (uint64_t)found, (uint64_t)expected);
}

/* ---- Accesses -------------------------------------------------------------------------------- */

static uint64_t *find(struct vas *space, struct vas_tlb *tlb, uint64_t addr, enum vas_access access)
{
	void *host = vas_tlb_lookup(tlb, addr, 8, access);

	if (!host && vas_translate(space, tlb, addr, access, &host, NULL) != 0)
		return NULL;
	return host;
}

static void compare(struct worker *w, const struct side *side, const struct page *page,
                    uint64_t addr, uint64_t found)
{
	uint64_t expected = page_value(page, w->object);
	bool childs = (found & WORD_CHILD) && !(found & WORD_OBJECT) && !side->child;

	if (found == expected)
		return;
	wrong(w, found && (found >> 56 != w->number + 1 || childs) ? FOREIGN : STALE, addr, found,
	      expected);
}

static uint64_t fresh_value(struct worker *w, const struct side *side, const struct page *page)
{
	return WORD_TAG(w->number) | (side->child ? WORD_CHILD : 0) |
	       (page->kind == SHARED ? WORD_OBJECT : 0) | ++w->next_value;
}

/* As a guest does, in its TLB. */
static void look(struct worker *w, struct side *side, unsigned p, enum vas_access access)
{
	struct page *page = &side->page[p];
	uint64_t addr = page_addr(w, p), value;
	bool allowed = page_allows(page, w->object, access);
	uint64_t *word = find(side->space, &side->tlb, addr, access);

	w->looks++;
	if (!word != !allowed)
		wrong(w, word ? ALLOWED : DENIED, addr, access, page->prot);
	if (!word || !allowed)
		return;
	compare(w, side, page, addr, __atomic_load_n(word, __ATOMIC_RELAXED));
	if (access == VAS_WRITE) {
		value = fresh_value(w, side, page);
		__atomic_store_n(word, value, __ATOMIC_RELAXED);
		page_stored(page, w->object, value);
	}
}

/* The same by the calls for those who have no TLB. */
static void look_from_outside(struct worker *w, struct side *side, unsigned p,
                              enum vas_access access)
{
	struct page *page = &side->page[p];
	uint64_t addr = page_addr(w, p), value = 0, expected = 0;
	bool allowed = page_allows(page, w->object, access);

	w->looks++;
	if (allowed)
		expected = page_value(page, w->object);
	if (access == VAS_READ) {
		bool could = vas_read(side->space, &value, addr, 8, NULL) == 0;

		if (could != allowed)
			wrong(w, could ? ALLOWED : DENIED, addr, access, page->prot);
		else if (could)
			compare(w, side, page, addr, value);
		return;
	}
	/* A compare-and-exchange reads, too. */
	allowed = allowed && (page->prot & VAS_PROT_READ);
	value = fresh_value(w, side, page);
	if (vas_compare_exchange(side->space, addr, 8, &expected, value, NULL) == 1) {
		if (!allowed)
			wrong(w, ALLOWED, addr, access, page->prot);
		page_stored(page, w->object, value);
	} else if (allowed) {
		compare(w, side, page, addr, expected);
	}
}

static void look_around(struct worker *w, struct side *side, unsigned first, unsigned n)
{
	for (unsigned i = 0; i < 6; i++) {
		unsigned p = i < 4 ? first + below(w, n + 1) : below(w, 64) * 20;
		enum vas_access access = below(w, 5) < 3 ? VAS_WRITE : VAS_READ;

		p = p < ARENA_PAGES ? p : ARENA_PAGES - 1;
		if (below(w, 8))
			look(w, side, p, access);
		else
			look_from_outside(w, side, p, access);
	}
	vas_tlb_leave(&side->tlb);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static int64_t read_page(void *ctx, uint64_t index, void *page)
{
	struct object *o = ctx;
	uint64_t value = __atomic_load_n(&o->disk[index], __ATOMIC_RELAXED);

	memcpy(page, &value, sizeof(value));
	return 0;
}

static int64_t write_page(void *ctx, uint64_t index, const void *page)
{
	struct object *o = ctx;
	uint64_t value;

	memcpy(&value, page, sizeof(value));
	__atomic_store_n(&o->disk[index], value, __ATOMIC_RELAXED);
	return 0;
}

static void release(void *ctx)
{
	struct object *o = ctx;

	__atomic_store_n(&o->gone, true, __ATOMIC_RELEASE);
}

static const struct vas_object_ops file_ops = {read_page, write_page, release, NULL};

static void check_disk(struct worker *w, const struct object *o, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end && i < o->npages; i++) {
		uint64_t disk = __atomic_load_n(&o->disk[i], __ATOMIC_RELAXED);

		if (disk != o->value[i])
			wrong(w, DISK, i + 1, disk, o->value[i]);
	}
}

static void object_open(struct worker *w, unsigned which)
{
	struct object *o = &w->object[which];
	const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE |
	                                           (which ? 0 : VAS_FILE_SHMEM)};

	memset(o, 0, sizeof(*o));
	o->npages = OBJECT_PAGES / 2;
	answers(w, 0,
	        vas_object_create(unit.system, which ? &file_ops : NULL, o, o->npages * UNIT_PAGE,
	                          &o->object),
	        0);
	answers(w, 0, vas_file_open(o->object, &info, &o->file), 0);
	o->open = true;
}

static void object_close(struct object *o)
{
	o->open = false;
	vas_file_put(o->file);
	vas_object_put(o->object);
}

static void object_resize(struct worker *w, unsigned which)
{
	struct object *o = &w->object[which];
	unsigned npages = below(w, OBJECT_PAGES + 1);

	answers(w, 0, vas_object_resize(o->object, npages * UNIT_PAGE), 0);
	for (unsigned i = npages; i < OBJECT_PAGES; i++) {
		o->value[i] = 0;
		__atomic_store_n(&o->disk[i], 0, __ATOMIC_RELAXED);
	}
	for (unsigned s = 0; s < 2; s++)
		pages_truncated(w->side[s].page, ARENA_PAGES, (int)which, npages);
	o->npages = npages;
}

/* Files are closed at times, and live on as long as they are mapped. */
static void object_step(struct worker *w)
{
	unsigned which = below(w, OBJECTS);
	struct object *o = &w->object[which];

	if (!o->open && __atomic_load_n(&o->gone, __ATOMIC_ACQUIRE)) {
		check_disk(w, o, 0, OBJECT_PAGES);
		object_open(w, which);
	} else if (o->open && which && below(w, 4) == 0) {
		object_close(o);
	} else if (o->open && which && below(w, 2)) {
		answers(w, 0, vas_object_sync(o->object), 0);
		check_disk(w, o, 0, OBJECT_PAGES);
	} else if (o->open) {
		object_resize(w, which);
	}
}

/* ---- Calls ----------------------------------------------------------------------------------- */

struct range {
	struct page *page;
	uint64_t addr, len;
	unsigned first, n;
};

static struct range some_range(struct worker *w, struct side *side)
{
	unsigned first = below(w, 4) ? below(w, 8) * 160 + below(w, 12) : below(w, ARENA_PAGES);
	unsigned n = below(w, 16) ? 1 + below(w, 40) : 1 + below(w, 1100);

	n = n < ARENA_PAGES - first ? n : ARENA_PAGES - first;
	return (struct range){side->page + first, page_addr(w, first), n * UNIT_PAGE, first, n};
}

static void forget(struct range r)
{
	memset(r.page, 0, r.n * sizeof(*r.page));
}

static void map(struct worker *w, struct side *side, struct range r)
{
	static const unsigned prots[] = {RW, RW, RW, RW, VAS_PROT_READ, 0};
	int which = (int)below(w, 2 * OBJECTS) - (int)OBJECTS;
	struct object *o = which >= 0 ? &w->object[which] : NULL;
	bool shared = o && below(w, 3);
	unsigned prot = prots[below(w, 6)], index = 0;
	uint64_t flags = VAS_MAP_FIXED | (shared ? VAS_MAP_SHARED : VAS_MAP_PRIVATE);

	if (o && !o->open)
		return;
	if (o) {
		r.n = r.n < OBJECT_PAGES ? r.n : OBJECT_PAGES;
		index = below(w, OBJECT_PAGES - r.n + 1);
	}
	answers(w, r.addr,
	        vas_mmap(side->space, r.addr, r.n * UNIT_PAGE, prot,
	                 flags | (o ? 0 : VAS_MAP_ANONYMOUS), o ? o->file : NULL,
	                 index * UNIT_PAGE),
	        (int64_t)r.addr);
	for (unsigned i = 0; i < r.n; i++)
		r.page[i] = (struct page){
			.kind = shared ? SHARED : PRIVATE,
			.prot = prot,
			.object = o ? which : -1,
			.index = o ? index + i : r.first + i,
		};
}

static void unmap(struct worker *w, struct side *side, struct range r)
{
	answers(w, r.addr, vas_munmap(side->space, r.addr, r.len), 0);
	forget(r);
}

static void protect(struct worker *w, struct side *side, struct range r)
{
	unsigned prot = below(w, 5) ? VAS_PROT_READ | (below(w, 2) ? VAS_PROT_WRITE : 0) : 0;

	if (!pages_mapped(r.page, r.n, false))
		return;
	answers(w, r.addr, vas_mprotect(side->space, r.addr, r.len, prot), 0);
	for (unsigned i = 0; i < r.n; i++)
		r.page[i].prot = prot;
}

static void discard(struct worker *w, struct side *side, struct range r)
{
	if (!pages_mapped(r.page, r.n, false) || any_locked(r.page, r.n))
		return;
	answers(w, r.addr, vas_madvise(side->space, r.addr, r.len, VAS_MADV_DONTNEED), 0);
	for (unsigned i = 0; i < r.n; i++)
		page_drop(&r.page[i]);
}

static void remove_pages(struct worker *w, struct side *side, struct range r)
{
	const struct page first = *r.page;

	if (!pages_mapped(r.page, r.n, true) || first.kind != SHARED || first.object != 0 ||
	    first.locked || !(first.prot & VAS_PROT_WRITE))
		return;
	answers(w, r.addr, vas_madvise(side->space, r.addr, r.len, VAS_MADV_REMOVE), 0);
	for (unsigned i = 0; i < r.n; i++)
		w->object[0].value[first.index + i] = 0;
}

static void synchronise(struct worker *w, struct side *side, struct range r)
{
	const struct page first = *r.page;

	if (!pages_mapped(r.page, r.n, true) || first.kind != SHARED || first.object == 0)
		return;
	answers(w, r.addr, vas_msync(side->space, r.addr, r.len, VAS_MS_SYNC), 0);
	check_disk(w, &w->object[first.object], first.index, first.index + r.n);
}

static void populate(struct worker *w, struct side *side, struct range r)
{
	if (!pages_plain(r.page, r.n))
		return;
	answers(w, r.addr, vas_madvise(side->space, r.addr, r.len, VAS_MADV_POPULATE_WRITE), 0);
}

/* What is locked is anonymous: of a file's page, populating may make a copy or not. */
static void lock(struct worker *w, struct side *side, struct range r)
{
	bool locks = below(w, 2);

	if (!pages_plain(r.page, r.n))
		return;
	answers(w, r.addr,
	        locks ? vas_mlock(side->space, r.addr, r.len)
	              : vas_munlock(side->space, r.addr, r.len),
	        0);
	for (unsigned i = 0; i < r.n; i++)
		r.page[i].locked = locks;
}

static void guard(struct worker *w, struct side *side, struct range r)
{
	bool installs = below(w, 2);

	for (unsigned i = 0; i < r.n; i++) {
		if (r.page[i].kind != PRIVATE || r.page[i].object >= 0 || r.page[i].locked)
			return;
	}
	answers(w, r.addr,
	        vas_madvise(side->space, r.addr, r.len,
	                    installs ? VAS_MADV_GUARD_INSTALL : VAS_MADV_GUARD_REMOVE),
	        0);
	for (unsigned i = 0; i < r.n; i++) {
		r.page[i].guard = installs;
		if (installs)
			page_drop(&r.page[i]);
	}
}

/* Within the arena, to an empty place; the source may be cut, or stay. */
static void move(struct worker *w, struct side *side, struct range r)
{
	unsigned to = below(w, 4) ? below(w, ARENA_PAGES) : (r.first + 512) % ARENA_PAGES;
	unsigned n = r.n - (below(w, 4) ? 0 : below(w, r.n));
	bool stays = n == r.n && below(w, 4) == 0;
	uint64_t flags = VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED;
	struct range target = {side->page + to, page_addr(w, to), n * UNIT_PAGE, to, n};
	int64_t result;

	if (to + r.n > ARENA_PAGES || (to < r.first + r.n && r.first < to + r.n) ||
	    !pages_mapped(r.page, r.n, true) || (stays && r.page->locked))
		return;
	unmap(w, side, target);
	result = vas_mremap(side->space, r.addr, r.len, target.len,
	                    flags | (stays ? VAS_MREMAP_DONTUNMAP : 0), target.addr);
	/* A vma may end inside all the same, where identities differ. */
	if (result < 0)
		return;
	answers(w, target.addr, result, (int64_t)target.addr);
	for (unsigned i = 0; i < n; i++)
		page_move(&r.page[i], &target.page[i], stays);
	memset(r.page + n, 0, (r.n - n) * sizeof(*r.page));
}

/* The same shared pages at a second place. */
static void duplicate(struct worker *w, struct side *side, struct range r)
{
	unsigned to = below(w, ARENA_PAGES);

	if (!pages_mapped(r.page, r.n, true) || r.page->kind != SHARED || to + r.n > ARENA_PAGES ||
	    (to < r.first + r.n && r.first < to + r.n))
		return;
	answers(w, r.addr,
	        vas_mremap(side->space, r.addr, 0, r.len, VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED,
	                   page_addr(w, to)),
	        (int64_t)page_addr(w, to));
	for (unsigned i = 0; i < r.n; i++)
		page_move(&r.page[i], &side->page[to + i], true);
}

/* Any answer is right, and changes nothing that can be read. */
static void collapse(struct worker *w, struct side *side)
{
	vas_madvise(side->space, w->base & ~(uint64_t)0xfff, ARENA_PAGES * UNIT_PAGE,
	            VAS_MADV_COLLAPSE);
}

/* ---- Children -------------------------------------------------------------------------------- */

static uint64_t word_at(struct side *side, uint64_t addr)
{
	const uint64_t *word = find(side->space, &side->tlb, addr, VAS_READ);

	return word ? __atomic_load_n(word, __ATOMIC_RELAXED) : 0;
}

/* The private pages of others' are in the child what they were, or gone with the end of a file:
 * what their workers stored since is not to be seen. */
static void check_witness(struct worker *w, const struct witness *seen)
{
	uint64_t value = word_at(&w->side[1], seen->addr);

	if (value != 0 && !(value & WORD_OBJECT) && value != seen->value)
		wrong(w, FOREIGN, seen->addr, value, seen->value);
}

static void leave(struct worker *w)
{
	struct side *child = &w->side[1];

	for (unsigned i = 0; i < WITNESSES; i++)
		check_witness(w, &w->witness[i]);
	vas_tlb_unregister(&child->tlb);
	vas_destroy(child->space);
	memset(child->page, 0, sizeof(child->page));
	child->space = NULL;
}

static void split(struct worker *w)
{
	struct side *parent = &w->side[0], *child = &w->side[1];

	if (child->space)
		leave(w);
	answers(w, 0, vas_fork(parent->space, &child->space), 0);
	vas_tlb_register(child->space, &child->tlb);
	memcpy(child->page, parent->page, sizeof(child->page));
	for (unsigned i = 0; i < ARENA_PAGES; i++)
		child->page[i].locked = false;
	for (unsigned i = 0; i < WITNESSES; i++) {
		struct witness *seen = &w->witness[i];
		unsigned other = (w->number + SPACES) % WORKERS;

		seen->addr = arena(other) + below(w, 64) * 20 * UNIT_PAGE;
		seen->value = word_at(child, seen->addr);
	}
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static void step(struct worker *w)
{
	struct side *side = &w->side[w->side[1].space && below(w, 3) == 0];
	struct range r = some_range(w, side);
	unsigned what = below(w, 64);

	if (what < 16)
		map(w, side, r);
	else if (what < 20)
		unmap(w, side, r);
	else if (what < 28)
		protect(w, side, r);
	else if (what < 32)
		discard(w, side, r);
	else if (what < 34)
		remove_pages(w, side, r);
	else if (what < 37)
		synchronise(w, side, r);
	else if (what < 40)
		populate(w, side, r);
	else if (what < 43)
		lock(w, side, r);
	else if (what < 47)
		guard(w, side, r);
	else if (what < 55)
		move(w, side, r);
	else if (what < 57)
		duplicate(w, side, r);
	else if (what < 58)
		collapse(w, side);
	else if (what < 62)
		object_step(w);
	else if (what < 63 || !w->side[1].space)
		split(w);
	else
		leave(w);
	if (side->space)
		look_around(w, side, r.first, r.n);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (uint64_t i = 0; i < w->share; i++) {
		step(w);
		__atomic_store_n(&w->steps, i + 1, __ATOMIC_RELAXED);
	}
	/* His child maps others' files, too: who truncates one would wait for him for ever. */
	for (unsigned s = 0; s < 2; s++)
		vas_tlb_leave(&w->side[s].tlb);
	return NULL;
}

static bool is_over(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static void visit(struct visitor *v, unsigned space)
{
	unsigned number = space + SPACES * (unsigned)random_below(&v->random, WORKERS / SPACES);
	uint64_t addr = arena(number) + random_below(&v->random, ARENA_PAGES) * UNIT_PAGE;
	const uint64_t *word = find(v->space, &v->tlb, addr, VAS_READ);

	for (unsigned i = 0; word && i < 2; i++) {
		uint64_t value = __atomic_load_n(word, __ATOMIC_RELAXED);
		bool childs = (value & WORD_CHILD) && !(value & WORD_OBJECT);

		v->foreign += value && (value >> 56 != number + 1 || childs);
		if (random_below(&v->random, 256) == 0)
			usleep(50);
	}
	v->looks++;
}

static void *visitor_run(void *arg)
{
	struct visitor *v = arg;

	while (!is_over()) {
		for (unsigned i = 0; i < 64; i++)
			visit(v, (unsigned)(v - visitors));
		vas_tlb_leave(&v->tlb);
		usleep(100);
	}
	return NULL;
}

/* ---- The run --------------------------------------------------------------------------------- */

static void wait_hook(void *ctx)
{
	(void)ctx;
	sched_yield();
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void begin(void)
{
	unit_prepare(&unit);
	unit.config.port.threads = true;
	unit.config.port.wait = wait_hook;
	unit.config.settings.overcommit_memory = 1;
	unit.config.settings.thp_enabled = VAS_THP_ALWAYS;
	unit_begin_with(&unit, REGION);
	for (unsigned s = 0; s < SPACES; s++) {
		spaces[s] = unit_space(&unit);
		vas_set_capabilities(spaces[s], VAS_CAP_IPC_LOCK);
		visitors[s].space = spaces[s];
		visitors[s].random.state = s + 99;
		vas_tlb_register(spaces[s], &visitors[s].tlb);
	}
}

static void start(void)
{
	uint64_t seed = number_of("VAS_SHADOW_SEED", 1);
	uint64_t steps = number_of("VAS_SHADOW_STEPS", 10000);

	for (unsigned n = 0; n < WORKERS; n++) {
		struct worker *w = &workers[n];

		w->number = n;
		w->random.state = (seed * WORKERS + n) * 0x9e3779b97f4a7c15ull + 1;
		w->base = arena(n);
		w->share = steps / WORKERS;
		w->side[0].space = spaces[n % SPACES];
		w->side[1].child = true;
		vas_tlb_register(w->side[0].space, &w->side[0].tlb);
		for (unsigned i = 0; i < OBJECTS; i++)
			object_open(w, i);
	}
	for (unsigned s = 0; s < VISITORS; s++)
		assert_int_equal(
			pthread_create(&visitors[s].thread, NULL, visitor_run, &visitors[s]), 0);
	for (unsigned n = 0; n < WORKERS; n++)
		assert_int_equal(pthread_create(&workers[n].thread, NULL, work, &workers[n]), 0);
}

static void worker_end(struct worker *w)
{
	if (w->side[1].space)
		leave(w);
	vas_tlb_unregister(&w->side[0].tlb);
	for (unsigned i = 0; i < OBJECTS; i++) {
		if (w->object[i].open)
			object_close(&w->object[i]);
	}
}

static uint64_t tell(const struct worker *w)
{
	uint64_t sum = 0;

	print_message("worker %u: %llu calls, %llu looks", w->number, (unsigned long long)w->steps,
	              (unsigned long long)w->looks);
	for (unsigned i = 0; i < WRONGS; i++) {
		print_message(", %llu %s", (unsigned long long)w->wrong[i], wrong_names[i]);
		sum += w->wrong[i];
	}
	if (sum)
		print_message("; first after step %llu at %#llx: %#llx, not %#llx",
		              (unsigned long long)w->first_wrong[0],
		              (unsigned long long)w->first_wrong[1],
		              (unsigned long long)w->first_wrong[2],
		              (unsigned long long)w->first_wrong[3]);
	print_message("\n");
	return sum;
}

/* On a long run it says now and then how far it is. */
static void watch(void)
{
	uint64_t told = 0, steps = 0, share = 0;

	do {
		usleep(20000);
		steps = share = 0;
		for (unsigned n = 0; n < WORKERS; n++) {
			steps += __atomic_load_n(&workers[n].steps, __ATOMIC_RELAXED);
			share += workers[n].share;
		}
		if (steps - told > 5000000) {
			print_message("%llu calls\n", (unsigned long long)steps);
			told = steps;
		}
	} while (steps < share);
}

static void every_page_is_as_its_shadow(void **state)
{
	uint64_t sum = 0;

	(void)state;
	begin();
	start();
	watch();
	for (unsigned n = 0; n < WORKERS; n++)
		pthread_join(workers[n].thread, NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned s = 0; s < VISITORS; s++) {
		pthread_join(visitors[s].thread, NULL);
		vas_tlb_unregister(&visitors[s].tlb);
		print_message("visitor %u: %llu looks, %llu foreign words\n", s,
		              (unsigned long long)visitors[s].looks,
		              (unsigned long long)visitors[s].foreign);
		sum += visitors[s].foreign;
	}
	for (unsigned n = 0; n < WORKERS; n++) {
		worker_end(&workers[n]);
		sum += tell(&workers[n]);
	}
	assert_holds(vas_audit(unit.system));
	for (unsigned s = 0; s < SPACES; s++) {
		assert_holds(vas_check(spaces[s]));
		vas_destroy(spaces[s]);
	}
	for (unsigned n = 0; n < WORKERS; n++) {
		for (unsigned i = 1; i < OBJECTS; i++) {
			assert_true(workers[n].object[i].gone);
			check_disk(&workers[n], &workers[n].object[i], 0, OBJECT_PAGES);
		}
		assert_int_equal(workers[n].wrong[DISK], 0);
	}
	assert_int_equal(sum, 0);
	unit_end(&unit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_page_is_as_its_shadow)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
