/* SPDX-License-Identifier: MIT */
/* fuzz_dns_name.c - two texts, with a line's end between, that may be names. */
#include "fuzz.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "net/dns_msg.h"

enum { LONGEST = 2000 };

/* A query with it, and back. */
static void check_query(const char *name)
{
    uint8_t query[WF_DNS_QUERY];
    char text[WF_DNS_NAME];
    uint16_t type, class_;
    ssize_t n =
        wf_dns_write_query(query, sizeof query, 1, name, WF_DNS_A, true);
    FUZZ_CHECK(n > 0);
    n = wf_dns_read_question(query, (size_t)n, text, &type, &class_);
    FUZZ_CHECK(n == 0 && wf_dns_name_equal(name, text));
}

static void check_name(const char *name)
{
    uint8_t octets[WF_DNS_WIRE], again[WF_DNS_WIRE];
    char text[WF_DNS_NAME];
    ssize_t n = wf_dns_write_name(octets, sizeof octets, name);
    FUZZ_CHECK(wf_dns_name_check(name) == (n < 0 ? -EINVAL : 0));
    FUZZ_CHECK(wf_dns_name_absolute(name, text) == (n < 0 ? -EINVAL : 0));
    if (n < 0) {
        FUZZ_CHECK(n == -EINVAL && !wf_dns_name_is_host(name));
        return;
    }
    FUZZ_CHECK(wf_dns_write_name(again, sizeof again, text) == n);
    FUZZ_CHECK(memcmp(octets, again, (size_t)n) == 0);
    FUZZ_CHECK(wf_dns_write_name(again, (size_t)n - 1, text) == -ENOBUFS);
    FUZZ_CHECK(!wf_dns_name_is_host(name) || strlen(text) <= 253);
    check_query(name);
}

/* The octets of an address are a host's name under arpa. */
static void check_reverse(const uint8_t *data, size_t size)
{
    uint8_t octets[16] = {0};
    char name[WF_DNS_NAME];
    memcpy(octets, data, size < sizeof octets ? size : sizeof octets);
    FUZZ_CHECK(wf_dns_name_of_addr(AF_INET, octets, name) == 0);
    FUZZ_CHECK(wf_dns_name_is_host(name));
    FUZZ_CHECK(wf_dns_name_within(name, "in-addr.arpa"));
    FUZZ_CHECK(wf_dns_name_of_addr(AF_INET6, octets, name) == 0);
    FUZZ_CHECK(wf_dns_name_is_host(name));
}

FUZZ_TARGET(dns_name)
{
    char text[LONGEST + 1], one[WF_DNS_NAME], two[WF_DNS_NAME];
    if (size > LONGEST) size = LONGEST;
    if (size) memcpy(text, data, size);
    text[size] = 0;
    check_reverse((const uint8_t *)text, size);
    char *other = strchr(text, '\n');
    if (other)
        *other++ = 0;
    else
        other = text;
    check_name(text);
    check_name(other);
    bool equal = wf_dns_name_equal(text, other);
    bool names = wf_dns_name_canonical(text, one) == 0 &&
                 wf_dns_name_canonical(other, two) == 0;
    FUZZ_CHECK(equal == (names && strcmp(one, two) == 0));
    bool within = wf_dns_name_within(text, other);
    FUZZ_CHECK(equal == (within && wf_dns_name_within(other, text)));
}
