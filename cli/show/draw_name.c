/* draw_name.c - names in a narrow column.
 *
 * SPDX-License-Identifier: MIT */
#include "show/draw_name.h"

#include <stdio.h>
#include <string.h>

#include "strace/visible.h"

#define DOTS 2           /* columns of ".." */
#define COMPARED_MAX 512 /* among more names none is cut: comparing all would take too long */

static const char *base_of(const char *name)
{
	const char *slash = strrchr(name, '/');
	return name[0] == '/' && slash[1] ? slash + 1 : name;
}

/* Begin and end of a text, ".." for its middle if it is wider than the room. */
static void cut_middle(char *to, const char *text, size_t room)
{
	size_t len = strlen(text), tail = (room - DOTS) / 2, head = room - DOTS - tail;
	if (len <= room)
		(void)snprintf(to, SHORT_NAME_MAX, "%s", text);
	else
		(void)snprintf(to, SHORT_NAME_MAX, "%.*s..%s", (int)head, text, text + len - tail);
}

/* A text from `from` on. */
static void cut_ends(char *to, const char *text, size_t from, size_t room)
{
	size_t len = strlen(text + from), shown = room - DOTS;
	if (len <= shown)
		(void)snprintf(to, SHORT_NAME_MAX, "..%s", text + from);
	else
		(void)snprintf(to, SHORT_NAME_MAX, "..%.*s..", (int)(shown - DOTS), text + from);
}

/* How far both begin alike. */
static size_t same_length(const char *a, const char *b)
{
	size_t len = 0;
	while (a[len] && a[len] == b[len])
		len++;
	return len;
}

/* The two ways to cut: where `from` is 0 the middle goes. */
static void cut(char *to, const char *name, size_t from, size_t room)
{
	if (from)
		cut_ends(to, name, from, room);
	else
		cut_middle(to, base_of(name), room);
}

/* Whether another name looks like `shown` when it is cut so; *from becomes where the nearest of
 * them begins to differ. */
static bool is_ambiguous(const char *shown, const char *const *names, size_t count, size_t i,
                         size_t from, size_t room, size_t *differs)
{
	char other[SHORT_NAME_MAX];
	bool found = false;
	for (size_t j = 0; j < count; j++) {
		if (strcmp(names[j], names[i]) == 0 || strlen(names[j]) < from)
			continue;
		cut(other, names[j], from, room);
		if (strcmp(other, shown) != 0)
			continue;
		size_t same = same_length(names[i], names[j]);
		*differs = !found || same < *differs ? same : *differs;
		found = true;
	}
	return found;
}

void name_shorten(char *to, const char *const *names, size_t count, size_t i, size_t room)
{
	char shown[SHORT_NAME_MAX];
	const char *name = names[i];
	size_t from = 0, none;
	bool fits = strlen(name) <= room, cuts = room > 3 * DOTS && count <= COMPARED_MAX;
	if (!fits && cuts) {
		cut(shown, name, 0, room);
		if (is_ambiguous(shown, names, count, i, 0, room, &from)) {
			cut(shown, name, from ? from : 1, room);
			cuts = !is_ambiguous(shown, names, count, i, from ? from : 1, room, &none);
		}
	}
	if (fits || !cuts)
		(void)visible_text(to, SHORT_NAME_MAX, name, strlen(name));
	else
		(void)visible_text(to, SHORT_NAME_MAX, shown, strlen(shown));
}
