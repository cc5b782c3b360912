/* SPDX-License-Identifier: MIT */
/*
 * dns_conf.c - resolv.conf(5), and the names that its search list makes.
 */
#include "dns_conf.h"

#include "dns_lines.h"
#include "dns_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

static bool piece_is(struct wf_piece p, const char *text)
{
    size_t len = strlen(text);
    return wf_piece_len(p) == len && memcmp(p.at, text, len) == 0;
}

/* The next word, if it is no comment. */
static bool next_value(struct wf_piece *line, struct wf_piece *ret)
{
    if (!wf_next_word(line, ret)) return false;
    if (*ret->at != '#' && *ret->at != ';') return true;
    line->at = line->end;
    return false;
}

/* ---- servers ------------------------------------------------------------- */

/* Digits and nothing else; what is over `most` counts as that plus one. */
static bool parse_number(struct wf_piece p, unsigned most, unsigned *ret)
{
    unsigned n = 0;
    if (p.at == p.end) return false;
    for (; p.at < p.end; p.at++) {
        if (*p.at < '0' || *p.at > '9') return false;
        n = n * 10 + (unsigned)(*p.at - '0');
        if (n > most) n = most + 1;
    }
    *ret = n;
    return true;
}

static int set_port(weft_addr *a, unsigned port)
{
    if (a->sa.ss_family == AF_INET)
        ((struct sockaddr_in *)&a->sa)->sin_port = htons((in_port_t)port);
    else
        ((struct sockaddr_in6 *)&a->sa)->sin6_port = htons((in_port_t)port);
    return 0;
}

/* Where the port's colon is, or NULL; *host is then without brackets. One colon
 * alone is IPv4's; an IPv6 address has two at the least. */
static const char *split(struct wf_piece *host)
{
    size_t len = wf_piece_len(*host);
    const char *colon = memchr(host->at, ':', len), *port = colon;
    if (host->at[0] == '[') {
        const char *close = memchr(host->at, ']', len);
        port = close && close + 1 < host->end ? close + 1 : NULL;
        if (close) *host = (struct wf_piece){host->at + 1, close};
    } else if (colon &&
               memchr(colon + 1, ':', (size_t)(host->end - colon - 1))) {
        port = NULL;
    } else if (colon) {
        host->end = colon;
    }
    return port;
}

static int parse_server(struct wf_piece word, weft_addr *ret)
{
    struct wf_piece host = word, port;
    unsigned number = WF_DNS_PORT;
    const char *colon = split(&host);
    if (colon) {
        port = (struct wf_piece){colon + 1, word.end};
        if (*colon != ':' || !parse_number(port, 65535, &number) ||
            number == 0 || number > 65535)
            return -EINVAL;
    }
    if (wf_hosts_addr(host.at, wf_piece_len(host), ret) < 0) return -EINVAL;
    return set_port(ret, number);
}

static void add_server(struct wf_dns_conf *c, struct wf_piece line)
{
    struct wf_piece word;
    if (c->server_count == WF_DNS_SERVERS || !next_value(&line, &word)) return;
    /* As libc has it: nameserver 127.0.0.1#local */
    for (const char *at = word.at; at < word.end; at++)
        if (*at == '#' || *at == ';') word.end = at;
    if (parse_server(word, &c->servers[c->server_count]) == 0)
        c->server_count++;
}

int wf_dns_conf_servers(struct wf_dns_conf *c, const char *text)
{
    weft_addr servers[WF_DNS_SERVERS];
    unsigned n = 0;
    for (;;) {
        text += strspn(text, ", \t\r\n");
        if (!*text) break;
        size_t len = strcspn(text, ", \t\r\n");
        weft_addr a;
        if (parse_server(wf_piece_of(text, len), &a) < 0) return -EINVAL;
        if (n == WF_DNS_SERVERS) return -E2BIG;
        servers[n++] = a;
        text += len;
    }
    if (n == 0) return -EINVAL;
    memcpy(c->servers, servers, n * sizeof *servers);
    c->server_count = n;
    return 0;
}

/* ---- the search list ----------------------------------------------------- */

static size_t search_used(const struct wf_dns_conf *c)
{
    const char *at = c->search;
    for (unsigned i = 0; i < c->search_count; i++)
        at += strlen(at) + 1;
    return (size_t)(at - c->search);
}

/* The words of `line`, `most` of them, become the list. */
static void set_search(struct wf_dns_conf *c, struct wf_piece line,
                       unsigned most)
{
    struct wf_piece word;
    char name[WF_DNS_NAME];
    c->search_count = 0;
    c->search_given = true;
    while (c->search_count < most && next_value(&line, &word)) {
        if (!wf_piece_copy(word, name, sizeof name)) continue;
        if (wf_dns_name_absolute(name, name) < 0) continue;
        size_t used = search_used(c), len = strlen(name) + 1;
        if (len > sizeof c->search - used) return;
        memcpy(c->search + used, name, len);
        c->search_count++;
    }
}

void wf_dns_conf_search(struct wf_dns_conf *c, const char *text)
{
    if (text) set_search(c, wf_piece_of(text, strlen(text)), WF_DNS_SEARCHES);
}

void wf_dns_conf_host_name(struct wf_dns_conf *c, const char *host)
{
    const char *dot = strchr(host, '.');
    if (c->search_given || !dot) return;
    set_search(c, wf_piece_of(dot + 1, strlen(dot + 1)), 1);
    c->search_given = false;
}

/* ---- options ------------------------------------------------------------- */

/* name:n, from `least`, capped at `most`. */
static bool take_number(struct wf_piece word, const char *name, unsigned least,
                        unsigned most, unsigned *ret)
{
    size_t len = strlen(name);
    unsigned n;
    if (wf_piece_len(word) <= len || memcmp(word.at, name, len) != 0)
        return false;
    word.at += len;
    if (!parse_number(word, most, &n)) return false;
    *ret = n > most ? most : n < least ? least : n;
    return true;
}

static void take_option(struct wf_dns_conf *c, struct wf_piece word)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"rotate", &c->rotate},
        {"use-vc", &c->use_vc},
        {"single-request", &c->single_request},
        {"no-aaaa", &c->no_aaaa},
        {"no-tld-query", &c->no_tld_query},
        {"no-reload", &c->no_reload},
    };
    if (take_number(word, "ndots:", 0, WF_DNS_NDOTS_MAX, &c->ndots) ||
        take_number(word, "attempts:", 1, WF_DNS_ATTEMPTS_MAX, &c->attempts))
        return;
    if (take_number(word, "timeout:", 1, WF_DNS_TIMEOUT_MAX, &c->timeout))
        c->timeout_given = true;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (piece_is(word, flags[i].name)) *flags[i].flag = true;
}

static void take_options(struct wf_dns_conf *c, struct wf_piece line)
{
    struct wf_piece word;
    while (next_value(&line, &word))
        take_option(c, word);
}

void wf_dns_conf_options(struct wf_dns_conf *c, const char *text)
{
    if (text) take_options(c, wf_piece_of(text, strlen(text)));
}

/* ---- the file ------------------------------------------------------------ */

/* A list with no words in it changes nothing, as in libc. */
static void take_search(struct wf_dns_conf *c, struct wf_piece line,
                        unsigned most)
{
    struct wf_piece rest = line, word;
    if (next_value(&rest, &word)) set_search(c, line, most);
}

static void take_line(struct wf_dns_conf *c, struct wf_piece line)
{
    struct wf_piece keyword = {line.at, line.at};
    while (keyword.end < line.end && !wf_is_blank(*keyword.end))
        keyword.end++;
    line.at = keyword.end;
    if (piece_is(keyword, "nameserver"))
        add_server(c, line);
    else if (piece_is(keyword, "search"))
        take_search(c, line, WF_DNS_SEARCHES);
    else if (piece_is(keyword, "domain"))
        take_search(c, line, 1);
    else if (piece_is(keyword, "options"))
        take_options(c, line);
}

void wf_dns_conf_parse(struct wf_dns_conf *c, const char *text, size_t len)
{
    struct wf_piece rest = wf_piece_of(text, len), line;
    *c = (struct wf_dns_conf){.ndots = 1, .timeout = 5, .attempts = 2};
    while (wf_next_line(&rest, &line))
        take_line(c, line);
    if (c->server_count == 0) (void)wf_dns_conf_servers(c, "127.0.0.1");
}

/* ---- names --------------------------------------------------------------- */

/* Is the dot at its end one, and no part of a label? */
static bool ends_in_dot(const char *name)
{
    size_t len = strlen(name), slashes = 0;
    if (len == 0 || name[len - 1] != '.') return false;
    while (slashes < len - 1 && name[len - 2 - slashes] == '\\')
        slashes++;
    return slashes % 2 == 0;
}

void wf_dns_names_init(struct wf_dns_names *n, const struct wf_dns_conf *c,
                       const char *name)
{
    struct wf_dns_wire w;
    *n = (struct wf_dns_names){.conf = c, .name = name, .domain = c->search};
    if (wf_dns_wire_of(&w, name) < 0) return;
    unsigned labels = wf_dns_wire_labels(&w);
    unsigned dots = labels ? labels - 1 : 0;
    bool absolute = ends_in_dot(name);
    n->first = absolute || dots >= c->ndots;
    n->last = !n->first && !(c->no_tld_query && dots == 0);
    n->left = absolute ? 0 : c->search_count;
}

/* name.domain; false: over 255 octets. */
static bool join(const char *name, const char *domain, char *ret)
{
    struct wf_dns_wire w, d;
    if (wf_dns_wire_of(&w, name) < 0 || wf_dns_wire_of(&d, domain) < 0)
        return false;
    size_t before = w.len - 1; /* the root's 0 goes */
    if (d.len > sizeof w.octets - before) return false;
    memcpy(w.octets + before, d.octets, d.len);
    w.len = before + d.len;
    wf_dns_wire_text(&w, ret);
    return true;
}

int wf_dns_names_next(struct wf_dns_names *n, char *ret)
{
    bool as_it_is = n->first;
    n->first = false;
    while (!as_it_is && n->left > 0) {
        const char *domain = n->domain;
        n->domain += strlen(domain) + 1;
        n->left--;
        if (strcmp(domain, ".") != 0) {
            if (join(n->name, domain, ret)) return 1;
        } else if (n->last) {
            n->last = false;
            as_it_is = true;
        }
    }
    if (!as_it_is) {
        as_it_is = n->last;
        n->last = false;
    }
    if (!as_it_is) return 0;
    return wf_dns_name_absolute(n->name, ret) == 0;
}
