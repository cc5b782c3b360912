/* SPDX-License-Identifier: MIT */
/*
 * client_limit.c - limits of time, and which of them it was.
 *
 * Each is a scope that fails, around one wait or several. It ends no later than
 * the whole exchange: while the reply is read there is no other scope for that.
 */
#include "client.h"

#include <stdio.h>

#include <weft/time.h>

static weft_time end_of(const struct weft_http_exchange_ *x, weft_time ns)
{
    weft_time at = weft_after(ns);
    return at < x->total_at ? at : x->total_at;
}

void wf_client_begin(struct weft_http_exchange_ *x, struct wf_client_limit *l,
                     weft_time ns)
{
    l->ns = ns;
    l->moved = false;
    weft_scope_init(&l->scope);
    /* It is new; outside a fiber whatever it is around fails by itself. */
    int err = weft_scope_begin_at(&l->scope, end_of(x, ns), WEFT_FAIL);
    (void)err;
}

void wf_client_moved(struct weft_http_exchange_ *x, struct wf_client_limit *l)
{
    l->moved = true;
    weft_scope_set_deadline(&l->scope, end_of(x, l->ns));
}

/* Of the limits that are over it is the total one, if that is. */
static int too_late(struct weft_http_exchange_ *x, weft_time ns,
                    const char *what, const char *sentence)
{
    char text[WF_CLIENT_TIME_TEXT];
    if (x->unwanted) return -ETIMEDOUT;
    if (weft_now() >= x->total_at) {
        what = "total time of";
        sentence = "not done";
        ns = x->total;
    }
    x->h->stats.timeouts++;
    return weft_fail_at(
        -ETIMEDOUT, x->file, x->line, "%s " WF_CLIENT_URL ": %s within %s",
        what, WF_CLIENT_URL_ARGS(x), sentence, wf_client_time_text(ns, text));
}

int wf_client_check_total(struct weft_http_exchange_ *x)
{
    return weft_now() < x->total_at ? 0 : too_late(x, x->total, "", "");
}

int wf_client_end(struct weft_http_exchange_ *x, struct wf_client_limit *l,
                  int rc, const char *what, const char *sentence)
{
    int mapped = weft_scope_end(&l->scope, rc);
    if (!weft_scope_caught(&l->scope)) return mapped == -EBUSY ? rc : mapped;
    return too_late(x, l->ns, what, sentence);
}

char *wf_client_time_text(weft_time ns, char buf[WF_CLIENT_TIME_TEXT])
{
    static const struct {
        weft_time unit;
        const char *name;
    } units[] = {{WEFT_SEC(60), "min"},
                 {WEFT_SEC(1), "s"},
                 {WEFT_MSEC(1), "ms"},
                 {WEFT_USEC(1), "us"},
                 {1, "ns"}};
    size_t i = 0;
    if (ns < 0) ns = 0;
    while (units[i].unit > 1 && ns % units[i].unit != 0)
        i++;
    if (ns == 0) i = 1;
    (void)snprintf(buf, WF_CLIENT_TIME_TEXT, "%lld %s",
                   (long long)(ns / units[i].unit), units[i].name);
    return buf;
}
