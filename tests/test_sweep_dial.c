/* SPDX-License-Identifier: MIT */
/* test_sweep_dial.c - the sweep over dialling: however it ends, no connection
 * is left but the one that was handed out, and nothing goes on. */
#include <weft/net.h>
#include <weft/scope.h>

#include "harness.h"
#include "script.h"
#include "sweep.h"

#define SIX     "[2001:db8::1]:80"
#define SIX_TOO "[2001:db8::2]:80"
#define FOUR    "192.0.2.1:80"

static int dialled; /* what the dial has returned */

static int dials(void *arg)
{
    (void)arg;
    dialled = dial_script();
    return dialled;
}

/* All failures but those of the script are the sweep's to judge. */
static int dials_in_vain(void *arg)
{
    (void)arg;
    dialled = dial_script();
    CHECK(dialled < 0);
    return dialled == -ECONNREFUSED || dialled == -EHOSTUNREACH ? 0 : dialled;
}

static void begin(const struct answer *answers, size_t n,
                  const struct peer *peers, size_t m)
{
    dialled = -EAGAIN; /* it may not come to that */
    begin_script(answers, n, peers, m);
}

static void check_script(void)
{
    end_script(dialled);
}

static const struct answer two_families[] = {
    {AF_INET6, 10, 0, {SIX, SIX_TOO, NULL}}, {AF_INET, 20, 0, {FOUR, NULL}}};

static void start_dead_and_live(weft_nursery *n)
{
    static const struct peer peers[] = {{SIX, 5000, -ETIMEDOUT}, {FOUR, 30, 0}};
    begin(two_families, 2, peers, 2);
    sweep_spawn(n, dials, NULL);
}

SWEEP(a_dial_leaves_no_connection, start_dead_and_live, check_script,
      SWEEP_SPARE_CHILDREN);

static void start_two_at_once(weft_nursery *n)
{
    static const struct peer peers[] = {{SIX, 290, 0}, {FOUR, 40, 0}};
    begin(two_families, 2, peers, 2);
    sweep_spawn(n, dials, NULL);
}

SWEEP(of_two_that_connect_at_once_one_is_closed, start_two_at_once,
      check_script, SWEEP_SPARE_CHILDREN);

static void start_in_vain(weft_nursery *n)
{
    static const struct peer peers[] = {{SIX, 5, -ECONNREFUSED},
                                        {SIX_TOO, 0, -ENETUNREACH},
                                        {FOUR, 300, -ETIMEDOUT}};
    begin(two_families, 2, peers, 3);
    sweep_spawn(n, dials_in_vain, NULL);
}

SWEEP(a_dial_in_vain_leaves_nothing, start_in_vain, check_script,
      SWEEP_SPARE_CHILDREN);

static void start_unknown(weft_nursery *n)
{
    static const struct answer answers[] = {
        {AF_INET6, 10, -ENODATA, {NULL}}, {AF_INET, 20, -EHOSTUNREACH, {NULL}}};
    begin(answers, 2, NULL, 0);
    sweep_spawn(n, dials_in_vain, NULL);
}

SWEEP(a_name_without_addresses_leaves_nothing, start_unknown, check_script,
      SWEEP_SPARE_CHILDREN);

/* ---- with sockets ------------------------------------------------------- */

static weft_fd listener;
static unsigned port;

static int knows_two(const char *host, int family, weft_addr ret[], size_t max,
                     void *user)
{
    (void)host, (void)max, (void)user;
    if (family == AF_INET6) return -ENODATA;
    CHECK_EQ(weft_addr_parse(&ret[0], "127.0.0.1:0"), 0);
    CHECK_EQ(weft_addr_parse(&ret[1], "127.0.0.2:0"), 0);
    return 2;
}

static int dials_the_world(void *arg)
{
    char text[64];
    weft_fd conn;
    const weft_dial_opts o = {.lookup = knows_two};
    (void)arg;
    (void)snprintf(text, sizeof text, "example.org:%u", port);
    int rc = weft_dial_with(&conn, text, &o);
    if (rc == 0) CHECK_EQ(weft_close(conn), 0);
    return rc;
}

static int dials_the_address(void *arg)
{
    char text[64];
    weft_fd conn;
    (void)arg;
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", port);
    int rc = weft_dial(&conn, text);
    if (rc == 0) CHECK_EQ(weft_close(conn), 0);
    return rc;
}

static void start_world(weft_nursery *n)
{
    weft_addr at;
    listener = (weft_fd){0};
    if (!sweep_had(weft_listen(&listener, "127.0.0.1:0", NULL) == 0)) return;
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    port = weft_addr_port(&at);
    sweep_spawn(n, dials_the_world, NULL);
    sweep_spawn(n, dials_the_address, NULL);
}

static void check_world(void)
{
    (void)weft_close(listener);
}

SWEEP(a_dial_by_sockets_leaves_none, start_world, check_world,
      SWEEP_SPARE_CHILDREN);
