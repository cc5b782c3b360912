/* SPDX-License-Identifier: MIT */
/*
 * dns.c - the addresses of a host.
 *
 * In this order, and the first that knows has it: a literal, localhost, hosts,
 * the servers for each name of the search list. Both families are asked for at
 * the same time, each in a fiber.
 */
#include "dns_resolver.h"

#include <weft/fiber.h>
#include <weft/gather.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct lookup {
    const char *host;
    int family;
    weft_addr *ret;
    size_t max;
    bool more; /* names may be looked for, behind the one at hand */
    int code;  /* of the most telling failure */
    char why[WF_DNS_WHY];
};

/* One family of one name. */
struct side {
    weft_resolver *r;
    const char *name;
    uint16_t type;
    struct wf_dns_answer *answer;
    int code;
};

/* ---- names --------------------------------------------------------------- */

static int refuse(const char *host, const char *why)
{
    return weft_fail_at(-EINVAL, NULL, 0, "\"%.40s\" is no host name%s", host,
                        why);
}

static bool is_one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

/* As libc would take for an address, of fewer than four parts or not decimal;
 * no top-level domain is such (RFC 3696, 2). */
static bool ends_in_number(const char *host, size_t len)
{
    static const char digits[] = "0123456789", hex[] = "0123456789abcdefABCDEF";
    if (len > 0 && host[len - 1] == '.') len--;
    size_t from = len;
    while (from > 0 && host[from - 1] != '.')
        from--;
    const char *set = digits;
    if (len - from >= 2 && host[from] == '0' && is_one_of(host[from + 1], "xX"))
        from += 2, set = hex;
    else if (from == len)
        return false;
    while (from < len && is_one_of(host[from], set))
        from++;
    return from == len;
}

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80) return false;
    return true;
}

static int check_host(const char *host)
{
    if (!*host) return refuse(host, "");
    if (!is_ascii(host))
        return refuse(host, " in ASCII: give its A-label form, xn--...");
    if (strchr(host, ':')) return refuse(host, " and no IPv6 address");
    if (ends_in_number(host, strlen(host)))
        return refuse(host, " and no IPv4 address of four numbers");
    if (strchr(host, '\\') || !wf_dns_name_is_host(host))
        return refuse(host, "");
    return 0;
}

bool wf_dns_never_exists(const char *name)
{
    return wf_dns_name_within(name, "invalid") ||
           wf_dns_name_within(name, "onion");
}

/* ---- without servers ----------------------------------------------------- */

static bool wants(const struct lookup *l, int family)
{
    return l->family == AF_UNSPEC || l->family == family;
}

static int literal(const struct lookup *l, const weft_addr *a)
{
    if (!wants(l, a->sa.ss_family))
        return weft_fail_at(-ENODATA, NULL, 0,
                            "%.60s: an address of the other family", l->host);
    l->ret[0] = *a;
    return 1;
}

static weft_addr address(int family, const void *octets)
{
    weft_addr a = {.len = 0};
    if (family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a.sa;
        in6->sin6_family = AF_INET6;
        memcpy(&in6->sin6_addr, octets, sizeof in6->sin6_addr);
        a.len = sizeof *in6;
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)&a.sa;
        in->sin_family = AF_INET;
        memcpy(&in->sin_addr, octets, sizeof in->sin_addr);
        a.len = sizeof *in;
    }
    return a;
}

static int loopback(const struct lookup *l)
{
    static const uint8_t four[4] = {127, 0, 0, 1}, six[16] = {[15] = 1};
    size_t n = 0;
    if (wants(l, AF_INET6)) l->ret[n++] = address(AF_INET6, six);
    if (wants(l, AF_INET) && n < l->max) l->ret[n++] = address(AF_INET, four);
    return (int)n;
}

/* Of so many of IPv6 and of IPv4, how many of the first find room? */
static size_t share(size_t six, size_t four, size_t max)
{
    size_t half = max - max / 2;
    if (six + four <= max) return six;
    if (four < max / 2) return max - four;
    return six < half ? six : half;
}

/* A name that is there has no addresses but these: servers are not asked for
 * those of the other family. */
static int from_hosts(const struct lookup *l, const weft_file_data *hosts)
{
    weft_addr six[WEFT_DNS_ADDRS], four[WEFT_DNS_ADDRS];
    if (!hosts->data) return 0;
    size_t n6 = wf_hosts_lookup(hosts->data, hosts->len, l->host, AF_INET6, six,
                                WEFT_DNS_ADDRS);
    size_t n4 = wf_hosts_lookup(hosts->data, hosts->len, l->host, AF_INET, four,
                                WEFT_DNS_ADDRS);
    if (n6 + n4 == 0) return 0;
    if (!wants(l, AF_INET6)) n6 = 0;
    if (!wants(l, AF_INET)) n4 = 0;
    if (n6 + n4 == 0)
        return weft_fail_at(-ENODATA, NULL, 0,
                            "%.60s: addresses of the other family, in hosts",
                            l->host);
    n6 = share(n6, n4, l->max);
    if (n4 > l->max - n6) n4 = l->max - n6;
    if (n6 > 0) memcpy(l->ret, six, n6 * sizeof *six);
    if (n4 > 0) memcpy(l->ret + n6, four, n4 * sizeof *four);
    return (int)(n6 + n4);
}

/* ---- by servers ---------------------------------------------------------- */

/* What it comes to is in s->code. */
static int ask_side(void *arg)
{
    struct side *s = arg;
    s->code = wf_dns_get(s->r, s->name, s->type, &s->answer);
    if (s->code == 0) s->code = s->answer->code;
    return s->answer ? 0 : s->code;
}

static size_t records_of(const struct side *s)
{
    return s->answer && s->code == 0 ? s->answer->chain.records : 0;
}

static void copy_addresses(const struct side *s, weft_addr *ret, size_t n)
{
    struct wf_dns_record rec;
    if (n == 0) return;
    struct wf_dns_chain c = s->answer->chain;
    int family = s->type == WF_DNS_A ? AF_INET : AF_INET6;
    for (size_t i = 0; i < n; i++) {
        (void)wf_dns_chain_next(&s->answer->reader, &c, &rec);
        ret[i] = address(family, rec.data);
    }
}

/* That a name is there says more than that another is not, and that nobody
 * knows says more than both. */
static int telling(int code)
{
    return code == -ENOENT ? 1 : code == -ENODATA ? 2 : code < 0 ? 3 : 0;
}

static void note(struct lookup *l, const char *name, const struct side *s)
{
    if (telling(s->code) <= telling(l->code)) return;
    l->code = s->code;
    if (s->answer)
        memcpy(l->why, s->answer->why, sizeof l->why);
    else
        (void)snprintf(l->why, sizeof l->why, "%.60s (%s): %s", name,
                       wf_dns_type_name(s->type), weft_strerror(s->code));
}

static int ask_sides(struct side *sides, size_t n, bool in_turn)
{
    weft_job jobs[2] = {{.fn = ask_side, .arg = &sides[0]},
                        {.fn = ask_side, .arg = &sides[1]}};
    const weft_gather_opts o = {.policy = WEFT_COLLECT,
                                .limit = in_turn ? 1 : 0};
    if (n > 1) return weft_gather(jobs, n, &o);
    (void)ask_side(&sides[0]); /* in s->code */
    return sides[0].code == -ECANCELED ? -ECANCELED : 0;
}

static int take_sides(struct lookup *l, const char *name, struct side *six,
                      struct side *four)
{
    size_t n6 = records_of(six), n4 = records_of(four);
    n6 = share(n6, n4, l->max);
    if (n4 > l->max - n6) n4 = l->max - n6;
    copy_addresses(six, l->ret, n6);
    copy_addresses(four, l->ret + n6, n4);
    if (n6 + n4 > 0) return (int)(n6 + n4);
    note(l, name, six);
    note(l, name, four);
    return 0;
}

/* May another name of the list be there, and not in vain? Not while nobody
 * answers: that would take as long again. */
static bool may_go_on(const struct side *s)
{
    switch (s->code) {
    case -ENOENT:
    case -ENODATA:
    case -EREMOTEIO:
    case -EBADMSG:
    case -ELOOP:
        return true;
    default:
        return s->code == 0 && !s->answer; /* was not asked for */
    }
}

/* Which name is meant is the same for either family: if this one has addresses
 * of the other, those behind it in the list are of other hosts. */
static int ask_other(struct lookup *l, const struct side *asked,
                     struct side *other)
{
    if (!l->more || !may_go_on(asked) || asked->code == -ENOENT) return 0;
    (void)ask_side(other); /* in other->code */
    if (!may_go_on(other)) note(l, other->name, other);
    return other->code == -ECANCELED ? -ECANCELED : 0;
}

/* How many addresses; 0: none, and why is in *l. */
static int ask(weft_resolver *r, const struct wf_dns_conf *conf,
               struct lookup *l, const char *name)
{
    struct side sides[2] = {
        {.r = r, .name = name, .type = WF_DNS_AAAA, .code = -ENOMEM},
        {.r = r, .name = name, .type = WF_DNS_A, .code = -ENOMEM}};
    struct side *first = sides, *other;
    size_t n = 2;
    if (!wants(l, AF_INET6) || conf->no_aaaa)
        first++, n--;
    else if (!wants(l, AF_INET))
        n--;
    other = &sides[first == sides];
    if (n == 1) other->code = 0; /* that is not asked for */
    int err = ask_sides(first, n, conf->single_request);
    int got = err < 0 ? err : take_sides(l, name, &sides[0], &sides[1]);
    if (got == 0 && l->family != AF_UNSPEC && !conf->no_aaaa)
        got = ask_other(l, first, other);
    l->more = l->more && may_go_on(&sides[0]) && may_go_on(&sides[1]);
    for (int i = 0; i < 2; i++)
        wf_dns_put(r, sides[i].answer);
    return got;
}

static int from_servers(weft_resolver *r, const struct wf_dns_conf *conf,
                        struct lookup *l)
{
    struct wf_dns_names names;
    char name[WF_DNS_NAME];
    if (conf->no_aaaa && l->family == AF_INET6)
        return weft_fail_at(-ENODATA, NULL, 0,
                            "%.60s (AAAA): resolv.conf says no-aaaa", l->host);
    wf_dns_names_init(&names, conf, l->host);
    l->more = !wf_dns_never_exists(l->host);
    while (l->more && wf_dns_names_next(&names, name)) {
        if (wf_dns_never_exists(name)) continue;
        l->more = names.left > 0 || names.last;
        int n = ask(r, conf, l, name);
        if (n != 0) return n;
    }
    if (l->code == 0)
        return weft_fail_at(-ENOENT, NULL, 0, "%.60s: there is no such name",
                            l->host);
    return weft_fail_at(l->code, NULL, 0, "%s", l->why);
}

static int look_up(weft_resolver *r, void *arg)
{
    struct lookup *l = arg;
    struct wf_dns_files *f;
    int err = wf_dns_files_get(r, &f);
    if (err < 0) return err;
    int n = from_hosts(l, &f->hosts);
    if (n == 0) n = from_servers(r, &f->conf, l);
    wf_dns_files_put(f);
    return n;
}

/* ---- the calls ----------------------------------------------------------- */

static int check(const struct lookup *l)
{
    if (l->max == 0)
        return weft_fail_at(-EINVAL, NULL, 0, "%.60s: no room for an address",
                            l->host);
    if (l->family != AF_UNSPEC && l->family != AF_INET && l->family != AF_INET6)
        return weft_fail_at(-EAFNOSUPPORT, NULL, 0,
                            "%.60s: %d is no family of hosts", l->host,
                            l->family);
    return 0;
}

/* What nobody has to be asked for: how many, 0: not that, or negative. */
static int known(const struct lookup *l)
{
    weft_addr a;
    int err = check(l);
    if (err < 0) return err;
    if (wf_hosts_addr(l->host, strlen(l->host), &a) == 0) return literal(l, &a);
    err = check_host(l->host);
    if (err < 0) return err;
    return wf_dns_name_within(l->host, "localhost") ? loopback(l) : 0;
}

int weft_dns_lookup(weft_resolver *r, const char *host, int family,
                    weft_addr ret[], size_t max)
{
    struct lookup l = {.host = host, .family = family, .ret = ret, .max = max};
    int n = weft_checkpoint();
    if (n == 0) n = known(&l);
    return n == 0 ? wf_dns_with(r, look_up, &l) : n;
}
