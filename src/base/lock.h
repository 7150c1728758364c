/* lock.h - the locks: spinning, without an owner, and nothing at all for a single thread.
 *
 * Order, outermost first, by the row that whoever takes a lock names:
 *   LOCK_WORK     object->work: one who truncates, punches or writes back an object; held for long
 *   LOCK_LIST     system->spaces_lock: the list of spaces; alone, or before all spaces' locks
 *   LOCK_SPACE    space->lock: structure exclusively, faults and translations shared
 *   LOCK_CHILD    the same, of the space that fork makes, after its parent's
 *   LOCK_TABLE    a table's lock (its words, by those who hold the space's lock shared; who leaves
 *                 a shared one), an object's (its radix tree). Memory for a table or a node is
 *                 taken and cleared under it.
 *   LOCK_RECORDS  system->lock, objects_lock, the slab's: for a few instructions
 *   LOCK_FRAMES   the frame pool's, and the list of TLBs: nothing is waited for under it
 * A thread takes at the most one lock of each row, downwards. But who changes the settings takes
 * those of all spaces with the list's lock, parents first. In the checking build (VAS_CHECKED) each
 * thread keeps a record of what it holds, and a lock that is taken out of order, or let go of by
 * somebody else, is a broken assert.
 *
 * What is held for long is object->work alone. A space's lock, which others wait for who have to do
 * with an object it maps, is let go of for them now and then (write_pause).
 *
 * A thread that waits for a lock or for a software TLB leaves the TLBs that it is in (leave_all),
 * so nobody who waits is waited for: locks are taken in one order, and the owners of TLBs, for whom
 * invalidation waits with locks held, are on their way without any.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_LOCK_H
#define VAS_LOCK_H

#include "vas/port.h"
#include "vas/tlb.h"
#include "base/base.h"

struct spin {
	uint32_t taken;
};

#define RWLOCK_WRITER ((uint32_t)1 << 31)
#define RWLOCK_WAITING ((uint32_t)1 << 30) /* a writer waits: readers stay out */
#define RWLOCK_PAUSED ((uint32_t)1 << 29)  /* a writer lets visitors in, and goes on then */

/* A writer who has much to do pauses now and then. Visitors, readers or writers, are let in
 * meanwhile; everybody else waits until he has let go. Who is a visitor says so when he comes. */
struct rwlock {
	uint32_t state; /* RWLOCK_* and the readers: those who have it or wait for its writer */
};

/* Who comes, by what keeps him out besides writers. */
enum guest { OTHERS = RWLOCK_PAUSED, VISITORS = 0 };

enum lock_row {
	LOCK_WORK, LOCK_LIST, LOCK_SPACE, LOCK_CHILD, LOCK_TABLE, LOCK_RECORDS, LOCK_FRAMES
};

/* Everyone who locks knows its system's port: whether there are threads, and how to wait. It is the
 * first of these; a port that has threads is never without the rest. */
struct lock_port {
	struct vas_port port;
	struct spin tlbs_lock; /* LOCK_FRAMES: guards the list */
	struct vas_tlb *tlbs;  /* all registered with the system's spaces, linked by `all` */
};

/* Waits a moment for another thread; `looks`: how often the caller has looked. */
VAS_INTERNAL void lock_wait(const struct vas_port *port, unsigned *looks);

/* The calling thread has no more use for the pointers of any TLB. */
VAS_INTERNAL void leave_all(const struct vas_port *port);

/* The calling thread, as nobody else is called who uses the system; 0: cannot be told. */
VAS_INTERNAL uintptr_t thread_self(const struct vas_port *port);

/* ---- What a thread holds: known in the checking build alone ---- */

enum held_how { HELD_SHARED, HELD_ALONE };

#ifdef VAS_CHECKED
VAS_INTERNAL void held_add(const struct vas_port *port, const void *lock, enum lock_row row,
                           enum held_how how);
VAS_INTERNAL void held_remove(const void *lock);
VAS_INTERNAL bool held_has(const void *lock, enum held_how how);

/* For a test in which a thread plays several CPUs: another one begins, without a lock; and ends. */
VAS_INTERNAL unsigned held_hide(void);
VAS_INTERNAL void held_show(unsigned hidden);
#else
static inline void held_add(const struct vas_port *port, const void *lock, enum lock_row row,
                            enum held_how how)
{
	(void)port, (void)lock, (void)row, (void)how;
}

static inline void held_remove(const void *lock)
{
	(void)lock;
}

static inline unsigned held_hide(void)
{
	return 0;
}

static inline void held_show(unsigned hidden)
{
	(void)hidden;
}
#endif

/* ---- Taking and letting go ---- */

/* The rest of taking a lock that could not be had at once. */
VAS_INTERNAL void spin_wait(const struct vas_port *port, struct spin *spin);
VAS_INTERNAL void write_wait(const struct vas_port *port, struct rwlock *lock, enum guest guest);
VAS_INTERNAL void read_wait(const struct vas_port *port, struct rwlock *lock, uint32_t state,
                            enum guest guest);

static inline void spin_lock(const struct vas_port *port, struct spin *spin, enum lock_row row)
{
	held_add(port, spin, row, HELD_ALONE);
	if (port->threads && __atomic_exchange_n(&spin->taken, 1, __ATOMIC_ACQUIRE))
		spin_wait(port, spin);
}

static inline void spin_unlock(const struct vas_port *port, struct spin *spin)
{
	held_remove(spin);
	if (port->threads)
		__atomic_store_n(&spin->taken, 0, __ATOMIC_RELEASE);
}

static inline void write_lock(const struct vas_port *port, struct rwlock *lock, enum lock_row row,
                              enum guest guest)
{
	uint32_t nobody = 0;

	held_add(port, lock, row, HELD_ALONE);
	if (port->threads &&
	    !__atomic_compare_exchange_n(&lock->state, &nobody, RWLOCK_WRITER, false,
	                                 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		write_wait(port, lock, guest);
}

static inline void write_unlock(const struct vas_port *port, struct rwlock *lock)
{
	held_remove(lock);
	if (port->threads)
		__atomic_fetch_and(&lock->state, ~RWLOCK_WRITER, __ATOMIC_RELEASE);
}

/* Readers who come while a writer has the lock count themselves in, and so have it after him; those
 * who come while he waits let him go first. So neither kind can keep the other out for long. */
static inline void read_lock(const struct vas_port *port, struct rwlock *lock, enum lock_row row,
                             enum guest guest)
{
	uint32_t state;

	held_add(port, lock, row, HELD_SHARED);
	if (!port->threads)
		return;
	state = __atomic_add_fetch(&lock->state, 1, __ATOMIC_ACQUIRE);
	if (state & (RWLOCK_WRITER | RWLOCK_WAITING | (uint32_t)guest))
		read_wait(port, lock, state, guest);
}

static inline void read_unlock(const struct vas_port *port, struct rwlock *lock)
{
	held_remove(lock);
	if (port->threads)
		__atomic_fetch_sub(&lock->state, 1, __ATOMIC_RELEASE);
}

/* Of a writer: whether anybody waits; and whether another has paused, whose visitor he is. */
static inline bool write_is_wanted(const struct rwlock *lock)
{
	return __atomic_load_n(&lock->state, __ATOMIC_RELAXED) & ~RWLOCK_WRITER;
}

static inline bool lock_is_paused(const struct rwlock *lock)
{
	return __atomic_load_n(&lock->state, __ATOMIC_RELAXED) & RWLOCK_PAUSED;
}

/* A writer who is no visitor lets in who waits, and takes the lock again when they have left. */
VAS_INTERNAL void write_pause(struct rwlock *lock);
VAS_INTERNAL void write_resume(const struct vas_port *port, struct rwlock *lock,
                               enum lock_row row);

#endif
