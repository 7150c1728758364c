/* options.c - what the subcommands' command lines have in common.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "target/cpu.h"

bool sides_parse(const char *text, enum sides *sides)
{
	if (strcmp(text, "vas") == 0)
		*sides = SIDES_VAS;
	else if (strcmp(text, "kernel") == 0)
		*sides = SIDES_KERNEL;
	else if (strcmp(text, "both") == 0)
		*sides = SIDES_BOTH;
	else
		fprintf(stderr, "vas: --on takes vas, kernel or both, not '%s'\n", text);
	return strcmp(text, "vas") == 0 || strcmp(text, "kernel") == 0 || strcmp(text, "both") == 0;
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
	fprintf(stderr,
	        "vas: --linux takes a version from 1.3 to %s, such as 6.18 or 6.1.192, not "
	        "'%s'\n",
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
