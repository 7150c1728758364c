/* version.h - Linux versions as text: 6.18 (the last of its series), 6.18.44.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_VERSION_H
#define VAS_CLI_VERSION_H

#include <stdbool.h>
#include <stdint.h>

#include "vas/vas.h"

#define VERSION_TEXT 24

/* The whole text is two or three numbers; false: it is no version. */
bool version_parse(const char *text, uint32_t *version);

/* Into `text`, which is returned. */
const char *version_text(uint32_t version, char text[VERSION_TEXT]);

/* Some of the versions there are, as stable updates make it necessary: `since` 6.12.90 6.18.44 7.0
 * are, of the series 6.12 and 6.18, those from that level on, and all from 7.0 on; `until` 6.12.43
 * 6.19 those up to that level of 6.12, and of the others all up to the last of 6.19. */
#define VERSION_BOUNDS 6
struct version_range {
	uint32_t since[VERSION_BOUNDS], until[VERSION_BOUNDS]; /* ascending */
	unsigned nsince, nuntil;                               /* 0: no bound */
};

bool version_after(const struct version_range *range, uint32_t version);
bool version_before(const struct version_range *range, uint32_t version);

/* One of the range: `version` itself, or where the nearest bound is. */
uint32_t version_within(const struct version_range *range, uint32_t version);

/* "6.12.90 6.18.44 7.0", ascending: into the `n` bounds. False: they are no versions. */
bool version_bounds_parse(const char *text, bool since, struct version_range *range);

/* The running kernel's: as its release says, or as a distribution names the stable update it is of,
 * whose releases have a number of its own. False: `release` names none. */
bool version_of_machine(const char *release, uint32_t *version);

/* What is asked for as 6.18 is the machine's 6.18.44, if it is of that series. */
static inline uint32_t version_like(uint32_t version, uint32_t machine)
{
	return version == (machine | VAS_LINUX_LAST) ? machine : version;
}

/* Whether a kernel of this series has judged vas (docs/judges.md), and the builds that have. */
bool version_is_judged(uint32_t version);
const char *version_judges(void);

#endif
