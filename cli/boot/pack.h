/* pack.h - a program, the libraries it needs and files beside it, as one archive for the kernel
 * port.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_PACK_H
#define VAS_CLI_PACK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The ELF machine of a file: EM_X86_64 and the like; 0: it is no 64-bit little-endian program. */
uint16_t pack_machine(const char *path);

/* An archive (cpio, "newc") that is being written. What was packed once is not packed again. */
struct pack {
	FILE *out;
	uint16_t machine;
	uint32_t inode;
	char *seen[256];
	unsigned nseen;
};

/* Each prints why it failed and returns false. `name` is where the file will be, from the root. */
bool pack_bytes(struct pack *pack, const char *name, uint32_t mode, const void *bytes, size_t len);
bool pack_file(struct pack *pack, const char *from, const char *name);

/* A program, its interpreter and every library that it names. */
bool pack_program(struct pack *pack, const char *from, const char *name);
bool pack_end(struct pack *pack);

#endif
