/* SPDX-License-Identifier: MIT */
/* test_timer.c - order, exactness and bounds of the timing wheel. */
#include "chance.h"
#include "reactor/timer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "harness.h"

#define MICROSECOND INT64_C(1000)
#define MILLISECOND (1000 * MICROSECOND)
#define SECOND      (1000 * MILLISECOND)
#define HOUR        (3600 * SECOND)
#define YEAR        (8766 * HOUR)
#define TICK        (INT64_C(1) << WF_WHEEL_TICK_BITS)
#define START       (37 * HOUR + 123456789)

static struct wf_wheel wheel;

/* From 0 ns to some hours, each magnitude as likely as the others. */
static int64_t random_span(void)
{
    return (int64_t)random_below(UINT64_C(1) << random_below(45));
}

static int64_t processor_time(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

/* Expires to `now` and checks that just these n timers come out, in order. */
static void expect(int64_t now, struct wf_timer *const due[], size_t n)
{
    size_t armed = wf_wheel_count(&wheel);
    struct wf_timer *t = wf_wheel_expire(&wheel, now);

    for (size_t i = 0; i < n; i++) {
        CHECK(t == due[i]);
        CHECK(!wf_timer_armed(t));
        t = t->next;
    }
    CHECK(t == NULL);
    CHECK_EQ(wf_wheel_count(&wheel), armed - n);
    CHECK(wf_wheel_next(&wheel) > now || wf_wheel_next(&wheel) == INT64_MAX);
}

#define EXPECT(now, ...)                                                       \
    expect(now, (struct wf_timer *const[]){__VA_ARGS__},                       \
           sizeof((struct wf_timer *const[]){__VA_ARGS__}) /                   \
               sizeof(struct wf_timer *))

#define EXPECT_NONE(now) expect(now, NULL, 0)

TEST_PLAIN(an_empty_wheel_has_nothing_to_wait_for)
{
    wf_wheel_init(&wheel, START);
    CHECK_EQ(wf_wheel_count(&wheel), 0);
    CHECK_EQ(wf_wheel_next(&wheel), INT64_MAX);
    EXPECT_NONE(START);
    EXPECT_NONE(START + YEAR);
    EXPECT_NONE(INT64_MAX);
    CHECK_EQ(wf_wheel_next(&wheel), INT64_MAX);
}

TEST_PLAIN(a_zeroed_timer_is_not_armed)
{
    struct wf_timer t = {0};

    CHECK(!wf_timer_armed(&t));
    wf_wheel_init(&wheel, START);
    wf_timer_arm(&wheel, &t, START + 1);
    CHECK(wf_timer_armed(&t));
    EXPECT(START + 1, &t);
    CHECK(!wf_timer_armed(&t));
}

TEST_PLAIN(a_timer_expires_at_its_nanosecond_and_not_before)
{
    for (int64_t span = 1; span < YEAR; span *= 3) {
        struct wf_timer t = {0};
        wf_wheel_init(&wheel, START);
        wf_timer_arm(&wheel, &t, START + span);
        CHECK_EQ(wf_wheel_next(&wheel), START + span);
        EXPECT_NONE(START);
        EXPECT_NONE(START + span / 2);
        EXPECT_NONE(START + span - 1);
        CHECK_EQ(wf_wheel_next(&wheel), START + span);
        EXPECT(START + span, &t);
    }
}

TEST_PLAIN(a_timer_later_in_the_running_tick_stays)
{
    struct wf_timer early = {0}, late = {0};
    int64_t tick = START / TICK * TICK;

    wf_wheel_init(&wheel, tick + 10);
    wf_timer_arm(&wheel, &late, tick + TICK - 1);
    wf_timer_arm(&wheel, &early, tick + 20);
    EXPECT(tick + 20, &early);
    CHECK_EQ(wf_wheel_next(&wheel), tick + TICK - 1);
    EXPECT_NONE(tick + TICK - 2);
    EXPECT(tick + TICK - 1, &late);
}

TEST_PLAIN(moments_on_either_side_of_a_slot_are_kept_apart)
{
    for (int bits = WF_WHEEL_TICK_BITS; bits < 63; bits++) {
        struct wf_timer last = {0}, first = {0}, second = {0};
        int64_t edge = INT64_C(1) << bits;

        wf_wheel_init(&wheel, 5);
        wf_timer_arm(&wheel, &second, edge + 1);
        wf_timer_arm(&wheel, &first, edge);
        wf_timer_arm(&wheel, &last, edge - 1);
        CHECK_EQ(wf_wheel_next(&wheel), edge - 1);
        EXPECT_NONE(edge - 2);
        EXPECT(edge - 1, &last);
        CHECK_EQ(wf_wheel_next(&wheel), edge);
        EXPECT(edge, &first);
        EXPECT(edge + 1, &second);
    }
}

TEST_PLAIN(different_moments_expire_in_the_order_of_time)
{
    struct wf_timer a = {0}, b = {0}, c = {0}, d = {0}, e = {0};

    wf_wheel_init(&wheel, START);
    wf_timer_arm(&wheel, &e, START + HOUR);
    wf_timer_arm(&wheel, &b, START + 2);
    wf_timer_arm(&wheel, &d, START + SECOND + 1);
    wf_timer_arm(&wheel, &a, START + 1);
    wf_timer_arm(&wheel, &c, START + SECOND);
    EXPECT(START + YEAR, &a, &b, &c, &d, &e);
}

TEST_PLAIN(equal_moments_expire_in_the_order_they_were_armed)
{
    enum { COUNT = 1000 };
    static struct wf_timer timers[COUNT];
    int64_t when = START + 100 * SECOND;

    /* Armed from ever nearer, so that they begin on all the lower levels. */
    wf_wheel_init(&wheel, START);
    for (int i = 0; i < COUNT; i++) {
        CHECK(wf_wheel_expire(&wheel, when - (when - START) / (i + 1)) == NULL);
        wf_timer_arm(&wheel, &timers[i], when);
    }
    EXPECT_NONE(when - 1);

    struct wf_timer *t = wf_wheel_expire(&wheel, when);
    for (int i = 0; i < COUNT; i++, t = t->next)
        CHECK(t == &timers[i]);
    CHECK(t == NULL);
}

TEST_PLAIN(a_moved_timer_comes_after_those_armed_for_its_moment_before)
{
    struct wf_timer a = {0}, b = {0}, c = {0};

    wf_wheel_init(&wheel, START);
    wf_timer_arm(&wheel, &a, START + SECOND);
    wf_timer_arm(&wheel, &b, START + SECOND);
    wf_timer_arm(&wheel, &c, START + SECOND);
    wf_timer_move(&wheel, &a, START + SECOND);
    wf_timer_move(&wheel, &b, START + HOUR);
    wf_timer_move(&wheel, &b, START + SECOND);
    EXPECT(START + SECOND, &c, &a, &b);
}

TEST_PLAIN(a_past_moment_is_due_at_once_and_in_its_order)
{
    struct wf_timer present = {0}, past = {0}, negative = {0}, zero = {0};

    wf_wheel_init(&wheel, START);
    wf_timer_arm(&wheel, &present, START);
    wf_timer_arm(&wheel, &past, START - HOUR);
    wf_timer_arm(&wheel, &negative, INT64_MIN);
    wf_timer_arm(&wheel, &zero, 0);
    CHECK_EQ(wf_wheel_next(&wheel), 0);
    EXPECT(START, &negative, &zero, &past, &present);
}

TEST_PLAIN(the_last_moments_there_are_can_be_waited_for)
{
    struct wf_timer last = {0}, end = {0}, far = {0};

    wf_wheel_init(&wheel, START);
    wf_timer_arm(&wheel, &end, INT64_MAX);
    wf_timer_arm(&wheel, &last, INT64_MAX - 1);
    wf_timer_arm(&wheel, &far, INT64_MAX / 2);
    CHECK_EQ(wf_wheel_next(&wheel), INT64_MAX / 2);
    EXPECT(INT64_MAX / 2, &far);
    CHECK_EQ(wf_wheel_next(&wheel), INT64_MAX - 1);
    EXPECT_NONE(INT64_MAX - 2);
    EXPECT(INT64_MAX - 1, &last);
    CHECK_EQ(wf_wheel_next(&wheel), INT64_MAX);
    EXPECT(INT64_MAX, &end);
}

TEST_PLAIN(moments_before_zero_are_zero)
{
    struct wf_timer t = {0}, u = {0};

    wf_wheel_init(&wheel, INT64_MIN);
    wf_timer_arm(&wheel, &t, -5);
    wf_timer_arm(&wheel, &u, 1);
    CHECK_EQ(wf_wheel_next(&wheel), 0);
    EXPECT(-1, &t);
    EXPECT_NONE(0);
    EXPECT(1, &u);
}

TEST_PLAIN(time_does_not_go_back)
{
    struct wf_timer t = {0};

    wf_wheel_init(&wheel, START);
    EXPECT_NONE(START + HOUR);
    wf_timer_arm(&wheel, &t, START + SECOND);
    EXPECT(START, &t); /* it is START + HOUR still */
}

TEST_PLAIN(a_disarmed_timer_does_not_expire)
{
    struct wf_timer a = {0}, b = {0}, c = {0};

    wf_wheel_init(&wheel, START);
    wf_timer_arm(&wheel, &a, START + SECOND);
    wf_timer_arm(&wheel, &b, START + SECOND);
    wf_timer_arm(&wheel, &c, START + SECOND);
    wf_timer_disarm(&wheel, &b);
    CHECK(!wf_timer_armed(&b));
    CHECK_EQ(wf_wheel_count(&wheel), 2);
    EXPECT(START + SECOND, &a, &c);
}

TEST_PLAIN(the_last_disarm_leaves_nothing_to_wait_for)
{
    enum { COUNT = 50 };
    struct wf_timer timers[COUNT] = {{0}};

    wf_wheel_init(&wheel, START);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++) {
            wf_timer_arm(&wheel, &timers[i], START + ((int64_t)1 << i));
        }
        for (int i = 0; i < COUNT; i++) {
            CHECK_EQ(wf_wheel_count(&wheel), COUNT - i);
            CHECK(wf_wheel_next(&wheel) <= START + ((int64_t)1 << i));
            wf_timer_disarm(&wheel, &timers[i]);
        }
        CHECK_EQ(wf_wheel_next(&wheel), INT64_MAX);
    }
    EXPECT_NONE(START + YEAR);
}

TEST_PLAIN(a_disarmed_timer_can_be_armed_again)
{
    struct wf_timer t = {0};

    wf_wheel_init(&wheel, START);
    for (int i = 1; i <= 10; i++) {
        wf_timer_arm(&wheel, &t, START + i * SECOND);
        wf_timer_disarm(&wheel, &t);
        wf_timer_arm(&wheel, &t, START + i * SECOND);
        EXPECT(START + i * SECOND, &t);
    }
}

TEST_PLAIN(a_timer_moved_later_does_not_expire_at_its_old_moment)
{
    struct wf_timer t = {0}, other = {0};

    wf_wheel_init(&wheel, START);
    wf_timer_arm(&wheel, &t, START + MILLISECOND);
    wf_timer_arm(&wheel, &other, START + 10 * MILLISECOND);
    wf_timer_move(&wheel, &t, START + SECOND);
    CHECK_EQ(t.when, START + SECOND);
    EXPECT_NONE(START + MILLISECOND);
    EXPECT(START + SECOND - 1, &other);
    EXPECT(START + SECOND, &t);
}

TEST_PLAIN(a_jump_past_a_moved_timer_keeps_the_order)
{
    struct wf_timer moved = {0}, between = {0}, after = {0};

    wf_wheel_init(&wheel, START);
    wf_timer_arm(&wheel, &moved, START + 1);
    wf_timer_arm(&wheel, &after, START + 3 * SECOND);
    wf_timer_arm(&wheel, &between, START + SECOND);
    wf_timer_move(&wheel, &moved, START + 2 * SECOND);
    EXPECT(START + HOUR, &between, &moved, &after);
}

TEST_PLAIN(a_timer_moved_earlier_expires_then)
{
    struct wf_timer t = {0};

    wf_wheel_init(&wheel, START);
    wf_timer_arm(&wheel, &t, START + HOUR);
    wf_timer_move(&wheel, &t, START + YEAR);
    wf_timer_move(&wheel, &t, START + 3);
    CHECK_EQ(wf_wheel_next(&wheel), START + 3);
    CHECK_EQ(wf_wheel_count(&wheel), 1);
    EXPECT_NONE(START + 2);
    EXPECT(START + 3, &t);

    wf_timer_arm(&wheel, &t, START + HOUR);
    wf_timer_move(&wheel, &t, -1);
    EXPECT(START + 3, &t);
}

TEST_PLAIN(next_is_exact_while_timers_are_only_armed)
{
    enum { COUNT = 3000 };
    static struct wf_timer timers[COUNT];
    int64_t earliest = INT64_MAX;

    random_begin(test_seed());
    wf_wheel_init(&wheel, START);
    for (int i = 0; i < COUNT; i++) {
        int64_t when = START + random_span();
        wf_timer_arm(&wheel, &timers[i], when);
        if (when < earliest) earliest = when;
        CHECK_EQ(wf_wheel_next(&wheel), earliest);
    }
    while (wf_wheel_count(&wheel) > 0) {
        int64_t next = wf_wheel_next(&wheel);
        struct wf_timer *t = wf_wheel_expire(&wheel, next);
        CHECK(t != NULL);
        for (; t != NULL; t = t->next)
            CHECK_EQ(t->when, next);
    }
}

TEST_PLAIN(a_loop_that_sleeps_until_next_does_not_spin)
{
    enum { COUNT = 1000 };
    static struct wf_timer timers[COUNT];
    int wakes = 0, last_due = 0;

    /* Bounds are left behind by moves and disarms wherever they can be. */
    random_begin(test_seed());
    wf_wheel_init(&wheel, START);
    for (int i = 0; i < COUNT; i++) {
        wf_timer_arm(&wheel, &timers[i], START + random_span());
    }
    for (int i = 0; i < COUNT; i++) {
        if (i % 3 == 0) wf_timer_disarm(&wheel, &timers[i]);
        if (i % 3 == 1) wf_timer_move(&wheel, &timers[i], START + YEAR);
        if (i % 3 == 2) last_due++;
    }
    while (wf_wheel_count(&wheel) > 0) {
        int64_t now = wf_wheel_next(&wheel);
        struct wf_timer *t = wf_wheel_expire(&wheel, now);
        for (; t != NULL; t = t->next)
            last_due -= t->when < START + YEAR;
        CHECK(wf_wheel_next(&wheel) > now);
        wakes++;
    }
    CHECK_EQ(last_due, 0);
    CHECK(wakes <= COUNT + WF_WHEEL_LEVELS * WF_WHEEL_SLOTS);
}

TEST_PLAIN(a_jump_over_years_costs_only_the_timers_it_passes)
{
    struct wf_timer near = {0}, far = {0}, farther = {0};
    int64_t begin = processor_time();

    for (int i = 0; i < 1000; i++) {
        wf_wheel_init(&wheel, START);
        wf_timer_arm(&wheel, &farther, START + 200 * YEAR);
        wf_timer_arm(&wheel, &far, START + 100 * YEAR);
        wf_timer_arm(&wheel, &near, START + 1);
        EXPECT(START + 99 * YEAR, &near);
        EXPECT(START + 290 * YEAR, &far, &farther);
    }
    /* A wheel that steps tick by tick would take days. */
    CHECK(processor_time() - begin < 10 * SECOND);
}

/* --- against a model that searches an array ------------------------------ */

enum { MODEL_SIZE = 128 };

struct model {
    struct wf_timer timers[MODEL_SIZE];
    bool armed[MODEL_SIZE];
    int64_t when[MODEL_SIZE];
    uint64_t order[MODEL_SIZE];
    uint64_t next_order;
    size_t count;
    int64_t now;
};

static struct model model;

/* The index of the first timer in order, or -1 if none is armed. */
static int model_first(void)
{
    int first = -1;
    for (int i = 0; i < MODEL_SIZE; i++) {
        if (!model.armed[i]) continue;
        if (first < 0 || model.when[i] < model.when[first] ||
            (model.when[i] == model.when[first] &&
             model.order[i] < model.order[first])) {
            first = i;
        }
    }
    return first;
}

static void model_set(int i, int64_t when)
{
    model.count += !model.armed[i];
    model.armed[i] = true;
    model.when[i] = when > 0 ? when : 0;
    model.order[i] = model.next_order++;
}

static void model_clear(int i)
{
    model.armed[i] = false;
    model.count--;
}

/* Often a moment that another timer has, sometimes a past one or the last. */
static int64_t model_moment(void)
{
    int other = (int)random_below(MODEL_SIZE);
    switch (random_below(8)) {
    case 0:
        return model.now - random_span();
    case 1:
        return random_below(50) == 0 ? INT64_MAX - 1 : model.now;
    case 2:
    case 3:
        return model.armed[other] ? model.when[other] : model.now + 1;
    default:
        return model.now + random_span();
    }
}

static bool model_agrees_on_expiry(int64_t now)
{
    struct wf_timer *t = wf_wheel_expire(&wheel, now);

    if (now > model.now) model.now = now;
    for (;; t = t->next) {
        int first = model_first();
        if (first < 0 || model.when[first] > model.now) return t == NULL;
        if (t != &model.timers[first] || wf_timer_armed(t)) return false;
        model_clear(first);
    }
}

static bool model_agrees_after_one_step(void)
{
    int i = (int)random_below(MODEL_SIZE);
    int64_t when;

    switch (random_below(8)) {
    case 0:
        when = wf_wheel_next(&wheel);
        if (random_below(4) == 0 && when < INT64_MAX - 1) {
            return model_agrees_on_expiry(when - (int64_t)random_below(2));
        }
        return model_agrees_on_expiry(model.now + random_span() / 16);
    case 1:
        if (!model.armed[i]) return true;
        wf_timer_disarm(&wheel, &model.timers[i]);
        model_clear(i);
        return true;
    default:
        when = model_moment();
        if (model.armed[i]) {
            wf_timer_move(&wheel, &model.timers[i], when);
        } else {
            wf_timer_arm(&wheel, &model.timers[i], when);
        }
        model_set(i, when);
        return true;
    }
}

static bool model_agrees_on_state(void)
{
    int first = model_first();
    int64_t next = wf_wheel_next(&wheel);

    if (wf_wheel_count(&wheel) != model.count) return false;
    return first < 0 ? next == INT64_MAX : next <= model.when[first];
}

/* How many of `steps` random operations the wheel and the model agree on. */
static int steps_agreed(uint64_t seed, int steps)
{
    random_begin(seed);
    model = (struct model){.now = random_span()};
    wf_wheel_init(&wheel, model.now);
    for (int i = 0; i < steps; i++) {
        if (model_agrees_after_one_step() && model_agrees_on_state()) continue;
        printf("seed %#llx, step %d\n", (unsigned long long)seed, i);
        return i;
    }
    return steps;
}

TEST_PLAIN(the_wheel_does_what_a_searched_array_does)
{
    int seeds = 8, steps = test_is_slow() ? 10000 : 100000;
    for (int i = 0; i < seeds; i++) {
        uint64_t seed = test_seed() + (unsigned)i;
        seed *= UINT64_C(0x9e3779b97f4a7c15);
        CHECK_EQ(steps_agreed(seed, steps), steps);
    }
}

/* --- very many ------------------------------------------------------------ */

/* Expires all of n timers in steps; each once, in order, none early or late. */
static void expect_all(size_t n, int64_t step)
{
    const struct wf_timer *last = NULL;
    size_t seen = 0;

    CHECK_EQ(wf_wheel_count(&wheel), n);
    for (int64_t now = START; wf_wheel_count(&wheel) > 0; now += step) {
        const struct wf_timer *t = wf_wheel_expire(&wheel, now);
        for (; t != NULL; t = t->next) {
            CHECK(t->when <= now && t->when > now - step);
            if (last != NULL) {
                CHECK(t->when >= last->when);
                CHECK(t->when > last->when || t->order > last->order);
            }
            last = t;
            seen++;
        }
    }
    CHECK_EQ(seen, n);
}

TEST_PLAIN(a_million_timers_expire_in_order)
{
    const size_t n = test_is_slow() ? 100000 : 1000000;
    const int64_t spans[] = {60 * SECOND, 30 * MICROSECOND, 1};
    struct wf_timer *timers = calloc(n, sizeof(*timers));
    CHECK(timers != NULL);

    /* Spread out; then crowded in one tick; then all at the same moment. */
    random_begin(test_seed());
    for (size_t k = 0; k < sizeof(spans) / sizeof(spans[0]); k++) {
        wf_wheel_init(&wheel, START);
        for (size_t i = 0; i < n; i++) {
            int64_t after = (int64_t)random_below((uint64_t)spans[k]);
            wf_timer_arm(&wheel, &timers[i], START + SECOND + after);
        }
        expect_all(n, k == 1 ? 10 * MICROSECOND : 5 * MILLISECOND);
    }
    free(timers);
}

TEST_PLAIN(a_million_timers_moved_on_expire_in_order)
{
    const size_t n = test_is_slow() ? 100000 : 1000000;
    struct wf_timer *timers = calloc(n, sizeof(*timers));
    CHECK(timers != NULL);

    random_begin(test_seed());
    wf_wheel_init(&wheel, START);
    for (size_t i = 0; i < n; i++) {
        wf_timer_arm(&wheel, &timers[i], START + random_span() % SECOND);
    }
    for (size_t i = 0; i < n; i++) {
        int64_t after = (int64_t)random_below((uint64_t)(10 * SECOND));
        wf_timer_move(&wheel, &timers[i], START + SECOND + after);
    }
    expect_all(n, 100 * MILLISECOND);
    free(timers);
}
