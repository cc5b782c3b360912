/* SPDX-License-Identifier: MIT */
/*
 * names.c - getaddrinfo on a thread.
 *
 * What is asked and what is found is in a block that the caller and the thread
 * both hold: who lets go last frees it, since a caller that was cancelled is
 * gone long before the thread is.
 */
#include <weft/names.h>

#include <weft/blocking.h>
#include <weft/error.h>
#include <weft/fiber.h>

#include <string.h>

#include "runtime/os_names.h"

enum { FOUND = 64, HOST = 256 };

struct search {
    int holders; /* atomic */
    int family;
    int count;
    struct sockaddr_storage found[FOUND];
    char host[HOST];
};

static void let_go(void *arg)
{
    struct search *s = arg;
    if (__atomic_sub_fetch(&s->holders, 1, __ATOMIC_ACQ_REL) == 0)
        wf_shared_free(s, sizeof *s);
}

static void add(struct search *s, const struct addrinfo *a)
{
    struct sockaddr_storage sa;
    if (s->count == FOUND || a->ai_addrlen > sizeof sa) return;
    memset(&sa, 0, sizeof sa);
    memcpy(&sa, a->ai_addr, a->ai_addrlen);
    for (int i = 0; i < s->count; i++)
        if (memcmp(&s->found[i], &sa, sizeof sa) == 0) return;
    s->found[s->count++] = sa;
}

static int search(void *arg)
{
    struct search *s = arg;
    const struct addrinfo hints = {.ai_family = s->family,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    int err = wf_os_getaddrinfo(s->host, &hints, &list);
    if (err < 0) return err;
    for (const struct addrinfo *a = list; a; a = a->ai_next)
        if (a->ai_family == AF_INET || a->ai_family == AF_INET6) add(s, a);
    wf_os_freeaddrinfo(list);
    return s->count > 0 ? s->count : -ENODATA;
}

int weft_getaddrinfo(const char *host, int family,
                     struct sockaddr_storage ret[], size_t max)
{
    size_t len = strlen(host);
    int err = weft_checkpoint();
    if (err < 0) return err;
    if (len == 0 || len >= HOST)
        return weft_fail_at(-EINVAL, NULL, 0, "\"%.60s\" is no host name",
                            host);
    struct search *s = wf_shared_alloc(sizeof *s);
    if (!s) return weft_fail_at(-ENOMEM, NULL, 0, "getaddrinfo %.60s", host);
    *s = (struct search){.holders = 2, .family = family};
    memcpy(s->host, host, len + 1);
    const weft_bjob job = {.fn = search, .arg = s, .release = let_go};
    int n = weft_blocking_abandon(&job);
    for (int i = 0; i < n && (size_t)i < max; i++)
        ret[i] = s->found[i];
    let_go(s);
    if (n >= 0 || n == -ECANCELED || n == -EPERM) return n;
    return weft_fail_at(n, NULL, 0, "getaddrinfo %.60s", host);
}
