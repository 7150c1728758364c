/* vas_panic.h - a broken assert of vas says which: included before all of vas.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_PANIC_H
#define VAS_PANIC_H

_Noreturn void vas_kernel_panic(const char *file, int line, const char *what);
#define VAS_PANIC(file, line, what) vas_kernel_panic(file, line, what)

#endif
