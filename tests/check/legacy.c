/* legacy.c - addresses chosen from the bottom up, to be run under `vas check`.
 *
 *: fact A1.5
 *
 * The personality that asks for this layout counts from the next exec on, so the program executes
 * itself: once with random addresses and once without.
 *
 * SPDX-License-Identifier: MIT */
#include <sys/personality.h>

#include "fact.h"

#define TASK_SIZE ((uintptr_t)0x7ffffffff000)
#define ROUNDS 60

/* Where the layout begins, but for what is random. */
static char *base(void)
{
	return (char *)((TASK_SIZE / 3 + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
}

/* Where no hole is large enough, each mapping lies right above the one before it. */
static void test_upwards(void)
{
	char *last = map(3000, PROT_NONE, MAP_NORESERVE) + 3000 * PAGE;
	for (size_t i = 0; i < ROUNDS; i++) {
		size_t npages = 3001 + i * 97 % 301;
		npages += npages % 512 == 0; /* multiples of 2 MiB are aligned */
		char *at = map(npages, PROT_NONE, MAP_NORESERVE);
		EXPECT(at == last);
		last = at + npages * PAGE;
	}
}

/* The lowest hole that is large enough is taken, from its lower end. */
static void test_holes(void)
{
	char *at = map(9000, PROT_NONE, MAP_NORESERVE);
	EXPECT(munmap(at + 1000 * PAGE, 700 * PAGE) == 0);
	EXPECT(munmap(at + 3000 * PAGE, 900 * PAGE) == 0);
	char *one = map(651, PROT_READ, 0), *two = map(801, PROT_READ, 0);
	EXPECT(one == at + 1000 * PAGE && two == at + 3000 * PAGE);
}

/* All kinds of sizes, of calls that choose an address, and holes. */
static void test_mixture(void)
{
	static const size_t sizes[] = {1, 3, 17, 255, 512, 513, 1024, 1500, 4096};
	char *at[ROUNDS] = {NULL};
	size_t npages[ROUNDS] = {0};
	for (size_t i = 0; i < 6 * ROUNDS; i++) {
		size_t k = i * 7 % ROUNDS, size = sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];
		if (at[k] && i % 3 == 0) {
			long moved = move(at[k], npages[k] * PAGE, size * PAGE, MAYMOVE, NULL);
			EXPECT(moved > 0);
			at[k] = (char *)moved;
		} else if (at[k] && i % 3 == 1) {
			EXPECT(move(at[k], npages[k] * PAGE, npages[k] * PAGE, LEAVE, NULL) > 0);
			continue;
		} else {
			if (at[k])
				EXPECT(munmap(at[k], npages[k] * PAGE) == 0);
			at[k] = map(size, PROT_NONE, i % 5 ? 0 : MAP_GROWSDOWN);
		}
		npages[k] = size;
	}
	for (size_t k = 0; k < ROUNDS; k++)
		EXPECT(munmap(at[k], npages[k] * PAGE) == 0);
}

static void calls(int random)
{
	char *first = map(1, PROT_READ, 0);
	EXPECT(first >= base());
	EXPECT(random || find(NULL, base()).start == base());
	in_child(test_upwards);
	in_child(test_holes);
	in_child(test_mixture);
}

int main(int argc, char **argv)
{
	fact_begin();
	if (argc > 1) {
		calls(strcmp(argv[1], "random") == 0);
		return fact_end();
	}
	for (int random = 0; random < 2; random++) {
		int status = 1;
		pid_t pid = fork();
		if (pid == 0) {
			personality(ADDR_COMPAT_LAYOUT | (random ? 0 : ADDR_NO_RANDOMIZE));
			execl("/proc/self/exe", argv[0], random ? "random" : "fixed", (char *)NULL);
			_exit(1);
		}
		EXPECT(waitpid(pid, &status, 0) == pid);
		EXPECT(status == 0);
	}
	return 0;
}
