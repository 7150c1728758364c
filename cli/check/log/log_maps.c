/* log_maps.c - lines of /proc/PID/maps and smaps, read and compared.
 *
 * Read by hand, since a map is read after nearly every call. What makes two lines the same is said
 * in log_maps.h; processes and spaces are not known here.
 *
 * SPDX-License-Identifier: MIT */
#include "check/log/log_maps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct map_line *map_lines_add(struct map_lines *lines)
{
	if (lines->n == lines->room) {
		size_t room = lines->room ? lines->room * 2 : 64;
		struct map_line *line = realloc(lines->line, room * sizeof(*line));
		if (!line)
			return NULL;
		lines->line = line;
		lines->room = room;
	}
	struct map_line *line = &lines->line[lines->n++];
	*line = (struct map_line){.name = ""};
	return line;
}

void map_lines_free(struct map_lines *lines)
{
	free(lines->line);
	*lines = (struct map_lines){NULL, 0, 0};
}

static const struct {
	char word[3];
	uint64_t flag;
} vmflags[] = {
	{"rd", VAS_VM_READ},
	{"wr", VAS_VM_WRITE},
	{"ex", VAS_VM_EXEC},
	{"sh", VAS_VM_SHARED},
	{"mr", VAS_VM_MAYREAD},
	{"mw", VAS_VM_MAYWRITE},
	{"me", VAS_VM_MAYEXEC},
	{"ms", VAS_VM_MAYSHARE},
	{"gd", VAS_VM_GROWSDOWN},
	{"pf", VAS_VM_PFNMAP},
	{"lo", VAS_VM_LOCKED},
	{"io", VAS_VM_IO},
	{"sr", VAS_VM_SEQ_READ},
	{"rr", VAS_VM_RAND_READ},
	{"dc", VAS_VM_DONTCOPY},
	{"de", VAS_VM_DONTEXPAND},
	{"lf", VAS_VM_LOCKONFAULT},
	{"ac", VAS_VM_ACCOUNT},
	{"nr", VAS_VM_NORESERVE},
	{"ht", VAS_VM_HUGETLB},
	{"wf", VAS_VM_WIPEONFORK},
	{"dd", VAS_VM_DONTDUMP},
	{"mm", VAS_VM_MIXEDMAP},
	{"hg", VAS_VM_HUGEPAGE},
	{"nh", VAS_VM_NOHUGEPAGE},
	{"mg", VAS_VM_MERGEABLE},
	{"dp", VAS_VM_DROPPABLE},
	{"sl", VAS_VM_SEALED},
	{"sf", VAS_VM_SYNC},
	{"um", VAS_VM_UFFD},
	{"uw", VAS_VM_UFFD},
	{"ui", VAS_VM_UFFD},
	{"gu", VAS_VM_MAYBE_GUARD},
	/* known, but nothing in vas depends on them */
	{"sd", 0},
	{"ar", 0},
	{"ss", 0},
	{"bt", 0},
	{"mt", 0},
};

bool vmflags_parse(const char *words, size_t len, bool strict, uint64_t *flags)
{
	*flags = 0;
	for (size_t i = 0; i < len;) {
		if (words[i] == ' ') {
			i++;
			continue;
		}
		size_t k = 0, n = sizeof(vmflags) / sizeof(vmflags[0]);
		if (len - i < 2 || (len - i > 2 && words[i + 2] != ' '))
			return false;
		while (k < n && memcmp(vmflags[k].word, words + i, 2) != 0)
			k++;
		if (k == n && strict)
			return false;
		if (k < n)
			*flags |= vmflags[k].flag;
		i += 2;
	}
	return true;
}

/* A number up to the character `end`, which is passed over. This and the next function are by hand
 * because the map is read after nearly every call; sscanf would cost more than the call. */
static bool take(const char **at, unsigned base, char end, uint64_t *value)
{
	const char *p = *at;
	*value = 0;
	for (; *p && *p != end; p++) {
		unsigned digit = *p >= '0' && *p <= '9'   ? (unsigned)(*p - '0')
		                 : *p >= 'a' && *p <= 'f' ? (unsigned)(*p - 'a' + 10)
		                                          : 16;
		if (digit >= base || *value > (UINT64_MAX - digit) / base)
			return false;
		*value = *value * base + digit;
	}
	if (*p != end || p == *at)
		return false;
	*at = p + 1;
	return true;
}

static bool parse_line(struct map_line *line, const char *p)
{
	uint64_t major, minor;
	if (!take(&p, 16, '-', &line->start) || !take(&p, 16, ' ', &line->end))
		return false;
	if (strlen(p) < 5 || p[4] != ' ')
		return false;
	memcpy(line->perms, p, 4);
	p += 5;
	if (!take(&p, 16, ' ', &line->offset) || !take(&p, 16, ':', &major) ||
	    !take(&p, 16, ' ', &minor) || !take(&p, 10, ' ', &line->inode))
		return false;
	line->major = (uint32_t)major;
	line->minor = (uint32_t)minor;
	line->name = p + strspn(p, " ");
	return true;
}

/* smaps has "Name:   value" lines between those of maps. */
static bool is_field(const char *text)
{
	const char *colon = text + strcspn(text, ": -");
	return *colon == ':' && text[0] >= 'A' && text[0] <= 'Z';
}

static bool parse_field(struct map_lines *lines, const char *text)
{
	if (strncmp(text, "VmFlags:", 8) != 0 || lines->n == 0)
		return true;
	struct map_line *line = &lines->line[lines->n - 1];
	line->has_flags = true;
	return vmflags_parse(text + 8, strlen(text + 8), false, &line->flags);
}

bool map_lines_parse(struct map_lines *lines, char *text)
{
	bool skipping = false;
	lines->n = 0;
	while (*text) {
		char *end = text + strcspn(text, "\n");
		char *next = *end ? end + 1 : end;
		*end = '\0';
		if (is_field(text)) {
			if (!skipping && !parse_field(lines, text))
				return false;
		} else {
			struct map_line *line = map_lines_add(lines);
			if (!line || !parse_line(line, text))
				return false;
			skipping = strcmp(line->name, "[vsyscall]") == 0;
			if (skipping)
				lines->n--;
		}
		text = next;
	}
	return true;
}

bool map_line_shared_anon(const struct map_line *line)
{
	return line->perms[3] == 's' && (strcmp(line->name, "/dev/zero") == 0 ||
	                                 strcmp(line->name, "/dev/zero (deleted)") == 0);
}

bool map_line_huge(const struct map_line *line)
{
	return strcmp(line->name, "/anon_hugepage (deleted)") == 0;
}

/* What of a line's file or name counts. */
static bool same_backing(const struct map_line *a, const struct map_line *b)
{
	if (map_line_shared_anon(a) || map_line_shared_anon(b))
		return map_line_shared_anon(a) && map_line_shared_anon(b);
	if (map_line_huge(a) || map_line_huge(b))
		return map_line_huge(a) && map_line_huge(b);
	if (map_line_has_file(a) || map_line_has_file(b))
		return a->inode == b->inode && a->major == b->major && a->minor == b->minor;
	return strcmp(a->name, b->name) == 0;
}

bool map_line_same(const struct map_line *a, const struct map_line *b)
{
	if (a->start != b->start || a->end != b->end || memcmp(a->perms, b->perms, 4) != 0 ||
	    a->offset != b->offset || !same_backing(a, b))
		return false;
	return !a->has_flags || !b->has_flags || !((a->flags ^ b->flags) & VMFLAGS_MASK);
}

bool map_line_alike(const struct map_line *a, const struct map_line *b)
{
	const uint64_t mask = VMFLAGS_MASK & ~(uint64_t)VAS_VM_MAYBE_GUARD;
	if (memcmp(a->perms, b->perms, 4) != 0 || !same_backing(a, b) ||
	    (map_line_has_file(a) && a->offset - a->start != b->offset - b->start))
		return false;
	return !a->has_flags || !b->has_flags || !((a->flags ^ b->flags) & mask);
}

size_t map_lines_differ(const struct map_lines *a, const struct map_lines *b)
{
	size_t n = a->n > b->n ? a->n : b->n, i = 0;
	while (i < n && i < a->n && i < b->n && map_line_same(&a->line[i], &b->line[i]))
		i++;
	return i;
}

/* FNV-1a, a word at a time. */
static uint64_t mix(uint64_t digest, uint64_t word)
{
	digest = (digest ^ word) * 0x100000001b3u;
	return digest ^ digest >> 29;
}

uint64_t map_lines_digest(const struct map_lines *lines)
{
	uint64_t digest = 0xcbf29ce484222325u;
	for (size_t i = 0; i < lines->n; i++) {
		const struct map_line *line = &lines->line[i];
		uint32_t perms;
		memcpy(&perms, line->perms, sizeof(perms));
		digest = mix(mix(digest, line->start), line->end);
		digest = mix(mix(digest, perms), line->offset);
		if (map_line_shared_anon(line))
			digest = mix(digest, 1);
		else if (map_line_huge(line))
			digest = mix(digest, 2);
		else if (map_line_has_file(line))
			digest = mix(mix(digest, line->inode),
			             (uint64_t)line->major << 32 | line->minor);
		else
			for (const char *c = line->name; *c; c++)
				digest = mix(digest, (unsigned char)*c);
	}
	return digest;
}

void map_line_print(char text[MAP_LINE_TEXT], const struct map_line *line)
{
	int n = snprintf(text, MAP_LINE_TEXT - VAS_VMFLAGS_MAX - 4,
	                 "%08" PRIx64 "-%08" PRIx64 " %s %08" PRIx64 " %02x:%02x %" PRIu64 " %s",
	                 line->start, line->end, line->perms, line->offset, line->major,
	                 line->minor, line->inode, line->name);
	size_t len = n < 0 ? 0 : strlen(text);
	while (len && text[len - 1] == ' ')
		text[--len] = '\0';
	if (!line->has_flags)
		return;
	char flags[VAS_VMFLAGS_MAX] = "";
	vas_vmflags(&(struct vas_region){.flags = line->flags}, flags);
	size_t flags_len = strlen(flags);
	while (flags_len && flags[flags_len - 1] == ' ')
		flags[--flags_len] = '\0';
	snprintf(text + len, MAP_LINE_TEXT - len, " {%s}", flags);
}
