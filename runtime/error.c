/* SPDX-License-Identifier: MIT */
/*
 * error.c - one record of the last failure for each fiber.
 *
 * Records are allocated when something fails, and reused by the fiber's next
 * failure. What hangs on one (`next`, `inner`) belongs to it. A thread that
 * fails outside any fiber has one record of its own.
 */
#include <weft/error.h>

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/leaks.h"
#include "runtime/os.h"
#include "runtime/park.h"

enum { GROUP = 16 };

/* A copy of main's group, or one failure outside any fiber. */
static __thread weft_error outside_group[GROUP];
#define outside outside_group[0]
static void (*unhandled_hook)(const weft_error *e);

void wf_error_free(weft_error *e)
{
    while (e) {
        /* Unfold what is inside in front of what is next: no recursion. */
        weft_error *next = (weft_error *)(uintptr_t)e->next;
        weft_error *inner = (weft_error *)(uintptr_t)e->inner;
        if (inner) {
            weft_error *last = inner;
            while (last->next)
                last = (weft_error *)(uintptr_t)last->next;
            last->next = next;
            next = inner;
        }
        wf_free(e, sizeof *e);
        e = next;
    }
}

/* How many octets hang on e. They are of one thread, or not of it any more. */
static long bytes_of(const weft_error *e)
{
    long bytes = 0;
    for (; e; e = e->next)
        bytes += (long)sizeof *e + bytes_of(e->inner);
    return bytes;
}

void wf_error_leave(const weft_error *e)
{
    wf_leaks_here.bytes -= bytes_of(e);
}

void wf_error_arrive(const weft_error *e)
{
    wf_leaks_here.bytes += bytes_of(e);
}

weft_error *wf_error_take(weft_fiber *f)
{
    weft_error *e = f->error;
    f->error = NULL;
    return e;
}

void wf_error_give(weft_fiber *f, weft_error *e)
{
    wf_error_free(f->error);
    f->error = e;
}

static void fill(weft_error *e, const weft_fiber *f, int code)
{
    *e = (weft_error){.code = code};
    if (!f) return;
    e->fiber = f->id;
    e->file = f->file;
    e->line = f->line;
    if (f->name) (void)snprintf(e->name, sizeof e->name, "%s", f->name);
}

weft_error *wf_error_new(weft_fiber *f, int code)
{
    weft_error *e = wf_alloc(sizeof *e);
    if (e) fill(e, f, code);
    return e;
}

int weft_fail_at(int code, const char *file, int line, const char *format, ...)
{
    weft_fiber *f = wf_self();
    char msg[sizeof outside.msg]; /* the arguments may be of the old record */
    int kept = errno;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(msg, sizeof msg, format, args);
    va_end(args);
    errno = kept;

    weft_error *e = f ? wf_error_new(f, code) : &outside;
    if (f)
        wf_error_give(f, e);
    else
        fill(e, NULL, code);
    if (!e) return code;
    memcpy(e->msg, msg, sizeof msg);
    if (file) {
        e->file = file;
        e->line = line;
    }
    return code;
}

const weft_error *weft_last_error(void)
{
    weft_fiber *f = wf_self();
    if (f) return f->error;
    return outside.code ? &outside : NULL;
}

void wf_error_export(weft_fiber *f)
{
    outside = (weft_error){0};
    size_t n = 0;
    for (const weft_error *e = f->error; e && n < GROUP; e = e->next, n++) {
        outside_group[n] = *e;
        outside_group[n].inner = NULL; /* that ends with the fiber */
        outside_group[n].next = NULL;
        if (n > 0) outside_group[n - 1].next = &outside_group[n];
    }
}

/* strerror() would allocate for a number that it does not know. */
static const char *text_of(int number)
{
#if defined(__GLIBC__)
    static __thread char unknown[48];
    return strerror_r(number, unknown, sizeof unknown);
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) ||     \
    defined(__OpenBSD__) /* where it writes to what all threads share */
    return number < sys_nerr ? sys_errlist[number] : "unknown error";
#else
    return strerror(number);
#endif
}

const char *weft_strerror(int code)
{
    if (code >= 0) return "success";
    switch (code) {
    case -ECANCELED:
        return "cancelled";
    case -ETIMEDOUT:
        return "timed out";
    case -EOWNERDEAD:
        return "the holder ended without letting go";
    case -ESHUTDOWN:
        return "closed to new work";
    case INT_MIN:
        return "unknown error";
    default:
        return text_of(-code);
    }
}

static void print_one(int fd, const weft_error *e, int depth)
{
    char text[320];
    int n = snprintf(text, sizeof text, "%*s%s%s%s (in fiber %llu%s%s%s",
                     depth * 2, "", e->msg, e->msg[0] ? ": " : "",
                     weft_strerror(e->code), (unsigned long long)e->fiber,
                     e->name[0] ? " \"" : "", e->name, e->name[0] ? "\"" : "");
    if (e->file)
        n += snprintf(text + n, sizeof text - (size_t)n, ", %s:%d", e->file,
                      e->line);
    if (n > (int)sizeof text - 3) n = (int)sizeof text - 3;
    text[n++] = ')';
    text[n++] = '\n';
    wf_os_say(fd, text, (size_t)n);
}

static void print_group(int fd, const weft_error *first, int depth)
{
    for (const weft_error *e = first; e; e = e->next) {
        print_one(fd, e, depth);
        if (e->inner && depth < 8) print_group(fd, e->inner, depth + 1);
    }
    if (first->dropped == 0) return;
    char text[64];
    int n = snprintf(text, sizeof text, "%*s... and %u more\n", depth * 2, "",
                     first->dropped);
    wf_os_say(fd, text, (size_t)n);
}

void weft_error_print(int fd, int code)
{
    const weft_error *e = weft_last_error();
    if (e && e->code == code) {
        print_group(fd, e, 0);
        return;
    }
    const char *text = weft_strerror(code);
    wf_os_say(fd, text, strlen(text));
    wf_os_say(fd, "\n", 1);
}

void weft_on_unhandled(void (*hook)(const weft_error *e))
{
    unhandled_hook = hook;
}

void wf_error_unhandled(const weft_error *e)
{
    if (unhandled_hook) {
        unhandled_hook(e);
        return;
    }
    static const char words[] = "weft: a failure that nobody can receive: ";
    wf_os_say(2, words, sizeof words - 1);
    print_one(2, e, 0);
}
