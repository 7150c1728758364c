/* replay.c - feeds files to a fuzz target: the corpus as an ordinary test, without libFuzzer.
 *
 * SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX ((size_t)1 << 20)

int main(int argc, char **argv)
{
	uint8_t *data = malloc(INPUT_MAX);

	if (argc < 2 || !data) {
		fputs("replay: no corpus, or no memory\n", stderr);
		return 1;
	}
	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");
		uint8_t *exact;
		size_t len;

		if (!file) {
			perror(argv[i]);
			return 1;
		}
		len = fread(data, 1, INPUT_MAX, file);
		fclose(file);
		exact = malloc(len + 1); /* so that AddressSanitizer sees a read past the end */
		if (!exact)
			return 1;
		for (size_t b = 0; b < len; b++)
			exact[b] = data[b];
		LLVMFuzzerTestOneInput(exact, len);
		free(exact);
	}
	free(data);
	printf("%d inputs\n", argc - 1);
	return 0;
}
