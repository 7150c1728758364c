/* main.c - the program `vas`: finds the command.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "manual.h"

static const struct command command_help, command_version;

static const struct command *const commands[] = {
	&command_check, &command_replay, &command_exec,    &command_shell,
	&command_fuzz,  &command_judge,  &command_run,     &command_boot,
	&command_bench, &command_help,   &command_version, NULL,
};

static const struct command *find(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (strcmp(name, commands[i]->name) == 0)
			return commands[i];
	return NULL;
}

/* ---- help ------------------------------------------------------------------------------------ */

enum { HELP_MAN, HELP_COMPLETION };

static const struct command_option help_options[] = {
	[HELP_MAN] = {"man", .help = "as a manual page, vas(1) or vas-COMMAND(1), in mdoc",
	              .apart = "completion"},
	[HELP_COMPLETION] = {"completion", .words = "bash zsh",
	                     .help = "print what completes command lines in that shell"},
	{0},
};

struct help_choice {
	bool man;
	const char *shell;
};

static bool take_help(void *into, unsigned option, const char *value)
{
	struct help_choice *choice = into;
	if (option == HELP_MAN)
		choice->man = true;
	else
		choice->shell = value;
	return true;
}

static int run_help(int argc, char **argv)
{
	struct help_choice choice = {0};
	int first;
	int status = command_parse(&command_help, argc, argv, take_help, &choice, &first);
	if (status != COMMAND_GO_ON)
		return status;
	const struct command *command = first < argc ? find(argv[first]) : NULL;
	if (argc - first > 1)
		command_error("takes one COMMAND, not %d", argc - first);
	else if (first < argc && !command)
		command_error("there is no command '%s'; 'vas help' lists them", argv[first]);
	else if (choice.shell && command)
		command_error("--completion is of all commands: it takes no '%s'", argv[first]);
	else {
		if (choice.shell && strcmp(choice.shell, "bash") == 0)
			manual_complete_bash(stdout, commands);
		else if (choice.shell)
			manual_complete_zsh(stdout, commands);
		else if (command)
			(choice.man ? manual_page : manual_help)(stdout, command);
		else
			(choice.man ? manual_page_all : manual_help_all)(stdout, commands);
		return EXIT_SAME;
	}
	return EXIT_USAGE;
}

static const struct command command_help = {
	.name = "help",
	.what = "says what the commands are, or what one of them takes",
	.synopsis = "[COMMAND]",
	.text = "Without COMMAND, names each command with what it does.",
	.status = "0 all well\n2 there is no such command\n3 the output could not be written",
	.operand = "COMMAND",
	.options = help_options,
	.run = run_help,
};

/* ---- version --------------------------------------------------------------------------------- */

static bool take_none(void *into, unsigned option, const char *value)
{
	(void)into, (void)option, (void)value;
	return false; /* there is no option */
}

static int run_version(int argc, char **argv)
{
	char text[VERSION_TEXT];
	int first;
	int status = command_parse(&command_version, argc, argv, take_none, NULL, &first);
	if (status != COMMAND_GO_ON)
		return status;
	printf("vas " VAS_VERSION ", answering as Linux %s and earlier\n",
	       version_text(VAS_LINUX_LATEST, text));
	printf("judged by Linux %s (docs/judges.md)\n", version_judges());
	return EXIT_SAME;
}

static const struct command_option version_options[] = {{0}};

static const struct command command_version = {
	.name = "version",
	.what = "says which vas this is, and which Linux it knows",
	.synopsis = "",
	.text = "Prints the version of the program, the newest Linux that it answers as, and the "
		"kernels that have judged it.",
	.status = "0 all well\n3 the output could not be written",
	.options = version_options,
	.run = run_version,
};

/* ---- The program ----------------------------------------------------------------------------- */

/* A command has not done well whose output went nowhere. */
static int written(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fputs("vas: standard output could not be written\n", stderr);
	return status ? status : EXIT_UNFOLLOWED;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const struct command *command = find(name);
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		command = &command_help;
	else if (strcmp(name, "--version") == 0)
		command = &command_version;
	if (command)
		return written(command->run(argc - 1, argv + 1));
	if (*name)
		fprintf(stderr, "vas: there is no command '%s'; 'vas help' lists them\n", name);
	else
		manual_help_all(stderr, commands);
	return EXIT_USAGE;
}
