/* fuzz_log.c - the reader of recorded programs: any text is read to its end or refused with a line.
 *
 * SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include "check/log/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log_reader *reader = log_open((const char *)data, size);
	struct event event;
	struct log_error error;
	int more;

	if (!reader)
		return 0;
	while ((more = log_next(reader, &event, &error)) == 1)
		;
	if (more < 0)
		FUZZ_REQUIRE(error.line >= 1 && error.message[0]);
	log_close(reader);
	return 0;
}
