/* panic.h - what a broken assert of the core does in the program `vas`: one line, then an abort.
 *
 * The core is compiled for the program with this header in front of each source (CMakeLists.txt);
 * by itself it knows nobody to tell.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_PANIC_H
#define VAS_CLI_PANIC_H

_Noreturn void vas_panic(const char *file, int line, const char *what);

#define VAS_PANIC(file, line, what) vas_panic(file, line, what)

#endif
