/* panic.c - the last words.
 *
 * SPDX-License-Identifier: MIT */
#include "panic.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void vas_panic(const char *file, int line, const char *what)
{
	fprintf(stderr, "vas: %s:%d: this must hold and does not: %s\n", file, line, what);
	abort();
}
