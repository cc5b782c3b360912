/* SPDX-License-Identifier: MIT */
/*
 * ws_pair.h - a WebSocket at one end of a memory transport, and the test at the
 * other with frames of its own making.
 */
#ifndef TESTS_WS_PAIR_H
#define TESTS_WS_PAIR_H

#include <weft/memory.h>
#include <weft/stream.h>
#include <weft/websocket.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "http/ws_frame.h"

static weft_stream near_end, far_end; /* the WebSocket's, and the test's */
static weft_ws *ws;
static weft_ws_role role_of_ws;

static inline void open_ws_of(weft_ws_role role, const weft_ws_opts *o,
                              size_t capacity)
{
    weft_transport *ends[2];
    CHECK_EQ(weft_memory_pair(ends, capacity), 0);
    weft_stream_init_transport(&near_end, ends[0]);
    weft_stream_init_transport(&far_end, ends[1]);
    role_of_ws = role;
    ws = weft_ws_new(&near_end, role, o);
    CHECK(ws != NULL);
}

static inline void open_ws(weft_ws_role role, const weft_ws_opts *o)
{
    open_ws_of(role, o, 0);
}

static inline void close_far(void)
{
    weft_transport_close(weft_stream_transport(&far_end));
    weft_stream_fini(&far_end);
    far_end = (weft_stream){.fd_ = {0, 0}};
}

static inline void close_near(void)
{
    weft_ws_free(ws);
    ws = NULL;
    weft_transport_close(weft_stream_transport(&near_end));
    weft_stream_fini(&near_end);
}

static inline void close_ws(void)
{
    close_near();
    if (weft_stream_transport(&far_end)) close_far();
}

/* ---- what the test says ------------------------------------------------- */

static inline void say(const void *octets, size_t len)
{
    CHECK_EQ(weft_stream_write(&far_end, octets, len), 0);
    CHECK_EQ(weft_stream_flush(&far_end), 0);
}

enum { FIN = 0x80 };

/* A frame as the peer of *ws has to send it. */
static inline void say_frame(unsigned first, const void *payload, size_t len)
{
    struct wf_ws_head h = {.fin = first & FIN,
                           .opcode = first & 15,
                           .masked = role_of_ws == WEFT_WS_SERVER,
                           .key = {1, 2, 3, 4},
                           .len = len};
    uint8_t head[WF_WS_HEAD];
    char masked[4096];
    if (!h.masked) memset(h.key, 0, sizeof h.key);
    CHECK_EQ(weft_stream_write(&far_end, head, wf_ws_write_head(head, &h)), 0);
    for (size_t at = 0; at < len; at += sizeof masked) {
        size_t n = len - at < sizeof masked ? len - at : sizeof masked;
        wf_ws_mask(masked, (const char *)payload + at, n, h.key, at);
        CHECK_EQ(weft_stream_write(&far_end, masked, n), 0);
    }
    CHECK_EQ(weft_stream_flush(&far_end), 0);
}

static inline void say_text(const char *text)
{
    say_frame(FIN | WF_WS_TEXT, text, strlen(text));
}

static inline void say_close(int code, const char *reason)
{
    char payload[WEFT_WS_CONTROL_BYTES] = {(char)(code >> 8), (char)code};
    memcpy(payload + 2, reason, strlen(reason));
    say_frame(FIN | WF_WS_CLOSE, payload, 2 + strlen(reason));
}

/* ---- what it hears ------------------------------------------------------ */

/* The next frame's first octet, without its mask; -1: the end. */
static inline int hear(char *payload, size_t room, size_t *ret_len)
{
    const struct wf_ws_rules rules[2] = {{role_of_ws == WEFT_WS_CLIENT, false},
                                         {role_of_ws == WEFT_WS_CLIENT, true}};
    struct wf_ws_head h;
    const char *data, *wrong = "";
    ssize_t have = 0, len = 0;
    *ret_len = 0;
    while (len == 0) {
        ssize_t n = weft_stream_more(&far_end, (size_t)have, 1 << 20, &data);
        if (n == have) return -1;
        CHECK(n > 0);
        have = n;
        bool goes_on = (data[0] & 15) == 0;
        len = wf_ws_parse_head(&h, data, (size_t)have, &rules[goes_on], &wrong);
    }
    if (len < 0) test_fail(__FILE__, __LINE__, "%s", wrong);
    int first = (unsigned char)data[0];
    weft_stream_consume(&far_end, (size_t)len);
    CHECK(h.len <= room);
    CHECK_EQ(weft_stream_read_exact(&far_end, payload, (size_t)h.len), 0);
    wf_ws_mask(payload, payload, (size_t)h.len, h.key, 0);
    *ret_len = (size_t)h.len;
    return first;
}

static inline void check_hear(int first, const char *payload, size_t len)
{
    static char heard[1 << 17];
    size_t n;
    CHECK_EQ(hear(heard, sizeof heard, &n), first);
    CHECK_EQ(n, len);
    CHECK(memcmp(heard, payload, len) == 0);
}

static inline void check_hear_text(const char *text)
{
    check_hear(FIN | WF_WS_TEXT, text, strlen(text));
}

/* 0: one without a code. */
static inline void check_hear_close(int code, const char *reason)
{
    char payload[WEFT_WS_CONTROL_BYTES] = {(char)(code >> 8), (char)code};
    memcpy(payload + 2, reason, strlen(reason));
    check_hear(FIN | WF_WS_CLOSE, payload, code ? 2 + strlen(reason) : 0);
}

static inline void check_hear_end(void)
{
    char payload[200];
    size_t n;
    CHECK_EQ(hear(payload, sizeof payload, &n), -1);
}

/* ---- what *ws reads ----------------------------------------------------- */

static inline void check_read(weft_ws_kind kind, const char *data, size_t len)
{
    weft_ws_message m;
    CHECK_EQ(weft_ws_read(ws, &m), 1);
    CHECK_EQ(m.kind, kind);
    CHECK_EQ(m.data.len, len);
    CHECK(memcmp(m.data.at, data, len) == 0);
}

static inline void check_read_text(const char *text)
{
    check_read(WEFT_WS_TEXT, text, strlen(text));
}

static inline int read_once(void)
{
    weft_ws_message m;
    return weft_ws_read(ws, &m);
}

#endif
