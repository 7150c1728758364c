/* cpu_x86_64.c - x86-64: see cpu.h.
 *
 * SPDX-License-Identifier: MIT */
#include "target/cpu.h"

#if defined(__linux__) && defined(__x86_64__)

#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <string.h>

const uint16_t cpu_elf = EM_X86_64;
const uint32_t cpu_audit = AUDIT_ARCH_X86_64;
const unsigned cpu_zeros = 2; /* add %al,(%rax) */
const uint64_t cpu_jump_from = (uint64_t)1 << 47;
const unsigned cpu_touched = 1;
const unsigned cpu_orders = CPU_ORDERS_MAX;
const bool cpu_steps = true;

#define REGISTER(name) (offsetof(struct user, regs) + offsetof(struct user_regs_struct, name))

bool cpu_get(pid_t tid, struct user_regs_struct *regs)
{
	return ptrace(PTRACE_GETREGS, tid, NULL, regs) == 0;
}

bool cpu_set(pid_t tid, const struct user_regs_struct *regs)
{
	return ptrace(PTRACE_SETREGS, tid, NULL, regs) == 0;
}

bool cpu_result(pid_t tid, uint64_t *value)
{
	errno = 0;
	*value = (uint64_t)ptrace(PTRACE_PEEKUSER, tid, REGISTER(rax), NULL);
	return errno == 0;
}

bool cpu_set_result(pid_t tid, uint64_t value)
{
	return ptrace(PTRACE_POKEUSER, tid, REGISTER(rax), value) == 0;
}

/* A program of i386 has it elsewhere. */
bool cpu_set_argument(pid_t tid, uint64_t value)
{
	struct __ptrace_syscall_info info;
	bool i386 = ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) > 0 &&
	            info.arch == AUDIT_ARCH_I386;
	return ptrace(PTRACE_POKEUSER, tid, i386 ? REGISTER(rbx) : REGISTER(rdi), value) == 0;
}

bool cpu_answer_instead(pid_t tid, uint64_t value)
{
	return ptrace(PTRACE_POKEUSER, tid, REGISTER(orig_rax), -1l) == 0 &&
	       cpu_set_result(tid, value);
}

/* ---- The stub -------------------------------------------------------------------------------- */

/* %rbx is where the order is, whose fields lie at so many bytes behind. */
#define LOAD(prefix, reg, n) prefix, 0x8b, 0x43 | (reg) << 3, 8 * (n) /* mov field,%reg */
#define LOAD_RAX LOAD(0x48, 0, 1)
#define LOAD_RCX LOAD(0x48, 1, 2)
#define SYSCALL 0x0f, 0x05
#define DONE(at) 0xeb, (AT_DONE - (at) - 2) & 0xff /* jmp done, from offset `at` */
#define GO_ON 0xff, 0x23                           /* jmp *order.code */

struct stub_code cpu_code(void)
{
	/* the arguments go into rdi, rsi, rdx, r10, r8, r9 */
	static const unsigned char system_call[] = {
		LOAD_RAX,         LOAD(0x48, 7, 2), LOAD(0x48, 6, 3),
		LOAD(0x48, 2, 4), LOAD(0x4c, 2, 5), LOAD(0x4c, 0, 6),
		LOAD(0x4c, 1, 7), SYSCALL,          DONE(AT_SYSCALL + 30),
	};
	/* The page cannot be written: the results wait in r12, the last one, r13 and so on. */
	static const unsigned char done[] = {
		0x48,  0x89, 0xec,       /* mov %rbp,%rsp */
		0x4c,  0x89, 0xfd,       /* mov %r15,%rbp */
		0x4d,  0x89, 0xf7,       /* mov %r14,%r15 */
		0x4d,  0x89, 0xee,       /* mov %r13,%r14 */
		0x4d,  0x89, 0xe5,       /* mov %r12,%r13 */
		0x49,  0x89, 0xc4,       /* mov %rax,%r12 */
		0x48,  0x83, 0xc3, 0x40, /* add $64,%rbx */
		GO_ON,
	};
	static const unsigned char load[] = {LOAD_RAX, 0x8a, 0x00, DONE(AT_LOAD + 6)};
	static const unsigned char store[] = {LOAD_RAX, LOAD_RCX, 0x88, 0x08, DONE(AT_STORE + 10)};
	static const unsigned char touch[] = {LOAD_RAX, 0xf0, 0x80, 0x08, 0x00, DONE(AT_TOUCH + 8)};
	static const unsigned char jump_there[] = {LOAD_RAX, 0xff, 0xe0}; /* jmp *%rax */
	static const unsigned char next[] = {
		0xcc,  0xbb, AT_ORDERS & 0xff, AT_ORDERS >> 8, 0x40, 0, /* int3; mov $orders,%ebx */
		GO_ON,
	};
	return (struct stub_code){
		.system_call = CODE(system_call),
		.done = CODE(done),
		.load = CODE(load),
		.store = CODE(store),
		.touch = CODE(touch),
		.jump = CODE(jump_there),
		.next = CODE(next),
	};
}

void cpu_rest(struct user_regs_struct *regs, uint64_t stub)
{
	regs->rip = stub + AT_NEXT + 1; /* behind the int3: to the next orders */
}

/* The process reads them itself, so that a system call of one at rest costs one resume. */
bool cpu_give_orders(pid_t pid, const struct user_regs_struct *rest, unsigned char *page,
                     struct order *order, unsigned count)
{
	(void)pid;
	order[count] = (struct order){.code = rest->rip - 1};
	memcpy(page + AT_ORDERS, order, (count + 1) * sizeof(*order));
	return true;
}

bool cpu_results(pid_t pid, uint64_t stub, unsigned count, bool at_breakpoint,
                 uint64_t value[CPU_ORDERS_MAX], unsigned *done)
{
	struct user_regs_struct regs;
	if (count == 1 && at_breakpoint) {
		*done = 1;
		return cpu_result(pid, &value[0]);
	}
	if (!cpu_get(pid, &regs))
		return false;
	const uint64_t last[CPU_ORDERS_MAX] = {regs.r12, regs.r13, regs.r14,
	                                       regs.r15, regs.rbp, regs.rsp};
	*done = (unsigned)((regs.rbx - stub - AT_ORDERS) / sizeof(struct order));
	for (unsigned i = 0; i < *done && i < CPU_ORDERS_MAX; i++)
		value[*done - 1 - i] = last[i];
	return true;
}

bool cpu_rewind(pid_t pid, const struct user_regs_struct *rest)
{
	struct user_regs_struct regs = *rest;
	regs.orig_rax = ~0ull;
	return cpu_set(pid, &regs);
}

uint64_t cpu_fetch_at(uint64_t addr, uint64_t page_size)
{
	return addr % page_size > page_size - 16 ? addr & ~(uint64_t)15 : addr;
}

/* In every register: as an address it is not canonical, nor are small multiples of it, and as a
 * system call's number it is -1. */
#define HARMLESS 0x11555555ffffffffull

void cpu_set_harmless(struct user_regs_struct *regs, uint64_t at)
{
	regs->rax = regs->rbx = regs->rcx = regs->rdx = regs->rsi = regs->rdi = regs->rbp =
		regs->rsp = HARMLESS;
	regs->r8 = regs->r9 = regs->r10 = regs->r11 = regs->r12 = regs->r13 = regs->r14 =
		regs->r15 = HARMLESS;
	regs->rip = at;
	regs->orig_rax = ~0ull;
}

void cpu_set_jump(struct user_regs_struct *regs, uint64_t stub, uint64_t addr)
{
	regs->rip = stub + AT_JUMP + 4; /* behind the load: the jump itself */
	regs->rax = addr;
	regs->orig_rax = ~0ull;
}

/* By the processor's own trap flag. */
enum __ptrace_request cpu_step(struct user_regs_struct *regs)
{
	regs->eflags |= 0x100;
	return PTRACE_CONT;
}

#endif
