/* lock.c - what the locks do when they cannot be had at once.
 *
 * Owns the ways of waiting, and in the checking build the record of what a thread holds; the
 * invariant is the order of lock.h. What a lock guards is not known here.
 *
 * SPDX-License-Identifier: MIT */
#include "base/lock.h"

/* Locks are held for a fraction of a microsecond: it pays to look again, now and then, before
 * others are asked to run. */
#define LOCK_LOOKS 32u
#define LOCK_PAUSE 32u /* turns of a loop */

/* Whether it is time to let others run. */
static bool look_again(unsigned *looks)
{
	for (unsigned i = 0; i < LOCK_PAUSE; i++)
		__asm__ volatile("");
	return ++*looks % LOCK_LOOKS == 0;
}

void lock_wait(const struct vas_port *port, unsigned *looks)
{
	if (!look_again(looks))
		return;
	/* Once is enough: nobody enters a TLB while he waits. */
	if (*looks == LOCK_LOOKS)
		leave_all(port);
	if (port->wait)
		port->wait(port->ctx);
}

/* ---- Who waits ------------------------------------------------------------------------------ */

/* A program's threads each have a thread pointer; a kernel may use that register for anything, or
 * for nothing yet. */
#if (__STDC_HOSTED__ || defined(VAS_HOSTED)) && defined(__has_builtin)
#if __has_builtin(__builtin_thread_pointer)
#define HAS_THREAD_POINTER 1
#endif
#endif

uintptr_t thread_self(const struct vas_port *port)
{
	if (port->self)
		return port->self(port->ctx);
#ifdef HAS_THREAD_POINTER
	return (uintptr_t)__builtin_thread_pointer();
#else
	return 0;
#endif
}

void leave_all(const struct vas_port *port)
{
	struct lock_port *system = (struct lock_port *)(uintptr_t)port;
	uintptr_t self = thread_self(port);
	const uint32_t away = VAS_TLB_AWAY;
	unsigned looks = 0;

	/* By hand: who waits here must not come here. */
	while (__atomic_exchange_n(&system->tlbs_lock.taken, 1, __ATOMIC_ACQUIRE)) {
		if (look_again(&looks) && port->wait)
			port->wait(port->ctx);
	}
	for (struct vas_tlb *tlb = system->tlbs; tlb && self; tlb = tlb->all) {
		uint32_t key = __atomic_load_n(&tlb->key, __ATOMIC_ACQUIRE);

		/* Its owner says who he is before he enters. */
		if (!(key & away) && __atomic_load_n(&tlb->owner, __ATOMIC_RELAXED) == self)
			__atomic_fetch_or(&tlb->key, away, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&system->tlbs_lock.taken, 0, __ATOMIC_RELEASE);
}

/* ---- What a thread holds -------------------------------------------------------------------- */

#ifdef VAS_CHECKED

/* The one thing in the core that belongs to a thread and not to a system; it does not ship. */
#define HELD_MAX 64u

#define OF_THREAD static _Thread_local

OF_THREAD struct held {
	const struct vas_port *port;
	const void *lock;
	enum lock_row row;
	enum held_how how;
} held[HELD_MAX];
OF_THREAD unsigned nheld, first_held; /* those before it are another CPU's */
OF_THREAD unsigned nmore;             /* locks of spaces without a place, under the list's lock */

void held_add(const struct vas_port *port, const void *lock, enum lock_row row, enum held_how how)
{
	bool list = false, in_order = true;

	/* What another system's hook is called under is no concern of this one's. */
	for (unsigned i = first_held; i < nheld; i++) {
		if (held[i].port != port)
			continue;
		list |= held[i].row == LOCK_LIST;
		in_order &= held[i].row < row || (held[i].row == row && row == LOCK_SPACE && list);
	}
	vas_assert(in_order && "a lock is taken in the order of lock.h");
	if (nheld == HELD_MAX) {
		vas_assert(row == LOCK_SPACE && list);
		nmore++;
		return;
	}
	held[nheld++] = (struct held){port, lock, row, how};
}

void held_remove(const void *lock)
{
	for (unsigned i = nheld; i-- > first_held;) {
		if (held[i].lock == lock) {
			held[i] = held[--nheld];
			return;
		}
	}
	vas_assert(nmore > 0 && "a lock is let go of by the thread that took it");
	nmore--;
}

bool held_has(const void *lock, enum held_how how)
{
	for (unsigned i = first_held; i < nheld; i++) {
		if (held[i].lock == lock)
			return held[i].how >= how;
	}
	return nmore > 0;
}

__attribute__((unused)) unsigned held_hide(void)
{
	unsigned hidden = first_held;

	first_held = nheld;
	return hidden;
}

__attribute__((unused)) void held_show(unsigned hidden)
{
	vas_assert(nheld == first_held && "a CPU that ends holds no lock");
	first_held = hidden;
}

#endif

void spin_wait(const struct vas_port *port, struct spin *spin)
{
	unsigned looks = 0;

	do {
		while (__atomic_load_n(&spin->taken, __ATOMIC_RELAXED))
			lock_wait(port, &looks);
	} while (__atomic_exchange_n(&spin->taken, 1, __ATOMIC_ACQUIRE));
}

/* Takes the lock when nobody has it, in the state `from` but for who waits; it is in `to` then. */
static bool write_try(struct rwlock *lock, uint32_t from, uint32_t to)
{
	uint32_t state = __atomic_load_n(&lock->state, __ATOMIC_RELAXED);

	return (state & ~RWLOCK_WAITING) == from &&
	       __atomic_compare_exchange_n(&lock->state, &state, to, false, __ATOMIC_ACQUIRE,
	                                   __ATOMIC_RELAXED);
}

/* Readers who come from now on stay out; but for one whom a pause keeps out they need not. */
static void write_announce(struct rwlock *lock, enum guest guest)
{
	uint32_t state = __atomic_load_n(&lock->state, __ATOMIC_RELAXED);

	if (!(state & (RWLOCK_WAITING | (uint32_t)guest)))
		__atomic_fetch_or(&lock->state, RWLOCK_WAITING, __ATOMIC_RELAXED);
}

void write_wait(const struct vas_port *port, struct rwlock *lock, enum guest guest)
{
	unsigned looks = 0;

	while (!write_try(lock, 0, RWLOCK_WRITER) &&
	       (guest != VISITORS ||
	        !write_try(lock, RWLOCK_PAUSED, RWLOCK_PAUSED | RWLOCK_WRITER))) {
		write_announce(lock, guest);
		lock_wait(port, &looks);
	}
}

void write_pause(struct rwlock *lock)
{
	uint32_t state = __atomic_load_n(&lock->state, __ATOMIC_RELAXED), paused;

	held_remove(lock);
	do
		paused = (state & ~(RWLOCK_WRITER | RWLOCK_WAITING)) | RWLOCK_PAUSED;
	while (!__atomic_compare_exchange_n(&lock->state, &state, paused, false, __ATOMIC_RELEASE,
	                                    __ATOMIC_RELAXED));
}

void write_resume(const struct vas_port *port, struct rwlock *lock, enum lock_row row)
{
	unsigned looks = 0;

	held_add(port, lock, row, HELD_ALONE);
	while (!write_try(lock, RWLOCK_PAUSED, RWLOCK_WRITER)) {
		write_announce(lock, VISITORS);
		lock_wait(port, &looks);
	}
}

/* Whether one who comes, and has not waited for a writer yet, must go away again. */
static bool read_stays_out(uint32_t state, enum guest guest, bool waited)
{
	return !(state & RWLOCK_WRITER) &&
	       (state & ((uint32_t)guest | (waited ? 0 : RWLOCK_WAITING)));
}

void read_wait(const struct vas_port *port, struct rwlock *lock, uint32_t state, enum guest guest)
{
	bool waited = false;
	unsigned looks = 0;

	while ((state & RWLOCK_WRITER) || read_stays_out(state, guest, waited)) {
		if (state & RWLOCK_WRITER) {
			waited = true;
			lock_wait(port, &looks);
			state = __atomic_load_n(&lock->state, __ATOMIC_ACQUIRE);
			continue;
		}
		__atomic_fetch_sub(&lock->state, 1, __ATOMIC_RELAXED);
		do
			lock_wait(port, &looks);
		while (read_stays_out(__atomic_load_n(&lock->state, __ATOMIC_RELAXED), guest,
		                      false));
		waited = false;
		state = __atomic_add_fetch(&lock->state, 1, __ATOMIC_ACQUIRE);
	}
}
