/* one.c - the heap as one unit: what its files share is nobody else's.
 *
 * SPDX-License-Identifier: MIT */
#include "heap.h"

#include "trouble.c"
#include "settings.c"
#include "host.c"
#include "keep.c"
#include "places.c"
#include "bare.c"
#include "check.c"
#include "heap.c"
#ifdef VAS_HEAP_PRELOAD
#include "preload.c"
#endif
