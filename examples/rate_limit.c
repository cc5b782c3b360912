/* SPDX-License-Identifier: MIT */
/*
 * rate_limit - two a second: for a server, which refuses the rest; for a
 * client, which waits for its turn; for a server with clients by name, which
 * asks a store that fails; and what it is not, a limit of how many at once.
 */
#include <weft.h>

#include <stdio.h>
#include <string.h>

enum { REQUESTS = 5 };

static weft_time began;

static int since(void)
{
    return (int)((weft_now() - began) / WEFT_MSEC(1));
}

/* A server answers at once, if only to say when to come back. What is refused
 * does not count, so that who is told to wait does not make it longer. (When
 * something leaves the window is known to a sixteenth of it.) */
static int serve(weft_ratelimit *r)
{
    weft_ratelimit_info info;
    for (int i = 1; i <= REQUESTS; i++) {
        int rc = weft_ratelimit_check(r, 1, &info);
        if (rc == 0)
            printf("%4d ms  request %d: served, %u left\n", since(), i,
                   (unsigned)info.remaining);
        else if (rc == -EAGAIN)
            printf("%4d ms  request %d: refused, come back in %d ms\n", since(),
                   i, (int)(info.retry_after / WEFT_MSEC(1)));
        else
            return rc;
        rc = weft_sleep(WEFT_MSEC(200));
        if (rc < 0) return rc;
    }
    return 0;
}

/* A client has time: it stands in line. */
static int fetch(size_t i, void *context)
{
    int err = weft_ratelimit_wait(context, 1);
    if (err < 0) return err;
    printf("%4d ms  page %zu: asked for\n", since(), i + 1);
    return weft_sleep(WEFT_MSEC(900)); /* as the answer takes */
}

/* As of a store that several servers share, by a client for Redis perhaps. This
 * one answers once, and then hangs; so it gets a deadline, and says that it has
 * failed. */
static int ask_store(const void *key, size_t len, uint32_t cost,
                     const weft_ratelimits_opts *o,
                     weft_ratelimit_info *ret_info, void *user)
{
    int rc, *calls = user;
    (void)key;
    (void)len;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(50)) {
        rc = weft_sleep(++*calls == 1 ? WEFT_MSEC(10) : WEFT_FOREVER);
    }
    if (rc == 0) ret_info->remaining = o->limit - cost;
    return rc;
}

/* One after the other, each with a limit of its own. */
static int serve_by_name(weft_ratelimits *clients)
{
    static const char *const names[] = {"anna", "anna", "bert", "anna", "anna"};
    for (int i = 0; i < REQUESTS; i++) {
        weft_ratelimit_info info;
        int rc = weft_ratelimits_check(clients, names[i], strlen(names[i]), 1,
                                       &info);
        if (rc < 0 && rc != -EAGAIN && rc != -ENOBUFS) return rc;
        printf("%4d ms  %s: %s, %u left%s\n", since(), names[i],
               rc == 0 ? "served" : "refused", (unsigned)info.remaining,
               info.degraded ? " (without the store)" : "");
    }
    return 0;
}

/* While the store fails this process goes on by itself, which is the default
 * of on_store_error. */
static int serve_clients(void)
{
    int calls = 0;
    const weft_ratelimits_opts opts = {.limit = 2,
                                       .window = WEFT_SEC(1),
                                       .store = ask_store,
                                       .on_store_error = WEFT_RATE_LOCAL,
                                       .user = &calls};
    weft_ratelimits *clients = weft_ratelimits_new(&opts);
    if (!clients) return -ENOMEM;
    int rc = serve_by_name(clients);
    weft_ratelimits_free(clients);
    return rc;
}

/* Two at a time: how soon the next one begins depends on the answers. */
static int download(size_t i, void *context)
{
    int err = weft_limiter_acquire(context, NULL);
    if (err < 0) return err;
    printf("%4d ms  file %zu: begun\n", since(), i + 1);
    err = weft_sleep(WEFT_MSEC(900));
    (void)weft_limiter_release(context, NULL);
    return err;
}

static int start(void *arg)
{
    weft_ratelimit window, bucket;
    weft_limiter slots;
    (void)arg;

    puts("a server lets two through in any second");
    began = weft_now();
    weft_ratelimit_init(&window, WEFT_SLIDING_WINDOW, 2, WEFT_SEC(1));
    int rc = serve(&window);
    if (rc < 0) return rc;

    puts("a client begins two at once, and then one each half second");
    began = weft_now();
    weft_ratelimit_init(&bucket, WEFT_TOKEN_BUCKET, 2, WEFT_SEC(1));
    rc = weft_map(REQUESTS, fetch, &bucket, NULL, NULL);
    if (rc < 0) return rc;

    puts("a server lets each client through twice, even without its store");
    began = weft_now();
    rc = serve_clients();
    if (rc < 0) return rc;

    puts("two at a time is something else");
    began = weft_now();
    weft_limiter_init(&slots, 2);
    rc = weft_map(REQUESTS, download, &slots, NULL, NULL);
    weft_limiter_fini(&slots);
    return rc;
}

int main(void)
{
    /* The clock jumps to what is waited for: the same words in no time. */
    const weft_run_opts opts = {.virtual_clock = true};
    return weft_run(start, NULL, &opts) < 0;
}
