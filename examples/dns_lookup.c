/* SPDX-License-Identifier: MIT */
/*
 * dns_lookup - what the name servers know of a name.
 *
 *     dns_lookup [-s SERVERS] [-h HOSTS] NAME [TYPE]...
 *
 *     $ dns_lookup www.debian.org
 *     www.debian.org  address  2001:67c:2564:a119::77
 *     www.debian.org  address  130.89.148.77
 *     $ dns_lookup -s 192.0.2.1 example.org MX TXT
 *
 * TYPE is one of ADDR (as if none was given), A, AAAA, SRV, MX, TXT, PTR (of an
 * address) and SYSTEM (by getaddrinfo). All are asked for at the same time, and
 * told in their order. With -s these servers are asked and no file is read but,
 * with -h, that one in the place of /etc/hosts.
 */
#include <weft.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16, TEXT = 8192 };

struct request {
    const char *name, *type;
    weft_resolver *resolver;
    int rc;
    char error[160];
    char text[TEXT]; /* lines to be told */
    size_t len;
};

static void tell(struct request *q, const char *what, const char *value)
{
    size_t room = sizeof q->text - q->len;
    int n =
        snprintf(q->text + q->len, room, "%s  %s  %s\n", q->name, what, value);
    if (n > 0) q->len += (size_t)n < room ? (size_t)n : room - 1;
}

static int addresses(struct request *q, int family, bool by_system)
{
    weft_addr found[WEFT_DNS_ADDRS];
    char text[INET6_ADDRSTRLEN];
    int n = by_system
                ? weft_dns_lookup_system(q->name, family, found, WEFT_DNS_ADDRS)
                : weft_dns_lookup(q->resolver, q->name, family, found,
                                  WEFT_DNS_ADDRS);
    for (int i = 0; i < n; i++) {
        const struct sockaddr_in *in = (const void *)&found[i].sa;
        const struct sockaddr_in6 *in6 = (const void *)&found[i].sa;
        bool six = found[i].sa.ss_family == AF_INET6;
        const void *octets = &in->sin_addr;
        if (six) octets = &in6->sin6_addr;
        (void)inet_ntop(found[i].sa.ss_family, octets, text, sizeof text);
        tell(q, "address", text);
    }
    return n;
}

static int services(struct request *q)
{
    weft_srv found[MOST];
    char text[WEFT_DNS_NAME + 64];
    int n = weft_dns_srv(q->resolver, q->name, found, MOST);
    for (int i = 0; i < n; i++) {
        (void)snprintf(
            text, sizeof text, "%.255s port %u, priority %u, weight %u",
            found[i].target, found[i].port, found[i].priority, found[i].weight);
        tell(q, "service at", text);
    }
    return n;
}

static int mail(struct request *q)
{
    weft_mx found[MOST];
    char text[WEFT_DNS_NAME + 64];
    int n = weft_dns_mx(q->resolver, q->name, found, MOST);
    for (int i = 0; i < n; i++) {
        (void)snprintf(text, sizeof text, "%.255s preference %u", found[i].host,
                       found[i].preference);
        tell(q, "mail by", text);
    }
    return n;
}

/* What others have written is shown without anything that moves a cursor. */
static int one_text(const char *text, size_t len, void *arg)
{
    char shown[1024];
    size_t n = 0;
    for (; n < len && n + 1 < sizeof shown; n++) {
        bool plain = (unsigned char)text[n] >= 32 && text[n] != 127;
        shown[n] = '?';
        if (plain) shown[n] = text[n];
    }
    shown[n] = 0;
    tell(arg, "text", shown);
    return 0;
}

static int pointer(struct request *q)
{
    weft_addr a;
    char text[WEFT_DNS_NAME + 8];
    bool six = strchr(q->name, ':') != NULL;
    (void)snprintf(text, sizeof text, six ? "[%s]:0" : "%s:0", q->name);
    int rc = weft_addr_parse(&a, text);
    if (rc == 0) rc = weft_dns_reverse(q->resolver, &a, text, sizeof text);
    if (rc > 0) tell(q, "name", text);
    return rc;
}

static int look_up(struct request *q)
{
    if (strcmp(q->type, "ADDR") == 0) return addresses(q, AF_UNSPEC, false);
    if (strcmp(q->type, "A") == 0) return addresses(q, AF_INET, false);
    if (strcmp(q->type, "AAAA") == 0) return addresses(q, AF_INET6, false);
    if (strcmp(q->type, "SYSTEM") == 0) return addresses(q, AF_UNSPEC, true);
    if (strcmp(q->type, "SRV") == 0) return services(q);
    if (strcmp(q->type, "MX") == 0) return mail(q);
    if (strcmp(q->type, "TXT") == 0)
        return weft_dns_txt(q->resolver, q->name, one_text, q);
    if (strcmp(q->type, "PTR") == 0) return pointer(q);
    return weft_fail(-EINVAL, "%s is no type that is known here", q->type);
}

/* A failure is one of the request's, and not of the others'. */
static int run_request(void *arg)
{
    struct request *q = arg;
    q->rc = look_up(q);
    if (q->rc == -ECANCELED) return q->rc;
    if (q->rc < 0) {
        const weft_error *e = weft_last_error();
        (void)snprintf(q->error, sizeof q->error, "%s",
                       e && e->code == q->rc ? e->msg : weft_strerror(q->rc));
    }
    return 0;
}

struct arguments {
    int count;
    char **words;
};

static int run_requests(weft_resolver *r, const struct arguments *a)
{
    static struct request requests[MOST];
    static char usual[] = "ADDR";
    int n = a->count > 1 ? a->count - 1 : 1, failed = 0, rc;
    if (n > MOST) return weft_fail(-E2BIG, "at most %d types", MOST);
    WEFT_NURSERY(nursery, rc) {
        for (int i = 0; i < n && rc == 0; i++) {
            requests[i].name = a->words[0];
            requests[i].type = a->count > 1 ? a->words[i + 1] : usual;
            requests[i].resolver = r;
            rc = weft_spawn(&nursery, run_request, &requests[i]);
        }
    }
    for (int i = 0; i < n && rc == 0; i++) {
        (void)fputs(requests[i].text, stdout);
        if (requests[i].rc >= 0) continue;
        printf("%s\n", requests[i].error);
        failed = 1;
    }
    return rc < 0 ? rc : failed;
}

static int start(void *arg)
{
    struct arguments *a = arg;
    weft_resolver_opts o = {.timeout = 0};
    for (; a->count > 1 && a->words[0][0] == '-';
         a->count -= 2, a->words += 2) {
        if (a->words[0][1] == 's') o.servers = a->words[1];
        if (a->words[0][1] == 'h') o.hosts = a->words[1];
        if (o.servers && !o.hosts) o.hosts = "";
        if (o.servers) o.resolv_conf = o.search = "";
    }
    if (a->count < 1) return weft_fail(-EINVAL, "which name?");
    weft_resolver *r = weft_resolver_new(&o);
    if (!r) return -ENOMEM;
    int rc = run_requests(r, a);
    weft_resolver_free(r);
    if (rc < 0) weft_error_print(2, rc);
    return rc;
}

int main(int argc, char **argv)
{
    struct arguments a = {argc - 1, argv + 1};
    const weft_run_opts o = {.handle_signals = true};
    return weft_run(start, &a, &o) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
