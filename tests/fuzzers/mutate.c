/* mutate.c - how libFuzzer makes a new script of hostile calls from an old one (world.h).
 *
 * Whole slots come, go and change places, or the bytes of one change: what stands in the others
 * keeps its meaning. The first slot is chosen anew each time, so that systems with large tables,
 * which take long to check, stay as rare as they are meant to be, whatever has entered the corpus.
 *
 * SPDX-License-Identifier: MIT */
#include "world.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void choose_system(uint8_t *slot, uint32_t *random)
{
	if (next_random(random) % 4 == 0)
		slot[0] = next_random(random) % SMALL_KINDS;
	if (next_random(random) % 4 == 0)
		slot[1] = (uint8_t)next_random(random);
	slot[2] = next_random(random) % 2;
	if (slot[0] >= SMALL_KINDS)
		slot[0] = next_random(random) % SMALL_KINDS;
	if (next_random(random) % 256 == 0)
		slot[0] = (uint8_t)(256 - 1 - next_random(random) % REAL_KINDS);
	else if (next_random(random) % 256 == 0)
		slot[2] = 255; /* audit */
}

/* Room for one more slot at `at`. Returns the new size. */
static size_t open_slot(uint8_t *data, size_t size, uint8_t *at)
{
	memmove(at + SLOT, at, (size_t)(data + size - at));
	return size + SLOT;
}

/* `size` is a number of whole slots, two at least. */
static size_t mutate_slots(uint8_t *data, size_t size, size_t max_size, uint32_t *random)
{
	size_t n = size / SLOT - 1; /* calls */
	uint8_t *one = data + SLOT * (1 + next_random(random) % n);
	uint8_t *other = data + SLOT * (1 + next_random(random) % n);
	uint8_t kept[SLOT];

	memcpy(kept, one, SLOT);
	switch (next_random(random) % 8) {
	case 0: /* a call less */
		if (n == 1)
			break;
		memmove(one, one + SLOT, (size_t)(data + size - one) - SLOT);
		return size - SLOT;
	case 1: /* once more elsewhere */
		if (size + SLOT > max_size)
			break;
		size = open_slot(data, size, other);
		memcpy(other, kept, SLOT);
		return size;
	case 2: /* two change places */
		memcpy(one, other, SLOT);
		memcpy(other, kept, SLOT);
		return size;
	case 3: /* one that nobody has thought of */
		if (size + SLOT <= max_size)
			size = open_slot(data, size, other);
		for (unsigned i = 0; i < SLOT; i++)
			other[i] = (uint8_t)next_random(random);
		return size;
	default:
		break;
	}
	for (unsigned i = next_random(random) % 3 + 1; i > 0; i--)
		one[next_random(random) % SLOT] = (uint8_t)next_random(random);
	return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint32_t random = seed | 1;

	max_size -= max_size % SLOT;
	if (max_size < 2 * SLOT)
		return LLVMFuzzerMutate(data, size, max_size);
	if (next_random(&random) % 8 == 0)
		size = LLVMFuzzerMutate(data, size, max_size);
	while (size < 2 * SLOT || size % SLOT != 0)
		data[size++] = (uint8_t)next_random(&random);
	choose_system(data, &random);
	for (unsigned i = next_random(&random) % 4; i < 4; i++)
		size = mutate_slots(data, size, max_size, &random);
	return size;
}
