/* SPDX-License-Identifier: MIT */
/*
 * eyeballs.c - happy eyeballs (RFC 8305): a race of attempts.
 *
 * The calling fiber is the body of a nursery whose children are the lookups and
 * the attempts. It alone decides what is begun, and when: it waits until
 * something has changed or the next attempt is due, whichever comes first. The
 * children only leave their results; none of them fails, for the others go on.
 *
 * An attempt that has a connection while there is none wins, and leaves it in
 * the race; one that has it later closes it. So a connection always has one
 * owner, whichever fibers run in between; and a caller that is cancelled after
 * that has it all the same. When there is a winner, or can be none, the body
 * cancels the nursery and closes it.
 */
#include "race.h"

#include <weft/buffer.h>
#include <weft/fiber.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <string.h>

static weft_time attempt_delay(const struct wf_race *r)
{
    weft_time ns = r->d->opts->attempt_delay;
    if (ns == 0) return WEFT_MSEC(250);
    if (ns < WEFT_MSEC(10)) return WEFT_MSEC(10);
    return ns < WEFT_SEC(2) ? ns : WEFT_SEC(2);
}

static weft_time resolution_delay(const struct wf_race *r)
{
    weft_time ns = r->d->opts->resolution_delay;
    return ns ? ns : WEFT_MSEC(50);
}

/* ---- lookups ------------------------------------------------------------ */

static int ask(struct wf_lookup *l)
{
    const weft_dial_opts *o = l->race->d->opts;
    const char *host = l->race->host;
    if (o->lookup)
        return o->lookup(host, l->family, l->found, WEFT_DNS_ADDRS, o->user);
    if (o->system_resolver)
        return weft_dns_lookup_system(host, l->family, l->found,
                                      WEFT_DNS_ADDRS);
    return weft_dns_lookup(o->resolver ? o->resolver : l->race->resolver, host,
                           l->family, l->found, WEFT_DNS_ADDRS);
}

/* What has ended may have given back what another attempt wanted. */
static void tell_of_end(struct wf_race *r)
{
    if (r->short_of) {
        r->given_back = true;
        r->next_at = weft_now();
    }
    weft_event_set(&r->changed);
}

static int look_up(void *arg)
{
    struct wf_lookup *l = arg;
    struct wf_race *r = l->race;
    l->rc = ask(l);
    const weft_error *e = weft_last_error();
    if (l->rc < 0 && e && e->code == l->rc)
        memcpy(l->said, e->msg, sizeof l->said);
    l->over = true;
    l->patience = weft_after(resolution_delay(r));
    r->looking--;
    tell_of_end(r);
    return 0;
}

static void begin_lookup(struct wf_race *r, int family)
{
    static const weft_spawn_opts o = {.name = "lookup"};
    struct wf_lookup *l = &r->lookups[r->lookup_count++];
    l->race = r;
    l->family = family;
    l->merged = false;
    l->said[0] = 0;
    l->rc = weft_spawn_ex(&r->nursery, look_up, l, &o);
    l->over = l->rc < 0;
    if (!l->over) r->looking++;
}

/* The system may find another host of that name for the one family alone, such
 * as one that is in hosts with an address of the other: it is asked once. */
static void begin_lookups(struct wf_race *r)
{
    const weft_dial_opts *o = r->d->opts;
    int first = o->prefer ? o->prefer : AF_INET6;
    if (r->d->family != AF_UNSPEC || (o->system_resolver && !o->lookup)) {
        begin_lookup(r, r->d->family);
        return;
    }
    begin_lookup(r, first);
    begin_lookup(r, first == AF_INET ? AF_INET6 : AF_INET);
}

/* False: a hook's mistake. */
static bool add_found(struct wf_race *r, const struct wf_lookup *l, weft_addr a)
{
    if (l->family != AF_UNSPEC && a.sa.ss_family != l->family) return false;
    if (weft_addr_set_port(&a, r->port) < 0) return false;
    wf_line_add(&r->line, &a);
    return true;
}

static void merge_found(struct wf_race *r)
{
    for (unsigned i = 0; i < r->lookup_count; i++) {
        struct wf_lookup *l = &r->lookups[i];
        if (!l->over || l->merged) continue;
        l->merged = true;
        int good = 0;
        for (int k = 0; k < l->rc && k < WEFT_DNS_ADDRS; k++)
            good += add_found(r, l, l->found[k]);
        if (l->rc >= 0 && good == 0) l->rc = -ENODATA;
    }
}

/* ---- attempts ----------------------------------------------------------- */

static bool is_shortage(int code)
{
    return code == -EMFILE || code == -ENFILE || code == -ENOBUFS ||
           code == -ENOMEM;
}

static void won_by(struct wf_race *r, weft_fd conn)
{
    if (r->won) {
        (void)weft_close(conn);
        return;
    }
    r->won = true;
    r->conn = conn;
    weft_event_set(&r->changed);
}

/* The next begins now if this was the latest; or, if this was short of what
 * others have, when one of those has ended, or after the delay. */
static void failed(struct wf_race *r, struct wf_attempt *a, int code)
{
    a->rc = code;
    if (is_shortage(code) && !r->short_of) {
        r->short_of = a;
        r->next_at = weft_after(attempt_delay(r));
        weft_event_set(&r->changed);
        return;
    }
    if (a == &r->attempts[r->begun - 1]) r->next_at = weft_now();
    tell_of_end(r);
}

static int attempt(void *arg)
{
    struct wf_attempt *a = arg;
    struct wf_race *r = a->race;
    weft_fd conn;
    int rc = wf_dial_one(r->d, &a->target->to, &conn, &a->step);
    r->live--;
    if (rc == 0)
        won_by(r, conn);
    else
        failed(r, a, rc);
    return 0;
}

static struct wf_attempt *next_attempt(struct wf_race *r)
{
    struct wf_attempt *a = r->short_of;
    r->short_of = NULL;
    r->given_back = false;
    if (a) return a;
    a = &r->attempts[r->begun++];
    a->race = r;
    a->target = wf_line_take(&r->line);
    return a;
}

static void begin_attempt(struct wf_race *r)
{
    static const weft_spawn_opts o = {.name = "dial", .unless_cancelled = true};
    struct wf_attempt *a = next_attempt(r);
    a->rc = 0;
    a->step = "fiber for";
    r->next_at = weft_after(attempt_delay(r));
    int err = weft_spawn_ex(&r->nursery, attempt, a, &o);
    if (err < 0)
        failed(r, a, err);
    else
        r->live++;
}

/* ---- what is next, and when --------------------------------------------- */

static bool may_begin(const struct wf_race *r)
{
    size_t most = r->d->opts->max_addrs;
    return r->short_of || most == 0 || r->begun < most;
}

/* Nothing can come of it: all were tried; or one cannot be, and nobody has
 * given back what it wants, or is left to. */
static bool is_over(const struct wf_race *r)
{
    if (r->live > 0) return false;
    if (!may_begin(r)) return true;
    if (r->looking > 0) return false;
    return r->short_of ? !r->given_back : r->line.waiting == 0;
}

static weft_time due(const struct wf_race *r)
{
    if (!r->short_of && (r->line.waiting == 0 || !may_begin(r)))
        return WEFT_FOREVER;
    if (r->begun > 0) return r->next_at;
    /* The preferred family has precedence for a while. */
    if (r->lookup_count > 1 && !r->lookups[0].over)
        return r->lookups[1].patience;
    return weft_now();
}

static int wait_for_change(struct wf_race *r, weft_time until)
{
    weft_scope s;
    weft_event_clear(&r->changed);
    weft_scope_init(&s);
    int err = weft_scope_begin_at(&s, until, WEFT_MOVE_ON);
    if (err < 0) return err;
    return weft_scope_end(&s, weft_event_wait(&r->changed));
}

/* Until there is a winner, or can be none; or -ECANCELED. */
static int run(struct wf_race *r)
{
    if (r->host) begin_lookups(r);
    for (;;) {
        if (r->won) return 0;
        if (weft_cancelled()) return -ECANCELED;
        merge_found(r);
        if (is_over(r)) return 0;
        weft_time when = due(r);
        if (when <= weft_now()) {
            begin_attempt(r);
        } else {
            int err = wait_for_change(r, when);
            if (err < 0) return err;
        }
    }
}

/* ---- the race ----------------------------------------------------------- */

static int race(struct wf_race *r, weft_fd *ret_conn)
{
    static const weft_nursery_opts o = {.name = "dial"};
    int rc = weft_nursery_open(&r->nursery, &o);
    if (rc < 0) return rc;
    rc = run(r);
    weft_nursery_cancel(&r->nursery, 0, "the race is over");
    (void)!weft_nursery_close(&r->nursery, rc);
    if (r->won) {
        *ret_conn = r->conn;
        return 0;
    }
    return rc < 0 ? wf_race_cancelled(r) : wf_race_failed(r);
}

/* It has room for all addresses there could be, which is much for a stack. */
static struct wf_race *new_race(const struct wf_dialling *d, const char *host)
{
    struct wf_race *r = weft_buffer_alloc(sizeof *r);
    if (!r) return NULL;
    r->d = d;
    r->host = host;
    r->resolver = NULL;
    r->changed = (weft_event)WEFT_EVENT_INIT;
    r->lookup_count = r->looking = r->live = 0;
    r->begun = 0;
    r->short_of = NULL;
    r->given_back = r->won = false;
    wf_line_init(&r->line, d, !host);
    return r;
}

/* What one family learns of the name the other need not ask for again. */
static int open_resolver(struct wf_race *r)
{
    const weft_dial_opts *o = r->d->opts;
    if (o->lookup || o->system_resolver || o->resolver) return 0;
    r->resolver = weft_resolver_new(NULL);
    return r->resolver ? 0 : wf_dial_fail(r->d->address, -ENOMEM, "lookup");
}

int wf_race_name(const struct wf_dialling *d, const char *host, unsigned port,
                 weft_fd *ret_conn)
{
    struct wf_race *r = new_race(d, host);
    if (!r) return wf_dial_fail(d->address, -ENOMEM, "lookup");
    r->port = port;
    int err = open_resolver(r);
    if (err == 0) err = race(r, ret_conn);
    weft_resolver_free(r->resolver);
    weft_buffer_free(r, sizeof *r);
    return err;
}

int wf_race_addrs(const struct wf_dialling *d, const weft_addr addrs[],
                  size_t n, weft_fd *ret_conn)
{
    struct wf_race *r = new_race(d, NULL);
    if (!r) return wf_dial_fail(d->address, -ENOMEM, "connect");
    for (size_t i = 0; i < n; i++)
        wf_line_add(&r->line, &addrs[i]);
    int err = race(r, ret_conn);
    weft_buffer_free(r, sizeof *r);
    return err;
}
