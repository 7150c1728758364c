/* format.h - page-table formats as data.
 *
 * A format is a geometry and two pure functions between an entry and the word the hardware reads;
 * masks and one more function say parts of the same without building entries, for speed.
 * Laws, tested for each format and level:
 *   1. the zero word is ENTRY_ABSENT;
 *   2. decode(encode(e)) is e, with rights raised to what the hardware can express;
 *   3. a word that encodes a table never decodes as a leaf, nor the reverse;
 *   4. the masks and protect say what encode and decode say.
 * Nothing outside this directory knows a bit of any format.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_FORMAT_H
#define VAS_FORMAT_H

#include "base/base.h"

enum entry_kind {
	ENTRY_ABSENT, /* nothing here: the zero word */
	ENTRY_MARK,   /* no page, but something to remember (enum entry_mark) */
	ENTRY_TABLE,  /* the next table down */
	ENTRY_LEAF,   /* a page */
};

enum entry_mark {
	MARK_NONE,
	MARK_GUARD, /* MADV_GUARD_INSTALL: an access is SEGV_MAPERR */
};

enum { RIGHT_READ = 1, RIGHT_WRITE = 2, RIGHT_EXEC = 4 }; /* PROT_* */

struct entry {
	enum entry_kind kind;
	enum entry_mark mark; /* of ENTRY_MARK */
	unsigned rights;      /* of a leaf; 0: present for us, absent for the hardware. Of a table:
	                         RIGHT_WRITE, or 0 where nothing below it may be written */
	bool accessed, dirty; /* of a leaf: one that may be accessed is accessed, one that may be
	                         written is dirty. So hardware that keeps these bits finds none to
	                         set, and nobody but vas writes to a table; what has to be written
	                         back is the object's to know */
	uint64_t phys;        /* of a leaf or table */
};

struct vas_format {
	const char *name;
	uint8_t levels;         /* the top table is of level `levels - 1`, leaf tables of level 0 */
	uint8_t page_shift;     /* log2 of the page size */
	uint8_t index_bits;     /* log2 of the entries of a table; a table fits in one page */
	uint8_t max_leaf_level; /* leaves may stand at levels 0 to this one */
	unsigned readable;      /* rights that imply the right to read: RIGHT_* */
	bool noncanonical_traps; /* such an address is no page fault: SIGSEGV without an address */
	bool fetch_reads_first;  /* a fetch from an absent page faults as a read */
	bool tables_protect;     /* the hardware heeds the rights of a table */
	bool break_before_make;  /* a word that leads to a table is made absent, and flushed, before
	                            it leads to another; see gather.h */
	bool map_32bit;          /* MAP_32BIT means something */
	bool hint_below_floor;   /* a hint below mmap_min_addr counts (only mremap has such) */
	bool write_reads;        /* PROT_WRITE is PROT_READ, too, to the Linux that knows that */
	bool hint_raises_base; /* a hint beyond the window raises the base of searches downwards */
	uint64_t task_size;      /* end of the user's addresses: what the system's is at most */
	uint64_t window;         /* addresses are chosen below this unless a hint asks for more */
	uint64_t (*encode)(const struct entry *entry, unsigned level);
	struct entry (*decode)(uint64_t word, unsigned level);

	/* What walking and copying must know of a word, without a call. A word above level 0 is a
	 * table iff (word & table_mask) == table_bits; a table or leaf iff (word & frame_mask) !=
	 * 0, and then its frame's physical address is (word & phys_mask) << phys_shift. */
	uint64_t table_mask, table_bits;
	uint64_t frame_mask;
	uint64_t phys_mask;
	uint8_t phys_shift;

	/* Nothing below the entry may be written: (word & ro_mask) == ro_bits, of a table or a
	 * writable leaf; setting it is word & ~ro_mask | ro_bits. */
	uint64_t table_ro_mask, table_ro_bits;
	uint64_t leaf_ro_mask, leaf_ro_bits;

	/* Gives n leaves (or whatever the words are) these rights, as pagemap_protect says. */
	void (*protect)(uint64_t *words, unsigned n, unsigned level, unsigned rights);
};

static inline bool word_is_table(const struct vas_format *format, uint64_t word)
{
	return (word & format->table_mask) == format->table_bits;
}

static inline bool word_has_frame(const struct vas_format *format, uint64_t word)
{
	return (word & format->frame_mask) != 0;
}

static inline uint64_t word_phys(const struct vas_format *format, uint64_t word)
{
	return (word & format->phys_mask) << format->phys_shift;
}

static inline bool word_is_writable_table(const struct vas_format *format, uint64_t word)
{
	return format->table_ro_mask == 0 ||
	       (word & format->table_ro_mask) != format->table_ro_bits;
}

/* The word of a leaf without the right to write. */
static inline uint64_t word_readonly(const struct vas_format *format, uint64_t word)
{
	return (word & ~format->leaf_ro_mask) | format->leaf_ro_bits;
}

/* A leaf's rights after pagemap_protect: none becomes writable that was not. */
static inline unsigned rights_lowered(unsigned rights, unsigned old)
{
	return rights & (old | ~(unsigned)RIGHT_WRITE);
}

/* The protect of a format that has no better one. */
static inline void words_protect(uint64_t *words, unsigned n, unsigned level, unsigned rights,
                                 uint64_t (*encode)(const struct entry *, unsigned),
                                 struct entry (*decode)(uint64_t, unsigned))
{
	for (unsigned i = 0; i < n; i++) {
		struct entry e = decode(words[i], level);

		if (e.kind != ENTRY_LEAF)
			continue;
		e.rights = rights_lowered(rights, e.rights);
		words[i] = encode(&e, level);
	}
}

static inline uint64_t format_page_size(const struct vas_format *format)
{
	return (uint64_t)1 << format->page_shift;
}

/* log2 of what one entry at `level` covers. */
static inline unsigned format_shift(const struct vas_format *format, unsigned level)
{
	return format->page_shift + level * format->index_bits;
}

static inline uint64_t format_span(const struct vas_format *format, unsigned level)
{
	return (uint64_t)1 << format_shift(format, level);
}

/* Frames under one leaf at `level`. */
static inline uint32_t format_frames(const struct vas_format *format, unsigned level)
{
	return 1u << (level * format->index_bits);
}

static inline unsigned format_entries(const struct vas_format *format)
{
	return 1u << format->index_bits;
}

/* Entries of the top table below the end of the user's addresses; the rest are the embedder's. */
static inline unsigned format_user_entries(const struct vas_format *format)
{
	return (unsigned)((format->task_size - 1) >> format_shift(format, format->levels - 1u)) + 1;
}

static inline unsigned format_index(const struct vas_format *format, uint64_t addr, unsigned level)
{
	return (unsigned)(addr >> format_shift(format, level)) & (format_entries(format) - 1);
}

#endif
