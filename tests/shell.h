/* SPDX-License-Identifier: MIT */
/* shell.h - processes that are shell scripts, and fibers that wait for them. */
#ifndef TESTS_SHELL_H
#define TESTS_SHELL_H

#include <weft/process.h>

#define SHELL(text)                                                            \
    (weft_process_opts)                                                        \
    {                                                                          \
        .argv = WEFT_ARGV("sh", "-c", text)                                    \
    }

struct waiter {
    weft_process *p;
    int got;
};

static inline int waits(void *arg)
{
    struct waiter *w = arg;
    w->got = weft_process_wait(w->p);
    return w->got < 0 ? w->got : 0;
}

#endif
