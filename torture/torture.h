/* SPDX-License-Identifier: MIT */
/*
 * torture.h - pieces of work in which every call that can fail does so.
 *
 *     static int an_echo(void)
 *     {
 *         return weft_run(echo, NULL, NULL);
 *     }
 *     WORK(an_echo, MAY(EPIPE));
 *
 * returns 0 when all of it was done and is as it should be, which it looks at
 * by EXPECT, or the negative error of what it could not do: the one that was
 * injected, or one of those that may follow from it. A success that is none,
 * and any other error, is a lost error. After it there is to be no more memory,
 * descriptor, thread, child process or handler than before it.
 *
 * It runs in a process of its own, once to see which sites (runtime/os_sites.h)
 * it comes to, and once for each fault.
 */
#ifndef TORTURE_H
#define TORTURE_H

#include <stdbool.h>
#include <stddef.h>

enum { WORK_CONSEQUENCES = 6 };

struct work {
    const char *name;
    int (*fn)(void);
    short may[WORK_CONSEQUENCES]; /* besides the error itself, up to a 0 */
    short planted;                /* what it has to be found out as, or 0 */
};

/* How a piece of work can go. */
enum verdict { FINE, CRASHED, LEAKED, HUNG, LOST, VERDICTS };

void work_register(const struct work *w);

#define MAY(...)                                                               \
    {                                                                          \
        __VA_ARGS__                                                            \
    }
#define WORK(id, ...) WORK_OF_(id, FINE, __VA_ARGS__)
/* One with a fault of its own, to see the driver find it. */
#define PLANTED(id, verdict) WORK_OF_(id, verdict, MAY(0))
#define WORK_OF_(id, verdict, ...)                                             \
    __attribute__((constructor)) static void id##_register(void)               \
    {                                                                          \
        static const struct work w = {#id, id, __VA_ARGS__, verdict};          \
        work_register(&w);                                                     \
    }                                                                          \
    typedef int id##_needs_a_semicolon

/* Succeeded, and this is not so: the end of it. */
#define EXPECT(cond)                                                           \
    do {                                                                       \
        if (!(cond)) work_is_wrong(__FILE__, __LINE__, #cond);                 \
    } while (0)
_Noreturn void work_is_wrong(const char *file, int line, const char *what);

/* Leaves a function with a negative result of `expr`. */
#define TRY(expr)                                                              \
    do {                                                                       \
        int tried_ = (int)(expr);                                              \
        if (tried_ < 0) return tried_;                                         \
    } while (0)

/* Is this what is injected in this process, or one of both? */
bool work_fault_is(int error);

/* A directory of this process, for files and sockets; it is emptied. */
const char *work_directory(void);
/* A path in it, in one of a few buffers. */
const char *work_path(const char *name);

#endif
