/* errnos.h - the host's error numbers and vas's, which are Linux's.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_PROCESS_ERRNOS_H
#define VAS_PROCESS_ERRNOS_H

#include <errno.h>
#include <stddef.h>

#include "vas/vas.h"

static const struct {
	int vas, host;
} errnos[] = {
	{VAS_EPERM, EPERM},   {VAS_EIO, EIO},       {VAS_EBADF, EBADF},
	{VAS_EAGAIN, EAGAIN}, {VAS_ENOMEM, ENOMEM}, {VAS_EACCES, EACCES},
	{VAS_EFAULT, EFAULT}, {VAS_EBUSY, EBUSY},   {VAS_EEXIST, EEXIST},
	{VAS_ENODEV, ENODEV}, {VAS_EINVAL, EINVAL}, {VAS_ENOSYS, ENOSYS},
	{VAS_EOVERFLOW, EOVERFLOW}, {VAS_EOPNOTSUPP, EOPNOTSUPP},
};

/* What vas has no number for keeps the host's. */
static inline int errno_to_host(int64_t vas)
{
	for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++) {
		if (errnos[i].vas == vas)
			return errnos[i].host;
	}
	return (int)vas;
}

static inline int64_t errno_to_vas(int host)
{
	for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++) {
		if (errnos[i].host == host)
			return errnos[i].vas;
	}
	return host;
}

#endif
