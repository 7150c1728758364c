/* log_event.h - what happened to a program's memory, one event at a time.
 *
 * The tracer makes events, the process model consumes them, a log is a list of them written down
 * (docs/check.md has the format). `vas check` and `vas replay` differ only in where they come from.
 * An event names processes by pid, open files by a number of the log's own. Pointers in it belong
 * to whoever made the event and hold until the next one.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_LOG_EVENT_H
#define VAS_CLI_LOG_EVENT_H

#include <stdint.h>

#include "check/log/log_maps.h"
#include "strace/strace.h"
#include "target/target.h"
#include "vas/vas.h"

enum event_kind {
	EVENT_MACHINE, /* machine: comes first, once */
	EVENT_FILE,    /* id, info, size: an open file description seen for the first time */
	EVENT_RESIZE,  /* id, number: the file's size is now this */
	EVENT_CLOSE,   /* id: will not be named again */
	EVENT_IMAGE,   /* pid, text (its name), params, lines: a program starts (exec) */
	EVENT_FORK,    /* pid, child: the child has a copy of the space */
	EVENT_SHARE,   /* pid, child: the child has the same space (vfork) */
	EVENT_THREAD,  /* pid, child: it has one thread more */
	EVENT_CALL,    /* pid, call, answer: mmap's descriptor is a file's id; or a touch. number:
	                  the descriptor that the program gave, plus 1; 0: none */
	EVENT_GROW,    /* pid, number: a fault let the vma above grow down to this address */
	EVENT_UNSURE,  /* pid, number: which identity the written memory at this address has could
	                  not be known for certain */
	EVENT_CAPS,    /* pid, number: VAS_CAP_* from now on */
	EVENT_MAPS,    /* pid, lines: the kernel's map; last: with flags, and no calls follow */
	EVENT_DIGEST,  /* pid, id (lines), number: of the kernel's map, where nothing differed */
	EVENT_ADOPT,   /* pid, text (why), number (break, 0: as it was), lines: take over what a
	                  call did that vas has not made */
	EVENT_RESYNC,  /* pid, number (break), lines: after a difference, go on from here */
	EVENT_NOTE,    /* pid, text: something the summary has to say */
	EVENT_STOP,    /* pid, text (why): the process is not followed any more */
	EVENT_EXIT,    /* pid */
	EVENT_KINDS
};

struct event {
	enum event_kind kind;
	int32_t pid, child;
	uint32_t id;
	uint64_t number;
	const char *text;
	const struct machine *machine;
	struct vas_file_info info;
	struct vas_params params;
	struct map_lines lines;
	struct call call;
	struct answer answer; /* ANSWER_VALUE; owns nothing */
};

#endif
