/* SPDX-License-Identifier: MIT */
/* listen.h - what the tests of listeners ask and check. */
#ifndef TESTS_LISTEN_H
#define TESTS_LISTEN_H

#include <weft/error.h>
#include <weft/net.h>

#include <stdio.h>
#include <string.h>

#include "backlog.h"
#include "sockets.h"

static char listen_text[WEFT_ADDR_TEXT];

/* Where it listens, as a text that lasts until the next call. */
static inline const char *listens_at(weft_fd listener)
{
    weft_addr a;
    CHECK_EQ(weft_local_addr(listener, &a), 0);
    return weft_addr_format(&a, listen_text, sizeof listen_text);
}

static inline unsigned port_of(weft_fd listener)
{
    weft_addr a;
    CHECK_EQ(weft_local_addr(listener, &a), 0);
    return weft_addr_port(&a);
}

static inline bool option_is_on(weft_fd fd, int level, int name)
{
    int on = 0;
    socklen_t len = sizeof on;
    CHECK_EQ(weft_getsockopt(fd, level, name, &on, &len), 0);
    return on != 0;
}

static inline void check_said(int err, const char *words)
{
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    CHECK_EQ(e->code, err);
    if (!strstr(e->msg, words)) CHECK_STR(e->msg, words);
}

/* Somebody who dials `host` at the listener's port is accepted. */
static inline void check_takes(weft_fd listener, const char *host,
                               weft_addr *ret_peer)
{
    weft_fd near_end, far_end;
    weft_addr to;
    char text[WEFT_ADDR_TEXT];
    CHECK_EQ(weft_addr_parse_host(&to, host, port_of(listener)), 0);
    (void)weft_addr_format(&to, text, sizeof text);
    CHECK_EQ(weft_dial(&near_end, text), 0);
    CHECK_EQ(weft_accept(listener, &far_end, ret_peer), 0);
    CHECK_EQ(weft_close(near_end), 0);
    CHECK_EQ(weft_close(far_end), 0);
}

static inline bool has_ipv6(void)
{
    weft_fd l;
    if (weft_listen(&l, "[::1]:0", NULL) < 0) return false;
    CHECK_EQ(weft_close(l), 0);
    return true;
}

#endif
