/* SPDX-License-Identifier: MIT */
/*
 * retry - a price that is asked for again, later each time, and not for ever.
 */
#include <weft.h>

#include <stdio.h>

/* A service that fails a few times, and what it fails with. */
struct service {
    const char *how;
    int fails;
    int code;
    weft_time come_back; /* it asks to be left alone for so long */
    int calls;
};

/* Stands for a request. A retry calls it as it is: what it returns says what
 * becomes of it, and it has nothing to count. */
static int ask_price(void *arg)
{
    struct service *s = arg;
    int err = weft_sleep(WEFT_MSEC(20));
    if (err < 0) return err;
    if (++s->calls > s->fails) return 42;
    if (s->come_back) weft_retry_after(s->come_back);
    return weft_fail(s->code, "the price service, call %d", s->calls);
}

/* What is transient by itself, and what this service says when it is closed for
 * a moment. That there is no such thing does not change by asking again. */
static bool may_pass(int code, const weft_error *e, unsigned attempt,
                     void *user)
{
    (void)e;
    (void)attempt;
    (void)user;
    return weft_retry_transient(code) || code == -ESHUTDOWN;
}

static void tell(int code, unsigned attempt, weft_time wait, void *user)
{
    (void)user;
    printf("    %u: %s, again in %d ms\n", attempt, weft_strerror(code),
           (int)(wait / WEFT_MSEC(1)));
}

/* The deadline is around all of it: the attempts and the waits between. */
static int buy(struct service *s, weft_time patience)
{
    /* Waits are exact for the sake of what is printed. A program with many
     * clients leaves the jitter in. */
    const weft_retry_opts o = {.attempts = 5,
                               .base = WEFT_MSEC(100),
                               .cap = WEFT_MSEC(300),
                               .when = may_pass,
                               .before_wait = tell,
                               .no_jitter = true};
    weft_time start = weft_now();
    int price;
    puts(s->how);
    WEFT_FAIL_AFTER(price, patience) {
        price = weft_retry(ask_price, s, &o);
    }
    printf("    %s after %d ms\n", price < 0 ? weft_strerror(price) : "bought",
           (int)((weft_now() - start) / WEFT_MSEC(1)));
    if (price < 0) printf("    (%s)\n", weft_last_error()->msg);
    return price == -ECANCELED ? price : 0;
}

static int start(void *arg)
{
    struct service works = {.how = "it works"};
    struct service flaky = {"it fails twice", 2, -ECONNRESET, 0, 0};
    struct service gone = {"it is gone", 99, -ECONNREFUSED, 0, 0};
    struct service closed = {"it asks for a pause", 1, -ESHUTDOWN, WEFT_SEC(2),
                             0};
    struct service unknown = {"it has no such thing", 99, -ENOENT, 0, 0};
    struct service late = {"there is half a second", 99, -ECONNRESET, 0, 0};
    (void)arg;
    int rc = buy(&works, WEFT_SEC(10));
    if (rc == 0) rc = buy(&flaky, WEFT_SEC(10));
    if (rc == 0) rc = buy(&gone, WEFT_SEC(10));
    if (rc == 0) rc = buy(&closed, WEFT_SEC(10));
    if (rc == 0) rc = buy(&unknown, WEFT_SEC(10));
    /* The third wait would end after the deadline: so it is not begun, and
     * what comes out is the failure, not that the time is over. */
    if (rc == 0) rc = buy(&late, WEFT_MSEC(500));
    return rc;
}

int main(void)
{
    /* The clock jumps to what is waited for: the same words in no time. */
    const weft_run_opts opts = {.virtual_clock = true};
    return weft_run(start, NULL, &opts) < 0;
}
