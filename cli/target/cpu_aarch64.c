/* cpu_aarch64.c - AArch64: see cpu.h.
 *
 * A breakpoint leaves the program counter at itself, so each order sets all registers.
 *
 * SPDX-License-Identifier: MIT */
#include "target/cpu.h"

#if defined(__linux__) && defined(__aarch64__)

#include <asm/hwcap.h>
#include <elf.h>
#include <linux/audit.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/uio.h>

const uint16_t cpu_elf = EM_AARCH64;
const uint32_t cpu_audit = AUDIT_ARCH_AARCH64;
const unsigned cpu_zeros = 4; /* udf #0 */
const uint64_t cpu_jump_from = 0;
const unsigned cpu_touched = 1;
const unsigned cpu_orders = 1; /* they are registers */
const bool cpu_steps = true;

#define RESULT(regs) (regs).regs[0]
#include "target/cpu_regset.h"

bool cpu_answer_instead(pid_t tid, uint64_t value)
{
	int none = -1;
	struct iovec iov = {&none, sizeof(none)};
	return ptrace(PTRACE_SETREGSET, tid, (void *)NT_ARM_SYSTEM_CALL, &iov) == 0 &&
	       cpu_set_result(tid, value);
}

/* ---- The stub -------------------------------------------------------------------------------- */

#define BRK 0xd4200000u /* brk #0 */

/* The touch is one instruction, which the processor, or who emulates it, reports as a write; where
 * there are none of that kind, or its fault is reported as a read, it reads first. */
struct stub_code cpu_code(void)
{
	static const uint32_t system_call[] = {0xd4000001u /* svc #0 */, BRK};
	static const uint32_t load[] = {0x39400100u /* ldrb w0, [x8] */, BRK};
	static const uint32_t store[] = {0x39000100u /* strb w0, [x8] */, BRK};
	static const uint32_t touch[] = {0x383f311fu /* ldsetb wzr, wzr, [x8] */, BRK};
	static const uint32_t read_first[] = {0x39400100u, 0x39000100u, BRK};
	static const uint32_t jump_there[] = {0xd61f0100u /* br x8 */, BRK};
	static const uint32_t next[] = {BRK};
	struct stub_code code = {
		.system_call = CODE(system_call),
		.load = CODE(load),
		.store = CODE(store),
		.touch = CODE(touch),
		.jump = CODE(jump_there),
		.next = CODE(next),
	};
	if (!(getauxval(AT_HWCAP) & HWCAP_ATOMICS))
		code.touch = (struct stub_piece)CODE(read_first);
	return code;
}

void cpu_rest(struct user_regs_struct *regs, uint64_t stub)
{
	regs->pc = stub + AT_NEXT;
}

bool cpu_give_orders(pid_t pid, const struct user_regs_struct *rest, unsigned char *page,
                     struct order *order, unsigned count)
{
	struct user_regs_struct regs = *rest;
	(void)page;
	(void)count;
	regs.pc = order->code;
	regs.regs[8] = order->number;
	memcpy(regs.regs, order->arg, sizeof(order->arg));
	return cpu_set(pid, &regs);
}

bool cpu_results(pid_t pid, uint64_t stub, unsigned count, bool at_breakpoint,
                 uint64_t value[CPU_ORDERS_MAX], unsigned *done)
{
	(void)stub;
	*done = at_breakpoint ? count : 0;
	return cpu_result(pid, &value[0]);
}

bool cpu_rewind(pid_t pid, const struct user_regs_struct *rest)
{
	return cpu_set(pid, rest);
}

uint64_t cpu_fetch_at(uint64_t addr, uint64_t page_size)
{
	(void)page_size;
	return addr & ~(uint64_t)3;
}

/* As an address it is neither the user's nor the kernel's, whatever a top byte is ignored; as a
 * system call's number it is -1. */
#define HARMLESS 0x00555555ffffffffull

void cpu_set_harmless(struct user_regs_struct *regs, uint64_t at)
{
	for (size_t i = 0; i < sizeof(regs->regs) / sizeof(regs->regs[0]); i++)
		regs->regs[i] = HARMLESS;
	regs->sp = HARMLESS & ~15ull;
	regs->pc = at;
}

void cpu_set_jump(struct user_regs_struct *regs, uint64_t stub, uint64_t addr)
{
	regs->pc = stub + AT_JUMP;
	regs->regs[8] = addr;
}

enum __ptrace_request cpu_step(struct user_regs_struct *regs)
{
	(void)regs;
	return PTRACE_SINGLESTEP;
}

#endif
