/* heap.h - what the files of the heap share: places, blocks, and the words for them.
 *
 *   one reservation, PROT_NONE, aligned to a 256th of itself
 *   |  packed                  |  grown                  |  large                            |
 *   |run |run  |...|           |8 MiB|8 MiB|...|         |  room   |    room       |...|     |
 *     places of one shelf        a room each               a room each, 16 times its block
 *
 * A *place* is where one block can be; the places of one length are a *shelf*. A block begins in
 * the packed zone, close to its neighbours, so that page tables stay as dense as the blocks. When
 * realloc makes it too long for its place it has shown that it grows, and gets a room with 8 MiB to
 * grow in; above 4 MiB, in the large zone, 16 times its size. Packed and grown zone are one
 * readable mapping each, which advances in steps of 64 MiB; each large room is readable as far as
 * its `cap`. There are no headers: what is known of a block stands in a table of its own, so that
 * a block's pages keep their place within 2 MiB when it moves, and the host can move page tables.
 *
 * All files are one unit (one.c), so that none of these names is in the way of a program's.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HEAP_H
#define HEAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE ((uint64_t)4096)
#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define HUGE_PAGE MIB(2)

#define PACKED_MAX MIB(4) /* a larger block is in the large zone from the start */
#define GROWN_ROOM MIB(8)
#define LARGE_ROOM_SHIFT 26 /* the smallest large room, 64 MiB */
#define COMMIT_STEP MIB(64) /* packed and grown zone become usable in such steps */

/* ---- Settings (settings.c) ---------------------------------------------------------------- */

enum huge_setting { HUGE_NO, HUGE_YES, HUGE_AUTO };

struct settings {
	uint64_t from;    /* bytes */
	uint64_t grown;   /* bytes */
	uint64_t keep;    /* bytes */
	uint64_t reserve; /* bytes */
	uint32_t decay;   /* milliseconds */
	uint32_t huge;    /* enum huge_setting; auto is decided when there are rooms */
	bool rooms, portable;
};
static struct settings heap_settings;

/* Reads VAS_HEAP. A word that it does not know is named on stderr and skipped. */
static void settings_read(void);

/* ---- The host (host.c) -------------------------------------------------------------------- */

/* Each is 0/false where the host refuses; ranges are whole pages. */
/* address space without rights; 0: none */
static uint64_t host_reserve(uint64_t len);
static bool host_commit(uint64_t addr, uint64_t len);     /* readable and writable from now on */
static bool host_discard(uint64_t addr, uint64_t len);    /* reads as zeros; pages are given back */
static void host_huge(uint64_t addr, uint64_t len, bool); /* large pages: wanted or not */
/* address space or commitment is limited */
static bool host_limited(void);
/* a large page has no memory behind it until the machine below gives some, however often */
static bool host_huge_is_slow(void);
static uint32_t host_now(void);                           /* milliseconds, wraps */

/* Moves the pages of [from, from + len), of which `used` bytes count, to `to`, which is committed;
 * the source stays mapped, and empty. `cut(ctx, at)` tells where the piece that begins at
 * `at` ends:
 * no piece spans two mappings. A piece that the host refuses is copied. False: all bytes are where
 * they were, and some of the target may be mapped no more. */
typedef uint64_t host_cut(const void *ctx, uint64_t at);
struct host_range {
	uint64_t to, from, len, used;
	host_cut *cut;
	const void *ctx;
};
static bool host_moves_pages(void); /* it can; else use the next */
struct host_moved {
	uint64_t copied; /* raised by the bytes copied */
	bool emptied;    /* made false if the source may still have pages */
};
static bool host_move(const struct host_range *range, struct host_moved *moved);
/* The same by copying chunks, each given back at the source before the next. False: not all were,
 * for the host refused. */
static bool host_copy(uint64_t to, uint64_t from, uint64_t len);
/* Fresh pages: usable, or without rights. False: as it was. */
static bool host_renew(uint64_t addr, uint64_t len, bool usable);

static uint64_t host_map(uint64_t len); /* a mapping of its own; 0: none */
static void host_unmap(uint64_t addr, uint64_t len);
/* may move; 0: as it was */
static uint64_t host_remap(uint64_t addr, uint64_t old_len, uint64_t len);

static uint64_t host_calls;

/* ---- Blocks and places (places.c) --------------------------------------------------------- */

enum block_state {
	BLOCK_NONE,  /* no place begins here */
	BLOCK_LIVE,  /* a block */
	BLOCK_DIRTY, /* free, may have pages: on its shelf's list `dirty`, and on the list of age */
	BLOCK_CLEAN, /* free, has none: on its shelf's list `clean` */
	BLOCK_BUSY,  /* free, its pages are being given back without the lock: on the list `busy` */
	BLOCK_LOST,  /* the host left a hole in it: never used again */
};

/* A place and what is in it. All of it is guarded by heap.lock; the bytes of a live block, and what
 * the host does with its range, belong to whoever owns the block.
 *
 * size <= high <= len of the shelf, size <= cap; whole pages. Pages are in [0, high) at most. */
struct block {
	uint64_t addr; /* of the place */
	uint64_t size; /* bytes in use; 0 of a free place */
	uint64_t high;
	uint64_t cap;  /* bytes that can be used without a call: the place, or what is committed */
	uint32_t next, prev;         /* in the one list of its shelf, or busy */
	uint32_t age_next, age_prev; /* on the list of age; 0: not on it */
	uint32_t stamp;              /* milliseconds: put on the list of age */
	/* pages: [0, seam) came from elsewhere, a mapping of its own */
	uint32_t seam;
	uint32_t huge; /* of a large room: large pages were asked for in so many, from its begin */
	uint8_t state, shelf;
	bool sparse;   /* calloc made it: not all of it need be touched */
};

/* Places side by side, cut from a zone at once. */
struct run {
	uint64_t start;
	uint32_t first; /* index of the block at `start`; 0: nothing was cut here */
	uint32_t shelf;
};

struct zone {
	uint64_t start, end;
	uint64_t next;      /* runs have been cut below it */
	uint64_t committed; /* packed and grown zone: usable below it */
	/* by granule; a run is at the granules that it covers, but if it is one */
	struct run *runs;
	uint32_t shift;     /* place long, at the first; log2 of a granule */
};
enum { ZONE_PACKED, ZONE_GROWN, ZONE_LARGE, ZONES };

struct shelf {
	uint64_t len;       /* of each place */
	uint64_t next, end; /* places not cut yet, of the last run */
	uint32_t dirty, clean;
	uint8_t zone;
};
/* 64 KiB to 4 MiB by powers of two; blocks that realloc first made large; grown rooms; large rooms
 * by powers of two. */
enum { SHELF_GROWING = 7, SHELF_GROWN, SHELF_LARGE, SHELVES = SHELF_LARGE + 17 };

/* A table of fixed length in address space, usable as far as it has been needed. */
struct table {
	uint64_t start, end, committed;
};

/* live is the sum of size, kept the sum of high - size, over all blocks. The list of age has, the
 * oldest first, exactly the dirty places and those live blocks with high > size that are not in
 * the middle of a move. */
struct heap {
	pthread_mutex_t lock;
	uint64_t base, len; /* the reservation; written once. len 0: no rooms */
	struct table table; /* of blocks */
	uint32_t places;    /* blocks in it: indexes below are places, or 0, which is nobody's */
	struct zone zones[ZONES];
	struct table runs[ZONES]; /* of the zones */
	struct shelf shelves[SHELVES];
	uint32_t busy;
	uint64_t live, peak, kept, blocks;
	uint64_t grown, moved, copied;
	uint64_t seams;     /* places with a seam: each is two mappings more */
	uint64_t holes;     /* places lost */
	uint32_t now, uses; /* the clock, looked at now and then */
};
static struct heap heap;

/* The lock. Around fork a thread holds it from one handler to the other: what it calls meanwhile,
 * in handlers of its program's, neither takes nor drops it. */
static void heap_lock(void);
static void heap_unlock(void);

static bool places_create(void); /* under the lock, once. False: the host has none */

/* What is wanted. */
struct want {
	uint64_t size;  /* bytes, whole pages */
	uint64_t align; /* a power of two */
	uint64_t old;   /* bytes that the block has elsewhere, to be moved here */
	bool sparse;    /* not all of it need be touched: no large pages */
	uint64_t dirty; /* answer: the place may hold anything below this, and zeros above */
};

/* A place, live from now on; NULL: none to be had. */
static struct block *place_take(struct want *want);         /* for malloc */
static struct block *place_take_growing(struct want *want); /* for realloc of a small block */
/* for one that has outgrown its place */
static struct block *place_take_room(struct want *want);
static bool place_extend(struct block *block, uint64_t size); /* cap >= size, or false */
static uint64_t place_cut(const void *block, uint64_t at);    /* a host_cut */
/* what a move of its pages must take along */
static uint64_t place_span(const struct block *block);
static void place_wish_huge(struct block *block, bool fresh);
static bool place_is_hole(uint64_t addr); /* is in a place that is lost */
static void places_after_fork(void); /* in the child */

static struct block *block_at(uint64_t addr); /* NULL: no place begins there */
static uint32_t block_index(const struct block *block);
static struct block *block_of(uint32_t index);
static void block_resize(struct block *block, uint64_t size);
/* live no more; drops the lock, and takes it again */
static void block_release(struct block *block);
static void block_hold(struct block *block);    /* off the list of age, while its owner moves it */
/* its pages have come from there */
static void block_moved(struct block *to, const struct block *from);
static void block_emptied(struct block *block); /* live no more, and without pages */
static void block_lost(struct block *block);  /* live no more, and never used again */
/* free, in no list, without pages: onto the clean list */
static void block_clean(struct block *block);

/* ---- Pages that nobody uses (keep.c) ------------------------------------------------------ */

static void keep_add(struct block *block);    /* onto the list of age, as the youngest */
static void keep_remove(struct block *block); /* off it */
static uint64_t keep_limit(void);             /* how many bytes may be kept now */
static void keep_enforce(void);               /* within the limit, and no older than decay */
static bool keep_drop(void);                  /* all of it; true: something was given back */
static uint32_t keep_oldest;

static void list_push(uint32_t *head, struct block *block);
static void list_remove(uint32_t *head, struct block *block);

/* ---- Blocks that are mappings of their own (bare.c) --------------------------------------- */

/* Under the lock. A block's size is in a table of addresses. */
static void *bare_malloc(uint64_t size);
static uint64_t bare_size(const void *block); /* 0: not of these */
static void *bare_realloc(void *block, uint64_t size);
static void bare_free(void *block);

/* ---- Trouble (trouble.c) ------------------------------------------------------------------ */

/* One line on stderr, made without memory, and abort(). */
static _Noreturn void trouble(const char *call, const void *block, const char *what);

#endif
