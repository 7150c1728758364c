/* strace_shape.c - the table of calls.
 *
 * The first CALL_NAMES rows stand in the order of enum call_name; aliases follow.
 *
 * SPDX-License-Identifier: MIT */
#include "strace/strace_shape.h"

#include <string.h>

#define ADDR {ARG_ADDR, NULL, "addr"}
#define NEW_ADDR {ARG_ADDR, NULL, "new_addr"}
#define LEN {ARG_LEN, NULL, "len"}
#define OLD_LEN {ARG_LEN, NULL, "old_len"}
#define NEW_LEN {ARG_LEN, NULL, "new_len"}
#define OFFSET {ARG_OFFSET, NULL, "offset"}
#define FD {ARG_FD, NULL, "fd"}
#define TEXT(name) {ARG_TEXT, NULL, name}
#define OF(set) {ARG_SET, &names_##set, #set}
#define FLAGS(set) {ARG_SET, &names_##set, "flags"}
#define END {ARG_END, NULL, NULL}

static const struct call_shape shapes[] = {
	{"mmap", CALL_MMAP, 6, SHAPE_HEX, {ADDR, LEN, OF(prot), FLAGS(map), FD, OFFSET, END},
	 "maps memory; answers the address"},
	{"munmap", CALL_MUNMAP, 2, SHAPE_DEC, {ADDR, LEN, END}, "unmaps a range"},
	{"mprotect", CALL_MPROTECT, 3, SHAPE_DEC, {ADDR, LEN, OF(prot), END},
	 "changes what a range may be used for"},
	{"mremap", CALL_MREMAP, 4, SHAPE_HEX,
	 {ADDR, OLD_LEN, NEW_LEN, FLAGS(mremap), NEW_ADDR, END},
	 "moves or resizes a mapping; answers its address"},
	{"brk", CALL_BRK, 1, SHAPE_HEX, {ADDR, END}, "moves the break; answers where it is now"},
	{"madvise", CALL_MADVISE, 3, SHAPE_DEC, {ADDR, LEN, OF(madvise), END},
	 "says how a range will be used"},
	{"mlock", CALL_MLOCK, 2, SHAPE_DEC, {ADDR, LEN, END}, "locks a range in memory"},
	{"mlock2", CALL_MLOCK2, 3, SHAPE_DEC, {ADDR, LEN, FLAGS(mlock), END},
	 "locks a range, perhaps only what is touched"},
	{"munlock", CALL_MUNLOCK, 2, SHAPE_DEC, {ADDR, LEN, END}, "unlocks a range"},
	{"mlockall", CALL_MLOCKALL, 1, SHAPE_DEC, {FLAGS(mcl), END}, "locks everything"},
	{"munlockall", CALL_MUNLOCKALL, 0, SHAPE_DEC, {END}, "unlocks everything"},
	{"msync", CALL_MSYNC, 3, SHAPE_DEC, {ADDR, LEN, FLAGS(ms), END},
	 "writes a file's pages back"},
	{"mincore", CALL_MINCORE, 3, SHAPE_VECTOR, {ADDR, LEN, {ARG_VECTOR, NULL, "vec"}, END},
	 "says which pages are in memory"},
	{"mseal", CALL_MSEAL, 3, SHAPE_DEC, {ADDR, LEN, FLAGS(empty), END},
	 "forbids further change of a range"},
	{"remap_file_pages", CALL_REMAP_FILE_PAGES, 5, SHAPE_DEC,
	 {ADDR, LEN, OF(prot), {ARG_LEN, NULL, "pgoff"}, FLAGS(map), END},
	 "maps other pages of the file that is mapped shared there"},
	{"prctl", CALL_PRCTL, 2, SHAPE_DEC,
	 {{ARG_SET, &names_prctl, "option"}, {ARG_LEN, NULL, "arg2"}, {ARG_SKIP, NULL, "arg3"},
	  {ARG_SKIP, NULL, "arg4"}, {ARG_SKIP, NULL, "arg5"}, END},
	 "PR_SET_MDWE or PR_SET_MEMORY_MERGE"},
	{"memfd_create", CALL_MEMFD_CREATE, 2, SHAPE_DEC, {TEXT("name"), FLAGS(mfd), END},
	 "makes a memory file; answers its descriptor"},
	{"open", CALL_OPEN, 2, SHAPE_DEC,
	 {TEXT("path"), FLAGS(open), {ARG_MODE, NULL, "mode"}, END}, "opens a file"},
	{"ftruncate", CALL_FTRUNCATE, 2, SHAPE_DEC, {FD, LEN, END}, "sets a file's size"},
	{"close", CALL_CLOSE, 1, SHAPE_DEC, {FD, END}, "closes a descriptor"},
	{"setrlimit", CALL_SETRLIMIT, 2, SHAPE_DEC,
	 {{ARG_SET, &names_rlimit, "resource"}, {ARG_LIMITS, NULL, "limits"}, END}, "sets a limit"},
	{"fork", CALL_FORK, 0, SHAPE_DEC, {END}, "makes a child process; answers its number"},
	{"exit", CALL_EXIT, 0, SHAPE_DEC, {END}, "ends the process"},
	{"load", CALL_LOAD, 1, SHAPE_BYTE, {ADDR, END}, "reads a byte"},
	{"store", CALL_STORE, 2, SHAPE_DEC, {ADDR, {ARG_BYTE, NULL, "byte"}, END}, "writes a byte"},
	{"fetch", CALL_FETCH, 1, SHAPE_DEC, {ADDR, END}, "fetches an instruction"},
	{"touch", CALL_TOUCH, 1, SHAPE_DEC, {ADDR, END}, "writes a page with what it holds"},
	{"drop_cap", CALL_DROP_CAP, 1, SHAPE_DEC, {{ARG_SET, &names_cap, "capability"}, END},
	 "gives a capability up"},
	{"sysctl", CALL_SYSCTL, 2, SHAPE_DEC, {TEXT("name"), {ARG_LEN, NULL, "value"}, END},
	 "demands a value of a sysctl"},
	{"flags", CALL_FLAGS, 1, SHAPE_TEXT, {ADDR, END}, "VmFlags of the vma at an address"},
	{"status", CALL_STATUS, 1, SHAPE_DEC, {TEXT("field"), END},
	 "VmSize, VmLck, VmData or VmStk in kB"},
	{"present", CALL_PRESENT, 1, SHAPE_DEC, {ADDR, END}, "whether a page is present"},
	{"maps", CALL_MAPS, 0, SHAPE_LINES, {END}, "the mappings, one line each"},
	/* aliases */
	{"openat", CALL_OPEN, 3, SHAPE_DEC,
	 {{ARG_SKIP, NULL, "dirfd"}, TEXT("path"), FLAGS(open), {ARG_MODE, NULL, "mode"}, END},
	 "open"},
	{"exit_group", CALL_EXIT, 0, SHAPE_DEC, {{ARG_SKIP, NULL, "status"}, END}, "exit"},
	{"prlimit64", CALL_SETRLIMIT, 4, SHAPE_DEC,
	 {{ARG_SKIP, NULL, "pid"}, {ARG_SET, &names_rlimit, "resource"},
	  {ARG_LIMITS, NULL, "limits"}, {ARG_SKIP, NULL, "old"}, END}, "setrlimit"},
};

_Static_assert(sizeof(shapes) / sizeof(shapes[0]) == CALL_NAMES + 3, "a call has no shape");

const struct call_shape *shape_of(enum call_name name)
{
	return &shapes[name];
}

const struct call_shape *shape_at(size_t n)
{
	return n < sizeof(shapes) / sizeof(shapes[0]) ? &shapes[n] : NULL;
}

const struct call_shape *shape_find(const char *text, size_t len)
{
	for (size_t i = 0; shape_at(i); i++)
		if (strlen(shapes[i].text) == len && memcmp(shapes[i].text, text, len) == 0)
			return &shapes[i];
	return NULL;
}
