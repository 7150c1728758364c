/* event.h - what the kernel says of an event for which a traced task has stopped.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_TARGET_EVENT_H
#define VAS_TARGET_EVENT_H

#include <stdbool.h>
#include <sys/types.h>

/* The message of PTRACE_EVENT_`event` (a new task's number, the former number of one that has
 * executed), for which the task `tid` was reported to have stopped. False if there is none any
 * more: the task has been killed since, and what can be read is of its end. */
bool event_message(pid_t tid, int event, unsigned long *message);

#endif
