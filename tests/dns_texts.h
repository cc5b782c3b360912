/* SPDX-License-Identifier: MIT */
/*
 * dns_texts.h - addresses and failures as text, for the tests of names.
 */
#ifndef TESTS_DNS_TEXTS_H
#define TESTS_DNS_TEXTS_H

#include <weft/dns.h>
#include <weft/error.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "dns_server.h"
#include "harness.h"

/* "2001:db8::1 192.0.2.1", or "-2". Checks that the ports are 0. */
static inline const char *dns_text_of(const weft_addr *a, int n)
{
    static char text[2048];
    char one[INET6_ADDRSTRLEN];
    if (n < 0) {
        (void)snprintf(text, sizeof text, "%d %s", n, weft_strerror(n));
        return text;
    }
    text[0] = 0;
    for (int i = 0; i < n; i++) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&a[i].sa;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a[i].sa;
        bool six = a[i].sa.ss_family == AF_INET6;
        CHECK(six || a[i].sa.ss_family == AF_INET);
        CHECK_EQ(six ? in6->sin6_port : in->sin_port, 0);
        CHECK_EQ(a[i].len, six ? sizeof *in6 : sizeof *in);
        (void)inet_ntop(a[i].sa.ss_family,
                        six ? (const void *)&in6->sin6_addr : &in->sin_addr,
                        one, sizeof one);
        strcat(strcat(text, i ? " " : ""), one);
    }
    return text;
}

static inline const char *dns_look_up(weft_resolver *r, const char *host,
                                      int family)
{
    weft_addr found[WEFT_DNS_ADDRS];
    int n = weft_dns_lookup(r, host, family, found, WEFT_DNS_ADDRS);
    CHECK(n != 0);
    return dns_text_of(found, n);
}

/* It fails so, and the text of that has all of these, up to a NULL, in it. */
static inline void dns_check_failure(int got, int code, const char *one,
                                     const char *other)
{
    CHECK_EQ(got, code);
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    CHECK_EQ(e->code, code);
    const char *const parts[] = {one, other};
    for (int i = 0; i < 2; i++)
        if (parts[i] && !strstr(e->msg, parts[i]))
            test_fail(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", parts[i],
                      e->msg);
}

static inline void dns_fails(weft_resolver *r, const char *host, int code,
                             const char *one, const char *other)
{
    weft_addr found[2];
    memset(found, 0x5a, sizeof found);
    weft_addr before[2];
    memcpy(before, found, sizeof found);
    int got = weft_dns_lookup(r, host, AF_UNSPEC, found, 2);
    dns_check_failure(got, code, one, other);
    CHECK_EQ(memcmp(found, before, sizeof found), 0);
}

#endif
