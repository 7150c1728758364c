/* arch.c - AArch64: interrupt controller, clock, address spaces, exceptions, signal frames.
 *
 * References: Arm Architecture Reference Manual (TLBI, barriers, generic timer), GICv2, PSCI.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"
#include "signal_frame.h"

#define UART 0x9000000u
#define GIC_DISTRIBUTOR 0x8000000u
#define GIC_CPU 0x8010000u
enum { IRQ_KICK = 0, IRQ_TIMER = 27, IRQ_NONE = 1020 };
enum {
	EC_SVC = 0x15,
	EC_FETCH = 0x20,
	EC_DATA = 0x24,
	EC_PC = 0x22,
	EC_SP = 0x26,
	EC_BREAK = 0x3c,
	EC_FP = 0x2c
};
enum { FROM_USER, IRQ_FROM_USER, FROM_KERNEL, IRQ_FROM_KERNEL };
#define FPSIMD_MAGIC 0x46508001u

#define READ(reg, to) __asm__ volatile("mrs %0, " reg : "=r"(to))
#define WRITE(reg, from) __asm__ volatile("msr " reg ", %0" ::"r"((uint64_t)(from)) : "memory")
#define BARRIER() __asm__ volatile("dsb ish; isb" ::: "memory")

extern uint64_t boot_empty[512];
extern uint8_t start_other[];
void fpu_save(uint64_t *v);
void fpu_load(const uint64_t *v);
const uint64_t *const arch_root_words = NULL; /* TTBR1 has a root of its own */
/* mov x8, #139; svc #0 */
const uint32_t arch_sigreturn[2] = {0xd2801168, 0xd4000001};

static volatile uint32_t *device(uint64_t at)
{
	return (volatile uint32_t *)direct_map(at);
}

void arch_putc(char c)
{
	while (*device(UART + 0x18) & 0x20)
		;
	*device(UART) = (uint8_t)c;
}

int arch_getc(void)
{
	return *device(UART + 0x18) & 0x10 ? -1 : (int)(*device(UART) & 255);
}

/* Semihosting: SYS_EXIT with ADP_Stopped_ApplicationExit. */
_Noreturn void arch_stop(int status)
{
	const uint64_t block[2] = {0x20026, (uint64_t)status};
	register uint64_t x0 __asm__("x0") = 0x18;
	register const uint64_t *x1 __asm__("x1") = block;

	__asm__ volatile("hlt #0xf000" ::"r"(x0), "r"(x1) : "memory");
	for (;;)
		__asm__ volatile("wfi");
}

uint64_t arch_clock(void)
{
	uint64_t count, frequency;

	READ("cntvct_el0", count);
	READ("cntfrq_el0", frequency);
	return count * (1000000000 / frequency);
}

static void timer_set(void)
{
	uint64_t frequency;

	READ("cntfrq_el0", frequency);
	WRITE("cntv_tval_el0", frequency / 100);
	WRITE("cntv_ctl_el0", 1);
}

void arch_cpu_init(struct cpu *cpu)
{
	WRITE("tpidr_el1", (uintptr_t)cpu);
	arch_load(0, 0);
	if (cpu->id == 0)
		*device(GIC_DISTRIBUTOR) = 1;
	*device(GIC_DISTRIBUTOR + 0x100) = 1u << IRQ_KICK | 1u << IRQ_TIMER;
	*device(GIC_CPU + 4) = 255; /* every priority */
	*device(GIC_CPU) = 1;
	WRITE("cntkctl_el1", 3); /* users read the clock */
	timer_set();
	__atomic_store_n(&cpu->arch.started, 1, __ATOMIC_RELEASE);
}

bool arch_start_cpu(struct cpu *cpu)
{
	const uint64_t until = arch_clock() + 1000000000;
	register uint64_t x0 __asm__("x0") = 0xc4000003; /* CPU_ON */
	register uint64_t x1 __asm__("x1") = cpu->id;
	register uint64_t x2 __asm__("x2") = phys_of(start_other);
	register uint64_t x3 __asm__("x3") = (uintptr_t)(cpu->stack + KERNEL_STACK);

	__asm__ volatile("hvc #0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3) : "memory");
	if (x0 != 0)
		return false;
	while (arch_clock() < until)
		if (__atomic_load_n(&cpu->arch.started, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

void arch_interrupt(struct cpu *cpu)
{
	__asm__ volatile("dsb ish" ::: "memory");
	*device(GIC_DISTRIBUTOR + 0xf00) = 1u << (16 + cpu->id) | IRQ_KICK;
}

void arch_idle(void)
{
	__asm__ volatile("wfi; msr daifclr, #2; isb; msr daifset, #2" ::: "memory");
}

void arch_load(uint64_t root, uint32_t asid)
{
	WRITE("ttbr0_el1", (root ? root : phys_of(boot_empty)) | (uint64_t)asid << 48);
	__asm__ volatile("isb" ::: "memory");
}

void arch_flush(uint32_t asid)
{
	__asm__ volatile("dsb ish; tlbi aside1, %0; dsb ish; isb" ::"r"((uint64_t)asid << 48)
	                 : "memory");
}

/* The hardware tells the other CPUs. By address, upper entries included, or all of the tag. */
bool arch_flush_everywhere(uint32_t asid, const struct vas_invalidation *what)
{
	const uint64_t tag = (uint64_t)asid << 48, pages = ((uint64_t)1 << 44) - 1;

	__asm__ volatile("dsb ish" ::: "memory");
	if ((what->end - what->start) / what->leaf_len > 64)
		__asm__ volatile("tlbi aside1is, %0" ::"r"(tag) : "memory");
	else if (what->tables)
		for (uint64_t at = what->start; at < what->end; at += what->leaf_len)
			__asm__ volatile("tlbi vae1is, %0" ::"r"(tag | (at >> 12 & pages))
			                 : "memory");
	else
		for (uint64_t at = what->start; at < what->end; at += what->leaf_len)
			__asm__ volatile("tlbi vale1is, %0" ::"r"(tag | (at >> 12 & pages))
			                 : "memory");
	BARRIER();
	return true;
}

bool arch_sync_code(void)
{
	__asm__ volatile("dsb ish; ic ialluis; dsb ish; isb" ::: "memory");
	return true;
}

void arch_save(struct thread *t)
{
	fpu_save(t->arch.v);
	READ("tpidr_el0", t->arch.tls);
}

void arch_restore(struct thread *t)
{
	fpu_load(t->arch.v);
	WRITE("tpidr_el0", t->arch.tls);
}

void arch_set_tls(struct thread *t, struct regs *r, uint64_t tls)
{
	t->arch.tls = tls;
}

/* The registers lie at the stack's top, where an exception from user mode puts them. */
void *arch_new_context(struct regs *regs, void (*entry)(void))
{
	uint64_t *sp = (uint64_t *)(void *)regs - 12;

	memset(sp, 0, 12 * 8);
	sp[11] = (uintptr_t)entry;
	return sp;
}

void arch_user_regs(struct regs *r, uint64_t pc, uint64_t sp)
{
	struct thread *t = current();

	*r = (struct regs){.pc = pc, .sp = sp};
	t->arch = (struct arch_thread){{0}, 0, 0, 0};
	arch_restore(t);
}

/* ---- Exceptions ------------------------------------------------------------------------------ */

static void interrupt(void)
{
	const uint32_t ack = *device(GIC_CPU + 12), irq = ack & 1023;

	if (irq >= IRQ_NONE)
		return;
	if (irq == IRQ_TIMER)
		timer_set();
	*device(GIC_CPU + 16) = ack;
	if (irq == IRQ_TIMER)
		clock_tick();
}

static void user_exception(struct regs *r, uint64_t esr, uint64_t far)
{
	const unsigned fault = esr & 63;

	switch (esr >> 26) {
	case EC_SVC:
		syscall(r);
		break;
	case EC_FETCH:
		user_fault(r, far, VAS_EXEC);
		break;
	case EC_DATA:
		if (fault == 0x21)
			user_trap(r, SIGBUS, 1, far);
		else
			user_fault(r, far, esr & 0x40 ? VAS_WRITE : VAS_READ);
		break;
	case EC_PC:
		user_trap(r, SIGBUS, 1, r->pc);
		break;
	case EC_SP:
		user_trap(r, SIGBUS, 1, r->sp);
		break;
	case EC_BREAK:
		user_trap(r, SIGTRAP, 1, r->pc);
		break;
	case EC_FP:
		user_trap(r, SIGFPE, 1, r->pc);
		break;
	default:
		user_trap(r, SIGILL, 1, r->pc);
		break;
	}
}

void trap(struct regs *r, uint64_t kind);
void trap(struct regs *r, uint64_t kind)
{
	uint64_t esr, far;

	READ("esr_el1", esr);
	READ("far_el1", far);
	if (kind <= IRQ_FROM_USER)
		__atomic_store_n(&this_cpu()->in_user, 0, __ATOMIC_SEQ_CST);
	if (kind == FROM_USER) {
		user_exception(r, esr, far);
	} else if (kind == IRQ_FROM_USER || kind == IRQ_FROM_KERNEL) {
		interrupt();
	} else {
		print("kernel: esr %lx, far %lx, pc %lx\n", (unsigned long)esr, (unsigned long)far,
		      (unsigned long)r->pc);
		panic("an exception of the kernel's own");
	}
	if (kind <= IRQ_FROM_USER)
		user_leave(r);
}

/* ---- Signals --------------------------------------------------------------------------------- */

struct frame {
	uint8_t info[128];
	uint64_t flags, link;
	struct frame_stack stack;
	uint64_t mask;
	uint8_t unused[120 + 8]; /* the registers are 16-byte aligned */
	uint64_t fault, x[31], sp, pc, pstate;
	uint64_t pad;
	uint32_t magic, size; /* of what follows, to the end mark */
	uint32_t fpsr, fpcr;
	uint64_t v[64];
	uint32_t end[4];
};

int64_t arch_push_signal(struct regs *r, const struct signal_action *action, uint64_t sp,
                         const struct signal_info *info, uint64_t mask)
{
	struct thread *t = current();
	struct frame f = {.mask = mask, .magic = FPSIMD_MAGIC, .size = 528};
	const uint64_t record[2] = {r->x[29], r->x[30]};
	/* Linux reserves 4 KiB for what may follow the registers. */
	const uint64_t at = (sp - sizeof(f) - 4096 - 16) & ~(uint64_t)15;

	arch_save(t);
	frame_stack(&f.stack);
	frame_info(f.info, info);
	memcpy(f.x, r->x, sizeof(f.x));
	f.fault = info->addr;
	f.sp = r->sp;
	f.pc = r->pc;
	f.pstate = r->pstate;
	f.fpsr = (uint32_t)t->arch.fpsr;
	f.fpcr = (uint32_t)t->arch.fpcr;
	memcpy(f.v, t->arch.v, sizeof(f.v));
	if (copy_out(at, &f, sizeof(f)) || copy_out(at + sizeof(f) + 4096, record, sizeof(record)))
		return -EFAULT;
	r->x[0] = (uint64_t)info->signo;
	r->x[1] = at;
	r->x[2] = at + offsetof(struct frame, flags);
	r->x[29] = at + sizeof(f) + 4096;
	r->x[30] = action->flags & 0x04000000 ? action->restorer : ARCH_SIGRETURN;
	r->sp = at;
	r->pc = action->handler;
	return 0;
}

int64_t arch_pop_signal(struct regs *r, uint64_t *mask)
{
	struct thread *t = current();
	struct frame f;

	if (copy_in(&f, r->sp, sizeof(f)))
		return -EFAULT;
	memcpy(r->x, f.x, sizeof(f.x));
	r->sp = f.sp;
	r->pc = f.pc;
	r->pstate = f.pstate & 0xf0000000;
	READ("tpidr_el0", t->arch.tls);
	if (f.magic == FPSIMD_MAGIC) {
		t->arch.fpsr = f.fpsr;
		t->arch.fpcr = f.fpcr;
		memcpy(t->arch.v, f.v, sizeof(f.v));
	}
	*mask = f.mask;
	arch_restore(t);
	return 0;
}
