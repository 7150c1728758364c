/* variables.c - names for answers.
 *
 * SPDX-License-Identifier: MIT */
#include "strace/variables.h"

#include <string.h>

#include "strace/strace_shape.h"

const struct variable *variable_find(const struct variables *variables, const char *name,
                                     size_t len)
{
	for (unsigned i = 0; variables && i < variables->count; i++)
		if (strlen(variables->at[i].name) == len &&
		    memcmp(variables->at[i].name, name, len) == 0)
			return &variables->at[i];
	return NULL;
}

bool variable_declare(struct variables *variables, const char *name)
{
	if (variable_find(variables, name, strlen(name)))
		return true;
	if (variables->count == VARIABLES_MAX)
		return false;
	struct variable *variable = &variables->at[variables->count++];
	*variable = (struct variable){.has_value = false};
	memcpy(variable->name, name, strlen(name) + 1); /* as large as a call's */
	return true;
}

void variable_assign(struct variables *variables, const struct call *call,
                     const struct answer *answer)
{
	if (!call->result[0] || !variable_declare(variables, call->result))
		return;
	struct variable *variable = (struct variable *)(uintptr_t)variable_find(
		variables, call->result, strlen(call->result));
	variable->has_value = answer->kind == ANSWER_VALUE &&
	                      !(answer->value < 0 && answer->value >= -4095);
	variable->value = (uint64_t)answer->value;
}

const char *variable_refusal(const char *word, size_t len)
{
	if (len >= VARIABLE_NAME_MAX)
		return "the name is too long";
	if (word[0] < 'a' || word[0] > 'z')
		return "a name begins with a small letter";
	for (size_t i = 0; i < len; i++)
		if (word[i] >= 'A' && word[i] <= 'Z')
			return "a name is of small letters, digits and _: capitals are constants";
	if (shape_find(word, len))
		return "that is the name of a call";
	return NULL;
}
