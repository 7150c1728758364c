/* cpu_riscv64.c - RISC-V, 64 bits: see cpu.h.
 *
 * A breakpoint leaves the program counter at itself, so each order sets all registers.
 *
 * SPDX-License-Identifier: MIT */
#include "target/cpu.h"

#if defined(__linux__) && defined(__riscv) && __riscv_xlen == 64

#include <elf.h>
#include <linux/audit.h>
#include <string.h>
#include <sys/uio.h>

const uint16_t cpu_elf = EM_RISCV;
const uint32_t cpu_audit = AUDIT_ARCH_RISCV64;
const unsigned cpu_zeros = 4; /* two instructions that are defined to be none */
const uint64_t cpu_jump_from = 0;
const unsigned cpu_touched = 4;
const unsigned cpu_orders = 1; /* they are registers */
const bool cpu_steps = false;

#define RESULT(regs) (regs).a0
#include "target/cpu_regset.h"

bool cpu_answer_instead(pid_t tid, uint64_t value)
{
	struct user_regs_struct regs;
	if (!cpu_get(tid, &regs))
		return false;
	regs.a7 = ~0ul;
	regs.a0 = value;
	return cpu_set(tid, &regs);
}

/* ---- The stub -------------------------------------------------------------------------------- */

#define EBREAK 0x00100073u

/* A touch is of the aligned word that holds the byte: there are no atomic instructions for less. */
struct stub_code cpu_code(void)
{
	static const uint32_t system_call[] = {0x00000073u /* ecall */, EBREAK};
	static const uint32_t load[] = {0x0008c503u /* lbu a0, (a7) */, EBREAK};
	static const uint32_t store[] = {0x00a88023u /* sb a0, (a7) */, EBREAK};
	static const uint32_t touch[] = {0x4008a02fu /* amoor.w zero, zero, (a7) */, EBREAK};
	static const uint32_t jump_there[] = {0x00088067u /* jr a7 */, EBREAK};
	static const uint32_t next[] = {EBREAK};
	struct stub_code code = {
		.system_call = CODE(system_call),
		.load = CODE(load),
		.store = CODE(store),
		.touch = CODE(touch),
		.jump = CODE(jump_there),
		.next = CODE(next),
	};
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
	regs.a7 = order->number;
	regs.a0 = order->arg[0];
	regs.a1 = order->arg[1];
	regs.a2 = order->arg[2];
	regs.a3 = order->arg[3];
	regs.a4 = order->arg[4];
	regs.a5 = order->arg[5];
	return cpu_set(pid, &regs);
}

bool cpu_results(pid_t pid, uint64_t stub, unsigned count, bool at_breakpoint,
                 uint64_t value[CPU_ORDERS_MAX], unsigned *done)
{
	(void)stub;
	*done = at_breakpoint ? count : 0;
	return cpu_result(pid, &value[0]);
}

/* What ran may have got as far as a system call, which it must not make. */
bool cpu_rewind(pid_t pid, const struct user_regs_struct *rest)
{
	struct user_regs_struct regs = *rest;
	regs.a7 = ~0ul;
	return cpu_set(pid, &regs);
}

uint64_t cpu_fetch_at(uint64_t addr, uint64_t page_size)
{
	(void)page_size;
	return addr & ~(uint64_t)3;
}

/* As an address it is not canonical, nor are small multiples of it; as a system call's number it is
 * none. */
#define HARMLESS 0x11555555ffffffffull

void cpu_set_harmless(struct user_regs_struct *regs, uint64_t at)
{
	unsigned long *reg = (unsigned long *)regs;
	for (size_t i = 0; i < sizeof(*regs) / sizeof(*reg); i++)
		reg[i] = HARMLESS;
	regs->pc = at;
}

void cpu_set_jump(struct user_regs_struct *regs, uint64_t stub, uint64_t addr)
{
	regs->pc = stub + AT_JUMP;
	regs->a7 = addr;
}

/* To the next system call, or to whatever fault comes first. */
enum __ptrace_request cpu_step(struct user_regs_struct *regs)
{
	(void)regs;
	return PTRACE_SYSCALL;
}

#endif
