/* host_memory.c - memory that is this process's own, copied and touched.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "host.h"

static void copy_page(uint64_t from, uint64_t to, uint64_t page_size)
{
	const void *source = (const void *)(uintptr_t)from;
	void *target = (void *)(uintptr_t)to;
	const uint64_t *words = source;
	size_t n = page_size / sizeof(*words), i = 0;

	while (i < n && words[i] == 0)
		i++;
	if (i == n && *(const uint64_t *)target == 0 && memcmp(source, target, page_size) == 0)
		return;
	memcpy(target, source, page_size);
}

int64_t host_copy(uint64_t from, uint64_t to, uint64_t len)
{
	uint64_t page_size = host_page_size();

	for (uint64_t done = 0; done < len; done += page_size)
		copy_page(from + done, to + done, page_size);
	return 0;
}

int64_t host_touch(uint64_t start, uint64_t end, bool write)
{
	uint64_t page_size = host_page_size();

	for (uint64_t addr = start; addr < end; addr += page_size) {
		uint8_t *byte = (uint8_t *)(uintptr_t)addr;

		if (write)
			__atomic_fetch_or(byte, 0, __ATOMIC_RELAXED);
		else
			(void)*(volatile uint8_t *)byte;
	}
	return 0;
}
