/* SPDX-License-Identifier: MIT */
/*
 * weft/names.h (exec) - the addresses of a name, by the system's own resolver.
 *
 *     struct sockaddr_storage found[8];
 *     int n = weft_getaddrinfo("db.example", AF_UNSPEC, found, 8);
 *     if (n < 0) return n;
 *
 * getaddrinfo(3) on a thread of WEFT_POOL_BLOCKING: it knows all that the
 * system is configured for (nsswitch.conf: files, DNS, mDNS, LDAP, ...), but
 * cannot be stopped, and takes as long as it takes. Most programs want
 * weft_dns_lookup (weft/dns.h), which waits as fibers do.
 */
#ifndef WEFT_NAMES_H
#define WEFT_NAMES_H

#include <weft/base.h>

#include <sys/socket.h>

WEFT_BEGIN_DECLS

/**
 * Up to `max` addresses of `host`, which may be a literal, in the order of the
 * system (RFC 6724), each once, with port 0. `family` is AF_UNSPEC, AF_INET or
 * AF_INET6. Cancelled, it returns at once, while the thread goes on with a copy
 * of what it needs; see weft_blocking_abandon for what that costs.
 *
 * Parks. Returns how many there are, also if that is more than `max`; -ENOENT:
 * no such name; -ENODATA: the name is there without such addresses;
 * -EHOSTUNREACH: nobody answered, try later; -EREMOTEIO (where the system has no
 * such code, EREMOTE): the lookup failed for good; -EINVAL: no host, or one of
 * more than 255 octets; -EAFNOSUPPORT; -ECANCELED; -ENOMEM, -EMFILE, -EAGAIN.
 */
WEFT_PARKS int weft_getaddrinfo(const char *host, int family,
                                struct sockaddr_storage ret[], size_t max);

WEFT_END_DECLS

#endif
