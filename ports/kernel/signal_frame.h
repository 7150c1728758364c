/* signal_frame.h - the parts of a signal's frame that are alike on all architectures.
 *
 * SPDX-License-Identifier: MIT */
#ifndef SIGNAL_FRAME_H
#define SIGNAL_FRAME_H

#include "kernel.h"

struct frame_stack { /* stack_t */
	uint64_t sp;
	uint32_t flags, pad;
	uint64_t size;
};

/* The running thread's alternate stack. */
void frame_stack(struct frame_stack *stack);

/* A siginfo_t. */
void frame_info(uint8_t out[128], const struct signal_info *info);

#endif
