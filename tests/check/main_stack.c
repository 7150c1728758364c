/* main_stack.c - mremap of the stack a program was started with, to be run under `vas check`.
 *
 *: fact M10.5
 *
 * SPDX-License-Identifier: MIT */
#include <ucontext.h>

#include "fact.h"

/* What stands still: the stack is in use. */
static void test_in_use(void)
{
	struct area stack = find("[stack]", NULL);
	size_t len = area_len(stack);
	EXPECT(stack.start);
	EXPECT(move(stack.start, len, len, 0, NULL) == (long)stack.start);
	EXPECT(move(stack.start, len, len, MAYMOVE, NULL) == (long)stack.start);
	EXPECT(move(stack.start - PAGE, PAGE, PAGE, 0, NULL) == -EFAULT);
	EXPECT(move(stack.start, len + PAGE, len + 2 * PAGE, MAYMOVE, NULL) == -EFAULT);
}

/* Up to what is mapped above it, it grows at its upper end as other memory does. */
static void test_growth(void)
{
	struct area stack = find("[stack]", NULL);
	size_t len = area_len(stack);
	char *block = mmap(stack.end + 2 * PAGE, PAGE, PROT_NONE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	EXPECT(block == stack.end + 2 * PAGE);
	EXPECT(move(stack.start, len, len + 3 * PAGE, 0, NULL) == -ENOMEM);
	EXPECT(move(stack.start, len, len + 2 * PAGE, 0, NULL) == (long)stack.start);
	EXPECT(find("[stack]", NULL).end == block);
	EXPECT(move(stack.start, len + 2 * PAGE, len, 0, NULL) == (long)stack.start);
	EXPECT(find("[stack]", NULL).end == stack.end);
}

/* On another stack, so that the main one may go. */
static void away(void)
{
	struct area stack = find("[stack]", NULL);
	size_t len = area_len(stack), more = len + 4 * PAGE;
	char *target = room(len / PAGE + 600) + 500 * PAGE;
	/* Its lowest page alone, then what is left. */
	EXPECT(move(stack.start, PAGE, PAGE, FIXED, target) == (long)target);
	EXPECT(find("[stack]", NULL).start == stack.start + PAGE);
	EXPECT(move(target, PAGE, PAGE, FIXED, stack.start) == (long)stack.start);
	EXPECT(move(stack.start, len, len, FIXED, target) == (long)target);
	EXPECT(find("[stack]", NULL).start == NULL);
	EXPECT(find(NULL, target).end == target + len);
	((volatile char *)target)[-1] = 1; /* grows downwards there too */
	EXPECT(find(NULL, target - PAGE).end == target + len);
	EXPECT(move(target, len, more, MAYMOVE, NULL) > 0);
	EXPECT(move(target - PAGE, PAGE, PAGE, LEAVE, NULL) > 0);
	_exit(0); /* there is nothing to go back to */
}

static void test_moves(void)
{
	ucontext_t other;
	EXPECT(getcontext(&other) == 0);
	other.uc_link = NULL;
	other.uc_stack.ss_size = 64 * PAGE;
	other.uc_stack.ss_sp = map(64, PROT_READ | PROT_WRITE, 0);
	makecontext(&other, away, 0);
	EXPECT(setcontext(&other) == 0); /* does not return */
}

int main(void)
{
	fact_begin();
	in_child(test_in_use);
	in_child(test_growth);
	in_child(test_moves);
	return fact_end();
}
