/* lock.h - the locks: spinning, without an owner, and nothing at all for a single thread.
 *
 * Order, outermost first:
 *   object->work          one who truncates, punches or writes back an object; held for long
 *   system->spaces_lock   the list of spaces; taken alone, or before all spaces' locks
 *   space->lock           structure exclusively, faults and translations shared
 *   a table's lock        the words of one leaf table, by those who hold the space's lock shared
 *   leaf locks            object->lock, system->lock, slab, frames: held for a few instructions,
 *                         none while waiting for another but slab for frames
 * A thread takes at the most one lock of each row. But fork takes those of a parent and its child,
 * in this order, and who changes the settings those of all spaces, parents first.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_LOCK_H
#define VAS_LOCK_H

#include "vas/port.h"
#include "base/base.h"

/* Everyone who locks knows its system's port: whether there are threads, and how to wait. */
struct spin {
	uint32_t taken;
};

#define RWLOCK_WRITER ((uint32_t)1 << 31)
#define RWLOCK_WAITING ((uint32_t)1 << 30) /* a writer waits: readers stay out */

struct rwlock {
	uint32_t state; /* RWLOCK_* and the readers: those who have it or wait for its writer */
};

/* Waits a moment for another thread; `looks`: how often the caller has looked. */
VAS_INTERNAL void lock_wait(const struct vas_port *port, unsigned *looks);

/* The rest of taking a lock that could not be had at once. */
VAS_INTERNAL void spin_wait(const struct vas_port *port, struct spin *spin);
VAS_INTERNAL void write_wait(const struct vas_port *port, struct rwlock *lock);
VAS_INTERNAL void read_wait(const struct vas_port *port, struct rwlock *lock, uint32_t state);

static inline void spin_lock(const struct vas_port *port, struct spin *spin)
{
	if (port->threads && __atomic_exchange_n(&spin->taken, 1, __ATOMIC_ACQUIRE))
		spin_wait(port, spin);
}

static inline void spin_unlock(const struct vas_port *port, struct spin *spin)
{
	if (port->threads)
		__atomic_store_n(&spin->taken, 0, __ATOMIC_RELEASE);
}

static inline void write_lock(const struct vas_port *port, struct rwlock *lock)
{
	uint32_t nobody = 0;

	if (port->threads &&
	    !__atomic_compare_exchange_n(&lock->state, &nobody, RWLOCK_WRITER, false,
	                                 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		write_wait(port, lock);
}

static inline void write_unlock(const struct vas_port *port, struct rwlock *lock)
{
	if (port->threads)
		__atomic_fetch_and(&lock->state, ~RWLOCK_WRITER, __ATOMIC_RELEASE);
}

/* Readers who come while a writer has the lock count themselves in, and so have it after him; those
 * who come while he waits let him go first. So neither kind can keep the other out for long. */
static inline void read_lock(const struct vas_port *port, struct rwlock *lock)
{
	uint32_t state;

	if (!port->threads)
		return;
	state = __atomic_add_fetch(&lock->state, 1, __ATOMIC_ACQUIRE);
	if (state & (RWLOCK_WRITER | RWLOCK_WAITING))
		read_wait(port, lock, state);
}

static inline void read_unlock(const struct vas_port *port, struct rwlock *lock)
{
	if (port->threads)
		__atomic_fetch_sub(&lock->state, 1, __ATOMIC_RELEASE);
}

#endif
