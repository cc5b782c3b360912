/* SPDX-License-Identifier: MIT */
/*
 * http/ws.h - a WebSocket, as its parts know it: ws.c makes and frees it,
 * ws_read.c reads, ws_send.c sends, ws_close.c ends it, and ws_calls.c the
 * calls that others are in. ws_accept.c and ws_connect.c are the handshake, by
 * ws_key.c.
 */
#ifndef HTTP_WS_H
#define HTTP_WS_H

#include <weft/event.h>
#include <weft/mutex.h>
#include <weft/scope.h>
#include <weft/serve.h>
#include <weft/websocket.h>

#include "utf8.h"
#include "ws_frame.h"

/* Control frames that the reader owes, and somebody is to send. */
enum { WF_WS_OWES_PONG = 1, WF_WS_OWES_PING = 2 };

struct wf_ws_waiter;

struct weft_ws {
    weft_stream *stream;
    weft_stream own;   /* of a client that has connected */
    weft_conn *conn;   /* of a server; NULL: not known */
    weft_ws_opts opts; /* with the defaults in it */
    weft_ws_role role;

    /* Reading: of whoever holds `reading`. */
    weft_mutex reading;
    bool in_read;    /* weft_ws_read, that is */
    bool in_frame;   /* its head was consumed, and `taken` of its payload */
    bool in_message; /* its last frame has not begun */
    bool whole;      /* the message is, and was not given out */
    bool shown;      /* it was */
    bool ponged;     /* a pong may still be gathered */
    bool pinged;     /* and nothing has come since */
    struct wf_ws_head frame;
    uint64_t taken;
    weft_ws_kind kind; /* of the message */
    struct wf_utf8 utf8;
    char *buf; /* of `room` octets, `len` of which have come */
    size_t len, room;
    weft_time heard; /* when something came, or the ping went */
    weft_scope
        *waiting; /* the reader waits for input in it; NULL: it does not */

    /* Sending. `message` is held by who sends one, and by who sends a frame
     * `frame`; in that order, and behind `reading`. */
    weft_mutex message, frame_lock;
    weft_scope
        *writing; /* of the holder of frame_lock; NULL: it moves nothing */
    struct wf_ws_waiter *waiters; /* for `message` */
    unsigned calls;               /* that send, which others are in */
    weft_event idle;              /* there are none any more */
    weft_fiber *sender; /* within weft_ws_send_begin and _end; NULL: none */
    weft_ws_kind sends;
    bool part_sent; /* of that message */
    struct wf_utf8 sent_utf8;
    unsigned owes;
    uint8_t pong_len;
    char pong[WEFT_WS_CONTROL_BYTES];

    /* The end. */
    weft_mutex closing_lock;
    bool closing; /* no more messages are read */
    bool closed;  /* with this result */
    int close_rc;
    bool close_sent, close_come;
    int fail_code;  /* what the peer has to be told; 0: nothing */
    int read_error; /* for good, as all reads say; 0: none */
    int send_error;
    int peer_code;
    uint8_t reason_len;
    char reason[WEFT_WS_REASON_BYTES];

    size_t protocol_len, protocol_room;
    char protocol[];
};

/* ---- ws.c --------------------------------------------------------------- */

/* Over `own` if `stream` is NULL, with room for the protocol that is chosen.
 * NULL: no memory. */
weft_ws *wf_ws_new(weft_stream *stream, weft_ws_role role,
                   const weft_ws_opts *o, size_t protocol_room);
void wf_ws_set_protocol(weft_ws *ws, weft_text protocol);

/* Closes the stream, if it is its own, without sending anything. */
void wf_ws_drop_stream(weft_ws *ws);

/* Gives back what was read of a message. */
void wf_ws_drop_message(weft_ws *ws);

/* ---- ws_read.c ---------------------------------------------------------- */

/* Reads on, and holds `reading`. 1: a message is there, or would be; 0: the
 * peer's close frame; or an error, which if it is for good is in read_error. */
int wf_ws_read_on(weft_ws *ws);

/* ---- ws_send.c ---------------------------------------------------------- */

/* Sends a close frame, or returns 0 if one was sent already. Code
 * WEFT_WS_NO_CODE stands for none. */
int wf_ws_send_close(weft_ws *ws, int code, const char *reason, size_t len);

/* Sends what the reader owes, unless somebody else is sending, who will. Errors
 * of the connection are left to who reads and sends next; -ECANCELED. */
int wf_ws_pay(weft_ws *ws);

/* Long enough for what takes no waiting. */
#define WF_WS_NO_TIME WEFT_MSEC(1)

/* Sends what is gathered, in the same way, but does not wait for the peer. */
int wf_ws_flush_pong(weft_ws *ws);

/* ---- ws_calls.c --------------------------------------------------------- */

/* Around each call that sends. leave returns `rc`. */
void wf_ws_enter(weft_ws *ws);
int wf_ws_leave(weft_ws *ws, int rc);

/* Waits for `message`, until the WebSocket is closed: -EPIPE then. */
int wf_ws_lock_message(weft_ws *ws);

/* Ends the calls of others that read and send, waits for them to be out, and
 * drops the stream. No cancel point. */
void wf_ws_call_off(weft_ws *ws);

#endif
