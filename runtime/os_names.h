/* SPDX-License-Identifier: MIT */
/*
 * os_names.h - the part of the door (os.h) to the system's resolver, which
 * reads files and asks servers, and may wait for as long as these do.
 */
#ifndef WF_OS_NAMES_H
#define WF_OS_NAMES_H

#include <netdb.h>

#include "runtime/os.h"
#undef wf_hostile /* what is defined here is no site */

#ifndef ENODATA
#define ENODATA ENOENT
#endif
#ifndef EREMOTEIO
#define EREMOTEIO EREMOTE
#endif

static inline int wf_os_names_error(int eai)
{
    switch (eai) {
    case EAI_NONAME:
        return -ENOENT;
#if defined(EAI_NODATA) && EAI_NODATA != EAI_NONAME
    case EAI_NODATA:
        return -ENODATA;
#endif
#if defined(EAI_ADDRFAMILY)
    case EAI_ADDRFAMILY:
        return -ENODATA;
#endif
    case EAI_AGAIN:
        return -EHOSTUNREACH;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return errno ? -errno : -EREMOTEIO;
    case EAI_FAMILY:
        return -EAFNOSUPPORT;
    default:
        return -EREMOTEIO;
    }
}

/* libc's own memory, to be freed by wf_os_freeaddrinfo. */
static inline int wf_os_getaddrinfo(const char *host,
                                    const struct addrinfo *hints,
                                    struct addrinfo **ret_list)
{
    int refused = wf_hostile(WF_CALL_NAMES);
    if (refused < 0 && refused != -EINTR) return refused;
    int kept = errno;
    errno = 0;
    int eai = getaddrinfo(host, NULL, hints, ret_list);
    int err = eai ? wf_os_names_error(eai) : 0;
    errno = kept;
    return err;
}
static inline void wf_os_freeaddrinfo(struct addrinfo *list)
{
    freeaddrinfo(list);
}

#define WF_SITES_OF_NAMES
#include "runtime/os_sites.h"

#endif
