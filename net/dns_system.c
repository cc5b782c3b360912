/* SPDX-License-Identifier: MIT */
/*
 * dns_system.c - names by the system's resolver.
 */
#include <weft/dns.h>

#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/names.h>

#include <netinet/in.h>

int weft_dns_lookup_system(const char *host, int family, weft_addr ret[],
                           size_t max)
{
    struct sockaddr_storage found[WEFT_DNS_ADDRS];
    size_t room = max < WEFT_DNS_ADDRS ? max : WEFT_DNS_ADDRS;
    int err = weft_checkpoint();
    if (err < 0) return err;
    if (max == 0)
        return weft_fail_at(-EINVAL, NULL, 0, "%.60s: no room for an address",
                            host);
    int all = weft_getaddrinfo(host, family, found, room);
    if (all < 0) return all;
    size_t n = (size_t)all < room ? (size_t)all : room;
    for (size_t i = 0; i < n; i++) {
        bool six = found[i].ss_family == AF_INET6;
        ret[i] = (weft_addr){.sa = found[i],
                             .len = six ? sizeof(struct sockaddr_in6)
                                        : sizeof(struct sockaddr_in)};
    }
    return (int)n;
}
