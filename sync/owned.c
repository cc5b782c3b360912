/* SPDX-License-Identifier: MIT */
/*
 * owned.c - what nurseries own, and who closes it.
 *
 * A thread has one table of all that its nurseries own; a nursery names the
 * latest of its entries, and each names the one before. A handle is a place in
 * the table and a generation, which counts all that was ever owned: so a stale
 * handle is found out, also when the place is in use again, and one of another
 * thread.
 */
#include <weft/cleanup.h>

#include <string.h>

#include "runtime/os.h"
#include "runtime/serial.h"
#include "sync/nursery.h"

struct owned {
    int (*closer)(void *object); /* NULL: the place is free */
    void *object;
    weft_nursery *nursery;
    uint32_t generation;
    uint32_t before, after; /* of the same nursery; or the next free place */
};

/* Places are counted from 1: 0 is none. */
static __thread struct {
    struct owned *at;
    uint32_t room, free;
} table;

static uint32_t next_generation(void)
{
    static uint32_t given;
    static __thread struct wf_serials taken;
    return wf_serial(&taken, &given);
}

static struct owned *entry(uint32_t place)
{
    return &table.at[place - 1];
}

static int grow(void)
{
    enum { FIRST = 16, MAX = 1 << 28 };
    if (table.room >= MAX) return -ENOMEM;
    uint32_t room = table.room ? table.room * 2 : FIRST;
    struct owned *at = wf_zalloc(room * sizeof *at);
    if (!at) return -ENOMEM;
    if (table.at) memcpy(at, table.at, table.room * sizeof *at);
    wf_free(table.at, table.room * sizeof *at);
    table.at = at;
    for (uint32_t place = room; place > table.room; place--) {
        entry(place)->after = table.free;
        table.free = place;
    }
    table.room = room;
    return 0;
}

void wf_owned_close(void)
{
    wf_free(table.at, table.room * sizeof *table.at);
    table.at = NULL;
    table.room = table.free = 0;
}

/* ---- calling a closer --------------------------------------------------- */

static int call(const struct owned *o, const weft_scope *shield)
{
    int rc = o->closer(o->object);
    wf_check_innermost(shield);
    /* The grace is over, and that is what it was told so. */
    return rc == -ECANCELED && shield->cause_ ? -ETIMEDOUT : rc;
}

static int call_shielded(const struct owned *o)
{
    weft_scope shield;
    if (!wf_self()) return o->closer(o->object);
    wf_cleanup_begin(&shield, o->nursery->opts_.cleanup_grace);
    int rc = call(o, &shield);
    wf_cleanup_end(&shield);
    return rc;
}

/* It was not taken, so it is closed now, and there is nobody to tell. */
static int refuse(const struct owned *o, int why)
{
    weft_fiber *f = wf_self();
    weft_error *said = f ? wf_error_take(f) : NULL; /* about something else */
    int rc = call_shielded(o);
    if (rc < 0) {
        const weft_error bare = {.code = rc, .fiber = f ? f->id : 0};
        const weft_error *e = f ? f->error : NULL;
        wf_error_unhandled(e && e->code == rc ? e : &bare);
    }
    if (f) wf_error_give(f, said);
    return why;
}

/* ---- owning ------------------------------------------------------------- */

static struct owned take(uint32_t place)
{
    struct owned *o = entry(place), taken = *o;
    if (o->after)
        entry(o->after)->before = o->before;
    else
        o->nursery->owned_ = o->before;
    if (o->before) entry(o->before)->after = o->after;
    o->closer = NULL;
    o->after = table.free;
    table.free = place;
    return taken;
}

int weft_own(weft_nursery *n, int (*closer)(void *object), void *object,
             weft_owned *ret_owned)
{
    struct owned o = {.closer = closer, .object = object, .nursery = n};
    if (ret_owned) ret_owned->handle_ = 0;
    if (!wf_self()) return refuse(&o, -EPERM);
    if (!wf_nursery_is_here(n)) return refuse(&o, wf_misplaced("weft_own"));
    if (!(n->state_ & WF_N_OPEN) || n->state_ & WF_N_SEALED)
        return refuse(&o, -ESHUTDOWN);
    if (!table.free && grow() < 0) return refuse(&o, -ENOMEM);

    uint32_t place = table.free;
    table.free = entry(place)->after;
    o.generation = next_generation();
    o.before = n->owned_;
    if (o.before) entry(o.before)->after = place;
    n->owned_ = place;
    *entry(place) = o;
    if (ret_owned) ret_owned->handle_ = (uint64_t)o.generation << 32 | place;
    return 0;
}

int weft_disown(weft_owned owned, bool run)
{
    uint32_t place = (uint32_t)owned.handle_;
    if (place == 0 || place > table.room) return -ENOENT;
    const struct owned *o = entry(place);
    if (!o->closer || o->generation != owned.handle_ >> 32) return -ENOENT;
    struct owned taken = take(place);
    return run ? call_shielded(&taken) : 0;
}

void wf_owned_run(weft_nursery *n)
{
    weft_fiber *f = wf_self();
    weft_scope shield;
    weft_error *said = wf_error_take(f); /* about something else */
    wf_cleanup_begin(&shield, n->opts_.cleanup_grace);
    while (n->owned_) {
        struct owned o = take(n->owned_);
        int rc = call(&o, &shield);
        if (rc < 0) wf_nursery_keep(n, f, rc);
    }
    wf_cleanup_end(&shield);
    wf_error_give(f, said);
}
