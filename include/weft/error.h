/* SPDX-License-Identifier: MIT */
/*
 * weft/error.h (runtime) - what a negative result was about.
 *
 * A result is a code, for the program to act on. Beside it a fiber keeps one
 * record of its last failure, for people to read:
 *
 *     int err = weft_listen(&l, "127.0.0.1:80", NULL);
 *     if (err < 0) weft_error_print(2, err);
 *
 *     listen 127.0.0.1:80: bind: Permission denied (in fiber 7 "http", a.c:31)
 *
 * Your own code adds to it the same way:
 *
 *     return weft_fail(-EPROTO, "bad frame length %u", length);
 *
 * When a fiber ends with a failure its record goes up to the nursery, which
 * hands it to whoever closes it: the first is weft_last_error(), the others
 * hang off its `next`, in time order. Nothing is allocated unless something
 * failed, and nothing has to be freed.
 */
#ifndef WEFT_ERROR_H
#define WEFT_ERROR_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/** Lives until the same fiber's next failure, or the end of that fiber. Copies
 *  (of a task, of weft_gen_next, of main after the run) have no `inner`. */
typedef struct weft_error {
    int code;
    uint64_t fiber;   /* 0: failed outside any fiber */
    char name[24];    /* that fiber's name, perhaps cut short */
    const char *file; /* where weft_fail stands; for failures of
                                       weft, where the fiber was spawned */
    int line;
    char msg[104];
    const struct weft_error *next;  /* later failures of the same group */
    const struct weft_error *inner; /* the group that this one came out of */
    unsigned dropped;               /* failures of the group beyond 16 */
} weft_error;

/**
 * Notes a failure in the running fiber and returns `code` unchanged. A record
 * that cannot be allocated is left out; the code is what counts.
 */
#define weft_fail(code, ...)                                                   \
    weft_fail_at((code), __FILE__, __LINE__, __VA_ARGS__)
WEFT_API int weft_fail_at(int code, const char *file, int line,
                          const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** The running fiber's last failure, or NULL. Its code says which that was. */
WEFT_API const weft_error *weft_last_error(void);

/**
 * Writes `code` for people, with the record of it if the running fiber has
 * one, and all of the group, a line each.
 */
WEFT_API void weft_error_print(int fd, int code);

/** The text of a code, such as "Connection refused". Never NULL. */
WEFT_API const char *weft_strerror(int code);

/**
 * Failures that nobody can receive go to this hook: of supervised children and
 * background work, of a closer that weft_own had to call at once, and those
 * lost by a return out of WEFT_NURSERY. By default they are written
 * to standard error. NULL restores the default. There is one hook for the whole
 * process, to be set before other threads run; it must not park.
 */
WEFT_API void weft_on_unhandled(void (*hook)(const weft_error *e));

WEFT_END_DECLS

#endif
