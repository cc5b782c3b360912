/* SPDX-License-Identifier: MIT */
/*
 * assert.c - the last words of a program, and the words to one that errs.
 */
#include "runtime/assert.h"

#include <weft/error.h>
#include <weft/fiber.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/os.h"

/* One write, so that two threads do not mix their words. */
static void say(const char *format, va_list args)
{
    char text[512];
    int used = snprintf(text, sizeof text, "weft: ");
    used +=
        vsnprintf(text + used, sizeof text - (size_t)used - 1, format, args);
    if (used > (int)sizeof text - 2) used = (int)sizeof text - 2;
    text[used++] = '\n';
    wf_os_say(2, text, (size_t)used);
}

void wf_assert_failed(const char *cond, const char *file, int line)
{
    wf_fatal("%s:%d: in fiber %llu \"%s\": a rule of weft is broken: %s", file,
             line, (unsigned long long)weft_fiber_id(), weft_fiber_name(),
             cond);
}

void wf_fatal(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    abort();
}

/* A line about the running fiber, in debug builds. */
static void say_of_fiber(const char *text)
{
#ifdef WEFT_DEBUG
    char line[256];
    int len =
        snprintf(line, sizeof line - 1, "weft: fiber %llu \"%.64s\": %s",
                 (unsigned long long)weft_fiber_id(), weft_fiber_name(), text);
    if (len > (int)sizeof line - 2) len = (int)sizeof line - 2;
    line[len++] = '\n';
    wf_os_say(2, line, (size_t)len);
#else
    (void)text;
#endif
}

void wf_warn(const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    say_of_fiber(text);
}

int wf_misuse(int code, const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    say_of_fiber(text);
    return weft_fail_at(code, NULL, 0, "%s", text);
}
