/* SPDX-License-Identifier: MIT */
/*
 * local.c - fiber-locals: a list of bindings that a child shares with its
 * parent, and puts its own in front of.
 *
 * A binding never changes once a second fiber sees it, so nothing that one of
 * them does is seen by another. It is counted by those that point to it: fibers,
 * and the binding in front. The value has a count of its own, since a pop from
 * under shared bindings makes copies of those.
 */
#include <weft/local.h>

#include "runtime/os.h"
#include "sync/child.h"

struct bound { /* a value */
    const weft_key *key;
    void *value;
    unsigned count; /* atomic, if its key is shared by threads */
};

struct wf_binding {
    struct wf_binding *next;
    struct bound *bound;
    uint64_t owner; /* the fiber that pushed it */
    unsigned count;
};

/* A private key has a place of its own on the fiber. */
struct slot {
    struct weft_attached_ attached;
    const weft_key *key;
    void *value;
};

/* ---- counting ----------------------------------------------------------- */

static bool is_shared(const weft_key *k)
{
    return k->flags & WEFT_KEY_SHARE_THREADS;
}

static struct bound *bound_new(const weft_key *k, void *value)
{
    struct bound *v =
        is_shared(k) ? wf_shared_alloc(sizeof *v) : wf_alloc(sizeof *v);
    if (v) *v = (struct bound){k, value, 1};
    return v;
}

static void bound_free(struct bound *v)
{
    if (v && is_shared(v->key))
        wf_shared_free(v, sizeof *v);
    else
        wf_free(v, sizeof *v);
}

static struct bound *bound_hold(struct bound *v)
{
    if (is_shared(v->key))
        __atomic_add_fetch(&v->count, 1, __ATOMIC_RELAXED);
    else
        v->count++;
    return v;
}

static void bound_drop(struct bound *v)
{
    unsigned left = is_shared(v->key)
                        ? __atomic_sub_fetch(&v->count, 1, __ATOMIC_ACQ_REL)
                        : --v->count;
    if (left > 0) return;
    if (v->key->drop) v->key->drop(v->value);
    bound_free(v);
}

static void binding_drop(struct wf_binding *b)
{
    while (b && --b->count == 0) {
        struct wf_binding *next = b->next;
        bound_drop(b->bound);
        wf_free(b, sizeof *b);
        b = next;
    }
}

struct wf_binding *wf_locals_inherit(struct wf_binding *b)
{
    b->count++;
    return b;
}

/* ---- private keys ------------------------------------------------------- */

static struct weft_attached_ **find_slot(weft_fiber *f, const weft_key *k)
{
    struct weft_attached_ **at = &f->attached;
    for (; *at; at = &(*at)->next_)
        if ((*at)->kind_ == WF_A_PRIVATE &&
            ((struct slot *)(void *)*at)->key == k)
            break;
    return at;
}

static int push_private(weft_fiber *f, const weft_key *k, void *value)
{
    struct slot *s = wf_alloc(sizeof *s);
    if (!s) return -ENOMEM;
    s->key = k;
    s->value = value;
    wf_attach(f, &s->attached, WF_A_PRIVATE);
    return 0;
}

static void pop_slot(struct weft_attached_ **at)
{
    struct slot *s = (struct slot *)(void *)*at;
    *at = s->attached.next_;
    if (s->key->drop) s->key->drop(s->value);
    wf_free(s, sizeof *s);
}

void wf_locals_drop(struct wf_child *c)
{
    struct weft_attached_ **at;
    while (*(at = wf_attached(&c->fiber, WF_A_PRIVATE)) != NULL)
        pop_slot(at);
    struct wf_binding *b = c->locals;
    c->locals = NULL;
    binding_drop(b);
}

/* ---- inherited keys ----------------------------------------------------- */

static int push(struct wf_child *c, const weft_key *k, void *value)
{
    struct wf_binding *b = wf_alloc(sizeof *b);
    struct bound *v = bound_new(k, value);
    if (!b || !v) {
        wf_free(b, sizeof *b);
        bound_free(v);
        return -ENOMEM;
    }
    *b = (struct wf_binding){c->locals, v, c->fiber.id, 1};
    c->locals = b;
    return 0;
}

/* Copies the bindings in front of `end`, the last of them pointing to it. */
static int copy_until(const struct wf_binding *b, const struct wf_binding *end,
                      struct wf_binding **ret)
{
    *ret = NULL;
    for (struct wf_binding **at = ret; b != end; b = b->next) {
        struct wf_binding *copy = wf_alloc(sizeof *copy);
        if (!copy) {
            binding_drop(*ret);
            return -ENOMEM;
        }
        *copy = (struct wf_binding){NULL, bound_hold(b->bound), b->owner, 1};
        *at = copy;
        at = &copy->next;
    }
    return 0;
}

int wf_locals_share(const struct wf_binding *b, struct wf_binding **ret)
{
    *ret = NULL;
    for (struct wf_binding **at = ret; b; b = b->next) {
        if (!is_shared(b->bound->key)) continue;
        int err = copy_until(b, b->next, at);
        if (err < 0) {
            binding_drop(*ret);
            *ret = NULL;
            return err;
        }
        at = &(*at)->next;
    }
    return 0;
}

void wf_locals_forget(struct wf_binding *b)
{
    binding_drop(b);
}

/* Where in the list of c the latest own binding of k is, and whether all in
 * front of it are seen by c alone. NULL: there is none. */
static struct wf_binding **find_own(struct wf_child *c, const weft_key *k,
                                    bool *ret_alone)
{
    struct wf_binding **at = &c->locals;
    *ret_alone = true;
    for (; *at && (*at)->owner == c->fiber.id; at = &(*at)->next) {
        if ((*at)->bound->key == k) return at;
        if ((*at)->count > 1) *ret_alone = false;
    }
    return NULL;
}

static int pop(struct wf_child *c, const weft_key *k)
{
    bool alone;
    struct wf_binding **at = find_own(c, k, &alone);
    if (!at) return -ENOENT;
    struct wf_binding *gone = *at, *old = NULL;
    if (!alone) {
        struct wf_binding *copies;
        int err = copy_until(c->locals, gone, &copies);
        if (err < 0) return err;
        old = c->locals;
        c->locals = copies;
        for (at = &c->locals; *at; at = &(*at)->next)
            continue;
    }
    /* Now *at is ours to change. What is behind gets one more to point to it,
     * and what is gone one less, unless the old ones in front still do. */
    *at = gone->next;
    if (gone->next) gone->next->count++;
    binding_drop(old ? old : gone);
    return 0;
}

static void *get(const struct wf_binding *b, const weft_key *k)
{
    for (; b; b = b->next)
        if (b->bound->key == k) return b->bound->value;
    return NULL;
}

/* ---- the calls ---------------------------------------------------------- */

int weft_local_push(weft_key *k, void *value)
{
    weft_fiber *f = wf_self();
    if (!f) return wf_misuse(-EPERM, "weft_local_push outside a fiber");
    int err = k->flags & WEFT_KEY_PRIVATE ? push_private(f, k, value)
                                          : push(wf_child_of(f), k, value);
    if (err < 0)
        return weft_fail(err, "weft_local_push: no memory to bind \"%s\"",
                         k->name ? k->name : "");
    return 0;
}

int weft_local_pop(weft_key *k)
{
    weft_fiber *f = wf_self();
    if (!f) return -ENOENT;
    if (!(k->flags & WEFT_KEY_PRIVATE)) return pop(wf_child_of(f), k);
    struct weft_attached_ **at = find_slot(f, k);
    if (!*at) return -ENOENT;
    pop_slot(at);
    return 0;
}

void *weft_local_get(const weft_key *k)
{
    weft_fiber *f = wf_self();
    if (!f) return NULL;
    if (!(k->flags & WEFT_KEY_PRIVATE)) return get(wf_child_of(f)->locals, k);
    struct weft_attached_ **at = find_slot(f, k);
    return *at ? ((struct slot *)(void *)*at)->value : NULL;
}
