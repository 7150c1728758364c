/* trouble.c - the last line of a process whose use of the heap is broken. No memory is asked for:
 * the heap may be what is broken.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap.h"

static size_t append(char *line, size_t at, size_t size, const char *text)
{
	while (*text && at + 1 < size)
		line[at++] = *text++;
	return at;
}

_Noreturn void trouble(const char *call, const void *block, const char *what)
{
	char line[160], digits[2 * sizeof(uintptr_t) + 1];
	uintptr_t rest = (uintptr_t)block;
	size_t at = 0, digit = sizeof(digits) - 1;

	digits[digit] = '\0';
	do {
		digits[--digit] = "0123456789abcdef"[rest % 16];
		rest /= 16;
	} while (rest);
	at = append(line, at, sizeof(line), "vas heap: ");
	at = append(line, at, sizeof(line), call);
	at = append(line, at, sizeof(line), "(0x");
	at = append(line, at, sizeof(line), digits + digit);
	at = append(line, at, sizeof(line), "): ");
	at = append(line, at, sizeof(line), what);
	at = append(line, at, sizeof(line), "\n");
	if (write(STDERR_FILENO, line, at) < 0)
		abort(); /* nobody listens */
	abort();
}
