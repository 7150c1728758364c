/* format.c - page-table formats by name, and which one the running kernel has.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "target/target.h"

#define BIT(n) ((uint64_t)1 << (n))

/* The first is vas's own default. */
static const struct machine_format formats[] = {
	{"x86_64", &vas_format_x86_64, 4096, BIT(47) - 4096},
	{"x86_64_la57", &vas_format_x86_64_la57, 4096, BIT(56) - 4096},
	{"aarch64_4k", &vas_format_aarch64_4k, 4096, BIT(48)},
	{"aarch64_4k_lpa2", &vas_format_aarch64_4k_lpa2, 4096, BIT(52)},
	{"aarch64_16k", &vas_format_aarch64_16k, 16384, BIT(47)},
	{"riscv_sv39", &vas_format_riscv_sv39, 4096, BIT(38)},
	{"riscv_sv48", &vas_format_riscv_sv48, 4096, BIT(47)},
	{"riscv_sv57", &vas_format_riscv_sv57, 4096, BIT(56)},
};
#define FORMATS (sizeof(formats) / sizeof(formats[0]))

const struct machine_format *machine_format_find(const char *name)
{
	for (size_t i = 0; i < FORMATS; i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	fprintf(stderr, "vas: there is no format '%s', but", name);
	for (size_t i = 0; i < FORMATS; i++)
		fprintf(stderr, "%s %s", i ? "," : "", formats[i].name);
	fputc('\n', stderr);
	return NULL;
}

const struct machine_format *machine_format_begins(const char *name)
{
	for (size_t i = 0; *name && i < FORMATS; i++)
		if (strncmp(formats[i].name, name, strlen(name)) == 0)
			return &formats[i];
	return NULL;
}

/* Beyond the window is what only five levels of tables reach. Of AArch64, a CPU without the younger
 * extensions. */
void machine_set_format(struct machine *machine, const struct machine_format *format)
{
	machine->format = format;
	machine->task_size = machine->window = format->task_size;
	machine->exec_reads = machine->heap_apart = machine->ignores_tags =
		strncmp(format->name, "aarch64", 7) == 0;
	if (format->format == &vas_format_aarch64_4k_lpa2)
		machine->window = BIT(48);
	else if (format->task_size > BIT(48))
		machine->window = format->format == &vas_format_riscv_sv57 ? BIT(47)
		                                                           : BIT(47) - 4096;
}

#if defined(__x86_64__)
#define ARCHITECTURE "x86_64"
#elif defined(__aarch64__)
#define ARCHITECTURE "aarch64"
#elif defined(__riscv)
#define ARCHITECTURE "riscv"
#else
#define ARCHITECTURE "x86_64" /* the kernel is not asked there, and vas answers as the usual one */
#endif

/* AArch64's TASK_SIZE may be anything that the tables reach. */
bool machine_find_format(struct machine *machine, uint64_t page_size, uint64_t task_size)
{
	for (size_t i = 0; i < FORMATS; i++) {
		const struct machine_format *format = &formats[i];
		if (strncmp(format->name, ARCHITECTURE, strlen(ARCHITECTURE)) != 0 ||
		    format->page_size != page_size)
			continue;
		bool any = format->format == &vas_format_aarch64_4k ||
		           format->format == &vas_format_aarch64_16k;
		if (task_size != format->task_size && !(any && task_size <= BIT(48)))
			continue;
		machine_set_format(machine, format);
		machine->task_size = task_size;
		machine->window = machine->window < task_size ? machine->window : task_size;
		return true;
	}
	return false;
}
