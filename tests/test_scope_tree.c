/* SPDX-License-Identifier: MIT */
/*
 * test_scope_tree.c - random cancels and shields in a tree of parked fibers;
 * after each, just those have woken that the rules say.
 */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <string.h>

#include "chance.h"
#include "harness.h"

enum { NODES = 40, ROUNDS = 100, PARKED = 1 };

/* A fiber with a scope, in which it parks and its children live. */
struct node {
    int parent; /* number of the node whose child it is; -1: the root */
    weft_scope scope;
    bool cancelled, shielded;
    int result;       /* of its park */
    const char *why;  /* what it was told */
    const char *want; /* what it should have been told; NULL: it is parked */
};

static struct node nodes[NODES];

static const char *const names[] = {"a", "b", "c", "d", "e"};

static int lives(void *arg)
{
    struct node *self = arg;
    weft_nursery n;
    CHECK_EQ(weft_scope_begin(&self->scope), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < NODES; i++) {
        if (nodes[i].parent != (int)(self - nodes)) continue;
        CHECK_EQ(weft_spawn(&n, lives, &nodes[i]), 0);
    }
    self->result = weft_sleep_until(WEFT_FOREVER);
    CHECK(weft_cancelled());
    self->why = weft_cancel_reason()->why;
    CHECK_EQ(weft_nursery_close(&n, 0), 0); /* the children stay as they are */
    return weft_scope_end(&self->scope, 0);
}

/* The node whose cancellation a fiber parked at `from` sees, or -1. */
static int visible_cancel(int from)
{
    int found = -1;
    for (int i = from; i >= 0; i = nodes[i].parent) {
        if (nodes[i].cancelled) found = i;
        if (nodes[i].shielded) break;
    }
    return found;
}

static void compare(void)
{
    CHECK_EQ(weft_sleep(1), 0); /* all run that may */
    for (int i = 0; i < NODES; i++) {
        struct node *n = &nodes[i];
        int by = n->want ? -1 : visible_cancel(i);
        if (by >= 0) n->want = weft_scope_reason(&nodes[by].scope)->why;
        CHECK_EQ(n->result, n->want ? -ECANCELED : PARKED);
        CHECK_STR(n->why, n->want);
    }
}

static void change_something(void)
{
    struct node *n = &nodes[random_below(NODES)];
    if (random_below(5) == 0) {
        weft_scope_cancel(&n->scope, 0, names[random_below(5)]);
        n->cancelled = true;
    } else {
        n->shielded = !n->shielded;
        weft_scope_set_shield(&n->scope, n->shielded);
    }
}

static void grow_a_tree(void)
{
    memset(nodes, 0, sizeof(nodes));
    for (int i = 0; i < NODES; i++) {
        nodes[i].result = PARKED;
        nodes[i].parent = i == 0 ? -1 : random_below(i);
        if (i > 0 && random_below(3) == 0) nodes[i].parent = i - 1;
        weft_scope_init(&nodes[i].scope);
        nodes[i].shielded = random_below(2);
        weft_scope_set_shield(&nodes[i].scope, nodes[i].shielded);
    }
}

TEST(a_change_wakes_just_those_who_see_it)
{
    random_begin(test_seed());
    for (int round = 0; round < ROUNDS; round++) {
        weft_nursery n;
        grow_a_tree();
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        CHECK_EQ(weft_spawn(&n, lives, &nodes[0]), 0);
        compare();
        for (int i = 0; i < 60; i++) {
            change_something();
            compare();
        }
        for (int i = 0; i < NODES; i++) {
            weft_scope_cancel(&nodes[i].scope, 0, "the end");
        }
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
    }
}
