/* SPDX-License-Identifier: MIT */
/*
 * test_sweep_ws.c - the sweep over WebSockets: conversations, several fibers of
 * one, and the handshake of both sides.
 */
#include <weft/fiber.h>
#include <weft/http_server.h>
#include <weft/memory.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>
#include <weft/websocket.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "sweep.h"

/* That the other was struck is no failure of this one; a broken frame would
 * be. */
static int but_not_gone(int rc)
{
    bool gone = rc == -EPIPE || rc == -ECONNRESET || rc == -ECONNREFUSED ||
                rc == -ESHUTDOWN;
    return gone ? 0 : rc;
}

static weft_transport *ends[2];
static int sent, heard;

static weft_transport *take_end(int which)
{
    weft_transport *t = ends[which];
    ends[which] = NULL;
    return t;
}

static bool open_ends(size_t capacity)
{
    ends[0] = ends[1] = NULL;
    sent = heard = 0;
    return sweep_had(weft_memory_pair(ends, capacity) == 0);
}

/* Who was never started has not closed his. */
static void close_ends(void)
{
    CHECK(heard <= sent);
    weft_transport_close(take_end(0));
    weft_transport_close(take_end(1));
}

/* ---- a conversation ----------------------------------------------------- */

static const weft_ws_opts small = {.max_message = 60000, .fragment = 700};

static int with_ws(int which, weft_ws_role role, int (*fn)(weft_ws *ws))
{
    weft_stream s;
    weft_transport *t = take_end(which);
    weft_stream_init_transport(&s, t);
    weft_ws *ws = weft_ws_new(&s, role, &small);
    int rc = ws ? fn(ws) : -ENOMEM;
    rc = weft_ws_end(ws, rc);
    weft_stream_fini(&s);
    weft_transport_close(t);
    return but_not_gone(rc);
}

static int echo_all(weft_ws *ws)
{
    weft_ws_message m;
    int rc;
    while ((rc = weft_ws_read(ws, &m)) > 0) {
        rc = weft_ws_send(ws, m.kind, m.data.at, m.data.len);
        if (rc < 0) break;
    }
    return rc;
}

static int answers(void *arg)
{
    (void)arg;
    return with_ws(0, WEFT_WS_SERVER, echo_all);
}

/* The n-th message: of another length, and all of one letter. */
static size_t length_of(int n)
{
    static const size_t lengths[] = {5, 1500, 0, 130};
    return lengths[n % 4];
}

static int say_next(weft_ws *ws)
{
    static char text[1500];
    size_t len = length_of(sent);
    memset(text, 'a' + sent % 26, sizeof text);
    int rc;
    if (sent % 2) {
        rc = weft_ws_write(ws, WEFT_WS_BINARY, text, len);
    } else {
        rc = weft_ws_send_begin(ws, WEFT_WS_TEXT);
        if (rc == 0) rc = weft_ws_send_part(ws, text, len / 2);
        if (rc == 0) rc = weft_ws_send_part(ws, text, len - len / 2);
        sent++; /* its end may go although the call is struck behind it */
        return rc < 0 ? rc : weft_ws_send_end(ws);
    }
    sent++;
    return rc;
}

static int hear_next(weft_ws *ws)
{
    weft_ws_message m;
    int rc = weft_ws_read(ws, &m);
    if (rc <= 0) return rc < 0 ? rc : -EPIPE;
    CHECK_EQ(m.data.len, length_of(heard));
    for (size_t i = 0; i < m.data.len; i++)
        CHECK_EQ(m.data.at[i], 'a' + heard % 26);
    heard++;
    return 0;
}

static int converse(weft_ws *ws)
{
    int rc = 0;
    for (int turn = 0; turn < 2 && rc == 0; turn++) {
        rc = say_next(ws);
        if (rc == 0) rc = say_next(ws);
        if (rc == 0) rc = weft_ws_ping(ws, "?", 1);
        if (rc == 0) rc = hear_next(ws);
        if (rc == 0) rc = hear_next(ws);
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    }
    return rc < 0 ? rc : weft_ws_close(ws, 4000, "enough");
}

static int asks(void *arg)
{
    (void)arg;
    return with_ws(1, WEFT_WS_CLIENT, converse);
}

static void start_conversation(weft_nursery *n)
{
    if (!open_ends(0)) return;
    sweep_spawn(n, answers, NULL);
    sweep_spawn(n, asks, NULL);
}

SWEEP(messages_arrive_whole_or_not_at_all, start_conversation, close_ends, 0);

/* Where a close frame may have to wait for room. */
static void start_narrow_conversation(weft_nursery *n)
{
    if (!open_ends(300)) return;
    sweep_spawn(n, answers, NULL);
    sweep_spawn(n, asks, NULL);
}

SWEEP(messages_arrive_whole_through_little_memory, start_narrow_conversation,
      close_ends, SWEEP_CLEANUP_SLEEPS);

/* ---- one connection, several fibers ------------------------------------- */

static weft_stream shared_stream;
static weft_ws *shared;

static int reads_all(void *arg)
{
    weft_ws_message m;
    int rc = 1;
    (void)arg;
    while (rc > 0)
        rc = weft_ws_read(shared, &m);
    return but_not_gone(rc);
}

static int sends_one(void *arg)
{
    return but_not_gone(weft_ws_send(shared, WEFT_WS_TEXT, arg, strlen(arg)));
}

static int closes_later(void *arg)
{
    (void)arg;
    int rc = weft_sleep(WEFT_MSEC(5));
    return but_not_gone(rc < 0 ? rc : weft_ws_close(shared, 0, NULL));
}

static void start_several(weft_nursery *n)
{
    shared = NULL;
    if (!open_ends(0)) return;
    weft_stream_init_transport(&shared_stream, ends[1]);
    shared = weft_ws_new(&shared_stream, WEFT_WS_CLIENT, &small);
    if (!sweep_had(shared != NULL)) return;
    sweep_spawn(n, answers, NULL);
    sweep_spawn(n, reads_all, NULL);
    sweep_spawn(n, sends_one, "one");
    sweep_spawn(n, sends_one, "another");
    sweep_spawn(n, closes_later, NULL);
}

static void end_several(void)
{
    weft_ws_free(shared);
    if (shared) weft_stream_fini(&shared_stream);
    close_ends();
}

SWEEP(fibers_of_one_connection_do_not_hold_each_other_up, start_several,
      end_several, SWEEP_PEERS_MAY_WAIT);

/* ---- the handshake ------------------------------------------------------ */

static weft_memory_listener *listener;
static weft_http_server *server;
static weft_scope serving;
static bool is_serving;

static int handle(weft_req *r, void *ctx)
{
    weft_ws *ws;
    (void)ctx;
    int rc = weft_ws_accept(r, &small, &ws);
    return rc <= 0 ? rc : but_not_gone(weft_ws_end(ws, echo_all(ws)));
}

static int serves(void *arg)
{
    (void)arg;
    weft_scope_init(&serving);
    CHECK_EQ(weft_scope_begin(&serving), 0);
    is_serving = true;
    int rc = weft_http_serve_memory(server, listener);
    is_serving = false;
    return weft_scope_end(&serving, rc);
}

static int talk(weft_transport *t)
{
    weft_ws *ws;
    const weft_ws_opts o = {.transport = t, .protocols = "a, b"};
    int rc = weft_ws_connect(&ws, "ws://here/", &o);
    if (rc < 0) return rc;
    rc = say_next(ws);
    if (rc == 0) rc = hear_next(ws);
    return weft_ws_end(ws, rc);
}

static int visits(void *arg)
{
    weft_transport *t;
    (void)arg;
    int rc = weft_memory_dial(listener, &t);
    if (rc == 0) rc = talk(t);
    if (is_serving) weft_scope_cancel(&serving, 0, "it has been here");
    return but_not_gone(rc);
}

static void start_server(weft_nursery *n)
{
    const weft_http_server_opts o = {.handler = handle};
    sent = heard = 0;
    is_serving = false;
    server = NULL;
    listener = weft_memory_listener_new(0);
    if (!sweep_had(listener != NULL)) return;
    server = weft_http_server_new(&o);
    if (!sweep_had(server != NULL)) return;
    sweep_spawn(n, serves, NULL);
    sweep_spawn(n, visits, NULL);
}

static void stop_server(void)
{
    weft_http_server_free(server);
    weft_memory_listener_free(listener);
    listener = NULL;
}

SWEEP(a_handshake_ends_well_or_leaves_nothing, start_server, stop_server,
      SWEEP_PEERS_MAY_WAIT | SWEEP_CLEANUP_SLEEPS);
