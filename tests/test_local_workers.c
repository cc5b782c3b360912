/* SPDX-License-Identifier: MIT */
/* test_local_workers.c - which values go along to the fibers of other workers. */
#include <weft/local.h>

#include <errno.h>

#include "workers.h"

static int drops; /* of any thread */

static void counts_a_drop(void *value)
{
    (void)value;
    (void)add_one(&drops);
}

static weft_key shared = {"shared", counts_a_drop, WEFT_KEY_SHARE_THREADS};
static weft_key other = {"other", counts_a_drop, WEFT_KEY_SHARE_THREADS};
static weft_key plain = {.name = "plain"};

static char red[] = "red", green[] = "green", blue[] = "blue";

static void bind(weft_key *k, void *value)
{
    CHECK_EQ(weft_local_push(k, value), 0);
}

static int sees_what_is_shared(void *arg)
{
    (void)arg;
    CHECK_PTR(weft_local_get(&shared), red);
    CHECK_PTR(weft_local_get(&other), green);
    CHECK_PTR(weft_local_get(&plain), NULL);
    return 0;
}

TEST_WORKERS(a_shared_value_goes_along_to_each_worker)
{
    drops = 0;
    bind(&shared, red);
    bind(&plain, blue);
    bind(&other, green);
    for (unsigned k = 1; k <= weft_workers(); k++)
        CHECK_EQ(call_on(k, sees_what_is_shared, NULL), 0);
    CHECK_EQ(call_on((unsigned)WEFT_ANY_WORKER, sees_what_is_shared, NULL), 0);
    CHECK_EQ(count_of(&drops), 0);

    CHECK_EQ(weft_local_pop(&other), 0);
    CHECK_EQ(weft_local_pop(&shared), 0);
    CHECK_EQ(count_of(&drops), 2);
    CHECK_EQ(weft_local_pop(&plain), 0);
}

static int binds_over_it(void *arg)
{
    (void)arg;
    bind(&shared, blue);
    CHECK_PTR(weft_local_get(&shared), blue);
    CHECK_EQ(weft_local_pop(&shared), 0);
    CHECK_PTR(weft_local_get(&shared), red);
    CHECK_EQ(weft_local_pop(&shared), -ENOENT); /* it is not its own */
    return 0;
}

TEST_WORKERS(what_a_fiber_elsewhere_binds_is_seen_by_it_alone)
{
    drops = 0;
    bind(&shared, red);
    for
        EACH_OTHER(k) CHECK_EQ(call_on(k, binds_over_it, NULL), 0);
    CHECK_PTR(weft_local_get(&shared), red);
    CHECK_EQ(count_of(&drops), (int)weft_workers() - 1);
    CHECK_EQ(weft_local_pop(&shared), 0);
}

static int holds_it_until_cancelled(void *arg)
{
    (void)arg;
    CHECK_PTR(weft_local_get(&shared), red);
    CHECK_EQ(weft_started(NULL), 0);
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
    CHECK_PTR(weft_local_get(&shared), red);
    CHECK_EQ(count_of(&drops), 0);
    return -ECANCELED;
}

TEST_WORKERS(who_is_the_last_to_see_it_drops_it_on_whatever_worker)
{
    int rc;
    drops = 0;
    WEFT_NURSERY(n, rc) {
        bind(&shared, red);
        start_on(2, &n, holds_it_until_cancelled, NULL);
        CHECK_EQ(weft_local_pop(&shared), 0);
        CHECK_PTR(weft_local_get(&shared), NULL);
        CHECK_EQ(count_of(&drops), 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK(rc == 0 || rc == -ECANCELED);
    CHECK_EQ(count_of(&drops), 1);
}
