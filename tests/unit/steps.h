/* steps.h - little stories about a space, for tables in tests: "map 0 2 rw; write 0; move 0 2 2 8".
 *
 * Numbers are pages of the window at UNIT_BASE. A step fails the test if its call does; with '?'
 * behind its name it may fail. After each step the space is checked.
 *
 *   map A N PROT      private anonymous, fixed      protect A N PROT
 *   shared A N PROT   shared anonymous, fixed       advise A N NUMBER
 *   file A N PROT OFF private, of a 16-page file    lock A N, unlock A N, seal A N
 *   fshared A N PROT OFF  shared, of that file      unmap A N
 *   read A, write A   one byte                      grow A OLD NEW    in place or shrink
 *   move A OLD NEW TO fixed                         away A OLD NEW    may move
 *   dup A NEW TO      old_size 0, fixed             keep A N TO       fixed, DONTUNMAP
 *   fork              makes a child                 child, parent     who does what follows
 *   brk N             N pages from the heap's start mlockall FLAGS, munlockall
 *   truncate N        of the file, to N pages
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_STEPS_H
#define VAS_STEPS_H

#include "unit.h"

#define STEPS_SPACES 4
#define STEPS_FILE_PAGES 16

struct steps {
	struct unit unit;
	struct vas *space[STEPS_SPACES];
	unsigned nspaces, current;
	struct vas_object *object;
	struct vas_file *file;
	bool oom;       /* -ENOMEM (and what it becomes) does not fail the test */
	int64_t result; /* of the last step */
};

static inline void steps_begin_in(struct steps *steps, const struct unit *like)
{
	const struct vas_file_info info = {
		.mode = VAS_FILE_READ | VAS_FILE_WRITE | VAS_FILE_SHMEM,
		.path = "/file",
	};

	memset(steps, 0, sizeof(*steps));
	if (like)
		steps->unit = *like;
	else
		unit_prepare(&steps->unit);
	if (!steps->unit.params.start_brk)
		steps->unit.params.start_brk = at(64);
	unit_begin_with(&steps->unit, (uint64_t)4 << 20);
	steps->space[0] = unit_space(&steps->unit);
	steps->nspaces = 1;
	assert_int_equal(vas_object_create(steps->unit.system, NULL, NULL,
	                                   STEPS_FILE_PAGES * UNIT_PAGE, &steps->object),
	                 0);
	assert_int_equal(vas_file_open(steps->object, &info, &steps->file), 0);
}

static inline void steps_begin(struct steps *steps)
{
	steps_begin_in(steps, NULL);
}

static inline void steps_end(struct steps *steps)
{
	assert_holds(vas_audit(steps->unit.system));
	for (unsigned i = 0; i < steps->nspaces; i++) {
		vas_destroy(steps->space[i]);
		assert_holds(vas_audit(steps->unit.system));
	}
	vas_file_put(steps->file);
	vas_object_put(steps->object);
	unit_end(&steps->unit);
}

static inline uint64_t steps_prot(const char *word)
{
	return (strchr(word, 'r') ? VAS_PROT_READ : 0) | (strchr(word, 'w') ? VAS_PROT_WRITE : 0) |
	       (strchr(word, 'x') ? VAS_PROT_EXEC : 0);
}

/* One step: its name, up to four words. */
struct step {
	const char *name, *word[4];
	uint64_t n[4];
};

static inline int64_t step_map(struct steps *steps, struct vas *space, const struct step *step)
{
	uint64_t prot = steps_prot(step->word[2]), len = step->n[1] * UNIT_PAGE;
	bool shared = strstr(step->name, "shared"), file = step->name[0] == 'f';
	uint64_t flags = VAS_MAP_FIXED | (shared ? VAS_MAP_SHARED : VAS_MAP_PRIVATE);

	return vas_mmap(space, at(step->n[0]), len, prot, flags | (file ? 0 : VAS_MAP_ANONYMOUS),
	                file ? steps->file : NULL, step->n[3] * UNIT_PAGE);
}

static inline int64_t step_remap(struct vas *space, const struct step *step)
{
	const uint64_t *n = step->n, fixed = VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED;
	uint64_t len = n[1] * UNIT_PAGE;

	switch (step->name[0]) {
	case 'm':
		return vas_mremap(space, at(n[0]), len, n[2] * UNIT_PAGE, fixed, at(n[3]));
	case 'k':
		return vas_mremap(space, at(n[0]), len, len, fixed | VAS_MREMAP_DONTUNMAP,
		                  at(n[2]));
	case 'd':
		return vas_mremap(space, at(n[0]), 0, len, fixed, at(n[2]));
	default:
		return vas_mremap(space, at(n[0]), len, n[2] * UNIT_PAGE,
		                  step->name[0] == 'a' ? VAS_MREMAP_MAYMOVE : 0, 0);
	}
}

static inline int64_t step_fork(struct steps *steps)
{
	int64_t err = vas_fork(steps->space[steps->current], &steps->space[steps->nspaces]);

	assert_true(err < 0 || steps->nspaces + 1 < STEPS_SPACES);
	if (err == 0)
		steps->nspaces++;
	return err;
}

static inline int64_t step_range(struct vas *space, const struct step *step)
{
	uint64_t addr = at(step->n[0]), len = step->n[1] * UNIT_PAGE;

	if (!strcmp(step->name, "unmap"))
		return vas_munmap(space, addr, len);
	if (!strcmp(step->name, "protect"))
		return vas_mprotect(space, addr, len, steps_prot(step->word[2]));
	if (!strcmp(step->name, "advise"))
		return vas_madvise(space, addr, len, step->n[2]);
	if (!strcmp(step->name, "lock"))
		return vas_mlock(space, addr, len);
	if (!strcmp(step->name, "unlock"))
		return vas_munlock(space, addr, len);
	if (!strcmp(step->name, "seal"))
		return vas_mseal(space, addr, len, 0);
	if (!strcmp(step->name, "sync"))
		return vas_msync(space, addr, len, VAS_MS_SYNC);
	fail_msg("no such step: %s", step->name);
	return 0;
}

static inline bool step_is(const struct step *step, const char *names)
{
	size_t len = strlen(step->name);

	for (const char *at_name = names; (at_name = strstr(at_name, step->name)); at_name += len) {
		if ((at_name == names || at_name[-1] == ' ') &&
		    (at_name[len] == ' ' || !at_name[len]))
			return true;
	}
	return false;
}

static inline int64_t step_do(struct steps *steps, const struct step *step)
{
	struct vas *space = steps->space[steps->current];
	uint8_t byte = (uint8_t)step->n[0];

	if (step_is(step, "map shared file fshared"))
		return step_map(steps, space, step);
	if (step_is(step, "move keep dup grow away"))
		return step_remap(space, step);
	if (step_is(step, "read"))
		return vas_read(space, &byte, at(step->n[0]), 1, NULL);
	if (step_is(step, "write"))
		return vas_write(space, at(step->n[0]), &byte, 1, NULL);
	if (step_is(step, "fork"))
		return step_fork(steps);
	if (step_is(step, "child parent")) {
		steps->current = step->name[0] == 'c' ? steps->nspaces - 1 : 0;
		return 0;
	}
	if (step_is(step, "brk")) {
		uint64_t brk = at(64) + step->n[0] * UNIT_PAGE;

		return vas_brk(space, brk) == (int64_t)brk ? 0 : -VAS_ENOMEM;
	}
	if (step_is(step, "truncate"))
		return vas_object_resize(steps->object, step->n[0] * UNIT_PAGE);
	if (step_is(step, "munlockall"))
		return vas_munlockall(space);
	if (step_is(step, "mlockall"))
		return vas_mlockall(space, step->n[0]);
	return step_range(space, step);
}

/* Runs one step given as words; returns whether its call succeeded. */
static inline bool steps_step(struct steps *steps, char *text)
{
	struct step step = {.name = NULL, .word = {"", "", "", ""}};
	bool may_fail;
	char *save;

	step.name = strtok_r(text, " ", &save);
	if (!step.name)
		return true;
	for (unsigned i = 0; i < 4; i++) {
		char *word = strtok_r(NULL, " ", &save);

		if (!word)
			break;
		step.word[i] = word;
		step.n[i] = strtoull(word, NULL, 0);
	}
	may_fail = strchr(step.name, '?') != NULL;
	if (may_fail)
		*strchr(text, '?') = '\0';
	steps->result = step_do(steps, &step);
	for (unsigned i = 0; i < steps->nspaces; i++)
		assert_holds(vas_check(steps->space[i]));
	if (steps->result < 0 && !may_fail && !steps->oom)
		fail_msg("%s %s %s: %lld", step.name, step.word[0], step.word[1],
		         (long long)steps->result);
	return steps->result >= 0 || may_fail;
}

/* Runs a story to its end, or to the first step that fails. */
static inline bool steps_run(struct steps *steps, const char *story)
{
	char text[512], *save;
	bool ok = true;

	assert_true(strlen(story) < sizeof(text));
	memcpy(text, story, strlen(story) + 1);
	for (char *step = strtok_r(text, ";", &save); step && ok; step = strtok_r(NULL, ";", &save))
		ok = steps_step(steps, step);
	return ok;
}

/* The window as letters, up to its last mapping. */
static inline void steps_picture(struct steps *steps, char text[256])
{
	struct vas_region region;
	unsigned nvmas = 0;

	memset(text, 0, 256);
	for (uint64_t addr = at(0);
	     vas_next_region(steps->space[steps->current], addr, &region) && region.start < at(250);
	     addr = region.end) {
		uint64_t first = (region.start - at(0)) / UNIT_PAGE;
		uint64_t last = (region.end - at(0)) / UNIT_PAGE;

		for (uint64_t i = strlen(text); i < first; i++)
			text[i] = '.';
		for (uint64_t i = first; i < last && i < 255; i++)
			text[i] = (char)('A' + nvmas % 26);
		nvmas++;
	}
}

static inline void steps_assert_picture(struct steps *steps, const char *picture, const char *why)
{
	char text[256];

	steps_picture(steps, text);
	if (strcmp(text, picture))
		fail_msg("%s: |%s| and not |%s|", why, text, picture);
}

#endif
