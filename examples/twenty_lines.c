/* The whole of it in twenty lines: a region of memory, a system in it, a space, and calls.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdalign.h>
#include <stdio.h>

#include "vas/vas.h"

alignas(4096) static unsigned char memory[4 << 20];

int main(void)
{
	struct vas_config config = {.port = {.memory = memory, .memory_len = sizeof(memory)}};
	struct vas_system *system;
	struct vas *space;
	uint64_t word = 42;

	if (vas_system_create(&config, &system) || vas_create(system, NULL, &space))
		return 1;
	uint64_t from = vas_mmap(space, 0, 8192, VAS_PROT_READ | VAS_PROT_WRITE,
	                         VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS, NULL, 0);
	vas_write(space, from, &word, sizeof(word), NULL);
	uint64_t to = vas_mremap(space, from, 8192, 1 << 20, VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED,
	                         0x10000000);
	word = 0;
	vas_read(space, &word, to, sizeof(word), NULL);
	printf("%#" PRIx64 " moved to %#" PRIx64 ", still holds %" PRIu64 "\n", from, to, word);
	return word != 42;
}
