/* raw_x86_64.S - int64_t process_raw(number, a, b, c, d, e, f): a system call.
 *
 * SPDX-License-Identifier: MIT */
	.text
	.globl process_raw
	.hidden process_raw
	.type process_raw, @function
process_raw:
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	mov %rcx, %rdx
	mov %r8, %r10
	mov %r9, %r8
	mov 8(%rsp), %r9
	syscall
	ret
	.size process_raw, . - process_raw
	.section .note.GNU-stack, "", @progbits
