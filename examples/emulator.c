/* An emulator's stores (and loads alike): a hit in the software TLB is a few instructions, inline.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>
#include "vas/vas.h"

static _Alignas(4096) unsigned char memory[1 << 20];
static struct vas_signal segv;
static struct vas_tlb tlb;
static struct vas *space;

/* False: the guest gets a signal, `segv`. */
static inline bool store(uint64_t addr, uint64_t value)
{
	void *host = vas_tlb_lookup(&tlb, addr, sizeof(value), VAS_WRITE);

	if (!host && addr % 4096 + sizeof(value) <= 4096)
		vas_translate(space, &tlb, addr, VAS_WRITE, &host, &segv);
	if (!host) /* two pages at once, or none; vas leaves the TLB if it waits */
		return vas_write(space, addr, &value, sizeof(value), &segv) == 0;
	memcpy(host, &value, sizeof(value));
	return true;
}

int main(void)
{
	struct vas_config config = {.port = {.memory = memory, .memory_len = sizeof(memory)}};
	struct vas_system *system;

	vas_settings_default(&config.settings, 256);
	if (vas_system_create(&config, &system) || vas_create(system, NULL, &space))
		return 1;
	vas_tlb_register(space, &tlb);
	int64_t base = vas_mmap(space, 0, 8192, VAS_PROT_READ | VAS_PROT_WRITE,
	                        VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS, NULL, 0);
	for (uint64_t at = 0; at <= 8192 - 8; at += 7) /* some lie on two pages */
		if (!store((uint64_t)base + at, at))
			return 1;
	return store((uint64_t)base + 8192, 0) || segv.signo != VAS_SIGSEGV;
}
