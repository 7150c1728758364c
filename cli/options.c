/* options.c - what the subcommands' command lines have in common.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "target/cpu.h"

enum sides sides_parse(const char *text)
{
	return (enum sides)(command_word(SIDES_WORDS, text, strlen(text)) + 1);
}

bool sides_have_vas(enum sides sides, const char *option)
{
	if (!(sides & SIDES_VAS))
		command_error("--%s is about vas, which --on leaves out", option);
	return sides & SIDES_VAS;
}

enum sides sides_default(void)
{
#ifdef VAS_CPU
	return SIDES_BOTH;
#else
	return SIDES_VAS;
#endif
}

bool linux_parse(const char *text, uint32_t *version)
{
	char last[VERSION_TEXT];
	if (version_parse(text, version) && *version >= VAS_LINUX(1, 3, 0) &&
	    *version <= VAS_LINUX_LATEST)
		return true;
	command_error("--linux takes a version from 1.3 to %s, such as 6.18 or 6.1.192, not '%s'",
	              version_text(VAS_LINUX_LATEST, last), text);
	return false;
}

bool machine_or_default(struct machine *machine)
{
#ifdef __linux__
	return machine_read(machine);
#else
	*machine = (struct machine){.version = VAS_LINUX_LATEST, .vas_verified = true};
	vas_settings_default(&machine->settings, (uint64_t)1 << 20);
	machine_set_format(machine, machine_format_find("x86_64"));
	return true;
#endif
}
