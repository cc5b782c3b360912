/* SPDX-License-Identifier: MIT */
/*
 * ws_calls.c - who is in a call that sends, so that closing can end it.
 *
 * One that puts a frame is found by `writing`, and who waits for frame_lock has
 * it soon after that; but a message may be held by a fiber that is in no call
 * at all (weft_ws_send_begin), so who waits for it does so in a scope.
 */
#include "ws.h"

#include <weft/error.h>

struct wf_ws_waiter {
    weft_scope scope;
    struct wf_ws_waiter *next, **at;
};

static void join(weft_ws *ws, struct wf_ws_waiter *w)
{
    w->next = ws->waiters;
    w->at = &ws->waiters;
    if (w->next) w->next->at = &w->next;
    ws->waiters = w;
}

static void part(struct wf_ws_waiter *w)
{
    *w->at = w->next;
    if (w->next) w->next->at = w->at;
}

int wf_ws_lock_message(weft_ws *ws)
{
    struct wf_ws_waiter me;
    weft_scope_init(&me.scope);
    int err = weft_scope_begin(&me.scope);
    if (err < 0) return err;
    join(ws, &me);
    err = weft_mutex_lock(&ws->message);
    part(&me);
    return weft_scope_end(&me.scope, err);
}

void wf_ws_enter(weft_ws *ws)
{
    ws->calls++;
}

int wf_ws_leave(weft_ws *ws, int rc)
{
    if (--ws->calls == 0) weft_event_set(&ws->idle);
    return rc;
}

static int wait_idle(void *idle)
{
    return weft_event_wait(idle);
}

static void cancel(weft_scope *scope)
{
    if (scope) weft_scope_cancel(scope, -EPIPE, "the websocket was closed");
}

void wf_ws_call_off(weft_ws *ws)
{
    if (!ws->read_error) ws->read_error = -EPIPE;
    if (!ws->send_error) ws->send_error = -EPIPE;
    cancel(ws->waiting);
    cancel(ws->writing);
    for (struct wf_ws_waiter *w = ws->waiters; w; w = w->next)
        cancel(&w->scope);
    int err = weft_mutex_lock_nc(&ws->reading);
    while (err == 0 && ws->calls > 0) {
        weft_event_clear(&ws->idle);
        err = weft_shielded(WEFT_FOREVER, wait_idle, &ws->idle);
    }
    wf_ws_drop_stream(ws);
    weft_mutex_unlock(&ws->reading);
}
