/* SPDX-License-Identifier: MIT */
/*
 * test_sweep_dns.c - lookups that are cancelled at every moment.
 */
#include <weft/io.h>
#include <weft/names.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dns_server.h"
#include "dns_texts.h"
#include "sweep.h"

static const char *const zone[] = {"www.example 60 A 192.0.2.1",
                                   "www.example 60 AAAA 2001:db8::1",
                                   "b.example 60 A 192.0.2.2",
                                   "many.example 60 A 10.0.0.0*100",
                                   "_sip._udp.example 60 SRV 1 2 3 www.example",
                                   "_sip._udp.example 60 SRV 1 2 4 www.example",
                                   "example 60 TXT text",
                                   "example 60 SOA 30",
                                   NULL};

static struct dns_server server, dead;
static weft_resolver *resolver;
static int found, asking;

/* What a lookup may come to: it is there, it was struck, or there is too little
 * of something, be it on the side of the server. */
static int judged(int n)
{
    if (n >= 0) found++;
    if (n >= 0 || n == -ECANCELED || n == -ENOMEM) return n < 0 ? n : 0;
    CHECK(n == -EHOSTUNREACH || sweep_short_of_memory());
    return 0;
}

static bool open_servers(weft_nursery *n, const char *first)
{
    char list[2 * WEFT_ADDR_TEXT + 2];
    found = asking = 0;
    resolver = NULL;
    server.udp = dead.udp = server.tcp = (weft_fd){0};
    if (!dns_server_try_open(&server)) return sweep_had(false);
    if (!dns_server_try_open(&dead)) return sweep_had(false);
    (void)snprintf(list, sizeof list, "%s%s%s", first ? dead.address : "",
                   first ? " " : "", server.address);
    const weft_resolver_opts o = {
        .servers = list, .resolv_conf = "", .hosts = "", .search = "a.test"};
    resolver = weft_resolver_new(&o);
    return sweep_had(resolver != NULL) &&
           sweep_had(dns_server_start(&server, n));
}

static void close_servers(void)
{
    CHECK_EQ(asking, 0);
    weft_resolver_free(resolver);
    (void)weft_close(server.udp);
    (void)weft_close(server.tcp);
    (void)weft_close(dead.udp);
}

static int asks_both(void *arg)
{
    weft_addr a[4];
    asking++;
    int n = weft_dns_lookup(resolver, arg, AF_UNSPEC, a, 4);
    asking--;
    return judged(n);
}

static int asks_one(void *arg)
{
    weft_addr a[4];
    asking++;
    int n = weft_dns_lookup(resolver, arg, AF_INET, a, 4);
    asking--;
    return judged(n);
}

static void start_lookups(weft_nursery *n)
{
    static char www[] = "www.example", b[] = "b.example";
    server = (struct dns_server){.zone = zone, .delay = WEFT_MSEC(1)};
    dead = (struct dns_server){.silent = true, .deaf = true};
    if (!open_servers(n, NULL)) return;
    sweep_spawn(n, asks_both, www);
    sweep_spawn(n, asks_one, b);
}

SWEEP(lookups_leave_nothing_behind, start_lookups, close_servers,
      SWEEP_PEERS_MAY_WAIT | SWEEP_SPARE_CHILDREN);

/* Of those who wait for one answer any may be struck. */
static void start_sharing(weft_nursery *n)
{
    static char www[] = "www.example";
    server = (struct dns_server){.zone = zone, .delay = WEFT_MSEC(1)};
    dead = (struct dns_server){.silent = true, .deaf = true};
    if (!open_servers(n, NULL)) return;
    for (int i = 0; i < 3; i++)
        sweep_spawn(n, asks_one, www);
}

SWEEP(of_those_who_share_a_question_each_may_go, start_sharing, close_servers,
      SWEEP_PEERS_MAY_WAIT);

static void start_tcp(weft_nursery *n)
{
    static char many[] = "many.example";
    server = (struct dns_server){.zone = zone};
    dead = (struct dns_server){.silent = true, .deaf = true};
    if (!open_servers(n, NULL)) return;
    sweep_spawn(n, asks_one, many);
}

SWEEP(an_answer_by_tcp_leaves_nothing_behind, start_tcp, close_servers,
      SWEEP_PEERS_MAY_WAIT);

static void start_with_dead(weft_nursery *n)
{
    static char www[] = "www.example";
    server = (struct dns_server){.zone = zone};
    dead = (struct dns_server){.silent = true, .deaf = true};
    if (!open_servers(n, "dead")) return;
    sweep_spawn(n, asks_one, www);
}

SWEEP(a_dead_server_leaves_nothing_behind, start_with_dead, close_servers,
      SWEEP_PEERS_MAY_WAIT);

static int takes_text(const char *text, size_t len, void *arg)
{
    (void)arg;
    CHECK(len == 4 && memcmp(text, "text", 4) == 0);
    return weft_sleep(WEFT_MSEC(1));
}

static int asks_for_records(void *arg)
{
    weft_srv v[2];
    (void)arg;
    int n = weft_dns_srv(resolver, "_sip._udp.example", v, 2);
    if (n == 2) n = weft_dns_txt(resolver, "example", takes_text, NULL);
    return judged(n);
}

static void start_records(weft_nursery *n)
{
    server = (struct dns_server){.zone = zone};
    dead = (struct dns_server){.silent = true, .deaf = true};
    if (!open_servers(n, NULL)) return;
    sweep_spawn(n, asks_for_records, NULL);
}

SWEEP(records_leave_nothing_behind, start_records, close_servers,
      SWEEP_PEERS_MAY_WAIT);

/* The files are read on a thread. */
static char conf_path[64];

static int asks_by_file(void *arg)
{
    weft_addr a;
    (void)arg;
    return judged(weft_dns_lookup(resolver, "b.example", AF_INET, &a, 1));
}

static void start_files(weft_nursery *n)
{
    server = (struct dns_server){.zone = zone};
    dead = (struct dns_server){.silent = true, .deaf = true};
    if (!open_servers(n, NULL)) return;
    weft_resolver_free(resolver);
    (void)snprintf(conf_path, sizeof conf_path, "/tmp/weft-sweep-%d",
                   (int)getpid());
    FILE *f = fopen(conf_path, "w");
    CHECK(f != NULL);
    (void)fprintf(f, "nameserver %s\n", server.address);
    CHECK_EQ(fclose(f), 0);
    const weft_resolver_opts o = {.resolv_conf = conf_path, .hosts = ""};
    resolver = weft_resolver_new(&o);
    if (!sweep_had(resolver != NULL)) return;
    sweep_spawn(n, asks_by_file, NULL);
    sweep_spawn(n, asks_by_file, NULL);
}

static void close_files(void)
{
    close_servers();
    (void)unlink(conf_path);
}

SWEEP(files_that_are_being_read_leave_nothing_behind, start_files, close_files,
      SWEEP_PEERS_MAY_WAIT | SWEEP_CLEANUP_SLEEPS);

/* A thread that is left alone gives back what it has. */
static int asks_the_system(void *arg)
{
    weft_addr a;
    (void)arg;
    int n = weft_dns_lookup_system("localhost", AF_INET, &a, 1);
    return n == -EAGAIN ? 0 : judged(n);
}

static void start_system(weft_nursery *n)
{
    found = asking = 0;
    sweep_spawn(n, asks_the_system, NULL);
    sweep_spawn(n, asks_the_system, NULL);
}

static void check_system(void)
{
    CHECK(found <= 2);
}

SWEEP(the_system_s_resolver_leaves_nothing_behind, start_system, check_system,
      SWEEP_PEERS_MAY_WAIT);
