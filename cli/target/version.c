/* version.c - Linux versions as text.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "target/version.h"

#include <stdio.h>
#include <string.h>

/* What stands at the beginning of `text`; returns how many characters, 0: no version. */
static int take(const char *text, uint32_t *version)
{
	unsigned major, minor, level;
	int len = 0;
	if (*text < '0' || *text > '9')
		return 0;
	if (sscanf(text, "%3u.%3u.%5u%n", &major, &minor, &level, &len) != 3) {
		level = VAS_LINUX_LAST;
		if (sscanf(text, "%3u.%3u%n", &major, &minor, &len) != 2)
			return 0;
	}
	if (major > 255 || minor > 255 || level > VAS_LINUX_LAST)
		return 0;
	*version = VAS_LINUX(major, minor, level);
	return len;
}

bool version_parse(const char *text, uint32_t *version)
{
	int len = take(text, version);
	return len > 0 && text[len] == '\0';
}

const char *version_text(uint32_t version, char text[VERSION_TEXT])
{
	unsigned level = version & VAS_LINUX_LAST;
	int len = snprintf(text, VERSION_TEXT, "%u.%u", version >> 24, version >> 16 & 255);
	if (level != VAS_LINUX_LAST)
		(void)snprintf(text + len, (size_t)(VERSION_TEXT - len), ".%u", level);
	return text;
}

/* ---- Ranges ---------------------------------------------------------------------------------- */

/* The bound that is of the version's series, or else the last. */
static uint32_t bound_of(const uint32_t *bound, unsigned n, uint32_t version)
{
	for (unsigned i = 0; i < n; i++)
		if (bound[i] >> 16 == version >> 16)
			return bound[i];
	return bound[n - 1];
}

bool version_after(const struct version_range *range, uint32_t version)
{
	return !range->nsince || version >= bound_of(range->since, range->nsince, version);
}

bool version_before(const struct version_range *range, uint32_t version)
{
	return !range->nuntil || version <= bound_of(range->until, range->nuntil, version);
}

uint32_t version_within(const struct version_range *range, uint32_t version)
{
	if (!version_after(range, version))
		version = bound_of(range->since, range->nsince, version);
	if (!version_before(range, version))
		version = bound_of(range->until, range->nuntil, version);
	return version;
}

bool version_bounds_parse(const char *text, bool since, struct version_range *range)
{
	uint32_t *bound = since ? range->since : range->until, version, before = 0;
	unsigned n = 0;
	while (*text) {
		int len = take(text, &version);
		if (len == 0 || (text[len] != ' ' && text[len] != '\0') || n == VERSION_BOUNDS)
			return false;
		if (since && (version & VAS_LINUX_LAST) == VAS_LINUX_LAST)
			version -= VAS_LINUX_LAST; /* from the first of the series on */
		if (version <= before)
			return false;
		bound[n++] = before = version;
		text += len;
		text += strspn(text, " ");
	}
	*(since ? &range->nsince : &range->nuntil) = n;
	return n > 0;
}

/* ---- The running kernel ---------------------------------------------------------------------- */

static bool read_line(const char *path, char *text, int size)
{
	FILE *stream = fopen(path, "re");
	if (!stream)
		return false;
	bool good = fgets(text, size, stream) != NULL;
	(void)fclose(stream);
	return good;
}

bool version_of_machine(const char *release, uint32_t *version)
{
	char line[512];
	const char *at;
	uint32_t exact;
	if (take(release, version) == 0)
		return false;
	/* "Ubuntu 6.8.0-45.45-generic 6.8.12" */
	if (read_line("/proc/version_signature", line, sizeof(line)) && (at = strrchr(line, ' ')) &&
	    take(at + 1, &exact) && exact >> 16 == *version >> 16)
		*version = exact;
	/* "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-10-01)" */
	else if (read_line("/proc/version", line, sizeof(line)) &&
	         (at = strstr(line, " Debian ")) && take(at + 8, &exact) &&
	         exact >> 16 == *version >> 16)
		*version = exact;
	return true;
}

/* ---- Judges ---------------------------------------------------------------------------------- */

#ifndef VAS_JUDGES
#define VAS_JUDGES "" /* the build says: the builds of tests/cases/judges.txt */
#endif

bool version_is_judged(uint32_t version)
{
	uint32_t judge;
	for (const char *at = VAS_JUDGES; *at; at += strcspn(at, " "), at += strspn(at, " "))
		if (take(at, &judge) && judge >> 16 == version >> 16)
			return true;
	return false;
}

const char *version_judges(void)
{
	return VAS_JUDGES;
}
