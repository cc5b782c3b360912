/* SPDX-License-Identifier: MIT */
/*
 * serve_peers.c - how many connections each address has.
 *
 * A tree of the bits of the addresses: a branch for each bit at which those
 * below it differ, a leaf for each that has connections. Addresses are chosen
 * by whoever wants to do harm, and all that he can choose is a path of 160
 * branches; there is no secret to be guessed, as there would be with a hash. It
 * holds what is connected, so at most max_conns leaves, and one branch less.
 *
 * After: Morrison, PATRICIA, J. ACM 15 (1968); Bernstein, crit-bit trees.
 */
#include "serve.h"

#include <weft/buffer.h>

#include <netinet/in.h>
#include <string.h>

enum { KEY = 20 }; /* octets: the address as one of IPv6, and its scope */

struct wf_peer {
    int bit; /* of a branch: which decides. A leaf: -1 */
    union {
        struct wf_peer *child[2];
        struct {
            unsigned char key[KEY];
            unsigned count;
        } leaf;
    } u;
};

static unsigned bit_of(const unsigned char *key, int bit)
{
    return (unsigned)key[bit / 8] >> (7 - bit % 8) & 1u;
}

static void keep_prefix(unsigned char *address, unsigned bits)
{
    for (unsigned i = bits; i < 128; i++)
        address[i / 8] &= (unsigned char)~(0x80u >> i % 8);
}

/* Whom it is counted as; false if that is nobody. */
static bool key_of(const struct wf_peers *p, const weft_addr *a,
                   unsigned char key[KEY])
{
    memset(key, 0, KEY);
    if (a->len == 0) return false;
    if (a->sa.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&a->sa;
        key[10] = key[11] = 0xff;
        memcpy(key + 12, &in->sin_addr, 4);
        return true;
    }
    if (a->sa.ss_family != AF_INET6) return false;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->sa;
    memcpy(key, &in6->sin6_addr, 16);
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) return true;
    memcpy(key + 16, &in6->sin6_scope_id, 4);
    keep_prefix(key, p->prefix6);
    return true;
}

/* The leaf that is like it as far as the branches ask. */
static struct wf_peer *nearest(struct wf_peer *at, const unsigned char *key)
{
    while (at && at->bit >= 0)
        at = at->u.child[bit_of(key, at->bit)];
    return at;
}

/* The first bit at which they differ; KEY * 8: none. */
static int difference(const unsigned char *a, const unsigned char *b)
{
    int bit = 0;
    while (bit < KEY * 8 && a[bit / 8] == b[bit / 8])
        bit += 8;
    while (bit < KEY * 8 && bit_of(a, bit) == bit_of(b, bit))
        bit++;
    return bit;
}

static struct wf_peer *new_leaf(const unsigned char *key)
{
    struct wf_peer *l = weft_buffer_alloc(sizeof *l);
    if (!l) return NULL;
    l->bit = -1;
    memcpy(l->u.leaf.key, key, KEY);
    l->u.leaf.count = 1;
    return l;
}

/* A leaf, by a branch at `bit` above all that differ later. */
static int add(struct wf_peers *p, const unsigned char *key, int bit)
{
    struct wf_peer *leaf = new_leaf(key), **link = &p->root;
    if (!leaf) return -ENOMEM;
    if (!*link) {
        *link = leaf;
        return 0;
    }
    struct wf_peer *branch = weft_buffer_alloc(sizeof *branch);
    if (!branch) {
        weft_buffer_free(leaf, sizeof *leaf);
        return -ENOMEM;
    }
    while ((*link)->bit >= 0 && (*link)->bit < bit)
        link = &(*link)->u.child[bit_of(key, (*link)->bit)];
    unsigned side = bit_of(key, bit);
    branch->bit = bit;
    branch->u.child[side] = leaf;
    branch->u.child[!side] = *link;
    *link = branch;
    return 0;
}

int wf_peers_enter(struct wf_peers *p, const weft_addr *a)
{
    unsigned char key[KEY];
    if (!key_of(p, a, key)) return 0;
    struct wf_peer *at = nearest(p->root, key);
    int bit = at ? difference(at->u.leaf.key, key) : 0;
    if (!at || bit < KEY * 8) return add(p, key, bit);
    if (at->u.leaf.count >= p->limit) return -EBUSY;
    at->u.leaf.count++;
    return 0;
}

/* It is there, for it has entered. */
void wf_peers_leave(struct wf_peers *p, const weft_addr *a)
{
    unsigned char key[KEY];
    struct wf_peer **link = &p->root, **above = NULL;
    if (!key_of(p, a, key)) return;
    while ((*link)->bit >= 0) {
        above = link;
        link = &(*link)->u.child[bit_of(key, (*link)->bit)];
    }
    struct wf_peer *leaf = *link, *branch = above ? *above : NULL;
    if (--leaf->u.leaf.count > 0) return;
    if (branch)
        *above = branch->u.child[!bit_of(key, branch->bit)];
    else
        p->root = NULL;
    weft_buffer_free(branch, sizeof *branch);
    weft_buffer_free(leaf, sizeof *leaf);
}
