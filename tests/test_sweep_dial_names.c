/* SPDX-License-Identifier: MIT */
/* test_sweep_dial_names.c - the sweep over dialling with a name server and
 * sockets: no descriptor of a question or of an attempt is left. */
#include <weft/dial.h>
#include <weft/net.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdio.h>

#include "dns_server.h"
#include "harness.h"
#include "sweep.h"

static const char *const zone[] = {"www.example 60 A 127.0.0.1",
                                   "www.example 60 AAAA ::1",
                                   "example 60 SOA 30", NULL};

static struct dns_server server;
static weft_resolver *resolver;
static weft_fd listener;
static unsigned port;

static int dials(void *host)
{
    char text[64];
    weft_fd conn;
    const weft_dial_opts o = {.resolver = resolver};
    (void)snprintf(text, sizeof text, "%s:%u", (const char *)host, port);
    int rc = weft_dial_with(&conn, text, &o);
    if (rc == 0) (void)weft_close(conn);
    if (rc == 0 || rc == -ECANCELED || rc == -ENOMEM) return rc;
    /* There is no such name; or too little of something, at either side. */
    CHECK(rc == -ENOENT || sweep_short_of_memory());
    return 0;
}

static bool open_world(weft_nursery *n)
{
    weft_addr at;
    server = (struct dns_server){.zone = zone, .delay = WEFT_MSEC(1)};
    resolver = NULL;
    listener = (weft_fd){0};
    if (!sweep_had(dns_server_try_open(&server))) return false;
    if (!sweep_had(weft_listen(&listener, "127.0.0.1:0", NULL) == 0))
        return false;
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    port = weft_addr_port(&at);
    const weft_resolver_opts o = {
        .servers = server.address, .resolv_conf = "", .hosts = ""};
    resolver = weft_resolver_new(&o);
    return sweep_had(resolver != NULL) &&
           sweep_had(dns_server_start(&server, n));
}

static void close_world(void)
{
    weft_resolver_free(resolver);
    (void)weft_close(server.udp);
    (void)weft_close(server.tcp);
    (void)weft_close(listener);
}

static void start_names(weft_nursery *n)
{
    static char www[] = "www.example", gone[] = "gone.example";
    if (!open_world(n)) return;
    sweep_spawn(n, dials, www);
    sweep_spawn(n, dials, gone);
}

SWEEP(dialling_by_name_leaves_no_descriptor, start_names, close_world,
      SWEEP_PEERS_MAY_WAIT | SWEEP_SPARE_CHILDREN);
