/* stub.h - a traced process of the kernel side: one page of code and nothing else.
 *
 *   page 0x400 | ELF header | syscall; stop | load; stop | ... | scratch: strings, structs |
 *
 * It does nothing by itself: the tracer sets its registers, lets it run to the next stop, and reads
 * what came of it. It knows nothing of calls in the notation; kernel.c translates those.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_STUB_H
#define VAS_CLI_STUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vas/vas.h"

/* Where the page is: at 0x400000 if pages have 4 KiB. */
static inline uint64_t stub_addr(uint64_t page_size)
{
	return 0x400 * page_size;
}

#define STUB_SCRATCH 0x800u /* offset of what the tracer may write */
#define STUB_SCRATCH_LEN 0x800u
#define STUB_PATH "/memfd:vas-stub (deleted)"

struct stub; /* registers and saved affinity are stub.c's own */

/* A new process with the limits of vas_params_default (as far as this user may set them), not
 * randomised, everything but the stub page unmapped, descriptors 0 to 2 on /dev/null and no other.
 * It dies with its tracer. NULL: a message has been printed. */
struct stub *stub_start(void);

/* Ends it; what was forked from the one started is to be stopped before that one. */
void stub_stop(struct stub *stub);

/* Lets it fork: *child is traced as well, or NULL and *result a negative errno. False: broken. */
bool stub_fork(struct stub *stub, struct stub **child, int64_t *result);

pid_t stub_pid(const struct stub *stub);

/* What exec gave the process, read before the rest was unmapped. */
struct stub_origin {
	uint64_t start_brk, start_stack, data_len;
};
const struct stub_origin *stub_origin(const struct stub *stub);

/* A system call, or an access to one byte. */
struct stub_order {
	enum stub_kind { STUB_SYSCALL, STUB_LOAD, STUB_STORE, STUB_TOUCH } kind;
	uint64_t number; /* of the system call, or the address */
	uint64_t arg[6]; /* arg[0] also: the byte to store */
};

/* The call's answer, or, in its low byte, what was loaded; signal.signo is 0: no signal. */
struct stub_outcome {
	int64_t value;
	struct vas_signal signal;
};

/* Each of these answers false when the process has broken or gone; a message has been printed. */
bool stub_syscall(struct stub *stub, long number, const uint64_t arg[6], int64_t *result);

/* As many as the processor's stub can are carried out between two stops, each of which costs more
 * than most calls do. */
bool stub_carry_out(struct stub *stub, const struct stub_order *order, unsigned count,
                    struct stub_outcome *outcome);

/* The instruction at `at`, in the page of `addr`, is fetched and executed; a signal of the fetch
 * names `addr`. */
bool stub_fetch(struct stub *stub, uint64_t addr, uint64_t at, struct vas_signal *signal);

/* Puts `len` bytes at `offset` of the scratch; *addr is where the process sees them. */
bool stub_put(struct stub *stub, size_t offset, const void *data, size_t len, uint64_t *addr);

/* Reads the process's memory without regard to protection; false (and no message) if unmapped. */
bool stub_peek(struct stub *stub, uint64_t addr, void *data, size_t len);

#endif
