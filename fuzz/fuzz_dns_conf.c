/* SPDX-License-Identifier: MIT */
/*
 * fuzz_dns_conf.c - a line, and under it a text that is read as resolv.conf and
 * as hosts. The line is a name to look for, and what a variable holds.
 */
#include "fuzz.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "net/dns_conf.h"

enum { LINE = 1200, ADDRS = 8 };

static void check_conf(const struct wf_dns_conf *c)
{
    const char *domain = c->search;
    char name[WF_DNS_NAME];
    FUZZ_CHECK(c->server_count > 0 && c->server_count <= WF_DNS_SERVERS);
    for (unsigned i = 0; i < c->server_count; i++)
        FUZZ_CHECK(weft_addr_port(&c->servers[i]) > 0);
    FUZZ_CHECK(c->search_count <= WF_DNS_SEARCHES);
    for (unsigned i = 0; i < c->search_count; i++) {
        FUZZ_CHECK(wf_dns_name_absolute(domain, name) == 0);
        FUZZ_CHECK(strcmp(domain, name) == 0);
        domain += strlen(domain) + 1;
        FUZZ_CHECK(domain <= c->search + sizeof c->search);
    }
    FUZZ_CHECK(c->ndots <= WF_DNS_NDOTS_MAX);
    FUZZ_CHECK(c->timeout > 0 && c->timeout <= WF_DNS_TIMEOUT_MAX);
    FUZZ_CHECK(c->attempts > 0 && c->attempts <= WF_DNS_ATTEMPTS_MAX);
}

static void check_names(const struct wf_dns_conf *c, const char *line)
{
    struct wf_dns_names names;
    char name[WF_DNS_NAME];
    unsigned n = 0;
    wf_dns_names_init(&names, c, line);
    for (; wf_dns_names_next(&names, name); n++)
        FUZZ_CHECK(wf_dns_name_check(name) == 0);
    FUZZ_CHECK(n <= c->search_count + 1);
    if (wf_dns_name_check(line) < 0) FUZZ_CHECK(n == 0);
}

static void check_hosts(const char *text, size_t len, const char *line)
{
    weft_addr all[ADDRS], some[ADDRS];
    char name[WF_DNS_NAME];
    size_t n = wf_hosts_lookup(text, len, line, AF_UNSPEC, all, ADDRS);
    size_t v4 = wf_hosts_lookup(text, len, line, AF_INET, some, ADDRS);
    size_t v6 = wf_hosts_lookup(text, len, line, AF_INET6, some, ADDRS);
    FUZZ_CHECK(n <= ADDRS && n <= v4 + v6);
    for (size_t i = 0; i < n; i++) {
        /* Found by a name: so it has one, of its line or of another. */
        FUZZ_CHECK(wf_hosts_name(text, len, &all[i], name) == 1);
        FUZZ_CHECK(wf_dns_name_check(name) == 0);
        size_t once = wf_hosts_lookup(text, len, line, AF_UNSPEC, some, i + 1);
        FUZZ_CHECK(once == i + 1);
        FUZZ_CHECK(memcmp(&some[i].sa, &all[i].sa, all[i].len) == 0);
    }
}

FUZZ_TARGET(dns_conf)
{
    static struct wf_dns_conf c;
    char line[LINE + 1];
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t len = end ? (size_t)(end - data) : size;
    size_t rest = end ? size - len - 1 : 0;
    const char *text = end ? (const char *)end + 1 : NULL;
    if (len > LINE) len = LINE;
    if (len) memcpy(line, data, len);
    line[len] = 0;

    wf_dns_conf_parse(&c, text, rest);
    check_conf(&c);
    check_names(&c, line);
    wf_dns_conf_host_name(&c, line);
    check_conf(&c);
    wf_dns_conf_options(&c, line);
    wf_dns_conf_search(&c, line);
    int err = wf_dns_conf_servers(&c, line);
    FUZZ_CHECK(err == 0 || err == -EINVAL || err == -E2BIG);
    check_conf(&c);
    check_names(&c, line);
    check_hosts(text, rest, line);
}
