/* SPDX-License-Identifier: MIT */
/*
 * tests/udp.h - sockets on loopback, and datagrams with a text in them.
 */
#ifndef TESTS_UDP_H
#define TESTS_UDP_H

#include <weft/error.h>
#include <weft/net.h>
#include <weft/udp.h>

#include <stdio.h>
#include <string.h>

#include "sockets.h"

/* A bound one, and the text of where it is. */
static inline weft_fd udp_at(const char *address, char text[WEFT_ADDR_TEXT])
{
    weft_fd s;
    weft_addr at;
    CHECK_EQ(weft_udp_bind(&s, address, NULL), 0);
    CHECK_EQ(weft_local_addr(s, &at), 0);
    if (text) weft_addr_format(&at, text, WEFT_ADDR_TEXT);
    return s;
}

static inline weft_fd udp_here(char text[WEFT_ADDR_TEXT])
{
    return udp_at("127.0.0.1:0", text);
}

static inline weft_fd udp_to(const char *address)
{
    weft_fd s;
    CHECK_EQ(weft_udp_dial(&s, address, NULL), 0);
    return s;
}

static inline weft_addr addr_of(const char *text)
{
    weft_addr a;
    CHECK_EQ(weft_addr_parse(&a, text), 0);
    return a;
}

/* A port of 127.0.0.1 that nobody has any more. */
static inline void nobody(char text[WEFT_ADDR_TEXT])
{
    CHECK_EQ(weft_close(udp_here(text)), 0);
}

static inline void say(weft_fd s, const char *text)
{
    CHECK_EQ(weft_udp_send_to(s, text, strlen(text), NULL), 0);
}

static inline void say_to(weft_fd s, const char *text, const char *address)
{
    weft_addr to = addr_of(address);
    CHECK_EQ(weft_udp_send_to(s, text, strlen(text), &to), 0);
}

struct letter {
    weft_datagram d;
    char buf[64];
};

static inline weft_datagram *letter_room(struct letter *l)
{
    memset(l, 0, sizeof *l);
    l->d.buf = l->buf;
    l->d.size = sizeof l->buf - 1;
    return &l->d;
}

static inline void check_text(const weft_datagram *d, const char *want)
{
    CHECK_EQ(d->len, strlen(want));
    CHECK_EQ(memcmp(d->buf, want, d->len), 0);
    CHECK(!d->truncated);
}

static inline void hear(weft_fd s, const char *want)
{
    struct letter l;
    CHECK_EQ(weft_udp_recv(s, letter_room(&l)), 0);
    check_text(&l.d, want);
}

static inline void check_at(const weft_addr *a, const char *want)
{
    char text[WEFT_ADDR_TEXT];
    CHECK_STR(weft_addr_format(a, text, sizeof text), want);
}

static inline void says(const char *words)
{
    const weft_error *e = weft_last_error();
    if (!e || !strstr(e->msg, words))
        test_fail(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", words,
                  e ? e->msg : "");
}

#endif
