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

/* The last of each series there has been; the first known is 1.3, the newest VAS_LINUX_LATEST. */
static const unsigned char last_minor[] = {
	[1] = 3, [2] = 6, [3] = 19, [4] = 20, [5] = 19, [6] = 19,
};

static unsigned last_minor_of(unsigned major)
{
	return major == VAS_LINUX_LATEST >> 24 ? VAS_LINUX_LATEST >> 16 & 0xff : last_minor[major];
}

bool linux_parse(const char *text, uint32_t *version)
{
	char last[VERSION_TEXT], known[160];
	size_t len = 0;
	if (version_parse(text, version) && *version >= VAS_LINUX(1, 3, 0) &&
	    *version <= VAS_LINUX_LATEST &&
	    (*version >> 16 & 0xff) <= last_minor_of(*version >> 24))
		return true;
	for (unsigned major = 2; major <= VAS_LINUX_LATEST >> 24; major++)
		len += (size_t)snprintf(known + len, sizeof(known) - len, ", %u.0 to %u.%u", major,
		                        major, last_minor_of(major));
	command_error("--linux takes a version from 1.3 to %s, such as 6.18 or 6.1.192, not '%s'; "
	              "known are 1.3%s; judged by %s",
	              version_text(VAS_LINUX_LATEST, last), text, known, version_judges());
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
