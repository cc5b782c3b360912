/* SPDX-License-Identifier: MIT */
/*
 * test_sweep_http_files.c - the sweep over a server of routes and files: set
 * up, asked for all kinds of things, and stopped. However it ends, nothing is
 * left open, and a reply that came was a whole one.
 */
#include <weft/http_route.h>
#include <weft/scope.h>

#include <errno.h>

#include "http_dir.h"
#include "sweep.h"

static struct site site;
static const char *request; /* without its end */
static const char *want;    /* what its reply begins with */
static weft_scope serving;
static bool is_serving, has_dir;

static int show(weft_req *r, void *ctx)
{
    weft_text id = weft_req_param(r, "id");
    (void)ctx;
    CHECK_STR(weft_req_pattern(r), "/users/{id}");
    return weft_reply(r, 200, NULL, id.at, id.len);
}

static int set_up(void)
{
    static const weft_http_type types[] = {{"a", "text/x-a"}, {NULL, NULL}};
    static const weft_http_files_opts opts = {.types = types,
                                              .cache_control = "no-cache"};
    int err = weft_http_route(site.server, "GET", "/users/{id}", show, NULL);
    if (err == 0)
        err = weft_http_route(site.server, "PURGE", "/users/{x}/a", show, NULL);
    if (err == 0)
        err = weft_http_files(site.server, "/f", in_dir("www"), &opts);
    return err;
}

static int serves(void *arg)
{
    (void)arg;
    weft_scope_init(&serving);
    CHECK_EQ(weft_scope_begin(&serving), 0);
    is_serving = true;
    int rc = set_up();
    if (rc == 0) rc = weft_http_serve_memory(site.server, site.memory);
    is_serving = false;
    weft_memory_listener_close(site.memory); /* the guest gives up */
    return weft_scope_end(&serving, rc);
}

static int asks(weft_transport *t)
{
    static const char end[] =
        " HTTP/1.1\r\nHost: h\r\n" CLOSE "Range: bytes=0-1,5-\r\n\r\n";
    int rc = weft_transport_write_all(t, request, strlen(request), NULL);
    if (rc == 0) rc = weft_transport_write_all(t, end, sizeof end - 1, NULL);
    heard_len = 0;
    while (rc == 0) {
        ssize_t n = weft_transport_read(t, heard + heard_len,
                                        sizeof heard - 1 - heard_len);
        if (n <= 0) rc = n < 0 ? (int)n : 1;
        if (n > 0) heard_len += (size_t)n;
    }
    heard[heard_len] = 0;
    return rc == 1 ? 0 : rc;
}

/* Whole, if the server was left alone; a failure of the server's is 5xx, or
 * nothing at all. */
static void check_reply(void)
{
    if (heard_len == 0 || strncmp(heard, "HTTP/1.1 5", 10) == 0) return;
    CHECK_EQ(strncmp(heard, want, strlen(want)), 0);
}

static int visits(void *arg)
{
    weft_transport *t = NULL;
    (void)arg;
    int rc = weft_memory_dial(site.memory, &t);
    if (rc == 0) rc = asks(t);
    weft_transport_close(t);
    if (rc == 0) check_reply();
    if (is_serving) weft_scope_cancel(&serving, 0, "it has been here");
    return rc == -ECONNREFUSED || rc == -ECONNRESET || rc == -EPIPE ? 0 : rc;
}

static void begin(weft_nursery *n, const char *ask, const char *reply)
{
    request = ask;
    want = reply;
    is_serving = false;
    site = (struct site){.stats = {0}};
    site.opts.serve.stack_size = 128 << 10;
    make_dir();
    has_dir = true;
    put("www/index.a", "0123456789");
    site.server = weft_http_server_new(&site.opts);
    if (!sweep_had(site.server != NULL)) return;
    site.memory = weft_memory_listener_new(0);
    if (!sweep_had(site.memory != NULL)) return;
    sweep_spawn(n, serves, NULL);
    sweep_spawn(n, visits, NULL);
}

static void check(void)
{
    weft_memory_listener_free(site.memory);
    weft_http_server_free(site.server);
    if (has_dir) remove_dir();
    has_dir = false;
}

static void begin_route(weft_nursery *n)
{
    begin(n, "GET /users/a%20b", "HTTP/1.1 200");
}

static void begin_not_allowed(weft_nursery *n)
{
    begin(n, "PUT /users/a/a", "HTTP/1.1 405");
}

static void begin_parts(weft_nursery *n)
{
    begin(n, "GET /f/index.a", "HTTP/1.1 206");
}

static void begin_redirect(weft_nursery *n)
{
    begin(n, "GET /f?x", "HTTP/1.1 301");
}

static void begin_missing(weft_nursery *n)
{
    begin(n, "GET /f/", "HTTP/1.1 404");
}

SWEEP(a_route_with_a_parameter, begin_route, check, SWEEP_PEERS_MAY_WAIT);
SWEEP(a_method_that_no_route_has, begin_not_allowed, check,
      SWEEP_PEERS_MAY_WAIT);
SWEEP(parts_of_a_file, begin_parts, check, SWEEP_PEERS_MAY_WAIT);
SWEEP(a_directory_without_its_slash, begin_redirect, check,
      SWEEP_PEERS_MAY_WAIT);
SWEEP(a_file_that_is_not_there, begin_missing, check, SWEEP_PEERS_MAY_WAIT);
