/* arch.h - AArch64, as QEMU's virt machine is made: what the common part asks of it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef ARCH_H
#define ARCH_H

#include <stdbool.h>
#include <stdint.h>

#define DIRECT_MAP 0xffff000000000000u
#define ARCH_FORMAT (&vas_format_aarch64_4k)
#define ARCH_ASIDS 256u
#define ARCH_RAM_BASE 0x40000000u
#define ARCH_ARCHIVE 0x44000000u
#define ARCH_KERNEL_PHYS(symbol) ((uint64_t)(uintptr_t)(symbol) - DIRECT_MAP)
#define ARCH_VIRTIO 0xa000000u
#define ARCH_VIRTIO_STEP 512u
#define ARCH_VIRTIO_COUNT 32u
#define ARCH_MACHINE "aarch64"
#define ARCH_ELF 183
#define ARCH_HWCAP 3u /* floating point, SIMD */
#define ARCH_IS_X86 0
#define ARCH_HAS_RESTORER 1
#define ARCH_NEEDS_TRAMPOLINE 1
#define ARCH_STACK_TOP 0x1000000000000u
#define ARCH_PIE_BASE 0xaaaaaaaaa000u
#define ARCH_SIGRETURN (ARCH_STACK_TOP - (64 << 20))
#define ARCH_O_DIRECTORY 040000u

extern const uint32_t arch_sigreturn[2];
#define arch_sigreturn_len sizeof(arch_sigreturn)

/* What entry.S saves. */
struct regs {
	uint64_t x[31];
	uint64_t sp, pc, pstate;
	uint64_t first; /* x0 before the system call */
	uint64_t pad;
};

struct arch_thread {
	uint64_t v[64]; /* 0: entry.S */
	uint64_t fpsr, fpcr;
	uint64_t tls;
};

struct arch_cpu {
	uint64_t started;
};

struct cpu;
struct thread;

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	__asm__ volatile("mrs %0, tpidr_el1" : "=r"(cpu));
	return cpu;
}

static inline void cpu_relax(void)
{
	__asm__ volatile("yield" ::: "memory");
}

static inline uint64_t syscall_number(const struct regs *r)
{
	return r->x[8];
}

static inline uint64_t syscall_arg(const struct regs *r, unsigned n)
{
	return n == 0 ? r->first : r->x[n];
}

static inline void syscall_return(struct regs *r, int64_t result)
{
	r->x[0] = (uint64_t)result;
}

static inline void syscall_again(struct regs *r)
{
	r->x[0] = r->first;
	r->pc -= 4;
}

static inline uint64_t regs_pc(const struct regs *r)
{
	return r->pc;
}

static inline uint64_t regs_sp(const struct regs *r)
{
	return r->sp;
}

static inline void regs_set_sp(struct regs *r, uint64_t sp)
{
	r->sp = sp;
}

#include "arch_common.h"

#endif
