/* unit.h - what unit tests share: cmocka, a system over fresh memory, random numbers, and checks
 * after each step.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_UNIT_H
#define VAS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "vas/vas.h"

#define UNIT_PAGE ((uint64_t)4096)
#define UNIT_BASE ((uint64_t)0x10000000)

/* The address of page `n` of the window that most tests work in. */
static inline uint64_t at(uint64_t n)
{
	return UNIT_BASE + n * UNIT_PAGE;
}

#define RW (VAS_PROT_READ | VAS_PROT_WRITE)
#define ANON (VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS)
#define ANON_FIXED (ANON | VAS_MAP_FIXED)

/* Fails with the words of the invariant that does not hold. */
#define assert_holds(words)                                                                        \
	do {                                                                                       \
		const char *unit_words = (words);                                                  \
		if (unit_words)                                                                    \
			fail_msg("does not hold: %s", unit_words);                                 \
	} while (0)

/* A call's result, and that the space is sound after it. */
#define assert_call(space, call, expected)                                                         \
	do {                                                                                       \
		int64_t unit_result = (call), unit_expected = (int64_t)(expected);                 \
		if (unit_result != unit_expected)                                                  \
			fail_msg("%s: %#llx, not %#llx", #call, (unsigned long long)unit_result,   \
			         (unsigned long long)unit_expected);                               \
		assert_holds(vas_check(space));                                                    \
	} while (0)

/* ---- Random numbers (xorshift: the same everywhere) ------------------------------------------ */

struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
	random->state ^= random->state << 13;
	random->state ^= random->state >> 7;
	random->state ^= random->state << 17;
	return random->state;
}

static inline uint64_t random_below(struct random *random, uint64_t limit)
{
	return random_next(random) % limit;
}

/* ---- A system -------------------------------------------------------------------------------- */

struct unit {
	struct vas_config config;
	struct vas_params params;
	struct vas_system *system;
	uint64_t free_before; /* frames, before the first space */
};

/* Memory is not touched until it is used, so that a region may be larger than the machine's. */
static inline void unit_begin_with(struct unit *unit, uint64_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t total;

	assert_true(memory != MAP_FAILED);
	unit->config.port.memory = memory;
	unit->config.port.memory_len = bytes;
	unit->config.port.zeroed = true;
	assert_int_equal(vas_system_create(&unit->config, &unit->system), 0);
	vas_system_frames(unit->system, &total, &unit->free_before);
}

/* For a test of what only tables of the hardware have: it ends here in the run over the others. */
static inline void unit_hardware_only(void)
{
	if (getenv("VAS_SOFTWARE"))
		skip();
}

static inline void unit_prepare(struct unit *unit)
{
	memset(unit, 0, sizeof(*unit));
	unit->config.format = &vas_format_x86_64;
	unit->config.software = getenv("VAS_SOFTWARE") != NULL; /* all tests run over both kinds */
	vas_settings_default(&unit->config.settings, (uint64_t)1 << 20);
	vas_params_default(&unit->params);
}

static inline void unit_begin(struct unit *unit)
{
	unit_prepare(unit);
	unit_begin_with(unit, (uint64_t)8 << 20);
}

static inline struct vas *unit_space(struct unit *unit)
{
	struct vas *space;

	assert_int_equal(vas_create(unit->system, &unit->params, &space), 0);
	assert_holds(vas_check(space));
	return space;
}

static inline uint64_t unit_free(const struct unit *unit)
{
	uint64_t total, free_now;

	vas_system_frames(unit->system, &total, &free_now);
	return free_now;
}

/* All spaces and objects are gone: so must be all that they held. */
static inline void unit_end(struct unit *unit)
{
	assert_holds(vas_audit(unit->system));
	assert_int_equal(unit_free(unit), unit->free_before);
	assert_int_equal(vas_system_committed(unit->system), 0);
	munmap(unit->config.port.memory, unit->config.port.memory_len);
}

static inline void unit_close(struct unit *unit, struct vas *space)
{
	assert_holds(vas_check(space));
	assert_holds(vas_audit(unit->system));
	vas_destroy(space);
	unit_end(unit);
}

#endif
