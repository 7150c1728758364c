/* lock.c - what the locks do when they cannot be had at once.
 *
 * SPDX-License-Identifier: MIT */
#include "base/lock.h"

/* Locks are held for a fraction of a microsecond: it pays to look again, now and then, before
 * others are asked to run. */
#define LOCK_LOOKS 32u
#define LOCK_PAUSE 32u /* turns of a loop */

void lock_wait(const struct vas_port *port, unsigned *looks)
{
	for (unsigned i = 0; i < LOCK_PAUSE; i++)
		__asm__ volatile("");
	if (++*looks % LOCK_LOOKS == 0 && port->wait)
		port->wait(port->ctx);
}

void spin_wait(const struct vas_port *port, struct spin *spin)
{
	unsigned looks = 0;

	do {
		while (__atomic_load_n(&spin->taken, __ATOMIC_RELAXED))
			lock_wait(port, &looks);
	} while (__atomic_exchange_n(&spin->taken, 1, __ATOMIC_ACQUIRE));
}

void write_wait(const struct vas_port *port, struct rwlock *lock)
{
	unsigned looks = 0;

	for (;;) {
		uint32_t state = __atomic_load_n(&lock->state, __ATOMIC_RELAXED);

		if ((state & ~RWLOCK_WAITING) == 0) {
			if (__atomic_compare_exchange_n(&lock->state, &state, RWLOCK_WRITER, false,
			                                __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
				return;
			continue;
		}
		if (!(state & RWLOCK_WAITING))
			__atomic_fetch_or(&lock->state, RWLOCK_WAITING, __ATOMIC_RELAXED);
		lock_wait(port, &looks);
	}
}

void read_wait(const struct vas_port *port, struct rwlock *lock, uint32_t state)
{
	unsigned looks = 0;

	while ((state & RWLOCK_WAITING) && !(state & RWLOCK_WRITER)) {
		__atomic_fetch_sub(&lock->state, 1, __ATOMIC_RELAXED);
		while ((__atomic_load_n(&lock->state, __ATOMIC_RELAXED) &
		        (RWLOCK_WAITING | RWLOCK_WRITER)) == RWLOCK_WAITING)
			lock_wait(port, &looks);
		state = __atomic_add_fetch(&lock->state, 1, __ATOMIC_ACQUIRE);
	}
	while (state & RWLOCK_WRITER) {
		lock_wait(port, &looks);
		state = __atomic_load_n(&lock->state, __ATOMIC_ACQUIRE);
	}
}
