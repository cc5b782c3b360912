/* SPDX-License-Identifier: MIT */
/*
 * eyeballs_failed.c - why a name could not be dialled: the most telling of all
 * that went wrong first.
 */
#include "race.h"

#include <string.h>

/* How far an attempt came that ended so. */
static int distance(int code)
{
    switch (-code) {
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case EINVAL: /* such as a route into a black hole */
        return 0;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
        return 1;
    case ETIMEDOUT:
        return 2;
    default: /* somebody has answered */
        return 3;
    }
}

static int telling(int code)
{
    return code == -ENOENT ? 0 : code == -ENODATA ? 1 : 2;
}

static const struct wf_attempt *best_attempt(const struct wf_race *r)
{
    const struct wf_attempt *best = r->short_of;
    if (best) return best;
    for (size_t i = 0; i < r->begun; i++)
        if (!best || distance(r->attempts[i].rc) > distance(best->rc))
            best = &r->attempts[i];
    return best;
}

static const struct wf_lookup *best_lookup(const struct wf_race *r)
{
    const struct wf_lookup *best = &r->lookups[0];
    for (unsigned i = 1; i < r->lookup_count; i++)
        if (telling(r->lookups[i].rc) > telling(best->rc))
            best = &r->lookups[i];
    return best;
}

static int fail_attempt(const struct wf_attempt *a)
{
    return wf_dial_fail_step(a->race->d, a->rc, a->step, &a->target->to);
}

/* What the lookup has said, without the host that it begins with: the dial's
 * address does too. */
static int fail_lookup(const struct wf_lookup *l)
{
    const char *host = l->race->host, *said = l->said;
    size_t len = strlen(host);
    if (*said == 0 && l->rc == -ENOENT) said = "no such name";
    if (*said == 0 && l->rc == -ENODATA) said = "no address";
    bool named =
        strncmp(said, host, len) == 0 && (said[len] == ':' || said[len] == ' ');
    return wf_dial_fail(l->race->d->address, l->rc, "lookup%s%s",
                        named || *said == 0 ? "" : ": ",
                        named ? said + len : said);
}

static int tell_attempt(void *a)
{
    return fail_attempt(a);
}

static int tell_lookup(void *l)
{
    return fail_lookup(l);
}

/* It was not cancelled because nobody needed it any more. */
static bool has_failed(const struct wf_lookup *l)
{
    return l->rc < 0 && l->rc != -ECANCELED;
}

/* A record that is noted by this fiber takes the place of the one before. A
 * nursery keeps those of its body and of its children, that of the body first
 * if the children have not run by then. */
int wf_race_failed(struct wf_race *r)
{
    enum { OTHERS = 15 };
    const weft_nursery_opts o = {.policy = WEFT_COLLECT, .name = "dial failed"};
    const struct wf_attempt *best = best_attempt(r);
    const struct wf_lookup *last = best ? NULL : best_lookup(r);
    unsigned told = 0;
    int rc = weft_nursery_open(&r->nursery, &o);
    if (rc < 0) return rc;
    for (size_t i = 0; i < r->begun && told < OTHERS; i++)
        if (&r->attempts[i] != best)
            told += weft_spawn(&r->nursery, tell_attempt, &r->attempts[i]) == 0;
    for (unsigned i = 0; i < r->lookup_count && told < OTHERS; i++)
        if (&r->lookups[i] != last && has_failed(&r->lookups[i]))
            told += weft_spawn(&r->nursery, tell_lookup, &r->lookups[i]) == 0;
    rc = best ? fail_attempt(best) : fail_lookup(last);
    return weft_nursery_close(&r->nursery, rc);
}

int wf_race_cancelled(const struct wf_race *r)
{
    if (r->begun == 0) return wf_dial_fail(r->d->address, -ECANCELED, "lookup");
    const struct wf_attempt *a = &r->attempts[r->begun - 1];
    return wf_dial_fail_step(r->d, -ECANCELED, "connect", &a->target->to);
}
