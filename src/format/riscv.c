/* riscv.c - the entries of RISC-V page tables: Sv39, Sv48, Sv57.
 *
 * Reference: RISC-V privileged architecture, "Sv39: Page-Based 39-bit Virtual-Memory System". A
 * leaf without rights and a mark keep V clear and use bits that the hardware then ignores.
 *
 * SPDX-License-Identifier: MIT */
#include "vas/vas.h"
#include "format/format.h"

#define RV_V ((uint64_t)1 << 0)
#define RV_R ((uint64_t)1 << 1)
#define RV_W ((uint64_t)1 << 2)
#define RV_X ((uint64_t)1 << 3)
#define RV_U ((uint64_t)1 << 4)
#define RV_A ((uint64_t)1 << 6)
#define RV_D ((uint64_t)1 << 7)
#define RV_LEAF0 ((uint64_t)1 << 8) /* ours, V clear: a leaf without rights */
#define RV_MARK ((uint64_t)1 << 9)  /* ours, V clear: a mark, its value from bit 10 */
#define RV_PPN_SHIFT 10
#define RV_PPN (((uint64_t)1 << 54) - ((uint64_t)1 << RV_PPN_SHIFT))

static uint64_t rv_phys(uint64_t word)
{
	return (word & RV_PPN) >> RV_PPN_SHIFT << 12;
}

static uint64_t rv_encode(const struct entry *e, unsigned level)
{
	uint64_t word = e->phys >> 12 << RV_PPN_SHIFT;

	(void)level; /* a leaf is one by its rights, at any level */
	switch (e->kind) {
	case ENTRY_ABSENT:
		return 0;
	case ENTRY_MARK:
		return RV_MARK | (uint64_t)e->mark << RV_PPN_SHIFT;
	case ENTRY_TABLE:
		return word | RV_V;
	case ENTRY_LEAF:
		word |= (e->accessed ? RV_A : 0) | (e->dirty ? RV_D : 0);
		if (e->rights == 0)
			return word | RV_LEAF0;
		word |= RV_V | RV_U;
		if (e->rights & (RIGHT_READ | RIGHT_WRITE))
			word |= RV_R; /* write without read is reserved */
		if (e->rights & RIGHT_WRITE)
			word |= RV_W;
		if (e->rights & RIGHT_EXEC)
			word |= RV_X;
	}
	return word;
}

static struct entry rv_decode(uint64_t word, unsigned level)
{
	struct entry e = {.kind = ENTRY_ABSENT};

	(void)level;
	if (!(word & (RV_V | RV_LEAF0 | RV_MARK)))
		return e;
	if (!(word & RV_V) && (word & RV_MARK)) {
		e.kind = ENTRY_MARK;
		e.mark = (enum entry_mark)((word & RV_PPN) >> RV_PPN_SHIFT);
		return e;
	}
	e.phys = rv_phys(word);
	if ((word & RV_V) && !(word & (RV_R | RV_W | RV_X))) {
		e.kind = ENTRY_TABLE;
		e.rights = RIGHT_WRITE;
		return e;
	}
	e.kind = ENTRY_LEAF;
	if (word & RV_V)
		e.rights = (word & RV_R ? RIGHT_READ : 0) | (word & RV_W ? RIGHT_WRITE : 0) |
		           (word & RV_X ? RIGHT_EXEC : 0);
	e.accessed = word & RV_A;
	e.dirty = word & RV_D;
	return e;
}

static void rv_protect(uint64_t *words, unsigned n, unsigned level, unsigned rights)
{
	words_protect(words, n, level, rights, rv_encode, rv_decode);
}

#define RV_COMMON                                                                            \
	.page_shift = 12, .index_bits = 9, .max_leaf_level = 2, .write_reads = true,         \
	.readable = RIGHT_READ | RIGHT_WRITE, .encode = rv_encode, .decode = rv_decode,      \
	.table_mask = RV_V | RV_R | RV_W | RV_X, .table_bits = RV_V,                         \
	.frame_mask = RV_V | RV_LEAF0, .phys_mask = RV_PPN, .phys_shift = 12 - RV_PPN_SHIFT, \
	.leaf_ro_mask = RV_W, .protect = rv_protect

const struct vas_format vas_format_riscv_sv39 = {
	RV_COMMON,
	.name = "RISC-V Sv39",
	.levels = 3,
	.task_size = (uint64_t)1 << 38,
	.window = (uint64_t)1 << 38,
};

const struct vas_format vas_format_riscv_sv48 = {
	RV_COMMON,
	.name = "RISC-V Sv48",
	.levels = 4,
	.task_size = (uint64_t)1 << 47,
	.window = (uint64_t)1 << 47,
};

const struct vas_format vas_format_riscv_sv57 = {
	RV_COMMON,
	.name = "RISC-V Sv57",
	.levels = 5,
	.task_size = (uint64_t)1 << 56,
	.window = (uint64_t)1 << 47,
};
