/* fork_remap.c - a family of processes that remap what they share, to be run under `vas check`.
 *
 * usage: fork_remap [BYTE OF PARENT'S PAGES]
 * For each order of ORDER_STEPS different steps (growing, moving, MREMAP_DONTUNMAP, writing ...) one
 * mapping takes them in that order. A fork comes before, between and behind the steps, and from
 * there on parent and child go on with their own copies: the parent first, the child first, or both
 * at once; the child's child writes and moves once more. Each process then reads all its bytes.
 *
 * A mapping's life in its slot of the arena, '-' what was reserved, '.' a hole:
 *
 *      |AAAA------------|-- ...    mapped
 *      |AAAA..----------|-- ...    a hole behind it, to grow into; none: it grows by moving
 *      |----------------|AAAA-- .. moved on, by a fixed distance
 *
 * SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define ORDER_STEPS 3u /* of STEPS, in every order */
#define STEPS 7u
#define ORDERS (7u * 6u * 5u)
#define FIRST_PAGES 4u
#define GROWN_PAGES 2u
#define PLACES (ORDER_STEPS + 2)                           /* it moves on at each step, and twice */
#define PLACE_PAGES (FIRST_PAGES + PLACES * GROWN_PAGES)   /* however often it grows */
#define SLOT_PAGES (PLACES * PLACE_PAGES)                  /* of one mapping */
#define ARENA (ORDERS * SLOT_PAGES * PAGE)

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

enum kind { PRIVATE, PRIVATE_FILE, SHARED, KINDS };
enum turn { PARENT_FIRST, CHILD_FIRST, TOGETHER, TURNS };

struct mapping {
	char *at;
	size_t npages;
	unsigned place;
	char first, last; /* the bytes its first and last page begin with, as this process sees it */
};

static char *arena;
static int file;
static enum kind kind;
static char mine; /* what this process writes */
static struct mapping mappings[ORDERS];

static void expect(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	_exit(1);
}

static char *place(const struct mapping *m, unsigned i)
{
	return arena + ((size_t)(m - mappings) * SLOT_PAGES + (size_t)i * PLACE_PAGES) * PAGE;
}

static char *next_place(struct mapping *m)
{
	expect(m->place + 1 < PLACES, "next_place");
	return place(m, ++m->place);
}

static char *last_page(const struct mapping *m)
{
	return m->at + (m->npages - 1) * PAGE;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static void write_first(struct mapping *m)
{
	*m->at = m->first = mine;
	if (m->npages == 1)
		m->last = mine;
}

static void write_last(struct mapping *m)
{
	*last_page(m) = m->last = mine;
	if (m->npages == 1)
		m->first = mine;
}

static void grow(struct mapping *m, bool in_place)
{
	char *end = m->at + m->npages * PAGE;
	int flags = in_place ? 0 : MREMAP_MAYMOVE | MREMAP_FIXED;
	if (in_place)
		expect(munmap(end, (size_t)GROWN_PAGES * PAGE) == 0, "hole");
	char *to = in_place ? m->at : next_place(m);
	char *got = mremap(m->at, m->npages * PAGE, (m->npages + GROWN_PAGES) * PAGE, flags, to);
	expect(got == to, "grow");
	m->at = got;
	m->npages += GROWN_PAGES;
	/* What lies behind the end of shared anonymous memory would be SIGBUS. */
	if (kind == SHARED)
		m->npages -= GROWN_PAGES;
	else
		m->last = 0;
	if (kind == SHARED)
		expect(munmap(m->at + m->npages * PAGE, (size_t)GROWN_PAGES * PAGE) == 0, "cut");
}

static void grow_in_place(struct mapping *m)
{
	grow(m, true);
}

static void grow_and_move(struct mapping *m)
{
	grow(m, false);
}

static void move(struct mapping *m)
{
	char *to = next_place(m);
	m->at = mremap(m->at, m->npages * PAGE, m->npages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
	               to);
	expect(m->at == to, "move");
}

/* What stays behind is written, so that it is somebody again. */
static void dontunmap(struct mapping *m)
{
	char *from = m->at, *to = next_place(m);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
	m->at = mremap(from, m->npages * PAGE, m->npages * PAGE, flags, to);
	expect(m->at == to, "dontunmap");
	if (kind == SHARED)
		return;
	expect(*from == 0, "empty behind DONTUNMAP");
	from[PAGE] = mine;
}

/* Takes the mapping apart in the middle and joins it again, if its parts are still of one kind. */
static void cut_and_join(struct mapping *m)
{
	expect(mprotect(m->at + PAGE, PAGE, PROT_READ) == 0, "mprotect");
	expect(mprotect(m->at + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect back");
}

static void (*const steps[STEPS])(struct mapping *) = {
	write_first, write_last, grow_in_place, grow_and_move, move, dontunmap, cut_and_join};

/* ---- All mappings ---------------------------------------------------------------------------- */

/* The k-th step of the order with this number. */
static unsigned step_of(unsigned order, unsigned k)
{
	unsigned left[STEPS];
	for (unsigned i = 0; i < STEPS; i++)
		left[i] = i;
	for (unsigned i = 0;; i++) {
		unsigned n = STEPS - i, at = order % n, step = left[at];
		order /= n;
		memmove(&left[at], &left[at + 1], (n - at - 1) * sizeof(left[0]));
		if (i == k)
			return step;
	}
}

static void map_all(void)
{
	static const int flags[KINDS] = {[PRIVATE] = MAP_PRIVATE | MAP_ANONYMOUS,
	                                 [PRIVATE_FILE] = MAP_PRIVATE,
	                                 [SHARED] = MAP_SHARED | MAP_ANONYMOUS};
	for (struct mapping *m = mappings; m < mappings + ORDERS; m++) {
		*m = (struct mapping){.at = place(m, 0), .npages = FIRST_PAGES};
		char *got = mmap(m->at, (size_t)FIRST_PAGES * PAGE, PROT_READ | PROT_WRITE,
		                 flags[kind] | MAP_FIXED, kind == PRIVATE_FILE ? file : -1, 0);
		expect(got == m->at, "mmap");
	}
}

static void take_steps(unsigned from, unsigned to)
{
	for (unsigned order = 0; order < ORDERS; order++)
		for (unsigned k = from; k < to; k++)
			steps[step_of(order, k)](&mappings[order]);
}

static void read_all(void)
{
	for (const struct mapping *m = mappings; m < mappings + ORDERS; m++) {
		/* The others write shared memory too. */
		char first = *(volatile char *)m->at, last = *(volatile char *)last_page(m);
		if (kind != SHARED)
			expect(first == m->first && last == m->last, "read");
	}
}

static void wait_for(pid_t child)
{
	int status;
	expect(waitpid(child, &status, 0) == child && status == 0, "child");
}

/* ---- The family ------------------------------------------------------------------------------ */

static void grandchild(void)
{
	mine++;
	for (struct mapping *m = mappings; m < mappings + ORDERS; m += 5) {
		write_first(m);
		move(m);
		write_last(m);
	}
	read_all();
	_exit(0);
}

static void child(unsigned from, int go)
{
	char byte;
	mine++;
	expect(read(go, &byte, 1) == 1, "go");
	take_steps(from, ORDER_STEPS);
	pid_t pid = fork();
	expect(pid >= 0, "fork");
	if (pid == 0)
		grandchild();
	read_all();
	wait_for(pid);
	_exit(0);
}

static void run(unsigned fork_at, enum turn turn)
{
	int go[2];
	expect(pipe(go) == 0, "pipe");
	map_all();
	take_steps(0, fork_at);
	pid_t pid = fork();
	expect(pid >= 0, "fork");
	if (pid == 0)
		child(fork_at, go[0]);
	if (turn == PARENT_FIRST)
		take_steps(fork_at, ORDER_STEPS);
	expect(write(go[1], "", 1) == 1, "go");
	if (turn == CHILD_FIRST)
		wait_for(pid);
	if (turn != PARENT_FIRST)
		take_steps(fork_at, ORDER_STEPS);
	read_all();
	if (turn != CHILD_FIRST)
		wait_for(pid);
	read_all();
	close(go[0]);
	close(go[1]);
}

static void open_file(void)
{
	char name[] = "/tmp/vas-fork-remap-XXXXXX";
	file = mkstemp(name);
	expect(file >= 0, name);
	expect(unlink(name) == 0, name);
	expect(ftruncate(file, (off_t)PLACE_PAGES * PAGE) == 0, name);
}

int main(int argc, char **argv)
{
	mine = argc > 1 ? (char)strtol(argv[1], NULL, 0) : 1;
	open_file();
	for (kind = PRIVATE; kind < KINDS; kind++) {
		for (unsigned i = 0; i < (ORDER_STEPS + 1) * TURNS; i++) {
			arena = mmap(NULL, ARENA, PROT_NONE,
			             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
			expect(arena != MAP_FAILED, "arena");
			run(i / TURNS, (enum turn)(i % TURNS));
			expect(munmap(arena, ARENA) == 0, "munmap");
		}
	}
	return 0;
}
