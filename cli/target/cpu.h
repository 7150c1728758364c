/* cpu.h - what who traces a process must know of the processor: its registers, and the code of the
 * stub.
 *
 * One file for each architecture that can be asked (cpu_x86_64.c, cpu_aarch64.c, cpu_riscv64.c);
 * elsewhere VAS_CPU is not defined, and the kernel is not asked.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_CPU_H
#define VAS_CLI_CPU_H

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__) || \
                           (defined(__riscv) && __riscv_xlen == 64))
#define VAS_CPU 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#ifdef __riscv
#include <asm/ptrace.h> /* the C library has no struct user_regs_struct of its own */
#endif

extern const uint16_t cpu_elf;   /* e_machine of its programs */
extern const uint32_t cpu_audit; /* AUDIT_ARCH_* */

/* All registers of a stopped task. Setting them in its seccomp stop or when a call has ended is
 * well; false: errno says why not. */
bool cpu_get(pid_t tid, struct user_regs_struct *regs);
bool cpu_set(pid_t tid, const struct user_regs_struct *regs);

/* The answer of a system call where it has ended: read, and changed. */
bool cpu_result(pid_t tid, uint64_t *value);
bool cpu_set_result(pid_t tid, uint64_t value);

/* The first argument of the system call that a task is about to make, or has made. */
bool cpu_set_argument(pid_t tid, uint64_t value);

/* In its seccomp stop: the call is not made, and answers this. */
bool cpu_answer_instead(pid_t tid, uint64_t value);

/* ---- The stub (stub.c) ----------------------------------------------------------------------- */

/* Offsets in its page. The orders are for processors that read them there themselves. */
enum {
	AT_SYSCALL = 0x100,
	AT_DONE = 0x140,
	AT_LOAD = 0x160,
	AT_STORE = 0x180,
	AT_TOUCH = 0x1a0,
	AT_JUMP = 0x1c0,
	AT_NEXT = 0x1e0, /* a breakpoint */
	AT_ORDERS = 0x200,
};

#define CPU_ORDERS_MAX 6

struct order {
	uint64_t code;   /* the address of what is to run */
	uint64_t number; /* the system call, or the address to access */
	uint64_t arg[6]; /* arg[0] also: the byte to store */
};

/* Its pieces, in the order of their places; `done` is not everywhere. */
struct stub_code {
	struct stub_piece {
		const void *bytes;
		size_t len;
	} system_call, done, load, store, touch, jump, next;
};
#define CODE(array) {array, sizeof(array)}

struct stub_code cpu_code(void);

/* The registers of a process that is at rest at the breakpoint of AT_NEXT, out of any it has had;
 * `stub` is where it has the page. */
void cpu_rest(struct user_regs_struct *regs, uint64_t stub);

/* How many orders are carried out between two stops: up to CPU_ORDERS_MAX. */
extern const unsigned cpu_orders;

/* Makes it so that the process, at rest, carries out `count` orders when it is resumed. Behind
 * order[count - 1] there is room for one more. */
bool cpu_give_orders(pid_t pid, const struct user_regs_struct *rest, unsigned char *page,
                     struct order *order, unsigned count);

/* What came of them, where the process has stopped: at its breakpoint, behind `count`, or in the
 * one behind *done orders. False: errno says why it cannot be known. */
bool cpu_results(pid_t pid, uint64_t stub, unsigned count, bool at_breakpoint,
                 uint64_t value[CPU_ORDERS_MAX], unsigned *done);

/* A touch is of so many bytes, aligned. */
extern const unsigned cpu_touched;

/* The process has stopped anywhere, with or without having run what it was to: back to rest. */
bool cpu_rewind(pid_t pid, const struct user_regs_struct *rest);

/* Where an instruction may be run in the page of `addr` without reaching into the next. */
uint64_t cpu_fetch_at(uint64_t addr, uint64_t page_size);

/* The fewest zero bytes, so aligned, that are an instruction which does nothing but fault. */
extern const unsigned cpu_zeros;

/* Registers for the one instruction at `at`: whatever it is, with these it can do no harm. */
void cpu_set_harmless(struct user_regs_struct *regs, uint64_t at);

/* Registers for a jump to `addr`, made by the stub's own code. */
void cpu_set_jump(struct user_regs_struct *regs, uint64_t stub, uint64_t addr);

/* Addresses from here on are jumped to, not set: what a CPU makes of jumping there is not what the
 * kernel makes of a register set to it. 0: none. */
extern const uint64_t cpu_jump_from;

/* How a process with these registers is resumed for one instruction, which PTRACE_SINGLESTEP must
 * not look at first, past all protection. */
enum __ptrace_request cpu_step(struct user_regs_struct *regs);

/* False: no processor of this kind stops after one instruction, so who resumed it must not wait
 * for ever. */
extern const bool cpu_steps;

#endif
#endif
