/* SPDX-License-Identifier: MIT */
/*
 * rate_limit - two a second: for a server, which refuses the rest; for a
 * client, which waits for its turn; and what it is not, a limit of how many at
 * once.
 */
#include <weft.h>

#include <stdio.h>

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
