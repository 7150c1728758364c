/* arch_common.h - what each architecture's own files define for the common part.
 *
 * SPDX-License-Identifier: MIT */

/* The console, one byte; -1: none is waiting. */
void arch_putc(char c);
int arch_getc(void);

/* Nanoseconds since the start. */
uint64_t arch_clock(void);

/* Ends the machine; QEMU exits with `status` in the form that tools/boot expects. */
_Noreturn void arch_stop(int status);

/* This CPU, once, with its struct cpu: traps, timer (100 times a second), floating point. */
void arch_cpu_init(struct cpu *cpu);

/* Lets the next CPU run cpu_main, on cpu->stack. False: there is none. */
bool arch_start_cpu(struct cpu *cpu);

/* Interrupts another CPU: it comes into the kernel and goes back. */
void arch_interrupt(struct cpu *cpu);

/* Waits for an interrupt; they are on meanwhile. */
void arch_idle(void);

/* The root of the user's half on this CPU (0: an empty one), and the tag of its translations. */
void arch_load(uint64_t root, uint32_t asid);

/* Forgets the translations of one tag on this CPU; what a change has made stale on all CPUs at
 * once, if the hardware can or need not (false: it cannot). */
void arch_flush(uint32_t asid);
bool arch_flush_everywhere(uint32_t asid, const struct vas_invalidation *what);

/* The root of the kernel's half where the user's is part of the same table, else NULL. */
extern const uint64_t *const arch_root_words;

/* Instructions were written to memory. True: all CPUs will fetch the new ones; false: each must
 * arch_flush for that. */
bool arch_sync_code(void);

/* Saves and loads what a thread has beside its registers. */
void arch_save(struct thread *t);
void arch_restore(struct thread *t);
void arch_set_tls(struct thread *t, struct regs *r, uint64_t tls);

/* Switches stacks: stores this one's pointer and goes on with the other. A new one begins in
 * `entry`, above it the registers that user mode starts with. */
void arch_switch(void **from, void *to);
void *arch_new_context(struct regs *regs, void (*entry)(void));
_Noreturn void arch_to_user(struct regs *regs);
void arch_user_regs(struct regs *r, uint64_t pc, uint64_t sp);

/* A signal's frame on the user's stack, laid out as Linux does; the registers then enter the
 * handler. The other way round: what sigreturn finds there. 0 or -EFAULT. */
struct signal_action;
struct signal_info;
int64_t arch_push_signal(struct regs *r, const struct signal_action *action, uint64_t sp,
                         const struct signal_info *info, uint64_t mask);
int64_t arch_pop_signal(struct regs *r, uint64_t *mask);

/* struct stat as this architecture's programs know it. */
struct node;
size_t arch_stat(const struct node *n, void *out);
