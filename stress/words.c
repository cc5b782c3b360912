/* SPDX-License-Identifier: MIT */
/*
 * words.c - chance, the last steps, and what is said of a difference.
 */
#include "runtime/random.h"
#include "stress/stress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "stress/words.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) ||                                        \
    __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED
#endif
#endif

enum { REMEMBERED = 30, WORDS = 96 };

static uint64_t drawn;
static char last[REMEMBERED][WORDS];
static uint64_t step_count, seen_by_alarm;
static char again[256];

void chance_begin(uint64_t seed)
{
    drawn = seed;
}

int below(int n)
{
    return (int)((wf_draw(&drawn) >> 32) * (uint64_t)n >> 32);
}

bool one_in(int n)
{
    return below(n) == 0;
}

/* ---- steps -------------------------------------------------------------- */

void words_begin(uint64_t first_step, const char *how_again)
{
    step_count = first_step;
    (void)snprintf(again, sizeof again, "%s", how_again);
    memset(last, 0, sizeof last);
}

void step(const struct actor *a, const char *format, ...)
{
    char *at = last[step_count++ % REMEMBERED];
    int used = a ? snprintf(at, WORDS, "actor %-2d ", a->number)
                 : snprintf(at, WORDS, "driver   ");
    va_list args;
    va_start(args, format);
    (void)vsnprintf(at + used, WORDS - (size_t)used, format, args);
    va_end(args);
}

uint64_t steps(void)
{
    return step_count;
}

/* ---- differences -------------------------------------------------------- */

static void report(const char *what)
{
    static bool reported;
    if (reported) return;
    reported = true;
    uint64_t n = step_count, i = n > REMEMBERED ? n - REMEMBERED : 0;
    printf("the last steps:\n");
    for (; i < n; i++)
        if (last[i % REMEMBERED][0])
            printf("  %8" PRIu64 " %s\n", i + 1, last[i % REMEMBERED]);
    printf("step %" PRIu64 ": %s\nagain, in the same BUILD: %s\n", n, what,
           again);
    (void)fflush(stdout);
}

void differs(const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    report(text);
    _exit(1);
}

void same(const char *what, int number, long long got, long long want)
{
    if (got != want)
        differs("%s %d: %lld, and should be %lld", what, number, got, want);
}

/* ---- other ends --------------------------------------------------------- */

/* Not safe in a handler, but the last thing this process does. */
static void report_death(void)
{
    report("it died");
}

static void on_death(int sig)
{
    (void)sig;
    report_death();
    _exit(1);
}

static void on_alarm(int sig)
{
    (void)sig;
    if (step_count == seen_by_alarm) differs("nothing moves any more");
    seen_by_alarm = step_count;
}

#ifdef SANITIZED
extern void __sanitizer_set_death_callback(void (*fn)(void));
#endif

/* A fault goes first to weft, and to a sanitizer alone. */
static void watch_deaths(void)
{
    (void)signal(SIGABRT, on_death);
#ifdef SANITIZED
    __sanitizer_set_death_callback(report_death);
#else
    (void)signal(SIGSEGV, on_death);
#endif
}

void words_watch(int seconds)
{
    struct itimerval every = {{seconds, 0}, {seconds, 0}};
    if (seconds > 0) watch_deaths();
    (void)signal(SIGALRM, on_alarm);
    (void)setitimer(ITIMER_REAL, &every, NULL);
}
