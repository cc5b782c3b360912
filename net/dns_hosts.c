/* SPDX-License-Identifier: MIT */
/*
 * dns_hosts.c - addresses by name and names by address, from the text of a
 * hosts file.
 *
 * A line is an address and names; # begins a comment anywhere. A line whose
 * first word is no address is passed over, and a word that is no name.
 */
#include "dns_conf.h"
#include "dns_lines.h"
#include "dns_wire.h"
#include "interface.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

/* Of a link, by number or by name; 0: it is none. */
static uint32_t scope_of(const char *text)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && number <= UINT32_MAX; at++)
        number = number * 10 + (uint64_t)(*at - '0');
    if (*at) {
        unsigned named;
        return wf_interface(text, &named) == 0 ? named : 0;
    }
    return number <= UINT32_MAX ? (uint32_t)number : 0;
}

static int parse_v6(char *text, weft_addr *ret)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ret->sa;
    char *scope = strchr(text, '%');
    if (scope) *scope++ = 0;
    if (inet_pton(AF_INET6, text, &in6->sin6_addr) != 1) return -EINVAL;
    if (scope) in6->sin6_scope_id = scope_of(scope);
    if (scope && in6->sin6_scope_id == 0) return -EINVAL;
    in6->sin6_family = AF_INET6;
    ret->len = sizeof *in6;
    return 0;
}

int wf_hosts_addr(const char *text, size_t len, weft_addr *ret)
{
    char copy[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
    weft_addr a = {.len = 0};
    struct sockaddr_in *in = (struct sockaddr_in *)&a.sa;
    if (!wf_piece_copy(wf_piece_of(text, len), copy, sizeof copy))
        return -EINVAL;
    if (inet_pton(AF_INET, copy, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        a.len = sizeof *in;
    } else if (parse_v6(copy, &a) < 0) {
        return -EINVAL;
    }
    *ret = a;
    return 0;
}

static const struct sockaddr_in6 *v6(const weft_addr *a)
{
    return (const struct sockaddr_in6 *)&a->sa;
}

static bool same_addr(const weft_addr *a, const weft_addr *b)
{
    if (a->sa.ss_family != b->sa.ss_family) return false;
    if (a->sa.ss_family == AF_INET6)
        return memcmp(&v6(a)->sin6_addr, &v6(b)->sin6_addr,
                      sizeof v6(a)->sin6_addr) == 0;
    return a->sa.ss_family == AF_INET &&
           ((const struct sockaddr_in *)&a->sa)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)&b->sa)->sin_addr.s_addr;
}

static uint32_t scope(const weft_addr *a)
{
    return a->sa.ss_family == AF_INET6 ? v6(a)->sin6_scope_id : 0;
}

/* The next line with words: its first one, and the names behind. */
static bool next_entry(struct wf_piece *text, struct wf_piece *ret_addr,
                       struct wf_piece *ret_names)
{
    struct wf_piece line;
    while (wf_next_line(text, &line)) {
        size_t len = wf_piece_len(line);
        const char *comment = len ? memchr(line.at, '#', len) : NULL;
        if (comment) line.end = comment;
        if (!wf_next_word(&line, ret_addr)) continue;
        *ret_names = line;
        return true;
    }
    return false;
}

/* `name` is canonical, and has no dot at its end. */
static bool word_is(struct wf_piece word, const char *name)
{
    for (; word.at < word.end && *name; word.at++, name++)
        if (wf_dns_lower((uint8_t)*word.at) != (uint8_t)*name) return false;
    if (word.at < word.end && *word.at == '.') word.at++;
    return word.at == word.end && !*name;
}

static bool names_hold(struct wf_piece names, const char *name)
{
    struct wf_piece word;
    while (wf_next_word(&names, &word))
        if (word_is(word, name)) return true;
    return false;
}

static bool is_among(const weft_addr *a, const weft_addr *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (same_addr(a, &list[i]) && scope(a) == scope(&list[i])) return true;
    return false;
}

/* Of a file of a hundred thousand lines most are done with by their names. */
size_t wf_hosts_lookup(const char *text, size_t len, const char *name,
                       int family, weft_addr *ret, size_t max)
{
    struct wf_piece rest = wf_piece_of(text, len), word, names;
    char key[WF_DNS_NAME];
    weft_addr a;
    size_t n = 0;
    if (wf_dns_name_canonical(name, key) < 0) return 0;
    while (n < max && next_entry(&rest, &word, &names)) {
        if (!names_hold(names, key)) continue;
        if (wf_hosts_addr(word.at, wf_piece_len(word), &a) < 0) continue;
        if (family != AF_UNSPEC && family != a.sa.ss_family) continue;
        if (!is_among(&a, ret, n)) ret[n++] = a;
    }
    return n;
}

/* The first of these that is a name. */
static bool take_name(struct wf_piece names, char *ret)
{
    struct wf_piece word;
    char name[WF_DNS_NAME];
    while (wf_next_word(&names, &word))
        if (wf_piece_copy(word, name, sizeof name) &&
            wf_dns_name_absolute(name, ret) == 0)
            return true;
    return false;
}

int wf_hosts_name(const char *text, size_t len, const weft_addr *a, char *ret)
{
    struct wf_piece rest = wf_piece_of(text, len), word, names;
    weft_addr here;
    while (next_entry(&rest, &word, &names)) {
        if (wf_hosts_addr(word.at, wf_piece_len(word), &here) < 0) continue;
        if (!same_addr(&here, a)) continue;
        if (scope(&here) && scope(a) && scope(&here) != scope(a)) continue;
        if (take_name(names, ret)) return 1;
    }
    return 0;
}
