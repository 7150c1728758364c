/* strace_names.c - the constants of the notation and how they are looked up.
 *
 * Values are x86-64's, which is what strace prints there. Nothing here knows about lines or calls.
 *
 * SPDX-License-Identifier: MIT */
#include "strace/strace_names.h"

#include <string.h>

#include "strace/rights.h"
#include "vas/vas.h"

#define N(name) {#name, VAS_##name}
#define SET(set, unknown, choice, shift, ...)                        \
	const struct name_set names_##set = {unknown, choice, shift, \
	                                     (const struct name[]){__VA_ARGS__, {NULL, 0}}}

SET(prot, "PROT_???", 0, NULL, N(PROT_NONE), N(PROT_READ), N(PROT_WRITE), N(PROT_EXEC), N(PROT_SEM),
    N(PROT_GROWSDOWN), N(PROT_GROWSUP));

SET(map, "MAP_???", VAS_MAP_TYPE, "MAP_HUGE_SHIFT", {"MAP_FILE", 0}, N(MAP_SHARED), N(MAP_PRIVATE),
    N(MAP_SHARED_VALIDATE), N(MAP_DROPPABLE), N(MAP_FIXED), N(MAP_ANONYMOUS), N(MAP_32BIT),
    N(MAP_NORESERVE), N(MAP_POPULATE), N(MAP_NONBLOCK), N(MAP_GROWSDOWN), N(MAP_DENYWRITE),
    N(MAP_EXECUTABLE), N(MAP_LOCKED), N(MAP_STACK), N(MAP_HUGETLB), N(MAP_SYNC),
    N(MAP_FIXED_NOREPLACE), N(MAP_ABOVE4G), {"MAP_ANON", VAS_MAP_ANONYMOUS},
    {"MAP_HUGE_2MB", (uint64_t)21 << HUGE_SHIFT}, {"MAP_HUGE_1GB", (uint64_t)30 << HUGE_SHIFT});

SET(mremap, "MREMAP_???", 0, NULL, N(MREMAP_MAYMOVE), N(MREMAP_FIXED), N(MREMAP_DONTUNMAP));

SET(madvise, "MADV_???", CHOICE_ONLY, NULL, N(MADV_NORMAL), N(MADV_RANDOM), N(MADV_SEQUENTIAL),
    N(MADV_WILLNEED), N(MADV_DONTNEED), N(MADV_FREE), N(MADV_REMOVE), N(MADV_DONTFORK),
    N(MADV_DOFORK), N(MADV_MERGEABLE), N(MADV_UNMERGEABLE), N(MADV_HUGEPAGE), N(MADV_NOHUGEPAGE),
    N(MADV_DONTDUMP), N(MADV_DODUMP), N(MADV_WIPEONFORK), N(MADV_KEEPONFORK), N(MADV_COLD),
    N(MADV_PAGEOUT), N(MADV_POPULATE_READ), N(MADV_POPULATE_WRITE), N(MADV_DONTNEED_LOCKED),
    N(MADV_COLLAPSE), N(MADV_HWPOISON), N(MADV_SOFT_OFFLINE), N(MADV_GUARD_INSTALL),
    N(MADV_GUARD_REMOVE));

SET(mlock, "MLOCK_???", 0, NULL, N(MLOCK_ONFAULT));
SET(mcl, "MCL_???", 0, NULL, N(MCL_CURRENT), N(MCL_FUTURE), N(MCL_ONFAULT));
SET(ms, "MS_???", 0, NULL, N(MS_ASYNC), N(MS_INVALIDATE), N(MS_SYNC));
SET(mfd, "MFD_???", 0, "MFD_HUGE_SHIFT", {"MFD_CLOEXEC", 1}, {"MFD_ALLOW_SEALING", 2},
    {"MFD_HUGETLB", 4}, {"MFD_NOEXEC_SEAL", 8}, {"MFD_EXEC", 16},
    {"MFD_HUGE_2MB", (uint64_t)21 << HUGE_SHIFT}, {"MFD_HUGE_1GB", (uint64_t)30 << HUGE_SHIFT});
SET(open, "O_???", 3, NULL, {"O_RDONLY", 0}, {"O_WRONLY", 1}, {"O_RDWR", 2}, {"O_ACCMODE", 3},
    {"O_CREAT", 0100}, {"O_EXCL", 0200}, {"O_NOCTTY", 0400}, {"O_TRUNC", 01000},
    {"O_APPEND", 02000}, {"O_NONBLOCK", 04000}, {"O_SYNC", 04010000}, {"O_DSYNC", 010000},
    {"O_DIRECT", 040000}, {"O_LARGEFILE", 0100000}, {"O_NOFOLLOW", 0400000},
    {"O_NOATIME", 01000000}, {"O_CLOEXEC", 02000000}, {"O_PATH", 010000000},
    {"O_TMPFILE", 020200000}, {"O_DIRECTORY", 0200000});
SET(rlimit, "RLIMIT_???", CHOICE_ONLY, NULL, {"RLIMIT_AS", LINUX_RLIMIT_AS},
    {"RLIMIT_DATA", LINUX_RLIMIT_DATA}, {"RLIMIT_STACK", LINUX_RLIMIT_STACK},
    {"RLIMIT_MEMLOCK", LINUX_RLIMIT_MEMLOCK});
SET(cap, "CAP_???", CHOICE_ONLY, NULL, {"CAP_IPC_LOCK", LINUX_CAP_IPC_LOCK},
    {"CAP_SYS_RAWIO", LINUX_CAP_SYS_RAWIO}, {"CAP_SYS_ADMIN", LINUX_CAP_SYS_ADMIN});
SET(prctl, "PR_???", CHOICE_ONLY, NULL, {"PR_SET_MDWE", VAS_PR_SET_MDWE},
    {"PR_SET_MEMORY_MERGE", VAS_PR_SET_MEMORY_MERGE});
const struct name_set names_empty = {"", 0, NULL, (const struct name[]){{NULL, 0}}};

bool name_find(const struct name_set *set, const char *text, size_t len, uint64_t *value)
{
	for (const struct name *name = set->names; name->text; name++) {
		if (strlen(name->text) == len && memcmp(name->text, text, len) == 0) {
			*value = name->value;
			return true;
		}
	}
	return false;
}

const char *name_of(const struct name_set *set, uint64_t value)
{
	for (const struct name *name = set->names; name->text; name++)
		if (name->value == value)
			return name->text;
	return NULL;
}

static const struct {
	const char *name, *text;
} errnos[] = {
	[1] = {"EPERM", "Operation not permitted"},
	[2] = {"ENOENT", "No such file or directory"},
	[3] = {"ESRCH", "No such process"},
	[4] = {"EINTR", "Interrupted system call"},
	[5] = {"EIO", "Input/output error"},
	[6] = {"ENXIO", "No such device or address"},
	[7] = {"E2BIG", "Argument list too long"},
	[8] = {"ENOEXEC", "Exec format error"},
	[9] = {"EBADF", "Bad file descriptor"},
	[10] = {"ECHILD", "No child processes"},
	[11] = {"EAGAIN", "Resource temporarily unavailable"},
	[12] = {"ENOMEM", "Cannot allocate memory"},
	[13] = {"EACCES", "Permission denied"},
	[14] = {"EFAULT", "Bad address"},
	[15] = {"ENOTBLK", "Block device required"},
	[16] = {"EBUSY", "Device or resource busy"},
	[17] = {"EEXIST", "File exists"},
	[18] = {"EXDEV", "Invalid cross-device link"},
	[19] = {"ENODEV", "No such device"},
	[20] = {"ENOTDIR", "Not a directory"},
	[21] = {"EISDIR", "Is a directory"},
	[22] = {"EINVAL", "Invalid argument"},
	[23] = {"ENFILE", "Too many open files in system"},
	[24] = {"EMFILE", "Too many open files"},
	[25] = {"ENOTTY", "Inappropriate ioctl for device"},
	[26] = {"ETXTBSY", "Text file busy"},
	[27] = {"EFBIG", "File too large"},
	[28] = {"ENOSPC", "No space left on device"},
	[29] = {"ESPIPE", "Illegal seek"},
	[30] = {"EROFS", "Read-only file system"},
	[31] = {"EMLINK", "Too many links"},
	[32] = {"EPIPE", "Broken pipe"},
	[33] = {"EDOM", "Numerical argument out of domain"},
	[34] = {"ERANGE", "Numerical result out of range"},
	[35] = {"EDEADLK", "Resource deadlock avoided"},
	[36] = {"ENAMETOOLONG", "File name too long"},
	[37] = {"ENOLCK", "No locks available"},
	[38] = {"ENOSYS", "Function not implemented"},
	[39] = {"ENOTEMPTY", "Directory not empty"},
	[40] = {"ELOOP", "Too many levels of symbolic links"},
	[42] = {"ENOMSG", "No message of desired type"},
	[43] = {"EIDRM", "Identifier removed"},
	[44] = {"ECHRNG", "Channel number out of range"},
	[45] = {"EL2NSYNC", "Level 2 not synchronized"},
	[46] = {"EL3HLT", "Level 3 halted"},
	[47] = {"EL3RST", "Level 3 reset"},
	[48] = {"ELNRNG", "Link number out of range"},
	[49] = {"EUNATCH", "Protocol driver not attached"},
	[50] = {"ENOCSI", "No CSI structure available"},
	[51] = {"EL2HLT", "Level 2 halted"},
	[52] = {"EBADE", "Invalid exchange"},
	[53] = {"EBADR", "Invalid request descriptor"},
	[54] = {"EXFULL", "Exchange full"},
	[55] = {"ENOANO", "No anode"},
	[56] = {"EBADRQC", "Invalid request code"},
	[57] = {"EBADSLT", "Invalid slot"},
	[59] = {"EBFONT", "Bad font file format"},
	[60] = {"ENOSTR", "Device not a stream"},
	[61] = {"ENODATA", "No data available"},
	[62] = {"ETIME", "Timer expired"},
	[63] = {"ENOSR", "Out of streams resources"},
	[64] = {"ENONET", "Machine is not on the network"},
	[65] = {"ENOPKG", "Package not installed"},
	[66] = {"EREMOTE", "Object is remote"},
	[67] = {"ENOLINK", "Link has been severed"},
	[68] = {"EADV", "Advertise error"},
	[69] = {"ESRMNT", "Srmount error"},
	[70] = {"ECOMM", "Communication error on send"},
	[71] = {"EPROTO", "Protocol error"},
	[72] = {"EMULTIHOP", "Multihop attempted"},
	[73] = {"EDOTDOT", "RFS specific error"},
	[74] = {"EBADMSG", "Bad message"},
	[75] = {"EOVERFLOW", "Value too large for defined data type"},
	[76] = {"ENOTUNIQ", "Name not unique on network"},
	[77] = {"EBADFD", "File descriptor in bad state"},
	[78] = {"EREMCHG", "Remote address changed"},
	[79] = {"ELIBACC", "Can not access a needed shared library"},
	[80] = {"ELIBBAD", "Accessing a corrupted shared library"},
	[81] = {"ELIBSCN", ".lib section in a.out corrupted"},
	[82] = {"ELIBMAX", "Attempting to link in too many shared libraries"},
	[83] = {"ELIBEXEC", "Cannot exec a shared library directly"},
	[84] = {"EILSEQ", "Invalid or incomplete multibyte or wide character"},
	[85] = {"ERESTART", "Interrupted system call should be restarted"},
	[86] = {"ESTRPIPE", "Streams pipe error"},
	[87] = {"EUSERS", "Too many users"},
	[88] = {"ENOTSOCK", "Socket operation on non-socket"},
	[89] = {"EDESTADDRREQ", "Destination address required"},
	[90] = {"EMSGSIZE", "Message too long"},
	[91] = {"EPROTOTYPE", "Protocol wrong type for socket"},
	[92] = {"ENOPROTOOPT", "Protocol not available"},
	[93] = {"EPROTONOSUPPORT", "Protocol not supported"},
	[94] = {"ESOCKTNOSUPPORT", "Socket type not supported"},
	[95] = {"EOPNOTSUPP", "Operation not supported"},
	[96] = {"EPFNOSUPPORT", "Protocol family not supported"},
	[97] = {"EAFNOSUPPORT", "Address family not supported by protocol"},
	[98] = {"EADDRINUSE", "Address already in use"},
	[99] = {"EADDRNOTAVAIL", "Cannot assign requested address"},
	[100] = {"ENETDOWN", "Network is down"},
	[101] = {"ENETUNREACH", "Network is unreachable"},
	[102] = {"ENETRESET", "Network dropped connection on reset"},
	[103] = {"ECONNABORTED", "Software caused connection abort"},
	[104] = {"ECONNRESET", "Connection reset by peer"},
	[105] = {"ENOBUFS", "No buffer space available"},
	[106] = {"EISCONN", "Transport endpoint is already connected"},
	[107] = {"ENOTCONN", "Transport endpoint is not connected"},
	[108] = {"ESHUTDOWN", "Cannot send after transport endpoint shutdown"},
	[109] = {"ETOOMANYREFS", "Too many references: cannot splice"},
	[110] = {"ETIMEDOUT", "Connection timed out"},
	[111] = {"ECONNREFUSED", "Connection refused"},
	[112] = {"EHOSTDOWN", "Host is down"},
	[113] = {"EHOSTUNREACH", "No route to host"},
	[114] = {"EALREADY", "Operation already in progress"},
	[115] = {"EINPROGRESS", "Operation now in progress"},
	[116] = {"ESTALE", "Stale file handle"},
	[117] = {"EUCLEAN", "Structure needs cleaning"},
	[118] = {"ENOTNAM", "Not a XENIX named type file"},
	[119] = {"ENAVAIL", "No XENIX semaphores available"},
	[120] = {"EISNAM", "Is a named type file"},
	[121] = {"EREMOTEIO", "Remote I/O error"},
	[122] = {"EDQUOT", "Disk quota exceeded"},
	[123] = {"ENOMEDIUM", "No medium found"},
	[124] = {"EMEDIUMTYPE", "Wrong medium type"},
	[125] = {"ECANCELED", "Operation canceled"},
	[126] = {"ENOKEY", "Required key not available"},
	[127] = {"EKEYEXPIRED", "Key has expired"},
	[128] = {"EKEYREVOKED", "Key has been revoked"},
	[129] = {"EKEYREJECTED", "Key was rejected by service"},
	[130] = {"EOWNERDEAD", "Owner died"},
	[131] = {"ENOTRECOVERABLE", "State not recoverable"},
	[132] = {"ERFKILL", "Operation not possible due to RF-kill"},
};

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

const char *errno_name(int64_t number)
{
	return number > 0 && number < COUNT(errnos) ? errnos[number].name : NULL;
}

const char *errno_text(int64_t number)
{
	return number > 0 && number < COUNT(errnos) ? errnos[number].text : NULL;
}

int64_t errno_find(const char *text, size_t len)
{
	for (int64_t i = 1; i < COUNT(errnos); i++) {
		const char *name = errnos[i].name;
		if (name && strlen(name) == len && memcmp(name, text, len) == 0)
			return i;
	}
	return 0;
}

static SET(signals, "", CHOICE_ONLY, NULL, {"SIGILL", 4}, {"SIGTRAP", 5}, {"SIGABRT", 6},
           {"SIGBUS", 7}, {"SIGFPE", 8}, {"SIGKILL", 9}, {"SIGSEGV", 11}, {"SIGTERM", 15},
           {"SIGSYS", 31});
static SET(any_code, "", CHOICE_ONLY, NULL, {"SI_USER", 0}, {"SI_KERNEL", VAS_SI_KERNEL});
static SET(segv_code, "", CHOICE_ONLY, NULL, {"SEGV_MAPERR", 1}, {"SEGV_ACCERR", 2},
           {"SEGV_BNDERR", 3}, {"SEGV_PKUERR", 4});
static SET(bus_code, "", CHOICE_ONLY, NULL, {"BUS_ADRALN", 1}, {"BUS_ADRERR", 2}, {"BUS_OBJERR", 3},
           {"BUS_MCEERR_AR", 4}, {"BUS_MCEERR_AO", 5});

const char *signal_name(int32_t signo)
{
	return name_of(&names_signals, (uint32_t)signo);
}

static const struct name_set *codes_of(int32_t signo)
{
	if (signo == VAS_SIGSEGV)
		return &names_segv_code;
	return signo == VAS_SIGBUS ? &names_bus_code : &names_empty;
}

const char *signal_code_name(int32_t signo, int32_t code)
{
	const char *text = name_of(codes_of(signo), (uint32_t)code);
	return text ? text : name_of(&names_any_code, (uint32_t)code);
}

bool signal_find(const char *text, size_t len, int32_t *signo)
{
	uint64_t value = 0;
	bool found = name_find(&names_signals, text, len, &value);
	*signo = (int32_t)value;
	return found;
}

bool signal_code_find(int32_t signo, const char *text, size_t len, int32_t *code)
{
	uint64_t value = 0;
	bool found = name_find(codes_of(signo), text, len, &value) ||
	             name_find(&names_any_code, text, len, &value);
	*code = (int32_t)value;
	return found;
}

bool status_name_known(const char *text)
{
	static const char *const known[] = {"VmSize", "VmLck", "VmData", "VmStk"};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i], text) == 0)
			return true;
	return false;
}
