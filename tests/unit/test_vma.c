/* Which neighbours become one vma, and what identity they carry: tables of steps and pictures.
 *
 * A picture has one character for each page: the same letter is the same vma, '.' is a hole.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "steps.h"

struct story {
	const char *why;
	const char *steps;
	const char *picture;
};

static void tell(const struct story *story)
{
	struct steps world;

	steps_begin(&world);
	steps_run(&world, story->steps);
	steps_assert_picture(&world, story->picture, story->why);
	steps_end(&world);
}

static void tell_all(const struct story *story, size_t n)
{
	for (size_t i = 0; i < n; i++)
		tell(&story[i]);
}

#define TELL(stories) tell_all(stories, sizeof(stories) / sizeof((stories)[0]))

static void mapping_beside(void **state)
{
	static const struct story stories[] = {
		{"alike and untouched: one", "map 0 2 rw; map 2 2 rw", "AAAA"},
		{"from above", "map 2 2 rw; map 0 2 rw", "AAAA"},
		{"into the hole between", "map 0 1 rw; map 2 1 rw; map 1 1 rw", "AAA"},
		{"rights differ", "map 0 2 rw; map 2 2 r", "AABB"},
		{"not beside each other", "map 0 2 rw; map 3 2 rw", "AA.BB"},
		{"shared memory never", "shared 0 2 rw; shared 2 2 rw", "AABB"},
		{"private beside shared", "shared 0 2 rw; map 2 2 rw", "AABB"},
		{"one file, offsets go on", "file 0 2 r 0; file 2 2 r 2", "AAAA"},
		{"one file, offsets do not", "file 0 2 r 0; file 2 2 r 3", "AABB"},
		{"over the middle, the same again", "map 0 5 rw; map 2 1 rw", "AAAAA"},
		{"over the middle of a touched one", "map 0 5 rw; write 0; map 2 1 rw", "AAAAA"},
		{"over the middle, different", "map 0 5 rw; map 2 1 r", "AABCC"},
		{"over the end of one and the start of another",
	         "map 0 3 rw; map 3 3 r; map 2 2 rx", "AABBCC"},
	};

	(void)state;
	TELL(stories);
}

static void identity(void **state)
{
	static const struct story stories[] = {
		{"a touched lower one takes in the new", "map 0 2 rw; write 0; map 2 2 rw", "AAAA"},
		{"a touched upper one too", "map 2 2 rw; write 2; map 0 2 rw", "AAAA"},
		{"both sides touched apart: the lower wins",
	         "map 0 2 rw; map 4 2 rw; write 0; write 4; map 2 2 rw", "AAAABB"},
		{"only the upper one touched: all one",
	         "map 0 2 rw; map 4 2 rw; write 4; map 2 2 rw", "AAAAAA"},
		{"parts of one identity meet again",
	         "map 0 4 rw; write 0; unmap 1 1; map 1 1 rw; write 1", "AAAA"},
		{"reading does not touch", "map 0 2 rw; map 4 2 rw; read 0; read 4; map 2 2 rw",
	         "AAAAAA"},
		{"identity is shared with a neighbour of other rights",
	         "map 0 2 rw; map 2 2 rw; protect 2 2 rx; protect 2 2 r; write 0; protect 2 2 rw; "
	         "write 2",
	         "AAAA"},
		{"a private copy of a file touches",
	         "file 0 2 rw 0; write 0; file 2 2 rw 2; write 2", "AAAA"},
		{"DONTNEED leaves the identity",
	         "map 0 2 rw; map 4 2 rw; write 0; write 4; advise? 0 6 4; map 2 2 rw", "AAAABB"},
	};

	(void)state;
	TELL(stories);
}

static void changing_rights(void **state)
{
	static const struct story stories[] = {
		{"the middle", "map 0 4 rw; protect 1 2 r", "ABBC"},
		{"the start", "map 0 4 rw; protect 0 1 r", "ABBB"},
		{"the end", "map 0 4 rw; protect 3 1 r", "AAAB"},
		{"and back", "map 0 4 rw; write 0; protect 1 2 r; protect 1 2 rw", "AAAA"},
		{"the border moves up", "map 0 2 r; map 2 2 rx; protect 2 1 r", "AAAB"},
		{"the border moves down", "map 0 2 r; map 2 2 rx; protect 1 1 rx", "ABBB"},
		{"all of it joins both sides", "map 0 1 r; map 1 1 rx; map 2 1 r; protect 1 1 r",
	         "AAA"},
		{"over several", "map 0 1 r; map 1 1 rx; map 2 1 n; map 3 1 rx; protect 0 4 r",
	         "AAAA"},
		{"up to a hole", "map 0 2 rw; map 3 2 rw; protect? 0 5 r", "AA.BB"},
		{"an untouched one sheds its charge and is as one mapped so",
	         "map 0 2 rw; protect 0 2 r; map 2 2 r", "AAAA"},
		{"a touched one keeps it", "map 0 2 rw; write 0; protect 0 2 r; map 2 2 r", "AABB"},
	};

	(void)state;
	TELL(stories);
}

static void advice_and_locks(void **state)
{
	static const struct story stories[] = {
		{"DONTDUMP in the middle", "map 0 4 rw; advise 1 2 16", "ABBC"},
		{"and back", "map 0 4 rw; advise 1 2 16; advise 1 2 17", "AAAA"},
		{"advice without a flag changes nothing", "map 0 4 rw; advise 1 2 3", "AAAA"},
		{"DONTFORK over a border", "map 0 2 rw; map 2 2 r; advise 1 2 10", "ABCD"},
		{"a lock splits", "map 0 4 rw; lock 1 1", "ABCC"},
		{"unlocking joins", "map 0 4 rw; lock 1 1; unlock 1 1", "AAAA"},
		{"locking all joins", "map 0 4 rw; lock 1 1; lock 0 4", "AAAA"},
		{"a seal splits and is the same everywhere", "map 0 4 rw; seal 1 1; seal 0 4",
	         "AAAA"},
	};

	(void)state;
	TELL(stories);
}

static void unmapping(void **state)
{
	static const struct story stories[] = {
		{"the middle", "map 0 4 rw; unmap 1 2", "A..B"},
		{"the start", "map 0 4 rw; unmap 0 2", "..AA"},
		{"the end", "map 0 4 rw; unmap 2 2", "AA"},
		{"several, and their holes", "map 0 2 rw; map 3 1 r; map 5 2 rw; unmap 1 5",
	         "A.....B"},
		{"a seal keeps all", "map 0 3 rw; seal 1 1; unmap? 0 3", "ABC"},
		{"a seal keeps a part of it", "map 0 3 rw; seal 0 3; unmap? 1 1", "AAA"},
		{"nothing there", "map 0 2 rw; unmap 4 2", "AA"},
	};

	(void)state;
	TELL(stories);
}

static void moving(void **state)
{
	static const struct story stories[] = {
		{"untouched: belongs where it lands", "map 0 2 rw; map 8 2 rw; move 0 2 2 10",
	         "........AAAA"},
		{"touched: does not", "map 0 2 rw; write 0; map 8 2 rw; move 0 2 2 10",
	         "........AABB"},
		{"touched, but home again", "map 0 4 rw; write 0; move 1 1 1 10; move 10 1 1 1",
	         "AAAA"},
		{"beside a sibling moved by as much",
	         "map 0 4 rw; write 0; move 0 1 1 10; move 1 1 1 11", "..AA......BB"},
		{"part of an untouched one", "map 0 4 rw; map 8 2 rw; move 3 1 1 10",
	         "AAA.....BBB"},
		{"out of the middle", "map 0 4 rw; move 1 2 2 8", "A..B....CC"},
		{"cut while it moves", "map 0 4 rw; move 0 4 2 8", "........AA"},
		{"grown while it moves", "map 0 2 rw; move 0 2 4 8", "........AAAA"},
		{"over others", "map 0 2 rw; map 8 4 r; move 0 2 2 9", "........ABBC"},
		{"a file keeps its offset", "file 0 2 r 0; file 8 2 r 4; move 0 2 2 10",
	         "........AABB"},
		{"a file that fits", "file 0 2 r 6; file 8 2 r 4; move 0 2 2 10", "........AAAA"},
		{"grows into the hole and meets its kind", "map 0 2 rw; map 4 2 rw; grow 0 2 4",
	         "AAAAAA"},
		{"grows and does not meet", "map 0 2 rw; map 5 2 rw; grow 0 2 4", "AAAA.BB"},
		{"grows, both touched apart",
	         "map 0 2 rw; map 4 2 rw; write 0; write 4; grow 0 2 4", "AAAABB"},
		{"shrinks", "map 0 4 rw; grow 0 4 1", "A"},
		{"stays mapped, whole: untouched again",
	         "map 0 2 rw; write 0; keep 0 2 8; map 2 2 rw", "AAAA....BB"},
		{"stays mapped, whole: so it takes the other side's identity",
	         "map 0 2 rw; map 3 2 rw; write 0; write 3; keep 0 2 8; map 2 1 rw", "AAAAA...BB"},
		{"stays mapped, part: as before", "map 0 4 rw; write 0; keep 1 2 8", "AAAA....BB"},
		{"locked, and stays mapped: the lock goes along",
	         "map 0 2 rw; lock 0 2; keep 0 2 8; unlock 8 2; map 2 2 rw", "AAAA....BB"},
		{"a seal stays", "map 0 3 rw; seal 1 1; move? 0 3 3 8", ".AB.....C"},
		{"several with a hole", "map 0 1 rw; map 2 1 r; move 0 3 3 8", "........A.B"},
	};

	(void)state;
	TELL(stories);
}

static void after_fork(void **state)
{
	static const struct story stories[] = {
		{"the parent is as before", "map 0 2 rw; write 0; fork; map 2 2 rw", "AAAA"},
		{"inherited and touched: takes in nothing new",
	         "map 0 2 rw; write 0; fork; child; map 2 2 rw", "AABB"},
		{"inherited, untouched: ordinary", "map 0 2 rw; fork; child; map 2 2 rw", "AAAA"},
		{"its own parts meet again",
	         "map 0 4 rw; write 0; fork; child; protect 1 1 r; protect 1 1 rw", "AAAA"},
		{"DONTFORK is left out", "map 0 4 rw; advise 1 1 10; fork; child", "A.BB"},
		{"WIPEONFORK counts as untouched",
	         "map 0 2 rw; write 0; advise 0 2 18; fork; child; map 2 2 rw; advise 2 2 18",
	         "AAAA"},
		{"locks are not inherited",
	         "map 0 4 rw; lock 1 1; fork; child; advise 1 1 16; advise 1 1 17", "ABCC"},
		{"it grows in place", "map 0 2 rw; write 0; fork; child; grow 0 2 4", "AAAA"},
	};

	(void)state;
	TELL(stories);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapping_beside),  cmocka_unit_test(identity),
		cmocka_unit_test(changing_rights), cmocka_unit_test(advice_and_locks),
		cmocka_unit_test(unmapping),       cmocka_unit_test(moving),
		cmocka_unit_test(after_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
