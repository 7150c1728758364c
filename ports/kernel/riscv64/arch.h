/* arch.h - RISC-V 64, as QEMU's virt machine is made: what the common part asks of it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef ARCH_H
#define ARCH_H

#include <stdbool.h>
#include <stdint.h>

extern uint64_t arch_direct_map; /* depends on the paging mode that the hardware has */
extern const struct vas_format *arch_format;

#define DIRECT_MAP arch_direct_map
#define ARCH_FORMAT arch_format
#define ARCH_ASIDS arch_asids
#define ARCH_RAM_BASE 0x80000000u
#define ARCH_ARCHIVE 0x84000000u
#define ARCH_KERNEL_PHYS(symbol) ((uint64_t)(uintptr_t)(symbol) - 0xffffffffc0000000u + 0x80000000u)
#define ARCH_VIRTIO 0x10001000u
#define ARCH_VIRTIO_STEP 4096u
#define ARCH_VIRTIO_COUNT 8u
#define ARCH_MACHINE "riscv64"
#define ARCH_ELF 243
#define ARCH_HWCAP 0x112du /* IMAFDC */
#define ARCH_IS_X86 0
#define ARCH_HAS_RESTORER 0
#define ARCH_NEEDS_TRAMPOLINE 1
#define ARCH_STACK_TOP arch_stack_top
#define ARCH_PIE_BASE ((arch_stack_top / 3 * 2) & ~(uint64_t)4095)
#define ARCH_SIGRETURN (arch_stack_top - (64 << 20))
#define ARCH_O_DIRECTORY 0200000u

extern uint32_t arch_asids;
extern uint64_t arch_stack_top;
extern const uint32_t arch_sigreturn[2];
#define arch_sigreturn_len sizeof(arch_sigreturn)

/* x[0] is unused; what entry.S saves. */
struct regs {
	uint64_t x[32];
	uint64_t pc, status, cause, value;
	uint64_t first; /* a0 before the system call */
	uint64_t pad;
};

struct arch_thread {
	uint64_t f[32];
	uint32_t fcsr;
};

struct arch_cpu {
	uint64_t kernel_stack; /* 0: entry.S */
	uint64_t user_sp;      /* 8: entry.S */
	uint64_t started;
	uint64_t root, asid;
};

struct cpu;
struct thread;

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	__asm__ volatile("mv %0, tp" : "=r"(cpu));
	return cpu;
}

static inline void cpu_relax(void)
{
	__asm__ volatile("" ::: "memory");
}

static inline uint64_t syscall_number(const struct regs *r)
{
	return r->x[17];
}

static inline uint64_t syscall_arg(const struct regs *r, unsigned n)
{
	return n == 0 ? r->first : r->x[10 + n];
}

static inline void syscall_return(struct regs *r, int64_t result)
{
	r->x[10] = (uint64_t)result;
}

static inline void syscall_again(struct regs *r)
{
	r->x[10] = r->first;
	r->pc -= 4;
}

static inline uint64_t regs_pc(const struct regs *r)
{
	return r->pc;
}

static inline uint64_t regs_sp(const struct regs *r)
{
	return r->x[2];
}

static inline void regs_set_sp(struct regs *r, uint64_t sp)
{
	r->x[2] = sp;
}

#include "arch_common.h"

#endif
