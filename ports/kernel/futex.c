/* futex.c - futex(2): waiting for a word of user memory.
 *
 * A private futex is an address of one mm. One that processes share is where its frame is.
 *
 * SPDX-License-Identifier: MIT */
#include "kernel.h"

enum {
	FUTEX_WAIT,
	FUTEX_WAKE,
	FUTEX_REQUEUE = 3,
	FUTEX_CMP_REQUEUE,
	FUTEX_WAKE_OP,
	FUTEX_WAIT_BITSET = 9,
	FUTEX_WAKE_BITSET,
	FUTEX_PRIVATE = 128,
	FUTEX_CLOCK_REALTIME = 256
};

struct key {
	uint64_t at, whose; /* whose 0: `at` is physical */
};

static int64_t key_of(uint64_t addr, bool is_private, struct key *key)
{
	struct mm *mm = current()->process->mm;
	struct vas_walk_step step[VAS_LEVELS_MAX];
	uint32_t word;

	if (addr % 4)
		return -EINVAL;
	if (copy_in(&word, addr, sizeof(word)))
		return -EFAULT;
	*key = (struct key){addr, (uintptr_t)mm};
	if (!is_private) {
		unsigned n = vas_walk(mm->space, addr, step);

		if (n && step[n - 1].present && step[n - 1].leaf)
			*key = (struct key){step[n - 1].phys + addr % PAGE, 0};
	}
	return 0;
}

/* Wakes as many as `most`, and lets as many as `moved` of the rest wait for `to`. */
static int64_t wake_some(struct key key, uint64_t most, uint32_t bits, const struct key *to,
                         uint64_t moved)
{
	int64_t n = 0;

	for (struct process *p = processes; p; p = p->next)
		for (struct thread *t = p->threads; t; t = t->next_of_process) {
			if (!(t->futex_bits & bits) || t->futex != key.at ||
			    t->futex_space != key.whose)
				continue;
			if (most > 0) {
				most--;
				n++;
				t->futex_bits = 0;
				if (t->state == THREAD_SLEEPING)
					thread_ready(t);
			} else if (to && moved > 0) {
				moved--;
				n++;
				t->futex = to->at;
				t->futex_space = to->whose;
			}
		}
	return n;
}

void futex_wake(uint64_t addr)
{
	struct key key;

	big_lock();
	if (!key_of(addr, true, &key))
		wake_some(key, 1, ~0u, NULL, 0);
	if (!key_of(addr, false, &key))
		wake_some(key, 1, ~0u, NULL, 0);
	big_unlock();
}

static int64_t futex_wait(struct key key, uint64_t addr, uint32_t value, uint32_t bits,
                          uint64_t until)
{
	struct thread *t = current();
	uint32_t word;

	if (copy_in(&word, addr, sizeof(word)))
		return -EFAULT;
	if (word != value)
		return -EAGAIN;
	t->futex = key.at;
	t->futex_space = key.whose;
	t->futex_bits = bits;
	while (t->futex_bits) {
		if (interrupted() || !sleep_until(t, until)) {
			const bool woken = !t->futex_bits;

			t->futex_bits = 0;
			return woken ? 0 : t->timed_out ? -ETIMEDOUT : -ERESTART;
		}
	}
	return 0;
}

/* FUTEX_WAKE_OP's second word: what `op` makes of it, and whether its old value passes. */
static int64_t wake_op(uint64_t addr, uint32_t op, bool *passes)
{
	uint32_t old, new, arg = op >> 12 & 0xfff, against = op & 0xfff;
	const uint32_t how = op >> 28 & 7, compare = op >> 24 & 15;

	if (op >> 31)
		arg = 1u << (arg & 31);
	if (copy_in(&old, addr, 4))
		return -EFAULT;
	for (;;) {
		uint64_t expected = old;

		new = how == 0   ? arg
		      : how == 1 ? old + arg
		      : how == 2 ? old | arg
		      : how == 3 ? old & ~arg
		                 : old ^ arg;
		int64_t done = vas_compare_exchange(this_cpu()->mm->space, addr, 4, &expected, new,
		                                    NULL);
		if (done < 0)
			return -EFAULT;
		if (done)
			break;
		old = (uint32_t)expected;
	}
	const int32_t a = (int32_t)old, b = (int32_t)against;
	*passes = compare == 0   ? a == b
	          : compare == 1 ? a != b
	          : compare == 2 ? a < b
	          : compare == 3 ? a <= b
	          : compare == 4 ? a > b
	                         : a >= b;
	return 0;
}

static int64_t until_of(const uint64_t a[6], bool absolute, uint64_t *until)
{
	int64_t time[2];

	*until = 0;
	if (!a[3])
		return 0;
	if (copy_in(time, a[3], sizeof(time)))
		return -EFAULT;
	if (time[0] < 0 || time[1] < 0 || time[1] >= 1000000000)
		return -EINVAL;
	*until = (uint64_t)time[0] * 1000000000 + (uint64_t)time[1] + (absolute ? 0 : arch_clock());
	if (*until == 0)
		*until = 1;
	return 0;
}

static int64_t requeue(const uint64_t a[6], struct key key, bool is_private, bool compare)
{
	struct key to;
	uint32_t word;
	int64_t err = key_of(a[4], is_private, &to);

	if (err)
		return err;
	if (compare && (copy_in(&word, a[0], 4) || word != (uint32_t)a[5]))
		return -EAGAIN;
	return wake_some(key, a[2], ~0u, &to, a[3]);
}

static int64_t futex(const uint64_t a[6])
{
	const bool is_private = a[1] & FUTEX_PRIVATE;
	const unsigned op = (unsigned)a[1] & ~(unsigned)(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME);
	struct key key, other;
	uint64_t until;
	bool passes = false;
	int64_t err = key_of(a[0], is_private, &key);

	if (err)
		return err;
	switch (op) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		err = until_of(a, op == FUTEX_WAIT_BITSET, &until);
		if (until && op == FUTEX_WAIT_BITSET && a[1] & FUTEX_CLOCK_REALTIME)
			until = until > boot_time ? until - boot_time : 1;
		return err ? err
		           : futex_wait(key, a[0], (uint32_t)a[2],
		                        op == FUTEX_WAIT ? ~0u : (uint32_t)a[5], until);
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
		return wake_some(key, (uint32_t)a[2], op == FUTEX_WAKE ? ~0u : (uint32_t)a[5], NULL,
		                 0);
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
		return requeue(a, key, is_private, op == FUTEX_CMP_REQUEUE);
	case FUTEX_WAKE_OP:
		err = key_of(a[4], is_private, &other);
		if (!err)
			err = wake_op(a[4], (uint32_t)a[5], &passes);
		if (err)
			return err;
		return wake_some(key, (uint32_t)a[2], ~0u, NULL, 0) +
		       (passes ? wake_some(other, (uint32_t)a[3], ~0u, NULL, 0) : 0);
	}
	return -ENOSYS;
}

SYSCALL(futex)
{
	big_lock();
	int64_t result = futex(a);
	big_unlock();
	return result;
}
