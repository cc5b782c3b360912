/* SPDX-License-Identifier: MIT */
/*
 * post.c - a message that is a function.
 *
 * A handle is the inbox of the run, by its public name.
 */
#include <weft/post.h>

#include <weft/run.h>

#include "runtime/os.h"
#include "runtime/park.h"
#include "runtime/remote.h"
#include "sync/run.h"

struct posted {
    struct wf_message message;
    void (*fn)(void *arg);
    void *arg;
};

struct shutdown {
    struct wf_message message;
    int code;
};

static struct wf_inbox *inbox_of(weft_remote *r)
{
    return (struct wf_inbox *)(void *)r;
}

weft_remote *weft_remote_new(void)
{
    if (wf_sched_is_left()) return NULL;
    struct wf_inbox *b = wf_inbox_here();
    return b ? (weft_remote *)(void *)wf_inbox_ref(b) : NULL;
}

weft_remote *weft_remote_ref(weft_remote *r)
{
    if (r) (void)wf_inbox_ref(inbox_of(r));
    return r;
}

void weft_remote_unref(weft_remote *r)
{
    if (r) wf_inbox_unref(inbox_of(r));
}

/* m is of so many octets, or NULL. */
static int put(struct wf_inbox *b, struct wf_message *m, size_t bytes)
{
    if (!m) return -ENOMEM;
    if (wf_inbox_put(b, m)) return 0;
    wf_shared_free(m, bytes);
    return wf_inbox_is_left(b) ? -EPERM : -ESHUTDOWN;
}

static void call(struct wf_message *m)
{
    struct posted *p = (struct posted *)(void *)m;
    void (*fn)(void *arg) = p->fn;
    void *arg = p->arg;
    wf_shared_free(p, sizeof *p);
    fn(arg);
}

int weft_post(weft_remote *r, void (*fn)(void *arg), void *arg)
{
    struct posted *p = wf_shared_alloc(sizeof *p);
    if (p) *p = (struct posted){{.deliver = call}, fn, arg};
    return put(inbox_of(r), p ? &p->message : NULL, sizeof *p);
}

static void shut_down(struct wf_message *m)
{
    struct shutdown *s = (struct shutdown *)(void *)m;
    (void)weft_shutdown(s->code);
    wf_shared_free(s, sizeof *s);
}

int weft_remote_shutdown(weft_remote *r, int code)
{
    return wf_shut_down_from_elsewhere(inbox_of(r), code);
}

int wf_shut_down_from_elsewhere(struct wf_inbox *b, int code)
{
    struct shutdown *s = wf_shared_alloc(sizeof *s);
    if (s) *s = (struct shutdown){{.deliver = shut_down}, code};
    return put(b, s ? &s->message : NULL, sizeof *s);
}
