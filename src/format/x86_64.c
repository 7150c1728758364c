/* x86_64.c - the entries of x86-64 page tables, 4 and 5 levels.
 *
 * Reference: Intel SDM volume 3A, "Paging", 4-level and 5-level paging. A leaf without rights
 * (PROT_NONE) and a mark keep the P bit clear, so the processor faults, and use bits that it then
 * ignores.
 *
 * SPDX-License-Identifier: MIT */
#include "vas/vas.h"
#include "format/format.h"

#define X86_P ((uint64_t)1 << 0)
#define X86_W ((uint64_t)1 << 1)
#define X86_U ((uint64_t)1 << 2)
#define X86_A ((uint64_t)1 << 5)
#define X86_D ((uint64_t)1 << 6)
#define X86_PS ((uint64_t)1 << 7)    /* a leaf above level 0 */
#define X86_LEAF0 ((uint64_t)1 << 9) /* ours, P clear: a leaf without rights */
#define X86_MARK ((uint64_t)1 << 10) /* ours, P clear: a mark, its value from bit 12 */
#define X86_NX ((uint64_t)1 << 63)
#define X86_PHYS (((uint64_t)1 << 52) - 4096)

static uint64_t x86_encode(const struct entry *e, unsigned level)
{
	uint64_t size = level > 0 ? X86_PS : 0;
	uint64_t word = 0;

	switch (e->kind) {
	case ENTRY_ABSENT:
		return 0;
	case ENTRY_MARK:
		return X86_MARK | (uint64_t)e->mark << 12;
	case ENTRY_TABLE:
		return e->phys | X86_P | X86_U | X86_A | (e->rights & RIGHT_WRITE ? X86_W : 0);
	case ENTRY_LEAF:
		word = e->phys | size | (e->accessed ? X86_A : 0) | (e->dirty ? X86_D : 0);
		if (e->rights == 0)
			return word | X86_LEAF0;
		word |= X86_P | X86_U;
		if (e->rights & RIGHT_WRITE)
			word |= X86_W;
		if (!(e->rights & RIGHT_EXEC))
			word |= X86_NX;
	}
	return word;
}

/* A present page can always be read: x86-64 has no bit against it. */
static unsigned x86_rights(uint64_t word)
{
	unsigned rights = RIGHT_READ;

	if (!(word & X86_P))
		return 0;
	if (word & X86_W)
		rights |= RIGHT_WRITE;
	if (!(word & X86_NX))
		rights |= RIGHT_EXEC;
	return rights;
}

static struct entry x86_decode(uint64_t word, unsigned level)
{
	struct entry e = {.kind = ENTRY_ABSENT};

	if (!(word & (X86_P | X86_LEAF0 | X86_MARK)))
		return e;
	if (!(word & X86_P) && (word & X86_MARK)) {
		e.kind = ENTRY_MARK;
		e.mark = (enum entry_mark)((word & X86_PHYS) >> 12);
		return e;
	}
	e.phys = word & X86_PHYS;
	if (level > 0 && !(word & X86_PS)) {
		e.kind = ENTRY_TABLE;
		e.rights = word & X86_W ? RIGHT_WRITE : 0;
		return e;
	}
	e.kind = ENTRY_LEAF;
	e.rights = x86_rights(word);
	e.accessed = word & X86_A;
	e.dirty = word & X86_D;
	return e;
}

static inline uint64_t x86_protected(uint64_t word, uint64_t keep, uint64_t set)
{
	uint64_t is_leaf = 0 - ((word | word >> 9) & 1); /* P or LEAF0 */

	return (((word & keep) | set) & is_leaf) | (word & ~is_leaf);
}

/* Without a branch and by eights, so that compilers make vector code of it. */
static void x86_protect(uint64_t *words, unsigned n, unsigned level, unsigned rights)
{
	uint64_t keep = X86_PHYS | X86_A | X86_D | (level > 0 ? X86_PS : 0);
	uint64_t set = X86_LEAF0;

	if (rights == RIGHT_WRITE) {
		/* Some become absent, some not: not worth a case of its own below. */
		words_protect(words, n, level, rights, x86_encode, x86_decode);
		return;
	}
	if (rights != 0) {
		set = X86_P | X86_U | (rights & RIGHT_EXEC ? 0 : X86_NX);
		keep |= rights & RIGHT_WRITE ? X86_W : 0;
	}
	for (; n >= 8; n -= 8, words += 8) {
		for (unsigned i = 0; i < 8; i++)
			words[i] = x86_protected(words[i], keep, set);
	}
	for (unsigned i = 0; i < n; i++)
		words[i] = x86_protected(words[i], keep, set);
}

#define X86_COMMON                                                                      \
	.page_shift = 12, .index_bits = 9, .max_leaf_level = 2,                         \
	.readable = RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC, .noncanonical_traps = true,  \
	.fetch_reads_first = true, .tables_protect = true, .map_32bit = true,           \
	.hint_raises_base = true, .hint_below_floor = true, .encode = x86_encode,       \
	.decode = x86_decode, .table_mask = X86_P | X86_PS, .table_bits = X86_P,        \
	.frame_mask = X86_P | X86_LEAF0, .phys_mask = X86_PHYS, .table_ro_mask = X86_W, \
	.leaf_ro_mask = X86_W, .protect = x86_protect

const struct vas_format vas_format_x86_64 = {
	X86_COMMON,
	.name = "x86-64",
	.levels = 4,
	.task_size = ((uint64_t)1 << 47) - 4096,
	.window = ((uint64_t)1 << 47) - 4096,
};

const struct vas_format vas_format_x86_64_la57 = {
	X86_COMMON,
	.name = "x86-64 LA57",
	.levels = 5,
	.task_size = ((uint64_t)1 << 56) - 4096,
	.window = ((uint64_t)1 << 47) - 4096,
};
