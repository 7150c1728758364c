/* event.c - what the kernel says of an event for which a traced task has stopped.
 *
 * A stopped task can be killed at any time. It then goes on to the stop of its exit, unasked, and
 * its message is its exit status: a signal's number, which looks like a task's. So the message
 * is read first, and then it is asked whether the task still stands where it was: if so it stood
 * there when the message was read, for nothing leads back.
 *
 * SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/ptrace.h>

#include "target/event.h"

bool event_message(pid_t tid, int event, unsigned long *message)
{
	siginfo_t stop;

	return ptrace(PTRACE_GETEVENTMSG, tid, NULL, message) == 0 &&
	       ptrace(PTRACE_GETSIGINFO, tid, NULL, &stop) == 0 &&
	       stop.si_code == (SIGTRAP | event << 8);
}
