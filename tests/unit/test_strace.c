/* test_strace.c - the notation: what strace prints is read, and what is printed reads back.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "strace/strace_shape.h"

static void parse(const char *line, struct call *call, struct answer *answer)
{
	struct parse_error error;
	if (!call_parse(line, call, answer, &error))
		fail_msg("%s: column %u: %s", line, error.column, error.message);
}

/* Lines that must come back as they are, or as the second text. */
static const struct {
	const char *line, *printed;
} lines[] = {
	/* clang-format off */
	/* as strace 6.1 printed them */
	{"mmap(NULL, 8192, PROT_READ|PROT_WRITE|0x10, "
	 "MAP_PRIVATE|MAP_ANONYMOUS|2<<MAP_HUGE_SHIFT, -1, 0) = 0x7f550c617000", NULL},
	{"mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_FILE|MAP_FIXED, -1, 0x1000) = -1 EBADF (Bad "
	 "file descriptor)", NULL},
	{"mmap(NULL, 5, 0x10 /* PROT_??? */, 0x8 /* MAP_??? */, -2, 0x10000000000) = -1 EBADF "
	 "(Bad file descriptor)",
	 "mmap(NULL, 5, 0x10 /* PROT_??? */, MAP_DROPPABLE, -2, 0x10000000000) = -1 EBADF (Bad "
	 "file descriptor)"},
	{"mmap(NULL, 5, PROT_NONE, 0x9 /* MAP_??? */|MAP_ANONYMOUS, -1, 0)", NULL},
	{"mremap(0x7f550c617000, 4294967295, 5, 0x8 /* MREMAP_??? */) = -1 EINVAL (Invalid "
	 "argument)", NULL},
	{"mremap(0x7f550c617000, 4096, 5, MREMAP_MAYMOVE|MREMAP_FIXED|0x10, 0x1234)", NULL},
	{"mremap(0x7f550c617000, 4096, 5, 0)      = 0x7f550c617000",
	 "mremap(0x7f550c617000, 4096, 5, 0) = 0x7f550c617000"},
	{"madvise(0x7f550c617000, 4096, 0x63 /* MADV_??? */) = -1 EINVAL (Invalid argument)", NULL},
	{"mlock2(0x7f550c617000, 4096, MLOCK_ONFAULT|0x2)", NULL},
	{"mlock2(0x7f550c617000, 4096, 0)", NULL},
	{"mlockall(0x8 /* MCL_??? */)", NULL},
	{"mlockall(MCL_CURRENT|0x8)", NULL},
	{"msync(0x7f550c617000, 1, 0x10 /* MS_??? */)", NULL},
	{"mprotect(0x7f550c617000, 4096, PROT_READ|PROT_GROWSDOWN)", NULL},
	{"mincore(0x7f550c617000, 8193, [1, 0, 1]) = 0", NULL},
	{"mincore(0x7f550c617000, 8193, [1, 0, ...]) = 0", NULL},
	{"mincore(0x7f550c617000, 8192, NULL) = -1 EFAULT (Bad address)", NULL},
	{"mincore(0x1000, 8192, 0x2000 => [1, 0]) = 0", NULL},
	{"brk(NULL)                               = 0x55fc66339000", "brk(NULL) = 0x55fc66339000"},
	{"memfd_create(\"a\\\"b\\n\", MFD_CLOEXEC|MFD_ALLOW_SEALING) = 3", NULL},
	{"memfd_create(\"x\", 32<<MFD_HUGE_SHIFT) = -1 EINVAL (Invalid argument)", NULL},
	{"prlimit64(0, RLIMIT_STACK, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}, NULL) = 0",
	 "setrlimit(RLIMIT_STACK, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}) = 0"},
	{"openat(AT_FDCWD, \"/tmp/zz\", O_RDWR|O_CREAT|O_TRUNC|O_CLOEXEC, 0600) = 4",
	 "open(\"/tmp/zz\", O_RDWR|O_CREAT|O_TRUNC|O_CLOEXEC, 0600) = 4"},
	{"open(\"/tmp/zz\", O_ACCMODE|0x8000000)", NULL},
	{"openat(AT_FDCWD</tmp>, \"/tmp/zz\", O_RDONLY) = 5</tmp/zz>",
	 "open(\"/tmp/zz\", O_RDONLY) = 5"},
	{"[pid  4191] munmap(0x7f550c60e000, 41907)           = 0",
	 "munmap(0x7f550c60e000, 41907) = 0"},
	{"4191  munlockall() = 0", "munlockall() = 0"},
	{"[2] fork() = 3", NULL},
	{"[pid     3] fork() = 4", "[3] fork() = 4"},
	{"[1] load(0x1000)", "load(0x1000)"},
	{"[63] exit_group(0) = ?", "[63] exit()"},
	{"mmap(NULL, 5, PROT_NONE, MAP_SHARED|MAP_ANONYMOUS|MAP_HUGETLB|MAP_HUGE_2MB, -1, 0)",
	 "mmap(NULL, 5, PROT_NONE, MAP_SHARED|MAP_ANONYMOUS|MAP_HUGETLB|21<<MAP_HUGE_SHIFT, -1, "
	 "0)"},
	{"mmap(NULL, 5, PROT_NONE, MAP_SHARED|MAP_ANONYMOUS|MAP_HUGETLB|MAP_HUGE_1GB, -1, 0)",
	 "mmap(NULL, 5, PROT_NONE, MAP_SHARED|MAP_ANONYMOUS|MAP_HUGETLB|30<<MAP_HUGE_SHIFT, -1, "
	 "0)"},
	{"mseal(0x7f550c617000, 4096, 0x1) = -1 EINVAL (Invalid argument)", NULL},
	{"ftruncate(3</memfd:x>, 4096) = 0", "ftruncate(3, 4096) = 0"},
	{"munmap(NULL, 18446744073709551615) = -1 EINVAL",
	 "munmap(NULL, 18446744073709551615) = -1 EINVAL (Invalid argument)"},
	/* ours */
	{"load(0x1000) = 0x55", NULL},
	{"store(0x1000, 0x55) = SIGSEGV (SEGV_ACCERR)", NULL},
	{"load(0x8000000000000000) = SIGSEGV (SI_KERNEL, si_addr=NULL)", NULL},
	{"fetch(0x1000) = SIGBUS (BUS_ADRERR, si_addr=0x2000)", NULL},
	{"flags(0x1000) = \"rd wr mr mw me ac\"", NULL},
	{"maps() = {\"00001000-00002000 rw-p 00000000 00:00 0\", \"b\"}", NULL},
	{"maps() = {}", NULL},
	{"status(\"VmLck\") = 8", NULL},
	{"sysctl(\"vm.overcommit_memory\", 2) = ? (refused: it is (0) here)", NULL},
	{"drop_cap(CAP_IPC_LOCK) = 0", NULL},
	{"munmap(0x1000+4096, 2*4096 - 1) = 0 # a comment", "munmap(0x2000, 8191) = 0"},
	{"munmap(0x1000, 4096) = ?", "munmap(0x1000, 4096)"},
	{"munmap(0x1000, 4096) = -1 (errno 4000)", NULL},
	{"mremap(0x1000, 1, 1, MREMAP_MAYMOVE, 0x5000)", NULL},
	/* clang-format on */
};

static void lines_come_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct call call;
		struct answer answer;
		char text[1024];
		parse(lines[i].line, &call, &answer);
		(void)call_print(text, sizeof(text), &call, &answer);
		assert_string_equal(text, lines[i].printed ? lines[i].printed : lines[i].line);
		answer_free(&answer);
	}
}

static const struct {
	const char *line;
	unsigned column;
	const char *message; /* part of it */
} mistakes[] = {
	{"mmpa(0)", 1, "unknown call 'mmpa'"},
	{"munmap(0x10000000, )", 20, "expected a number"},
	{"[0] fork()", 4, "processes are numbered from 1"},
	{"[64] fork()", 5, "processes are numbered from 1"},
	{"[2 fork()", 4, "expected ']'"},
	{"[x] fork()", 2, "expected a digit"},
	{"munmap(0x1000)", 14, "needs its argument 'len'"},
	{"munmap(0x1000, 4096, 5)", 20, "too many arguments"},
	{"munmap(0x1000, 4096", 20, "expected ')'"},
	{"munmap(0x1000, 4096) = ", 24, "expected a number"},
	{"munmap(0x1000, 4096) = 0 0", 26, "unexpected '0'"},
	{"munmap(0x1000, 4096) = -1", 26, "needs the name of its errno"},
	{"munmap(0x1000, 4096) = -1 EFOO", 27, "unknown errno 'EFOO'"},
	{"munmap(0x1000, 18446744073709551616)", 16, "64 bits"},
	{"munmap(0x1000, 0x12g)", 20, "'g' is not a digit"},
	{"munmap(0x1000, 010)", 16, "octal"},
	{"munmap(1-2, 1)", 11, "negative"},
	{"mprotect(0x1000, 4096, PROT_REED)", 24, "unknown name 'PROT_REED' among PROT_???"},
	{"madvise(0x1000, 4096, MADV_FREE|MADV_COLD)", 33, "only one of MADV_???"},
	{"store(0x1000, 256)", 18, "not a byte"},
	{"memfd_create(\"x, 0)", 20, "no closing"},
	{"memfd_create(\"\\q\", 0)", 16, "unknown escape"},
	{"status(\"VmRSS\")", 16, "VmRSS"},
	{"load(0x1000) = SIGFOO (SEGV_MAPERR)", 16, "unknown signal 'SIGFOO'"},
	{"load(0x1000) = SIGSEGV (BUS_ADRERR)", 25, "unknown si_code"},
	{"mincore(0x1000, 4096, [2])", 24, "expected 0, 1 or ..."},
	{"munmap(0x1000, 4096 <unfinished ...>", 21, "expected ')'"},
	{"munmap(0x1000 <unfinished ...>", 15, "interrupted"},
	{"flags(0x1000) = 5", 17, "expected \"...\""},
	{"munmap(0x1000, 4m)", 17, "nor a suffix (k, M, G, T)"},
	{"munmap(0x1000, 4kk)", 18, "nor a suffix (k, M, G, T)"},
	{"munmap(0x1000, 0x4k)", 19, "'k' is not a digit of a base 16 number"},
	{"munmap(0x1000, 16777216T)", 16, "64 bits"},
	{"p = load(0x1000)", 1, "names for answers are for scripts"},
	{"load(p)", 6, "unknown name 'p', expected a number"},
	/* what was meant */
	{"mremap(0x1000, 1, 1, MAYMOVE)", 22, "did you mean 'MREMAP_MAYMOVE'?"},
	{"mremap(0x1000, 1, 1, MREMAP_MAYMOV)", 22, "did you mean 'MREMAP_MAYMOVE'?"},
	{"mprotect(0x1000, 4096, prot_read)", 24, "did you mean 'PROT_READ'?"},
	{"mmpa(0)", 1, "did you mean 'mmap'?"},
	{"load(0x1000) = -1 ENOMME", 19, "did you mean 'ENOMEM'?"},
	{"load(NUL)", 6, "did you mean 'NULL'?"},
	/* control bytes are shown, not sent to the terminal */
	{"load(\033[2J)", 6, "instead of '\\033'"},
	{"munmap(0x1000\x07)", 14, "instead of '\\007'"},
};

static void mistakes_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		struct call call;
		struct answer answer;
		struct parse_error error = {0};
		if (call_parse(mistakes[i].line, &call, &answer, &error))
			fail_msg("accepted: %s", mistakes[i].line);
		if (error.column != mistakes[i].column ||
		    !strstr(error.message, mistakes[i].message))
			fail_msg("%s: column %u: %s", mistakes[i].line, error.column,
			         error.message);
		assert_null(answer.text);
	}
}

/* ---- Random calls ---------------------------------------------------------------------------- */

static uint64_t random_state = 88172645463325252u;

static uint64_t random_bits(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint64_t random_value(void)
{
	static const uint64_t edges[] = {0,    1,   2, 3, 8, 4096, 0x7ffffffff000, ~(uint64_t)0,
	                                 1024, 2048};
	uint64_t kind = random_bits() % 4;
	if (kind == 0)
		return edges[random_bits() % (sizeof(edges) / sizeof(edges[0]))];
	return random_bits() >> (kind == 1 ? random_bits() % 64 : 0);
}

static void random_text(char *text, size_t size)
{
	size_t len = random_bits() % size;
	for (size_t i = 0; i < len; i++)
		text[i] = (char)(1 + random_bits() % 255);
	text[len] = '\0';
}

static void random_args(struct call *call, const struct call_shape *shape)
{
	for (unsigned i = 0; shape->arg[i].kind != ARG_END; i++) {
		if (i >= shape->required && random_bits() % 2)
			break;
		if (shape->arg[i].kind == ARG_SKIP)
			continue; /* is not kept */
		if (shape->arg[i].kind == ARG_TEXT) {
			if (call->name == CALL_STATUS)
				memcpy(call->text, "VmSize", sizeof("VmSize"));
			else
				random_text(call->text, sizeof(call->text));
			continue;
		}
		call->arg[call->nargs++] = shape->arg[i].kind == ARG_BYTE ? random_bits() & 0xff
		                                                          : random_value();
		if (shape->arg[i].kind == ARG_LIMITS)
			call->arg[call->nargs++] = random_value();
	}
}

static char *random_lines(void)
{
	char *text = malloc(600), *at = text;
	for (uint64_t n = random_bits() % 4; n > 0; n--) {
		random_text(at, 100);
		for (; *at; at++)
			*at = *at == '\n' ? ' ' : *at;
		*at++ = '\n';
	}
	*at = '\0';
	return text;
}

static void random_answer(struct answer *answer, const struct call *call)
{
	enum answer_shape shape = shape_of(call->name)->answer;
	static const int codes[] = {1, 2, VAS_SI_KERNEL, 77, -6};
	switch (random_bits() % 4) {
	case 0:
		break;
	case 1:
		answer->kind = ANSWER_SIGNAL;
		answer->signal.signo = random_bits() % 2 ? VAS_SIGSEGV
		                                         : (int32_t)(1 + random_bits() % 64);
		answer->signal.code = codes[random_bits() % 5];
		answer->signal.addr = random_bits() % 2 ? call->arg[0] : random_value();
		break;
	default:
		answer->kind = ANSWER_VALUE;
		answer->value = random_bits() % 2 ? -(int64_t)(1 + random_bits() % 4095)
		                                  : (int64_t)random_value();
		if (random_bits() % 2 || answer->value < 0)
			break;
		answer->kind = shape >= SHAPE_TEXT ? ANSWER_TEXT : ANSWER_VALUE;
		if (shape == SHAPE_VECTOR)
			answer->text = strdup(random_bits() % 2 ? "[1, 0, ...]" : "[]");
		else if (shape == SHAPE_LINES)
			answer->text = random_lines();
		else if (shape == SHAPE_TEXT)
			random_text(answer->text = malloc(200), 200);
		if (shape >= SHAPE_TEXT)
			answer->value = 0;
		break;
	}
	if (answer->kind == ANSWER_VALUE && (answer->value >= 0 || answer->value < -4095) &&
	    (shape == SHAPE_TEXT || shape == SHAPE_LINES))
		answer->kind = ANSWER_NONE; /* these answer a text or an errno */
}

static void check_round_trip(const struct call *call, const struct answer *answer)
{
	static char text[8192], again[8192];
	struct call call2;
	struct answer answer2;
	size_t len = call_print(text, sizeof(text), call, answer);
	assert_true(len < sizeof(text) && len == strlen(text));
	parse(text, &call2, &answer2);
	if (call2.name != call->name || call2.nargs != call->nargs ||
	    call2.process != call->process ||
	    memcmp(call2.arg, call->arg, sizeof(call->arg)) != 0 ||
	    strcmp(call2.text, call->text) != 0)
		fail_msg("another call: %s", text);
	if (answer2.kind != answer->kind || !answer_equal(&answer2, answer))
		fail_msg("another answer: %s", text);
	(void)call_print(again, sizeof(again), &call2, &answer2);
	assert_string_equal(again, text);
	answer_free(&answer2);
}

static void random_calls_come_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		struct call call = {.name = (enum call_name)(random_bits() % CALL_NAMES)};
		struct answer answer = {.kind = ANSWER_NONE};
		if (random_bits() % 4 == 0)
			call.process = 2 + (unsigned)(random_bits() % (CALL_PROCESSES - 2));
		random_args(&call, shape_of(call.name));
		random_answer(&answer, &call);
		check_round_trip(&call, &answer);
		answer_free(&answer);
	}
}

/* Nothing that is read may do harm, whatever it is: for the sanitizers. */
static void noise_is_refused_or_read(void **state)
{
	char text[200];
	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		struct call call = {.name = (enum call_name)(random_bits() % CALL_NAMES)};
		struct answer answer = {.kind = ANSWER_NONE};
		struct parse_error error;
		random_args(&call, shape_of(call.name));
		size_t len = call_print(text, sizeof(text), &call, &answer);
		len = len < sizeof(text) ? len : sizeof(text) - 1;
		for (uint64_t n = random_bits() % 4; n > 0 && len > 0; n--)
			text[random_bits() % len] = (char)(random_bits() % 128);
		if (call_parse(text, &call, &answer, &error))
			answer_free(&answer);
		else
			assert_true(error.column >= 1 && error.column <= strlen(text) + 1);
	}
}

static void truncation_is_told(void **state)
{
	struct call call;
	struct answer answer;
	char text[16];
	(void)state;
	parse("munmap(0x10000000, 4096) = 0", &call, &answer);
	assert_int_equal(call_print(text, sizeof(text), &call, &answer), 28);
	assert_string_equal(text, "munmap(0x100000");
	assert_int_equal(call_print(NULL, 0, &call, &answer), 28);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_back),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(random_calls_come_back),
		cmocka_unit_test(noise_is_refused_or_read),
		cmocka_unit_test(truncation_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
