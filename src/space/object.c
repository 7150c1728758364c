/* object.c - shared anonymous memory, memory files, and files behind the embedder's callbacks.
 *
 * Pages hang off a radix tree whose nodes are frames of 64-bit words. A leaf word is a frame index
 * and a dirty bit; the tree is as high as its largest index needs.
 *
 * SPDX-License-Identifier: MIT */
#include "space/object.h"
#include "space/space.h"

#define WORD_DIRTY ((uint64_t)1)
#define WORD_FRAME_SHIFT 1

/* ---- The radix tree ------------------------------------------------------------------------- */

static void lock_object(struct vas_object *object)
{
	spin_lock(&object->system->port, &object->lock, LOCK_TABLE);
}

static void unlock_object(struct vas_object *object)
{
	spin_unlock(&object->system->port, &object->lock);
}

static struct frame_pool *pool_of(const struct vas_object *object)
{
	return &object->system->frames;
}

static unsigned bits_of(const struct vas_object *object)
{
	return pool_of(object)->page_shift - 3;
}

static uint64_t *words_of(const struct vas_object *object, uint32_t node)
{
	return frame_host(pool_of(object), node);
}

static uint32_t frame_in(uint64_t word)
{
	return (uint32_t)(word >> WORD_FRAME_SHIFT);
}

static unsigned slot_of(const struct vas_object *object, uint64_t index, unsigned level)
{
	unsigned bits = bits_of(object);

	return (unsigned)(index >> (level * bits)) & ((1u << bits) - 1);
}

/* Whether a tree of this height has a place for index. */
static bool can_reach(const struct vas_object *object, uint64_t index)
{
	unsigned bits = object->height * bits_of(object);

	return bits >= 64 || index >> bits == 0;
}

static void write_node(struct vas_object *object, uint32_t node, uint64_t *word, uint64_t value)
{
	struct frame *f = &pool_of(object)->frame[node];

	f->live = (uint16_t)(f->live + (value != 0) - (*word != 0));
	*word = value;
}

/* The leaf word of index and the node it stands in, or NULL. */
static uint64_t *find_word(const struct vas_object *object, uint64_t index, uint32_t *node)
{
	uint64_t *word = NULL;

	if (object->height == 0 || !can_reach(object, index))
		return NULL;
	*node = object->root;
	for (unsigned level = object->height; level-- > 0;) {
		word = words_of(object, *node) + slot_of(object, index, level);
		if (level > 0 && *word == 0)
			return NULL;
		if (level > 0)
			*node = frame_in(*word);
	}
	return word;
}

/* Makes the tree one level higher. An empty root just stands for more. */
static bool raise_root(struct vas_object *object, uint32_t payer)
{
	uint32_t node;

	if (object->height > 0 && pool_of(object)->frame[object->root].live == 0) {
		object->height++;
		return true;
	}
	node = frame_alloc_zeroed(pool_of(object), payer);
	if (node == FRAME_NONE)
		return false;
	if (object->height > 0)
		write_node(object, node, words_of(object, node),
		           (uint64_t)object->root << WORD_FRAME_SHIFT);
	object->root = node;
	object->height++;
	object->ntables++;
	return true;
}

static void release_node(struct vas_object *object, uint32_t node)
{
	if (frame_put(pool_of(object), node))
		frame_free(pool_of(object), node);
	object->ntables--;
}

/* Frees what is empty on the way to index; below an emptied root nothing is left. */
static void prune_path(struct vas_object *object, uint64_t index)
{
	for (;;) {
		uint32_t node = object->root, parent = FRAME_NONE;
		uint64_t *above = NULL;
		unsigned level = object->height;

		while (level-- > 1 && pool_of(object)->frame[node].live > 0) {
			uint64_t *word = words_of(object, node) + slot_of(object, index, level);

			if (*word == 0)
				return;
			parent = node;
			above = word;
			node = frame_in(*word);
		}
		if (object->height == 0 || pool_of(object)->frame[node].live > 0)
			return;
		release_node(object, node);
		if (above) {
			write_node(object, parent, above, 0);
		} else {
			object->root = FRAME_NONE;
			object->height = 0;
			return;
		}
	}
}

/* The leaf word of index, its nodes made. NULL: no memory, nothing left behind. */
static uint64_t *make_word(struct vas_object *object, uint32_t payer, uint64_t index,
                           uint32_t *node)
{
	while (object->height == 0 || !can_reach(object, index)) {
		if (!raise_root(object, payer)) {
			prune_path(object, 0);
			return NULL;
		}
	}
	*node = object->root;
	for (unsigned level = object->height - 1; level > 0; level--) {
		uint64_t *word = words_of(object, *node) + slot_of(object, index, level);

		if (*word == 0) {
			uint32_t below = frame_alloc_zeroed(pool_of(object), payer);

			if (below == FRAME_NONE) {
				prune_path(object, index);
				return NULL;
			}
			object->ntables++;
			write_node(object, *node, word, (uint64_t)below << WORD_FRAME_SHIFT);
		}
		*node = frame_in(*word);
	}
	return words_of(object, *node) + slot_of(object, index, 0);
}

/* The slot that `first` belongs to, in a node that begins at `base`; past the last: none. */
static uint64_t slot_from(uint64_t first, uint64_t base, unsigned shift)
{
	return first > base ? (first - base) >> shift : 0;
}

/* Calls visit for each word of the leaf nodes in [first, last) that is not zero. */
typedef int64_t word_visit(void *ctx, uint64_t index, uint32_t node, uint64_t *word);

static int64_t walk_node(const struct vas_object *object, uint32_t node, unsigned level,
                         uint64_t base, uint64_t first, uint64_t last, word_visit *visit, void *ctx)
{
	unsigned shift = level * bits_of(object);
	uint64_t end = (uint64_t)1 << bits_of(object);
	int64_t err = 0;

	for (uint64_t slot = slot_from(first, base, shift); slot < end && !err; slot++) {
		uint64_t low = base + (slot << shift);
		uint64_t *word = words_of(object, node) + slot;

		if (low >= last)
			break;
		if (*word == 0)
			continue;
		if (level == 0)
			err = visit(ctx, low, node, word);
		else
			err = walk_node(object, frame_in(*word), level - 1, low, first, last, visit,
			                ctx);
	}
	return err;
}

static int64_t walk_object(const struct vas_object *object, uint64_t first, uint64_t last,
                           word_visit *visit, void *ctx)
{
	if (object->height == 0 || first >= last)
		return 0;
	return walk_node(object, object->root, object->height - 1, 0, first, last, visit, ctx);
}

/* ---- Pages ---------------------------------------------------------------------------------- */

/* Read by faults while another space changes it: they are told by the locks which it is. */
uint64_t object_size(const struct vas_object *object)
{
	return __atomic_load_n(&object->size, __ATOMIC_RELAXED);
}

void object_set_size(struct vas_object *object, uint64_t size)
{
	__atomic_store_n(&object->size, size, __ATOMIC_RELAXED);
}

uint64_t object_npages(const struct vas_object *object)
{
	unsigned shift = pool_of(object)->page_shift;
	uint64_t size = object_size(object);

	return (size >> shift) + !is_aligned(size, (uint64_t)1 << shift);
}

static uint32_t find(const struct vas_object *object, uint64_t index)
{
	uint32_t node;
	uint64_t *word = find_word(object, index, &node);

	return word ? frame_in(*word) : FRAME_NONE;
}

static bool is_in_hole(const struct vas_object *object, uint64_t index)
{
	return index >= object->hole_first && index < object->hole_last;
}

bool object_is_in_hole(struct vas_object *object, uint64_t index)
{
	bool in;

	lock_object(object);
	in = is_in_hole(object, index);
	unlock_object(object);
	return in;
}

void object_hole(struct vas_object *object, uint64_t first, uint64_t last)
{
	lock_object(object);
	object->hole_first = first;
	object->hole_last = last;
	unlock_object(object);
}

uint32_t object_find(struct vas_object *object, uint64_t index)
{
	uint32_t frame;

	lock_object(object);
	frame = find(object, index);
	unlock_object(object);
	return frame;
}

uint32_t object_find_get(struct vas_object *object, uint64_t index, bool dirty)
{
	uint32_t node, frame = FRAME_NONE;
	uint64_t *word;
	bool gone;

	lock_object(object);
	/* What is being truncated, or punched, is still there for those who have not been
	 * visited. */
	gone = index >= object_npages(object) || is_in_hole(object, index);
	word = gone ? NULL : find_word(object, index, &node);
	if (word && *word) {
		frame = frame_in(*word);
		frame_get(pool_of(object), frame);
		*word |= dirty ? WORD_DIRTY : 0;
	}
	unlock_object(object);
	return frame;
}

uint32_t object_page_frames(const struct vas_object *object)
{
	return format_frames(object->system->format, object->level);
}

bool object_insert(struct vas_object *object, uint32_t payer, uint64_t index, uint32_t *frame)
{
	uint64_t *word;
	uint32_t node;

	lock_object(object);
	word = make_word(object, payer, index, &node);
	if (word && *word) {
		*frame = frame_in(*word);
	} else if (word) {
		write_node(object, node, word, (uint64_t)*frame << WORD_FRAME_SHIFT);
		object->npages++;
	}
	unlock_object(object);
	return word != NULL;
}

int64_t object_page(struct vas_object *object, uint32_t payer, uint64_t index, uint32_t *frame)
{
	struct frame_pool *pool = pool_of(object);
	uint32_t fresh;
	int64_t err = 0;

	if (index >= object_npages(object))
		return -VAS_EIO;
	if (object_is_in_hole(object, index))
		return -VAS_EAGAIN;
	*frame = object_find(object, index);
	if (*frame != FRAME_NONE)
		return 0;
	*frame = fresh = frame_alloc_zeroed(pool, payer);
	if (fresh == FRAME_NONE)
		return -VAS_ENOMEM;
	/* Read without the lock; another space may be faster. */
	if (object->ops && object->ops->read_page(object->ctx, index, frame_host(pool, fresh)) < 0)
		err = -VAS_EIO;
	if (!err && !object_insert(object, payer, index, frame))
		err = -VAS_ENOMEM;
	if ((err || *frame != fresh) && frame_put(pool, fresh))
		frame_free(pool, fresh);
	return err;
}

void object_dirty(struct vas_object *object, uint64_t index)
{
	uint64_t *word;
	uint32_t node;

	lock_object(object);
	word = find_word(object, index, &node);
	if (word && *word)
		*word |= WORD_DIRTY;
	unlock_object(object);
}

bool object_is_dirty(struct vas_object *object, uint64_t index)
{
	const uint64_t *word;
	uint32_t node;
	bool dirty;

	lock_object(object);
	word = find_word(object, index, &node);
	dirty = word && (*word & WORD_DIRTY);
	unlock_object(object);
	return dirty;
}

/* ---- Writing back --------------------------------------------------------------------------- */

void object_work_begin(struct vas_object *object)
{
	spin_lock(&object->system->port, &object->work, LOCK_WORK);
}

void object_work_end(struct vas_object *object)
{
	spin_unlock(&object->system->port, &object->work);
}

/* How many pages are looked at, or dropped, before others may have the object's lock. */
#define LOOKS_AT_ONCE 1024u

struct take_dirty {
	struct object_batch *batch;
	uint64_t next; /* where to go on */
	unsigned looks;
};

/* Stops where the batch or its window ends, or after many pages that are clean. */
static int64_t take_word(void *ctx, uint64_t index, uint32_t node, uint64_t *word)
{
	struct take_dirty *take = ctx;
	struct object_batch *batch = take->batch;

	(void)node;
	if (++take->looks > LOOKS_AT_ONCE ||
	    (batch->n > 0 && index / OBJECT_BATCH != batch->index[0] / OBJECT_BATCH)) {
		take->next = index;
		return 1;
	}
	if (*word & WORD_DIRTY) {
		*word &= ~WORD_DIRTY;
		batch->index[batch->n] = index;
		batch->frame[batch->n++] = frame_in(*word);
	}
	return 0;
}

bool object_take_dirty(struct vas_object *object, uint64_t *from, uint64_t last,
                       struct object_batch *batch)
{
	struct take_dirty take = {.batch = batch, .next = last};

	batch->n = 0;
	lock_object(object);
	walk_object(object, *from, last, take_word, &take);
	unlock_object(object);
	*from = take.next;
	return batch->n > 0 || *from < last;
}

/* What becomes of a page that cannot be written. */
enum unwritten { STAYS_DIRTY, IS_LOST };

static int64_t write_one(struct vas_object *object, uint64_t index, uint32_t frame,
                         enum unwritten unwritten)
{
	const struct vas_object_ops *ops = object->ops;
	void *page = frame_host(pool_of(object), frame);
	int64_t err = ops->write_page(object->ctx, index, page);

	if (err >= 0)
		return 0;
	if (unwritten == IS_LOST && ops->lose_page)
		ops->lose_page(object->ctx, index, page, err);
	else
		object_dirty(object, index);
	return err;
}

static int64_t write_batch(struct vas_object *object, const struct object_batch *batch,
                           enum unwritten unwritten)
{
	int64_t first_err = 0;

	for (unsigned i = 0; i < batch->n; i++) {
		int64_t err = write_one(object, batch->index[i], batch->frame[i], unwritten);

		if (!first_err)
			first_err = err;
	}
	return first_err;
}

int64_t object_write(struct vas_object *object, const struct object_batch *batch)
{
	return write_batch(object, batch, STAYS_DIRTY);
}

/* What was written through mappings reaches the file now at the latest: there are none left. */
static void write_back_for_good(struct vas_object *object)
{
	struct object_batch batch;

	if (!object_is_written_back(object))
		return;
	for (uint64_t from = 0; object_take_dirty(object, &from, ~(uint64_t)0, &batch);)
		write_batch(object, &batch, IS_LOST);
}

/* ---- Letting go ----------------------------------------------------------------------------- */

struct drop {
	struct vas_object *object;
	uint64_t next; /* where to go on */
	uint32_t nframes;
};

static int64_t drop_word(void *ctx, uint64_t index, uint32_t node, uint64_t *word)
{
	struct drop *drop = ctx;
	struct vas_object *object = drop->object;
	uint32_t frame = frame_in(*word);

	drop->next = index;
	if (drop->nframes >= LOOKS_AT_ONCE)
		return 1;
	write_node(object, node, word, 0);
	object->npages--;
	frame_put_row(pool_of(object), frame, object_page_frames(object));
	drop->nframes += object_page_frames(object);
	return 0;
}

/* Frees the nodes below `node`, which begins at `base`, that have become empty in [first, last). */
static void prune_node(struct vas_object *object, uint32_t node, unsigned level, uint64_t base,
                       uint64_t first, uint64_t last)
{
	unsigned shift = level * bits_of(object);
	uint64_t end = (uint64_t)1 << bits_of(object);

	for (uint64_t slot = slot_from(first, base, shift); level > 0 && slot < end; slot++) {
		uint64_t low = base + (slot << shift);
		uint64_t *word = words_of(object, node) + slot;
		uint32_t below = frame_in(*word);

		if (low >= last)
			break;
		if (*word == 0)
			continue;
		prune_node(object, below, level - 1, low, first, last);
		if (pool_of(object)->frame[below].live == 0) {
			release_node(object, below);
			write_node(object, node, word, 0);
		}
	}
}

static void prune(struct vas_object *object, uint64_t first, uint64_t last)
{
	if (object->height == 0)
		return;
	prune_node(object, object->root, object->height - 1, 0, first, last);
	if (pool_of(object)->frame[object->root].live == 0) {
		release_node(object, object->root);
		object->root = FRAME_NONE;
		object->height = 0;
	}
}

void object_drop(struct vas_object *object, uint64_t first, uint64_t last)
{
	bool more = first < last;

	while (more) {
		struct drop drop = {.object = object};

		lock_object(object);
		more = walk_object(object, first, last, drop_word, &drop) > 0;
		prune(object, first, more ? drop.next : last);
		unlock_object(object);
		first = drop.next;
	}
}

/* Whether the pool has so many pages that are neither in use nor promised. */
static bool has_in_pool(struct vas_system *system, unsigned level, uint64_t npages)
{
	uint64_t pool = system->settings.hugepages[level - 1];
	uint64_t taken = frame_count_huge(&system->frames, level) + system->huge_reserved[level];

	return taken <= pool && npages <= pool - taken;
}

bool system_reserve_huge(struct vas_system *system, struct vas_object *object, uint64_t npages)
{
	bool there;

	spin_lock(&system->port, &system->lock, LOCK_RECORDS);
	there = has_in_pool(system, object->level, npages);
	if (there) {
		object->reserved += npages;
		system->huge_reserved[object->level] += npages;
	}
	spin_unlock(&system->port, &system->lock);
	return there;
}

bool system_take_huge(struct vas_system *system, struct vas_object *object, bool may_have,
                      bool *was_its)
{
	bool there = true;

	spin_lock(&system->port, &system->lock, LOCK_RECORDS);
	*was_its = may_have && object->reserved > 0;
	if (*was_its) {
		object->reserved--;
	} else {
		there = has_in_pool(system, object->level, 1);
		system->huge_reserved[object->level] += there;
	}
	spin_unlock(&system->port, &system->lock);
	return there;
}

void system_took_huge(struct vas_system *system, struct vas_object *object, uint32_t block,
                      bool was_its)
{
	spin_lock(&system->port, &system->lock, LOCK_RECORDS);
	if (block != FRAME_NONE)
		frame_mark_huge(&system->frames, block, object->level);
	else if (was_its)
		object->reserved++;
	if (block != FRAME_NONE || !was_its)
		system->huge_reserved[object->level]--;
	spin_unlock(&system->port, &system->lock);
}

void system_adjust_huge(struct vas_system *system, struct vas_object *object, int64_t npages)
{
	spin_lock(&system->port, &system->lock, LOCK_RECORDS);
	if (npages < 0 && (uint64_t)-npages > object->reserved)
		npages = -(int64_t)object->reserved;
	object->reserved += (uint64_t)npages;
	system->huge_reserved[object->level] += (uint64_t)npages;
	spin_unlock(&system->port, &system->lock);
}

/* ---- Life ----------------------------------------------------------------------------------- */

void ref_get(struct vas_system *system, uint32_t *refs)
{
	if (system->port.threads)
		__atomic_fetch_add(refs, 1, __ATOMIC_RELAXED);
	else
		++*refs;
}

bool ref_put(struct vas_system *system, uint32_t *refs)
{
	if (system->port.threads)
		return __atomic_fetch_sub(refs, 1, __ATOMIC_ACQ_REL) == 1;
	return --*refs == 0;
}

struct vas_object *object_make(struct vas_system *system, struct slab_cache *slab,
                               const struct vas_object_ops *ops, void *ctx, uint64_t size)
{
	struct vas_object *object = slab_alloc(slab, sizeof(*object));

	if (!object)
		return NULL;
	object->system = system;
	object->ops = ops;
	object->ctx = ctx;
	object->size = size;
	object->refs = 1;
	object->root = FRAME_NONE;
	spin_lock(&system->port, &system->objects_lock, LOCK_RECORDS);
	object->next = system->objects;
	if (object->next)
		object->next->prev = object;
	system->objects = object;
	spin_unlock(&system->port, &system->objects_lock);
	return object;
}

int64_t vas_object_create(struct vas_system *system, const struct vas_object_ops *ops, void *ctx,
                          uint64_t size, struct vas_object **out)
{
	struct vas_object *object = object_make(system, &system->slab, ops, ctx, size);

	if (!object)
		return -VAS_ENOMEM;
	*out = object;
	return 0;
}

void *vas_object_ctx(const struct vas_object *object)
{
	return object->ctx;
}

void vas_object_put(struct vas_object *object)
{
	struct vas_system *system = object->system;

	if (!ref_put(system, &object->refs))
		return;
	write_back_for_good(object);
	object_drop(object, 0, ~(uint64_t)0);
	spin_lock(&system->port, &system->objects_lock, LOCK_RECORDS);
	if (object->prev)
		object->prev->next = object->next;
	else
		system->objects = object->next;
	if (object->next)
		object->next->prev = object->prev;
	spin_unlock(&system->port, &system->objects_lock);
	spin_lock(&system->port, &system->lock, LOCK_RECORDS);
	system->committed -= object->charged;
	system->huge_reserved[object->level] -= object->reserved;
	spin_unlock(&system->port, &system->lock);
	if (object->ops && object->ops->release)
		object->ops->release(object->ctx);
	slab_free(&system->frames, object);
}

/* ---- Checking ------------------------------------------------------------------------------- */

struct object_census {
	const struct vas_object *object;
	void (*visit)(void *, uint32_t);
	void *ctx;
	uint64_t npages, ntables, last;
	const char *broken;
};

static void census_page(struct object_census *census, uint64_t index, uint64_t word)
{
	census->npages++;
	census->last = index;
	for (uint32_t i = 0; census->visit && i < object_page_frames(census->object); i++)
		census->visit(census->ctx, frame_in(word) + i);
}

static void census_node(struct object_census *census, uint32_t node, unsigned level, uint64_t base)
{
	const struct vas_object *object = census->object;
	unsigned live = 0;

	census->ntables++;
	if (census->visit)
		census->visit(census->ctx, node);
	for (uint64_t slot = 0; slot < 1u << bits_of(object); slot++) {
		uint64_t word = words_of(object, node)[slot];
		uint64_t index = base + (slot << (level * bits_of(object)));

		if (word == 0)
			continue;
		live++;
		if (level > 0)
			census_node(census, frame_in(word), level - 1, index);
		else
			census_page(census, index, word);
	}
	if (live == 0 || pool_of(object)->frame[node].live != live)
		census->broken = "a radix node counts its words and is not empty";
}

static void take_census(struct object_census *census)
{
	const struct vas_object *object = census->object;

	if (object->height > 0)
		census_node(census, object->root, object->height - 1, 0);
}

void object_frames(const struct vas_object *object, void (*visit)(void *, uint32_t), void *ctx)
{
	struct object_census census = {.object = object, .visit = visit, .ctx = ctx};

	take_census(&census);
}

const char *object_check(const struct vas_object *object)
{
	struct object_census census = {.object = object};

	take_census(&census);
	if (!census.broken && census.npages != object->npages)
		census.broken = "npages is the number of an object's pages";
	if (!census.broken && census.ntables != object->ntables)
		census.broken = "ntables is the number of an object's radix nodes";
	if (!census.broken && object->npages > 0 && census.last >= object_npages(object))
		census.broken = "no page of an object lies past its end";
	return census.broken;
}
