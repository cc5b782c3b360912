/* SPDX-License-Identifier: MIT */
/*
 * addr.c - addresses as values: made, asked, compared.
 */
#include "addr.h"

#include <weft/error.h>

#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#define PATH_AT offsetof(struct sockaddr_un, sun_path)

static const struct sockaddr_in *in_of(const weft_addr *a)
{
    return (const struct sockaddr_in *)(const void *)&a->sa;
}

static const struct sockaddr_in6 *in6_of(const weft_addr *a)
{
    return (const struct sockaddr_in6 *)(const void *)&a->sa;
}

static const struct sockaddr_un *un_of(const weft_addr *a)
{
    return (const struct sockaddr_un *)(const void *)&a->sa;
}

/* ---- made --------------------------------------------------------------- */

static int bad_port(unsigned port)
{
    return weft_fail_at(-EINVAL, NULL, 0, "port %u is over 65535", port);
}

int weft_addr_ipv4(weft_addr *a, uint32_t host, unsigned port)
{
    if (port > 65535) return bad_port(port);
    weft_addr made = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&made.sa;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(host);
    in->sin_port = htons((in_port_t)port);
    *a = made;
    return 0;
}

int weft_addr_ipv6(weft_addr *a, const uint8_t octets[16], uint32_t scope,
                   unsigned port)
{
    if (port > 65535) return bad_port(port);
    weft_addr made = {.len = sizeof(struct sockaddr_in6)};
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&made.sa;
    in6->sin6_family = AF_INET6;
    memcpy(&in6->sin6_addr, octets, 16);
    in6->sin6_scope_id = scope;
    in6->sin6_port = htons((in_port_t)port);
    *a = made;
    return 0;
}

/* `len` octets at `path`, with a 0 more if there is room. */
static void make_unix(weft_addr *a, const char *path, size_t len)
{
    weft_addr made = {.len = (socklen_t)(PATH_AT + len)};
    struct sockaddr_un *un = (struct sockaddr_un *)&made.sa;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len);
    *a = made;
}

static int too_long(const char *path)
{
    char quote[WF_ADDR_QUOTE];
    return weft_fail_at(-ENAMETOOLONG, NULL, 0, "Unix path %s: over %zu octets",
                        wf_addr_quote(quote, path),
                        sizeof un_of(NULL)->sun_path - 1);
}

int weft_addr_unix(weft_addr *a, const char *path)
{
    size_t len = strlen(path);
    if (len == 0) return weft_fail_at(-EINVAL, NULL, 0, "a Unix path is empty");
    if (len >= sizeof un_of(a)->sun_path) return too_long(path);
    make_unix(a, path, len + 1);
    return 0;
}

int weft_addr_abstract(weft_addr *a, const void *name, size_t len)
{
    char path[sizeof un_of(a)->sun_path] = {0};
    if (!WF_HAS_ABSTRACT)
        return weft_fail_at(-ENOTSUP, NULL, 0,
                            "abstract Unix names are of Linux alone");
    if (len == 0)
        return weft_fail_at(-EINVAL, NULL, 0, "an abstract name is empty");
    if (len >= sizeof path)
        return weft_fail_at(-ENAMETOOLONG, NULL, 0,
                            "an abstract name of %zu octets: over %zu", len,
                            sizeof path - 1);
    memcpy(path + 1, name, len);
    make_unix(a, path, len + 1);
    return 0;
}

static size_t least_of(int family)
{
    switch (family) {
    case AF_INET:
        return sizeof(struct sockaddr_in);
    case AF_INET6:
        return sizeof(struct sockaddr_in6);
    default:
        return PATH_AT;
    }
}

static int bad_length(int family, size_t len)
{
    return weft_fail_at(-EINVAL, NULL, 0, "%zu octets are no %s address", len,
                        family == AF_INET    ? "IPv4"
                        : family == AF_INET6 ? "IPv6"
                                             : "socket");
}

/* A path ends at its 0, whether that was counted, or what stood behind it. */
static int unix_from(weft_addr *a, const struct sockaddr *sa, size_t len)
{
    const size_t room = sizeof un_of(a)->sun_path;
    const char *path = (const char *)sa + PATH_AT;
    len -= PATH_AT;
    bool abstract = WF_HAS_ABSTRACT && len > 0 && path[0] == 0;
    if (abstract && len > room) return bad_length(AF_UNIX, len + PATH_AT);
    if (!abstract) len = strnlen(path, len);
    if (!abstract && len >= room)
        return weft_fail_at(-ENAMETOOLONG, NULL, 0,
                            "Unix path %.48s...: over %zu octets", path,
                            room - 1);
    make_unix(a, path, len);
    if (!abstract && len > 0) a->len++;
    return 0;
}

int weft_addr_from(weft_addr *a, const struct sockaddr *sa, socklen_t len)
{
    sa_family_t family;
    const size_t named = offsetof(struct sockaddr, sa_family) + sizeof family;
    if (len < named || len > sizeof a->sa) return bad_length(AF_UNSPEC, len);
    memcpy(&family, (const char *)sa + named - sizeof family, sizeof family);
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return weft_fail_at(-EAFNOSUPPORT, NULL, 0,
                            "an address of family %d: not IPv4, IPv6 or Unix",
                            (int)family);
    if (len < least_of(family)) return bad_length(family, len);
    if (family == AF_UNIX) return unix_from(a, sa, len);
    weft_addr made = {.len = (socklen_t)least_of(family)};
    memcpy(&made.sa, sa, made.len);
    *a = made;
    return 0;
}

/* ---- asked -------------------------------------------------------------- */

int weft_addr_family(const weft_addr *a)
{
    return a->sa.ss_family;
}

unsigned weft_addr_port(const weft_addr *a)
{
    if (a->sa.ss_family == AF_INET) return ntohs(in_of(a)->sin_port);
    if (a->sa.ss_family == AF_INET6) return ntohs(in6_of(a)->sin6_port);
    return 0;
}

int weft_addr_set_port(weft_addr *a, unsigned port)
{
    if (port > 65535) return bad_port(port);
    if (a->sa.ss_family == AF_INET)
        ((struct sockaddr_in *)&a->sa)->sin_port = htons((in_port_t)port);
    else if (a->sa.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&a->sa)->sin6_port = htons((in_port_t)port);
    else
        return weft_fail_at(-EAFNOSUPPORT, NULL, 0,
                            "port %u of what is no IP address", port);
    return 0;
}

uint32_t weft_addr_scope(const weft_addr *a)
{
    return a->sa.ss_family == AF_INET6 ? in6_of(a)->sin6_scope_id : 0;
}

int weft_addr_set_scope(weft_addr *a, uint32_t scope)
{
    if (a->sa.ss_family != AF_INET6)
        return weft_fail_at(-EAFNOSUPPORT, NULL, 0,
                            "scope %lu of what is no IPv6 address",
                            (unsigned long)scope);
    ((struct sockaddr_in6 *)&a->sa)->sin6_scope_id = scope;
    return 0;
}

size_t weft_addr_octets(const weft_addr *a, uint8_t ret_octets[16])
{
    switch (a->sa.ss_family) {
    case AF_INET:
        memcpy(ret_octets, &in_of(a)->sin_addr, 4);
        return 4;
    case AF_INET6:
        memcpy(ret_octets, &in6_of(a)->sin6_addr, 16);
        return 16;
    default:
        return 0;
    }
}

/* The octets behind the family, of which a path has those before its 0. */
static size_t unix_octets(const weft_addr *a)
{
    size_t room = sizeof un_of(a)->sun_path;
    if (a->sa.ss_family != AF_UNIX || a->len <= PATH_AT) return 0;
    size_t len = a->len - PATH_AT < room ? a->len - PATH_AT : room;
    if (WF_HAS_ABSTRACT && un_of(a)->sun_path[0] == 0) return len;
    return strnlen(un_of(a)->sun_path, len);
}

const char *weft_addr_path(const weft_addr *a)
{
    return unix_octets(a) > 0 && un_of(a)->sun_path[0] ? un_of(a)->sun_path
                                                       : NULL;
}

const void *weft_addr_abstract_name(const weft_addr *a, size_t *ret_len)
{
    size_t len = unix_octets(a);
    if (len == 0 || un_of(a)->sun_path[0]) return NULL;
    *ret_len = len - 1;
    return un_of(a)->sun_path + 1;
}

/* ---- what it is --------------------------------------------------------- */

/* The octets, of IPv4 if it leads there. */
static size_t reached(const weft_addr *a, uint8_t octets[16])
{
    size_t n = weft_addr_octets(a, octets);
    if (n < 16 || !wf_ipv6_is_mapped(octets)) return n;
    memmove(octets, octets + 12, 4);
    return 4;
}

bool weft_addr_is_mapped(const weft_addr *a)
{
    uint8_t octets[16];
    return weft_addr_octets(a, octets) == 16 && wf_ipv6_is_mapped(octets);
}

static bool is_all(const weft_addr *a, uint8_t last)
{
    uint8_t octets[16];
    size_t n = reached(a, octets);
    for (size_t i = 0; i + 1 < n; i++)
        if (octets[i]) return false;
    return n > 0 && octets[n - 1] == last;
}

bool weft_addr_is_any(const weft_addr *a)
{
    return is_all(a, 0);
}

bool weft_addr_is_loopback(const weft_addr *a)
{
    uint8_t octets[16];
    return reached(a, octets) == 4 ? octets[0] == 127 : is_all(a, 1);
}

bool weft_addr_is_multicast(const weft_addr *a)
{
    uint8_t octets[16];
    size_t n = reached(a, octets);
    return n == 4 ? octets[0] >> 4 == 14 : n == 16 && octets[0] == 0xff;
}

bool weft_addr_is_link_local(const weft_addr *a)
{
    uint8_t o[16];
    size_t n = reached(a, o);
    if (n == 4) return o[0] == 169 && o[1] == 254;
    return n == 16 && o[0] == 0xfe && (o[1] & 0xc0) == 0x80;
}

bool weft_addr_is_private(const weft_addr *a)
{
    uint8_t o[16];
    size_t n = reached(a, o);
    if (n == 4)
        return o[0] == 10 || (o[0] == 172 && o[1] >> 4 == 1) ||
               (o[0] == 192 && o[1] == 168);
    return n == 16 && (o[0] & 0xfe) == 0xfc;
}

bool weft_addr_unmap(weft_addr *a)
{
    uint8_t o[16];
    if (!weft_addr_is_mapped(a)) return false;
    (void)reached(a, o);
    uint32_t host = (uint32_t)o[0] << 24 | (uint32_t)o[1] << 16 |
                    (uint32_t)o[2] << 8 | o[3];
    return weft_addr_ipv4(a, host, weft_addr_port(a)) == 0;
}

/* ---- compared ----------------------------------------------------------- */

/* What counts of an address: a kind, octets, and two numbers. */
struct key {
    int kind, family;
    const void *octets;
    size_t len;
    uint32_t scope, port;
};

static struct key key_of(const weft_addr *a)
{
    struct key k = {.kind = 6, .family = a->sa.ss_family};
    k.port = weft_addr_port(a);
    k.scope = weft_addr_scope(a);
    switch (k.family) {
    case AF_INET:
        k.kind = 1, k.octets = &in_of(a)->sin_addr, k.len = 4;
        return k;
    case AF_INET6:
        k.kind = 2, k.octets = &in6_of(a)->sin6_addr, k.len = 16;
        return k;
    case AF_UNIX:
        k.octets = un_of(a)->sun_path, k.len = unix_octets(a);
        k.kind = k.len == 0 ? 3 : un_of(a)->sun_path[0] ? 4 : 5;
        return k;
    default: /* octets that nobody here can read */
        k.octets = &a->sa;
        k.len = a->len < sizeof a->sa ? a->len : sizeof a->sa;
        return k;
    }
}

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int weft_addr_compare(const weft_addr *a, const weft_addr *b)
{
    const struct key x = key_of(a), y = key_of(b);
    int sign = order((unsigned)x.kind, (unsigned)y.kind);
    if (sign == 0) sign = order((unsigned)x.family, (unsigned)y.family);
    if (sign == 0)
        sign = memcmp(x.octets, y.octets, x.len < y.len ? x.len : y.len);
    if (sign == 0) sign = order(x.len, y.len);
    if (sign == 0) sign = order(x.scope, y.scope);
    return sign ? sign : order(x.port, y.port);
}

bool weft_addr_equal(const weft_addr *a, const weft_addr *b)
{
    return weft_addr_compare(a, b) == 0;
}

/* Folded before it is multiplied as well: a high bit would else go through a
 * product alone, and another one behind it cancel that, whatever the seed. */
static uint64_t stir(uint64_t h, uint64_t value)
{
    h ^= value;
    h = (h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 29) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

uint64_t weft_addr_hash(const weft_addr *a, uint64_t seed)
{
    const struct key k = key_of(a);
    uint64_t h = stir(seed ^ UINT64_C(0x2545f4914f6cdd1d), (uint64_t)k.kind);
    for (size_t at = 0; at < k.len; at += 8) {
        uint64_t word = 0;
        memcpy(&word, (const char *)k.octets + at,
               k.len - at < 8 ? k.len - at : 8);
        h = stir(h, word);
    }
    h = stir(h, (uint64_t)k.scope << 32 | k.port);
    return stir(h, k.len);
}
