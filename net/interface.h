/* SPDX-License-Identifier: MIT */
/*
 * net/interface.h - interfaces of this host, by name.
 */
#ifndef NET_INTERFACE_H
#define NET_INTERFACE_H

#include <errno.h>
#include <net/if.h>

/* Its number: 0; -ENODEV: there is none; or the name could not be looked up,
 * which takes a descriptor. */
static inline int wf_interface(const char *name, unsigned *ret)
{
    int kept = errno;
    *ret = if_nametoindex(name);
    int err = *ret > 0 ? 0 : -errno;
    errno = kept;
    switch (-err) {
    case ENXIO: /* BSD, macOS */
        return -ENODEV;
    case ENOENT: /* glibc, having tried one kind of socket after the other */
        return -EMFILE;
    default:
        return err;
    }
}

#endif
