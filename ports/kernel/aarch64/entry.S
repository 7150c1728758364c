/* entry.S - AArch64: from EL1 without MMU, as QEMU starts an ELF file, to C; exceptions.
 *
 * SPDX-License-Identifier: MIT */
	.section .text.start, "ax"
	.globl start
start:
	mov x19, xzr			/* the first CPU */
	b 1f
	.globl start_other		/* PSCI starts another here, x0: its stack */
start_other:
	mov x19, x0
1:	mov x0, #(3 << 20)		/* floating point is not trapped */
	msr cpacr_el1, x0
	ldr x0, =0xff			/* attribute 0: memory, 1: devices */
	msr mair_el1, x0
	/* 48-bit halves, 4 KiB granules, inner shareable, cached tables, 40-bit physical addresses */
	ldr x0, =(16 | 16 << 16 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 24 | 1 << 26 | 3 << 28 | 2 << 30 | 2 << 32)
	msr tcr_el1, x0
	adrp x0, boot_low
	msr ttbr0_el1, x0
	adrp x0, boot_high
	msr ttbr1_el1, x0
	tlbi vmalle1
	dsb ish
	isb
	mrs x0, sctlr_el1
	ldr x1, =0x1005			/* MMU, data and instruction caches */
	orr x0, x0, x1
	bic x0, x0, #2			/* accesses need no alignment */
	bic x0, x0, #(1 << 19)		/* nor is what can be written unfit to run */
	msr sctlr_el1, x0
	isb
	ldr x0, =high
	br x0
high:
	ldr x0, =vectors
	msr vbar_el1, x0
	msr spsel, #1
	cbnz x19, 2f
	ldr x0, =boot_stack_end
	mov sp, x0
	bl kernel_main
2:	mov sp, x19
	bl cpu_main
	.ltorg

/* Blocks of 1 GiB: devices in the first, memory in the next seven. */
	.data
	.balign 4096
boot_low:
	.quad boot_gib - 0xffff000000000000 + 3
	.fill 511, 8, 0
boot_high:
	.quad boot_gib - 0xffff000000000000 + 3
	.fill 511, 8, 0
boot_gib:
	.quad 0x0060000000000405
	.set at, 0x40000000
	.rept 7
	.quad at + 0x0040000000000701
	.set at, at + 0x40000000
	.endr
	.fill 504, 8, 0
	.globl boot_empty
boot_empty:				/* the user's half of nobody */
	.fill 512, 8, 0

	.bss
	.balign 16
	.fill 16384, 1, 0
boot_stack_end:

/* ---- Exceptions ------------------------------------------------------------------------------ */

	.text
	.macro VECTOR kind
	.balign 128
	sub sp, sp, #288
	stp x0, x1, [sp]
	mov x1, #\kind
	b save
	.endm

	.balign 2048
vectors:
	.rept 4				/* with the stack of EL0: never */
	VECTOR 4
	.endr
	VECTOR 2			/* from the kernel: synchronous, interrupt, ... */
	VECTOR 3
	VECTOR 4
	VECTOR 4
	VECTOR 0			/* from user mode */
	VECTOR 1
	VECTOR 4
	VECTOR 4
	.rept 4				/* from 32-bit programs: there are none */
	VECTOR 4
	.endr

save:
	stp x2, x3, [sp, #16]
	stp x4, x5, [sp, #32]
	stp x6, x7, [sp, #48]
	stp x8, x9, [sp, #64]
	stp x10, x11, [sp, #80]
	stp x12, x13, [sp, #96]
	stp x14, x15, [sp, #112]
	stp x16, x17, [sp, #128]
	stp x18, x19, [sp, #144]
	stp x20, x21, [sp, #160]
	stp x22, x23, [sp, #176]
	stp x24, x25, [sp, #192]
	stp x26, x27, [sp, #208]
	stp x28, x29, [sp, #224]
	mrs x2, sp_el0
	stp x30, x2, [sp, #240]
	mrs x2, elr_el1
	mrs x3, spsr_el1
	stp x2, x3, [sp, #256]
	ldr x2, [sp]
	str x2, [sp, #272]
	mov x0, sp
	bl trap
	mov x0, sp

	.globl arch_to_user
arch_to_user:
	mov sp, x0
	ldp x2, x3, [sp, #256]
	msr elr_el1, x2
	msr spsr_el1, x3
	ldp x30, x2, [sp, #240]
	msr sp_el0, x2
	ldp x0, x1, [sp]
	ldp x2, x3, [sp, #16]
	ldp x4, x5, [sp, #32]
	ldp x6, x7, [sp, #48]
	ldp x8, x9, [sp, #64]
	ldp x10, x11, [sp, #80]
	ldp x12, x13, [sp, #96]
	ldp x14, x15, [sp, #112]
	ldp x16, x17, [sp, #128]
	ldp x18, x19, [sp, #144]
	ldp x20, x21, [sp, #160]
	ldp x22, x23, [sp, #176]
	ldp x24, x25, [sp, #192]
	ldp x26, x27, [sp, #208]
	ldp x28, x29, [sp, #224]
	add sp, sp, #288
	eret

	.globl arch_switch
arch_switch:
	stp x19, x20, [sp, #-96]!
	stp x21, x22, [sp, #16]
	stp x23, x24, [sp, #32]
	stp x25, x26, [sp, #48]
	stp x27, x28, [sp, #64]
	stp x29, x30, [sp, #80]
	mov x2, sp
	str x2, [x0]
	mov sp, x1
	ldp x21, x22, [sp, #16]
	ldp x23, x24, [sp, #32]
	ldp x25, x26, [sp, #48]
	ldp x27, x28, [sp, #64]
	ldp x29, x30, [sp, #80]
	ldp x19, x20, [sp], #96
	ret

	.arch_extension fp
	.arch_extension simd
	.globl fpu_save, fpu_load
fpu_save:
	stp q0, q1, [x0, #0]
	stp q2, q3, [x0, #32]
	stp q4, q5, [x0, #64]
	stp q6, q7, [x0, #96]
	stp q8, q9, [x0, #128]
	stp q10, q11, [x0, #160]
	stp q12, q13, [x0, #192]
	stp q14, q15, [x0, #224]
	stp q16, q17, [x0, #256]
	stp q18, q19, [x0, #288]
	stp q20, q21, [x0, #320]
	stp q22, q23, [x0, #352]
	stp q24, q25, [x0, #384]
	stp q26, q27, [x0, #416]
	stp q28, q29, [x0, #448]
	stp q30, q31, [x0, #480]
	mrs x1, fpsr
	mrs x2, fpcr
	add x0, x0, #512
	stp x1, x2, [x0]
	ret
fpu_load:
	ldp q0, q1, [x0, #0]
	ldp q2, q3, [x0, #32]
	ldp q4, q5, [x0, #64]
	ldp q6, q7, [x0, #96]
	ldp q8, q9, [x0, #128]
	ldp q10, q11, [x0, #160]
	ldp q12, q13, [x0, #192]
	ldp q14, q15, [x0, #224]
	ldp q16, q17, [x0, #256]
	ldp q18, q19, [x0, #288]
	ldp q20, q21, [x0, #320]
	ldp q22, q23, [x0, #352]
	ldp q24, q25, [x0, #384]
	ldp q26, q27, [x0, #416]
	ldp q28, q29, [x0, #448]
	ldp q30, q31, [x0, #480]
	add x0, x0, #512
	ldp x1, x2, [x0]
	msr fpsr, x1
	msr fpcr, x2
	ret
