/* SPDX-License-Identifier: MIT */
/*
 * token.c - trees of tokens, and the links from them to scopes.
 *
 * A tree has one lock, held for a few stores or for the walk of a cancellation.
 * A link is in the list of its token until one of two takes it out, under the
 * lock: the end of its scope, and then it is over; or a cancellation, which
 * sends it as a message to the scope's run. A scope that ends while its link is
 * on the way lets go of it, and the delivery finds no scope. So there is one
 * who frees it, on the thread of the scope, and the canceller touches no scope
 * of another thread.
 *
 * A link keeps a reference to the inbox, which is what hides a deadlock, as
 * long as its token is live: somebody has a reference to it or to one above.
 *
 * Rules, under the lock: a token that is cancelled has no link, and none below
 * it is not cancelled; a token without references, links and tokens below it
 * is gone.
 */
#include <weft/token.h>

#include <pthread.h>

#include "runtime/assert.h"
#include "runtime/fork.h"
#include "runtime/os.h"
#include "runtime/remote.h"
#include "sync/child.h"

struct link {
    struct wf_message message;
    struct weft_attached_ attached; /* to the fiber of the scope */
    weft_scope *scope;              /* of its thread; NULL: it has ended */
    struct tree *tree;
    weft_token *token; /* NULL: sent */
    struct link *next, *prev;
    struct wf_inbox *inbox; /* NULL: sent, or the token is not live */
    weft_reason reason;
};

struct tree {
    pthread_mutex_t lock;
    unsigned generation; /* of processes */
    size_t users;        /* tokens and links */
};

struct weft_token {
    struct tree *tree;
    weft_token *parent, *child, *next, *prev;
    struct link *links;
    size_t refs;
    int cancelled; /* atomic, for those without the lock */
    weft_reason reason;
};

/* The child of a fork: a thread that is not here may have the lock. */
static bool is_left(const weft_token *t)
{
    return t->tree->generation != wf_generation;
}

static void lock(struct tree *tree)
{
    (void)pthread_mutex_lock(&tree->lock);
}

static void unlock(struct tree *tree)
{
    bool last = tree->users == 0;
    (void)pthread_mutex_unlock(&tree->lock);
    if (!last) return;
    (void)pthread_mutex_destroy(&tree->lock);
    wf_shared_free(tree, sizeof *tree);
}

/* ---- the tree ----------------------------------------------------------- */

static struct tree *new_tree(void)
{
    if (wf_fork_count() < 0) return NULL;
    struct tree *tree = wf_shared_alloc(sizeof *tree);
    if (!tree) return NULL;
    tree->users = 0;
    tree->generation = wf_generation;
    (void)pthread_mutex_init(&tree->lock, NULL);
    return tree;
}

static void hang(weft_token *t, weft_token *parent)
{
    t->tree->users++;
    t->parent = parent;
    if (!parent) return;
    t->next = parent->child;
    if (t->next) t->next->prev = t;
    parent->child = t;
    t->cancelled = parent->cancelled;
    t->reason = parent->reason;
}

weft_token *weft_token_new(weft_token *parent)
{
    if (parent && is_left(parent)) return NULL;
    weft_token *t = wf_shared_alloc(sizeof *t);
    if (!t) return NULL;
    *t = (weft_token){.tree = parent ? parent->tree : new_tree(), .refs = 1};
    if (!t->tree) {
        wf_shared_free(t, sizeof *t);
        return NULL;
    }
    lock(t->tree);
    hang(t, parent);
    unlock(t->tree);
    return t;
}

/* True: it was not needed any more, and is gone. */
static bool free_if_unused(weft_token *t)
{
    if (t->refs > 0 || t->links || t->child) return false;
    if (t->parent) *(t->prev ? &t->prev->next : &t->parent->child) = t->next;
    if (t->next) t->next->prev = t->prev;
    t->tree->users--;
    wf_shared_free(t, sizeof *t);
    return true;
}

static void free_upward(weft_token *t)
{
    while (t) {
        weft_token *parent = t->parent;
        if (!free_if_unused(t)) return;
        t = parent;
    }
}

static bool is_live(const weft_token *t)
{
    while (t && t->refs == 0)
        t = t->parent;
    return t != NULL;
}

static void release_inboxes(weft_token *t)
{
    for (struct link *l = t->links; l; l = l->next) {
        wf_inbox_unref(l->inbox);
        l->inbox = NULL;
    }
}

/* Nobody can cancel t any more; those below it with references of their own are
 * another matter. */
static void bury(weft_token *t)
{
    weft_token *at = t;
    for (;;) {
        if (at->refs == 0) {
            release_inboxes(at);
            if (at->child) {
                at = at->child;
                continue;
            }
        }
        while (at != t && !at->next)
            at = at->parent;
        if (at == t) return;
        at = at->next;
    }
}

weft_token *weft_token_ref(weft_token *t)
{
    if (!t || is_left(t)) return t;
    lock(t->tree);
    t->refs++;
    unlock(t->tree);
    return t;
}

void weft_token_unref(weft_token *t)
{
    if (!t || is_left(t)) return;
    struct tree *tree = t->tree;
    lock(tree);
    t->refs--;
    if (!is_live(t)) bury(t);
    free_upward(t);
    unlock(tree);
}

/* ---- links -------------------------------------------------------------- */

static void take_out(struct link *l)
{
    WF_ASSERT(l->token); /* it is in that one's list */
    *(l->prev ? &l->prev->next : &l->token->links) = l->next;
    if (l->next) l->next->prev = l->prev;
    l->token = NULL;
}

static struct weft_attached_ **place_of(weft_fiber *f, const struct link *l)
{
    struct weft_attached_ **at = &f->attached;
    while (*at != &l->attached)
        at = &(*at)->next_;
    return at;
}

static void free_link(struct link *l)
{
    struct tree *tree = l->tree;
    lock(tree);
    tree->users--;
    unlock(tree);
    wf_shared_free(l, sizeof *l);
}

/* Its scope is cancelled, on its own thread, or has ended. */
static void arrive(struct link *l)
{
    weft_scope *s = l->scope;
    if (s) {
        struct weft_attached_ **at = place_of(s->owner_, l);
        *at = (*at)->next_;
        const weft_reason *r = &l->reason;
        wf_scope_cancel(s, r->kind, r->code, r->by, r->why);
    }
    free_link(l);
}

static void deliver(struct wf_message *m)
{
    arrive((struct link *)(void *)m);
}

static struct link *link_of(struct weft_attached_ *a)
{
    return (struct link *)(void *)((char *)a - offsetof(struct link, attached));
}

/* The scope ends: true, and it is ours to free; false: it is on the way. */
static bool withdraw(struct link *l)
{
    lock(l->tree);
    weft_token *t = l->token;
    if (t) {
        take_out(l);
        free_upward(t);
    }
    unlock(l->tree);
    return t != NULL;
}

void wf_scope_unlink_tokens(weft_fiber *f, const weft_scope *s)
{
    struct weft_attached_ **at = &f->attached;
    while (*at) {
        struct link *l = link_of(*at);
        if ((*at)->kind_ != WF_A_LINK || l->scope != s) {
            at = &(*at)->next_;
            continue;
        }
        *at = (*at)->next_;
        l->scope = NULL;
        if (!withdraw(l)) continue;
        if (l->inbox) wf_inbox_unref(l->inbox);
        free_link(l);
    }
}

int weft_scope_link(weft_scope *s, weft_token *t)
{
    if (!wf_scope_is_here(s)) return wf_misplaced("weft_scope_link");
    if (!s->owner_)
        return wf_misuse(-EINVAL, "weft_scope_link: the scope is not open");
    if (is_left(t)) return -EPERM;
    struct link *l = wf_shared_alloc(sizeof *l);
    if (!l) return -ENOMEM;
    *l = (struct link){.message = {.deliver = deliver},
                       .scope = s,
                       .token = t,
                       .tree = t->tree};
    lock(t->tree);
    bool cancelled = t->cancelled;
    l->reason = t->reason;
    l->tree->users++;
    if (!cancelled) {
        l->inbox = wf_inbox_ref(wf_inbox_here());
        l->next = t->links;
        if (l->next) l->next->prev = l;
        t->links = l;
    }
    unlock(t->tree);
    wf_attach(s->owner_, &l->attached, WF_A_LINK);
    s->flags_ |= WF_S_LINKED;
    if (cancelled) arrive(l);
    return 0;
}

/* ---- cancelling --------------------------------------------------------- */

/* Sends the links of t on their way; those of this thread go to *here. */
static void send_links(weft_token *t, struct link **here)
{
    while (t->links) {
        struct link *l = t->links;
        struct wf_inbox *inbox = l->inbox; /* to be held until l, which may be
                                              gone by then, has been put */
        take_out(l);
        l->inbox = NULL;
        l->reason = t->reason;
        if (inbox == wf_inbox_here()) {
            l->next = *here;
            *here = l;
        } else {
            (void)wf_inbox_put(inbox, &l->message);
        }
        wf_inbox_unref(inbox);
    }
}

static bool cancel_one(weft_token *t, const weft_reason *why,
                       struct link **here)
{
    if (t->cancelled) return false;
    t->reason = *why;
    __atomic_store_n(&t->cancelled, 1, __ATOMIC_RELEASE);
    send_links(t, here);
    return true;
}

/* Parents first. What has no use after that goes when its turn is over. */
static void cancel_all(weft_token *t, const weft_reason *why,
                       struct link **here)
{
    weft_token *at = t;
    for (;;) {
        if (cancel_one(at, why, here) && at->child) {
            at = at->child;
            continue;
        }
        for (;;) {
            if (at == t) return;
            weft_token *next = at->next, *parent = at->parent;
            (void)free_if_unused(at);
            at = next ? next : parent;
            if (next) break;
        }
    }
}

void weft_token_cancel(weft_token *t, int code, const char *why)
{
    weft_fiber *f = wf_self();
    const weft_reason reason = {
        .kind = WEFT_R_TOKEN, .code = code, .by = f ? f->id : 0, .why = why};
    struct link *here = NULL;
    if (is_left(t)) return;
    lock(t->tree);
    cancel_all(t, &reason, &here);
    unlock(t->tree);
    for (struct link *l = here, *next; l; l = next) {
        next = l->next;
        arrive(l);
    }
}

bool weft_token_cancelled(const weft_token *t)
{
    return __atomic_load_n(&t->cancelled, __ATOMIC_ACQUIRE);
}
