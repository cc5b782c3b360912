/* SPDX-License-Identifier: MIT */
/*
 * fuzz_addr.c - whatever is read is written as the one text of it, and read
 * back as the same; and octets of the kernel's are looked at before use.
 */
#include "fuzz.h"

#include <weft/addr.h>

#include <string.h>

enum { MOST = 600 };

static bool is_text(const char *text, size_t room)
{
    return strlen(text) > 0 && strlen(text) + 1 < room;
}

/* Compared, hashed and asked, an address and itself. */
static void check_same(const weft_addr *a, const weft_addr *b)
{
    FUZZ_CHECK(weft_addr_equal(a, b) && weft_addr_equal(b, a));
    FUZZ_CHECK(weft_addr_hash(a, 1) == weft_addr_hash(b, 1));
    FUZZ_CHECK(weft_addr_port(a) == weft_addr_port(b));
    FUZZ_CHECK(weft_addr_scope(a) == weft_addr_scope(b));
}

static void check_address(const weft_addr *a)
{
    char text[WEFT_ADDR_TEXT], again[WEFT_ADDR_TEXT], host[WEFT_ADDR_TEXT];
    weft_addr b = {.len = 0};
    (void)weft_addr_format(a, text, sizeof text);
    FUZZ_CHECK(is_text(text, sizeof text));
    if (strcmp(text, "unix:") == 0 || strcmp(text, "unix:@") == 0) return;
    FUZZ_CHECK(weft_addr_parse(&b, text) == 0);
    check_same(a, &b);
    FUZZ_CHECK(strcmp(weft_addr_format(&b, again, sizeof again), text) == 0);
    if (weft_addr_family(a) == AF_UNIX) return;

    (void)weft_addr_format_host(a, host, sizeof host);
    FUZZ_CHECK(weft_addr_parse_host(&b, host, weft_addr_port(a)) == 0);
    check_same(a, &b);
    unsigned port;
    FUZZ_CHECK(weft_addr_split(text, again, sizeof again, &port) == 0);
    FUZZ_CHECK(strcmp(again, host) == 0 && port == weft_addr_port(a));
    (void)weft_addr_unmap(&b);
    FUZZ_CHECK(!weft_addr_is_mapped(&b));
}

static void check_split(const char *text)
{
    char host[WEFT_HOST_TEXT];
    weft_addr a;
    unsigned port = 70000;
    if (weft_addr_split(text, host, sizeof host, &port) < 0) return;
    FUZZ_CHECK(port <= 65535 && strlen(host) < sizeof host);
    if (weft_addr_parse_host(&a, host, port) == 0) check_address(&a);
}

static void check_prefix(const char *text)
{
    char again[WEFT_ADDR_TEXT];
    weft_addr_prefix p, q;
    weft_addr a;
    if (weft_addr_prefix_parse(&p, text) < 0) return;
    (void)weft_addr_prefix_format(&p, again, sizeof again);
    FUZZ_CHECK(weft_addr_prefix_parse(&q, again) == 0);
    FUZZ_CHECK(q.family == p.family && q.bits == p.bits);
    FUZZ_CHECK(memcmp(p.octets, q.octets, sizeof p.octets) == 0);
    *strchr(again, '/') = 0;
    FUZZ_CHECK(weft_addr_parse_host(&a, again, 0) == 0);
    if (p.bits >= 96 || p.family == AF_INET || !weft_addr_is_mapped(&a))
        FUZZ_CHECK(weft_addr_prefix_has(&p, &a));
}

static void check_sockaddr(const uint8_t *data, size_t size)
{
    struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
    static const sa_family_t families[] = {AF_INET, AF_INET6, AF_UNIX,
                                           AF_UNSPEC};
    weft_addr a;
    memcpy(&sa, data, size < sizeof sa ? size : sizeof sa);
    if (size > 0) sa.ss_family = families[data[0] & 3];
    if (weft_addr_from(&a, (const struct sockaddr *)&sa, (socklen_t)size) == 0)
        check_address(&a);
}

FUZZ_TARGET(addr)
{
    char text[MOST + 1] = "";
    weft_addr a;
    size_t len = size < MOST ? size : MOST;
    if (len > 0) memcpy(text, data, len);
    text[len] = 0;
    if (weft_addr_parse(&a, text) == 0) check_address(&a);
    if (weft_addr_parse_host(&a, text, 80) == 0) check_address(&a);
    check_split(text);
    check_prefix(text);
    check_sockaddr(data, size);
}
