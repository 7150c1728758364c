/* aarch64.c - the entries of AArch64 stage 1 translation tables, 4 KiB and 16 KiB granule,
 * 4 KiB with LPA2.
 *
 * Reference: Arm Architecture Reference Manual, "VMSAv8-64 translation table format descriptors".
 * The tables are those of TTBR0_EL1: user pages are not global and never executable by EL1. Memory
 * is of attribute index 0 (the embedder's MAIR_EL1 says what that is), inner shareable. A leaf
 * without rights and a mark keep the valid bit clear and use bits that the hardware then ignores.
 *
 * SPDX-License-Identifier: MIT */
#include "vas/vas.h"
#include "format/format.h"

#define ARM_VALID ((uint64_t)1 << 0)
#define ARM_TABLE ((uint64_t)1 << 1)  /* a table; at level 0, a page */
#define ARM_EL0 ((uint64_t)1 << 6)    /* AP[1]: data accesses from EL0 */
#define ARM_RDONLY ((uint64_t)1 << 7) /* AP[2] */
#define ARM_SH_INNER ((uint64_t)3 << 8)
#define ARM_AF ((uint64_t)1 << 10)
#define ARM_NG ((uint64_t)1 << 11)
#define ARM_PXN ((uint64_t)1 << 53)
#define ARM_UXN ((uint64_t)1 << 54)
#define ARM_DIRTY ((uint64_t)1 << 55)        /* ours: left to software by the architecture */
#define ARM_LEAF0 ((uint64_t)1 << 56)        /* ours, invalid: a leaf without rights */
#define ARM_MARK ((uint64_t)1 << 57)         /* ours, invalid: a mark, its value from bit 14 */
#define ARM_TABLE_RDONLY ((uint64_t)1 << 62) /* APTable[1]: nothing below may be written */
#define ARM_MARK_SHIFT 14
#define ARM_PHYS (((uint64_t)1 << 50) - 4096) /* without LPA2 the upper two bits are zero */

static uint64_t arm_encode(const struct entry *e, unsigned level)
{
	uint64_t word = e->phys;

	switch (e->kind) {
	case ENTRY_ABSENT:
		return 0;
	case ENTRY_MARK:
		return ARM_MARK | (uint64_t)e->mark << ARM_MARK_SHIFT;
	case ENTRY_TABLE:
		return word | ARM_VALID | ARM_TABLE |
		       (e->rights & RIGHT_WRITE ? 0 : ARM_TABLE_RDONLY);
	case ENTRY_LEAF:
		word |= (e->accessed ? ARM_AF : 0) | (e->dirty ? ARM_DIRTY : 0);
		if (e->rights == 0)
			return word | ARM_LEAF0;
		word |= ARM_VALID | ARM_SH_INNER | ARM_NG | ARM_PXN;
		if (level == 0)
			word |= ARM_TABLE;
		if (e->rights & (RIGHT_READ | RIGHT_WRITE))
			word |= ARM_EL0;
		if (!(e->rights & RIGHT_WRITE))
			word |= ARM_RDONLY;
		if (!(e->rights & RIGHT_EXEC))
			word |= ARM_UXN;
	}
	return word;
}

static unsigned arm_rights(uint64_t word)
{
	unsigned rights = 0;

	if (!(word & ARM_VALID))
		return 0;
	if (word & ARM_EL0)
		rights = word & ARM_RDONLY ? RIGHT_READ : RIGHT_READ | RIGHT_WRITE;
	if (!(word & ARM_UXN))
		rights |= RIGHT_EXEC;
	return rights;
}

static struct entry arm_decode(uint64_t word, unsigned level)
{
	struct entry e = {.kind = ENTRY_ABSENT};

	if (!(word & (ARM_VALID | ARM_LEAF0 | ARM_MARK)))
		return e;
	if (!(word & ARM_VALID) && (word & ARM_MARK)) {
		e.kind = ENTRY_MARK;
		e.mark = (enum entry_mark)((word & ARM_PHYS) >> ARM_MARK_SHIFT);
		return e;
	}
	e.phys = word & ARM_PHYS;
	if (level > 0 && (word & ARM_VALID) && (word & ARM_TABLE)) {
		e.kind = ENTRY_TABLE;
		e.rights = word & ARM_TABLE_RDONLY ? 0 : RIGHT_WRITE;
		return e;
	}
	e.kind = ENTRY_LEAF;
	e.rights = arm_rights(word);
	e.accessed = word & ARM_AF;
	e.dirty = word & ARM_DIRTY;
	return e;
}

/* With LPA2 bits 8 and 9 are the address's bits 50 and 51 (of memory here: zero), and who shares is
 * said by TCR_EL1. */
static uint64_t lpa2_encode(const struct entry *e, unsigned level)
{
	return arm_encode(e, level) & ~ARM_SH_INNER;
}

static void lpa2_protect(uint64_t *words, unsigned n, unsigned level, unsigned rights)
{
	words_protect(words, n, level, rights, lpa2_encode, arm_decode);
}

static void arm_protect(uint64_t *words, unsigned n, unsigned level, unsigned rights)
{
	words_protect(words, n, level, rights, arm_encode, arm_decode);
}

#define ARM_WORDS                                                                                  \
	.decode = arm_decode, .table_mask = ARM_VALID | ARM_TABLE,                                 \
	.table_bits = ARM_VALID | ARM_TABLE, .frame_mask = ARM_VALID | ARM_LEAF0,                  \
	.phys_mask = ARM_PHYS, .table_ro_mask = ARM_TABLE_RDONLY,                                  \
	.table_ro_bits = ARM_TABLE_RDONLY, .leaf_ro_mask = ARM_RDONLY, .leaf_ro_bits = ARM_RDONLY, \
	.readable = RIGHT_READ | RIGHT_WRITE, .tables_protect = true, .break_before_make = true,   \
	.hint_raises_base = true

const struct vas_format vas_format_aarch64_4k = {
	.name = "AArch64, 4 KiB",
	.levels = 4,
	.page_shift = 12,
	.index_bits = 9,
	.max_leaf_level = 2,
	.task_size = (uint64_t)1 << 48,
	.window = (uint64_t)1 << 48,
	.encode = arm_encode,
	.protect = arm_protect,
	ARM_WORDS,
};

/* Of 52 bits the top table decides only four. */
const struct vas_format vas_format_aarch64_4k_lpa2 = {
	.name = "AArch64, 4 KiB, LPA2",
	.levels = 5,
	.page_shift = 12,
	.index_bits = 9,
	.max_leaf_level = 2,
	.task_size = (uint64_t)1 << 52,
	.window = (uint64_t)1 << 48,
	.encode = lpa2_encode,
	.protect = lpa2_protect,
	ARM_WORDS,
};

/* Of 48 bits the top table of this granule decides only one. */
const struct vas_format vas_format_aarch64_16k = {
	.name = "AArch64, 16 KiB",
	.levels = 4,
	.page_shift = 14,
	.index_bits = 11,
	.max_leaf_level = 1,
	.task_size = (uint64_t)1 << 48,
	.window = (uint64_t)1 << 48,
	.encode = arm_encode,
	.protect = arm_protect,
	ARM_WORDS,
};
