/* lock.h - the locks: spinning, without an owner, and nothing at all for a single thread.
 *
 * Order, outermost first:
 *   system->spaces_lock   the list of spaces; taken alone, or before all spaces' locks
 *   space->lock           structure exclusively, faults and translations shared
 *   a table's lock        the words of one leaf table, by those who hold the space's lock shared
 *   leaf locks            object->lock, system->lock, slab, frames: held for a few instructions,
 *                         none while waiting for another but slab for frames
 * A thread takes at the most one lock of each row, but of spaces' locks several with the list's
 * lock.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_LOCK_H
#define VAS_LOCK_H

#include "vas/port.h"
#include "base.h"

/* Everyone who locks knows its system's port: whether there are threads, and how to wait. */
struct spin {
	uint32_t taken;
};

#define RWLOCK_WRITER ((uint32_t)1 << 31)
#define RWLOCK_WAITING ((uint32_t)1 << 30) /* a writer waits: readers stay out */

struct rwlock {
	uint32_t state; /* RWLOCK_* and the number of readers */
};

static inline void lock_wait(const struct vas_port *port)
{
	if (port->wait)
		port->wait(port->ctx);
}

static inline void spin_lock(const struct vas_port *port, struct spin *spin)
{
	if (!port->threads)
		return;
	while (__atomic_exchange_n(&spin->taken, 1, __ATOMIC_ACQUIRE))
		lock_wait(port);
}

static inline void spin_unlock(const struct vas_port *port, struct spin *spin)
{
	if (port->threads)
		__atomic_store_n(&spin->taken, 0, __ATOMIC_RELEASE);
}

static inline void write_lock(const struct vas_port *port, struct rwlock *lock)
{
	if (!port->threads)
		return;
	for (;;) {
		uint32_t state = __atomic_load_n(&lock->state, __ATOMIC_RELAXED);

		if ((state & ~RWLOCK_WAITING) == 0) {
			if (__atomic_compare_exchange_n(&lock->state, &state, RWLOCK_WRITER, false,
			                                __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
				return;
			continue;
		}
		__atomic_fetch_or(&lock->state, RWLOCK_WAITING, __ATOMIC_RELAXED);
		lock_wait(port);
	}
}

static inline void write_unlock(const struct vas_port *port, struct rwlock *lock)
{
	if (port->threads)
		__atomic_fetch_and(&lock->state, ~RWLOCK_WRITER, __ATOMIC_RELEASE);
}

static inline void read_lock(const struct vas_port *port, struct rwlock *lock)
{
	if (!port->threads)
		return;
	for (;;) {
		uint32_t state = __atomic_load_n(&lock->state, __ATOMIC_RELAXED);

		if (!(state & (RWLOCK_WRITER | RWLOCK_WAITING)) &&
		    __atomic_compare_exchange_n(&lock->state, &state, state + 1, false,
		                                __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return;
		lock_wait(port);
	}
}

static inline void read_unlock(const struct vas_port *port, struct rwlock *lock)
{
	if (port->threads)
		__atomic_fetch_sub(&lock->state, 1, __ATOMIC_RELEASE);
}

#endif
