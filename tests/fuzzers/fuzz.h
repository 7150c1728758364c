/* fuzz.h - what a fuzz target is: one function that must survive any bytes.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_FUZZ_H
#define VAS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the run with a message: a property does not hold. */
#define FUZZ_REQUIRE(cond)                                                                         \
	((cond) ? (void)0                                                                          \
	        : (fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond), abort()))

#endif
