/* one.c - the whole core as one translation unit, so that only the public names are left and the
 * compiler sees everything. libvas.a is built from this file.
 *
 * SPDX-License-Identifier: MIT */
#define VAS_INTERNAL static

#include "access.c"
#include "address.c"
#include "brk.c"
#include "check.c"
#include "fault.c"
#include "fork.c"
#include "format/aarch64.c"
#include "format/riscv.c"
#include "format/x86_64.c"
#include "frame.c"
#include "huge.c"
#include "madvise.c"
#include "mlock.c"
#include "mmap.c"
#include "mprotect.c"
#include "mremap.c"
#include "mseal.c"
#include "msync.c"
#include "munmap.c"
#include "object.c"
#include "pagetable.c"
#include "report.c"
#include "rmap.c"
#include "slab.c"
#include "space.c"
#include "tlb.c"
#include "vma.c"
#include "vma_tree.c"
