/* fuzz_calls.c - hostile calls: any sequence with any arguments leaves every invariant of the space
 * and every frame of the system in order, and no assert of vas trips.
 *
 * The bytes are a script: one for the call, then its arguments. Most arguments are small numbers of
 * pages in a small window, so that ranges meet; some are 64 bits taken as they come.
 *
 * SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <string.h>

#include "vas/vas.h"

#define PAGE ((uint64_t)4096)
#define WINDOW ((uint64_t)0x10000000)
#define CALLS_MAX 200

static _Alignas(4096) uint8_t memory[1 << 20];

struct script {
	const uint8_t *data;
	size_t left;
};

static uint8_t take_byte(struct script *script)
{
	if (script->left == 0)
		return 0;
	script->left--;
	return *script->data++;
}

/* 64 bits as they come; at the end of the script, zeros. */
static uint64_t take_word(struct script *script)
{
	uint64_t word = 0;

	for (unsigned i = 0; i < 8; i++)
		word |= (uint64_t)take_byte(script) << (8 * i);
	return word;
}

/* One of 64 pages of the window, at times by way of a hostile value. */
static uint64_t take_addr(struct script *script)
{
	uint8_t byte = take_byte(script);

	if (byte == 255)
		return take_word(script);
	return byte >= 240 ? 0 : WINDOW + byte % 64 * PAGE;
}

/* Up to 32 pages, at times with some bytes on top, at times a hostile value. */
static uint64_t take_len(struct script *script)
{
	uint8_t byte = take_byte(script);

	if (byte == 255)
		return take_word(script);
	return byte % 33 * PAGE + (byte >= 240 ? byte : 0);
}

static uint64_t take_flags(struct script *script)
{
	uint8_t byte = take_byte(script);

	return byte == 255 ? take_word(script) : byte;
}

static uint64_t take_map_flags(struct script *script)
{
	uint8_t byte = take_byte(script);
	uint64_t flags = byte & 1 ? VAS_MAP_SHARED : VAS_MAP_PRIVATE;

	if (byte == 255)
		return take_word(script);
	flags |= VAS_MAP_ANONYMOUS;
	flags |= byte & 2 ? 0 : VAS_MAP_FIXED;
	flags |= byte & 4 ? VAS_MAP_NORESERVE : 0;
	flags |= byte & 8 ? VAS_MAP_FIXED_NOREPLACE : 0;
	flags |= byte & 16 ? VAS_MAP_GROWSDOWN : 0;
	flags |= byte & 32 ? VAS_MAP_LOCKED : 0;
	flags |= byte & 64 ? VAS_MAP_POPULATE : 0;
	return flags;
}

static void call_map(struct vas *space, struct script *script)
{
	uint64_t addr = take_addr(script);
	uint64_t len = take_len(script);
	uint64_t prot = take_flags(script);
	uint64_t flags = take_map_flags(script);

	vas_mmap(space, addr, len, prot, flags, NULL, 0);
}

static void call_remap(struct vas *space, struct script *script)
{
	uint64_t old_addr = take_addr(script);
	uint64_t old_len = take_len(script);
	uint64_t new_len = take_len(script);
	uint64_t flags = take_flags(script);
	uint64_t new_addr = take_addr(script);

	if (flags != 255)
		flags %= 16;
	vas_mremap(space, old_addr, old_len, new_len, flags, new_addr);
}

static void call_access(struct vas *space, struct script *script)
{
	uint8_t bytes[64] = {0};
	uint64_t addr = take_addr(script) + take_byte(script);
	struct vas_signal signal;

	switch (take_byte(script) % 4) {
	case 0:
		vas_read(space, bytes, addr, sizeof(bytes), &signal);
		break;
	case 1:
		vas_write(space, addr, bytes, sizeof(bytes), &signal);
		break;
	case 2:
		vas_fault(space, addr, VAS_EXEC, &signal);
		break;
	default:
		vas_present(space, addr);
		break;
	}
}

/* The calls that take an address, a length and one more number. */
static void call_range(struct vas *space, struct script *script, uint8_t which)
{
	uint64_t addr = take_addr(script);
	uint64_t len = take_len(script);
	uint64_t more = take_flags(script);

	switch (which % 8) {
	case 0:
		vas_munmap(space, addr, len);
		break;
	case 1:
		vas_mprotect(space, addr, len, more == 255 ? more : more % 8);
		break;
	case 2:
		vas_madvise(space, addr, len, more);
		break;
	case 3:
		vas_mlock2(space, addr, len, more % 3);
		break;
	case 4:
		vas_munlock(space, addr, len);
		break;
	case 5:
		vas_msync(space, addr, len, more);
		break;
	case 6:
		vas_mincore(space, addr, len, WINDOW + more * PAGE);
		break;
	default:
		if (more > 250) /* rarely: what is sealed stays, and little else would happen */
			vas_mseal(space, addr, len, 0);
		break;
	}
}

static void call_one(struct vas *space, struct script *script)
{
	uint8_t which = take_byte(script);

	switch (which % 16) {
	case 0:
	case 1:
	case 2:
		call_map(space, script);
		break;
	case 3:
	case 4:
	case 5:
		call_remap(space, script);
		break;
	case 6:
	case 7:
		call_access(space, script);
		break;
	case 8:
		vas_brk(space, take_addr(script));
		break;
	case 9:
		if (which >= 128)
			vas_mlockall(space, take_flags(script));
		else
			vas_munlockall(space);
		break;
	case 10:
		vas_system_fail_after(vas_system_of(space), (int8_t)take_byte(script));
		break;
	default:
		call_range(space, script, which / 16);
		break;
	}
}

static void require_sound(const char *complaint)
{
	if (complaint) {
		fprintf(stderr, "%s\n", complaint);
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = {data, size};
	struct vas_config config = {.port = {.memory = memory, .memory_len = sizeof(memory)}};
	struct vas_params params;
	struct vas_system *system;
	struct vas *space;

	vas_settings_default(&config.settings, 1 << 20);
	config.settings.max_map_count = 40;
	vas_params_default(&params);
	params.start_brk = WINDOW + 80 * PAGE;
	params.limit[VAS_RLIMIT_AS].soft = 600 * PAGE;
	FUZZ_REQUIRE(vas_system_create(&config, &system) == 0);
	FUZZ_REQUIRE(vas_create(system, &params, &space) == 0);
	for (unsigned i = 0; i < CALLS_MAX && script.left > 0; i++) {
		call_one(space, &script);
		require_sound(vas_check(space));
	}
	vas_system_fail_after(system, -1);
	require_sound(vas_audit(system));
	vas_destroy(space);
	require_sound(vas_audit(system));
	return 0;
}
