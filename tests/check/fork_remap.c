/* fork_remap.c - a family of processes that remap what they share, to be run under `vas check`.
 *
 * For each order of ORDER_STEPS different steps (writing, growing, moving, MREMAP_DONTUNMAP) one
 * mapping takes them in that order. A fork comes before, between and behind the steps, and from
 * there on parent and child go on with their own copies: the parent first, the child first, or both
 * at once; the child's child writes and moves once more. In the end each takes its mappings apart,
 * back to where they began and next to new memory, and reads all its bytes.
 *
 * A mapping's life in its part of the arena, '-' what was reserved, '.' a hole:
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
#define STEPS 4u
#define ORDER_STEPS 3u /* of them, in every order */
#define ORDERS (4u * 3u * 2u)
#define FIRST_PAGES 4u
#define GROWN_PAGES 2u
#define PLACES (ORDER_STEPS + 2)                         /* one a step, and the grandchild's */
#define PLACE_PAGES (FIRST_PAGES + PLACES * GROWN_PAGES) /* however often it grows */
#define SLOT_PAGES (PLACES * PLACE_PAGES)                /* of one mapping */
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
	char first, last; /* what its first and last page begin with, as this process sees it */
};

static char *arena;
static int file;
static enum kind kind;
static char mine; /* what this process writes */
static struct mapping mappings[ORDERS];
static unsigned run_number;

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

static void write_ends(struct mapping *m)
{
	*m->at = m->first = mine;
	*last_page(m) = m->last = mine;
}

static void grow(struct mapping *m)
{
	bool in_place = (run_number + (unsigned)(m - mappings)) % 2;
	char *end = m->at + m->npages * PAGE;
	int flags = in_place ? 0 : MREMAP_MAYMOVE | MREMAP_FIXED;
	if (in_place)
		expect(munmap(end, (size_t)GROWN_PAGES * PAGE) == 0, "hole");
	char *to = in_place ? m->at : next_place(m);
	char *got = mremap(m->at, m->npages * PAGE, (m->npages + GROWN_PAGES) * PAGE, flags, to);
	expect(got == to, "grow");
	m->at = got;
	m->npages += GROWN_PAGES;
	m->last = 0;
	if (kind == SHARED) { /* behind the end of the memory is only SIGBUS: back again */
		m->npages -= GROWN_PAGES;
		expect(mremap(to, (m->npages + GROWN_PAGES) * PAGE, m->npages * PAGE, 0) == to,
		       "shrink");
	}
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

static void (*const steps[STEPS])(struct mapping *) = {write_ends, grow, move, dontunmap};

/* Cut, joined again if the parts are still of one kind, brought back, and given a neighbour. */
static void settle(struct mapping *m)
{
	size_t len = m->npages * PAGE;
	expect(mprotect(m->at + PAGE, PAGE, PROT_READ) == 0, "mprotect");
	expect(mprotect(m->at + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect back");
	if (m->at != place(m, 0)) {
		m->at = mremap(m->at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, place(m, 0));
		expect(m->at == place(m, 0), "back");
	}
	char *beside = mmap(m->at + len, PAGE, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	expect(beside == m->at + len, "beside");
	*beside = mine;
	expect(mprotect(beside, PAGE, PROT_READ) == 0, "mprotect beside");
	expect(mprotect(beside, PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect beside back");
}

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

static void settle_all(void)
{
	for (struct mapping *m = mappings; m < mappings + ORDERS; m++)
		settle(m);
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
	for (struct mapping *m = mappings; m < mappings + ORDERS; m++) {
		write_ends(m);
		move(m);
		write_ends(m);
	}
	settle_all();
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
	settle_all();
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
	settle_all();
	if (turn != CHILD_FIRST)
		wait_for(pid);
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

int main(void)
{
	open_file();
	for (kind = PRIVATE; kind < KINDS; kind++) {
		for (unsigned i = 0; i < (ORDER_STEPS + 1) * TURNS; i++) {
			arena = mmap(NULL, ARENA, PROT_NONE,
			             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
			expect(arena != MAP_FAILED, "arena");
			mine = 1;
			run_number++;
			run(i / TURNS, (enum turn)(i % TURNS));
			expect(munmap(arena, ARENA) == 0, "munmap");
		}
	}
	return 0;
}
