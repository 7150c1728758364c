/* shell_help.c - what the shell says of itself and of calls.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "shell/shell.h"
#include "show/why.h"
#include "strace/strace_shape.h"
#include "strace/words.h"

static void help_flags(const struct name_set *set, const char *argument)
{
	int column = printf("  %s:", argument);
	for (const struct name *name = set->names; name->text; name++) {
		if (column + (int)strlen(name->text) > 90)
			column = printf("\n   ") - 1;
		column += printf(" %s", name->text);
	}
	printf("\n");
}

bool shell_help_call(const char *text)
{
	const struct call_shape *shape = shape_find(text, strcspn(text, " \t("));
	if (!shape)
		return false;
	printf("%s(", shape->text);
	for (unsigned i = 0; shape->arg[i].kind != ARG_END; i++)
		printf("%s%s%s", i ? ", " : "", i >= shape->required ? "optional " : "",
		       shape->arg[i].name);
	printf("): %s\n", shape->help);
	for (unsigned i = 0; shape->arg[i].kind != ARG_END; i++)
		if (shape->arg[i].kind == ARG_SET && shape->arg[i].set->names->text)
			help_flags(shape->arg[i].set, shape->arg[i].name);
	why_list(stdout, shape->name);
	return true;
}

void shell_help(void)
{
	for (const struct word *word = word_table; word->text; word++)
		if (word->help)
			printf("  %-7s %-7s %s\n", word->text, word->argument, word->help);
	printf("or a call, whose answer may get a name (p = mmap(...), load(p + 4k)):");
	for (size_t i = 0; i < CALL_NAMES; i++)
		printf("%s%s", i % 8 ? " " : "\n  ", shape_at(i)->text);
	printf("\n");
}
