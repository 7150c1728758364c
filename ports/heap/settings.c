/* settings.c - the words of VAS_HEAP (include/vas/heap.h names them).
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap.h"

static struct settings heap_settings = {
	.from = KIB(64),
	.grown = KIB(32),
	.keep = MIB(64),
	.reserve = (uint64_t)1 << 44,
	.decay = 1000,
	.huge = HUGE_AUTO,
	.rooms = true,
};

enum kind { SIZE, NUMBER, YES, YES_OR_AUTO };

static const struct word {
	const char *name;
	enum kind kind;
	void *value;
	uint64_t least, most;
} words[] = {
	{"from", SIZE, &heap_settings.from, KIB(16), PACKED_MAX},
	{"grown", SIZE, &heap_settings.grown, KIB(16), PACKED_MAX},
	{"keep", SIZE, &heap_settings.keep, 0, (uint64_t)1 << 46},
	{"reserve", SIZE, &heap_settings.reserve, (uint64_t)1 << 34, (uint64_t)1 << 46},
	{"decay", NUMBER, &heap_settings.decay, 0, 1000000000},
	{"huge", YES_OR_AUTO, &heap_settings.huge, 0, 0},
	{"rooms", YES, &heap_settings.rooms, 0, 0},
	{"portable", YES, &heap_settings.portable, 0, 0},
};

static bool read_number(const char *text, size_t len, enum kind kind, uint64_t *number)
{
	static const char units[] = "kmgt";
	uint64_t value = 0;
	size_t i = 0;

	for (; i < len && text[i] >= '0' && text[i] <= '9' && value < UINT64_MAX / 16; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	if (kind == SIZE && i > 0 && i + 1 == len && text[i] && strchr(units, text[i] | 0x20)) {
		uint32_t shift = 10 * (uint32_t)(strchr(units, text[i] | 0x20) - units + 1);

		if (value >> (64 - shift))
			return false;
		value <<= shift;
		i++;
	}
	*number = value;
	return len > 0 && i == len;
}

static bool read_value(const struct word *word, const char *text, size_t len)
{
	uint64_t number;

	bool yes = len == 3 && memcmp(text, "yes", 3) == 0;
	bool no = len == 2 && memcmp(text, "no", 2) == 0;

	if (word->kind == YES) {
		*(bool *)word->value = yes;
		return yes || no;
	}
	if (word->kind == YES_OR_AUTO) {
		bool automatic = len == 4 && memcmp(text, "auto", 4) == 0;

		*(uint32_t *)word->value = automatic ? HUGE_AUTO : yes ? HUGE_YES : HUGE_NO;
		return yes || no || automatic;
	}
	if (!read_number(text, len, word->kind, &number) || number < word->least ||
	    number > word->most)
		return false;
	if (word->kind == SIZE)
		*(uint64_t *)word->value = number;
	else
		*(uint32_t *)word->value = (uint32_t)number;
	return true;
}

static bool read_word(const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t name = strlen(words[i].name);

		if (len > name && memcmp(text, words[i].name, name) == 0 && text[name] == '=')
			return read_value(&words[i], text + name + 1, len - name - 1);
	}
	return false;
}

static void complain(const char *text, size_t len)
{
	static const char before[] = "vas heap: VAS_HEAP: no such setting, or out of range: ";

	if (write(STDERR_FILENO, before, sizeof(before) - 1) < 0 ||
	    write(STDERR_FILENO, text, len) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
		return; /* there is nobody to be told */
}

void settings_read(void)
{
#ifdef __GLIBC__
	const char *text = secure_getenv("VAS_HEAP");
#else
	const char *text = getenv("VAS_HEAP");
#endif

	while (text && *text) {
		size_t len = strcspn(text, ",");

		if (len > 0 && !read_word(text, len))
			complain(text, len);
		text += len + (text[len] == ',');
	}
	heap_settings.from &= ~(PAGE - 1);
	if (heap_settings.grown > heap_settings.from)
		heap_settings.grown = heap_settings.from;
}
