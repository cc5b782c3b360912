/* SPDX-License-Identifier: MIT */
/*
 * weft/websocket.h (http) - WebSocket, of either side (RFC 6455).
 *
 *     static int echo(weft_req *r, void *ctx)
 *     {
 *         weft_ws *ws;
 *         weft_ws_message m;
 *         int rc = weft_ws_accept(r, NULL, &ws);
 *         if (rc <= 0) return rc;
 *         while ((rc = weft_ws_read(ws, &m)) > 0) {
 *             rc = weft_ws_send(ws, m.kind, m.data.at, m.data.len);
 *             if (rc < 0) break;
 *         }
 *         return weft_ws_end(ws, rc);
 *     }
 *
 * A client says weft_ws_connect(&ws, "ws://example.org/chat", NULL) instead.
 *
 * A message is read whole and sent whole. One fiber at a time reads; any number
 * send, also while it does: their frames are not mixed, nor their messages.
 * Reading answers pings, and closes as the protocol wants, so some fiber should
 * be at it. What a peer may not do ends the connection, with a close frame that
 * says why; *_read returns, and weft_last_error tells people:
 *
 *     -EPROTO     1002: a frame or an order of frames that RFC 6455 has not,
 *                 a client's frame without a mask, a server's with one
 *     -EILSEQ     1007: a text that is not UTF-8, at its first wrong octet
 *     -EMSGSIZE   1009: over max_message or max_frame, before any of it is kept
 *     -ETIMEDOUT  no answer to a ping, or no room for a pong of ours for as long:
 *                 the peer does not read; no close frame is sent
 *     -EPIPE, -ECONNRESET   it went without a close frame
 *
 * Memory: what was read of a message, up to max_message, and what weft_stream
 * gathers. A connection between messages owns neither. Extensions are declined.
 *
 * A server that stops (weft_serve) ends the input of its connections after its
 * `linger`. Then weft_ws_read has returned what had come, and says -ESHUTDOWN;
 * sending still works, and weft_ws_end says 1001. A handler that does not read
 * asks weft_req_draining.
 *
 * A cancelled call did nothing, save a send that was cut in the middle of its
 * message: the sending side is broken then, and says -EPIPE from then on.
 */
#ifndef WEFT_WEBSOCKET_H
#define WEFT_WEBSOCKET_H

#include <weft/base.h>
#include <weft/dial.h>
#include <weft/stream.h>
#include <weft/text.h>
#include <weft/transport.h>

WEFT_BEGIN_DECLS

typedef struct weft_req weft_req; /* weft/http_server.h */
typedef struct weft_ws weft_ws;

typedef enum weft_ws_kind { WEFT_WS_TEXT = 1, WEFT_WS_BINARY = 2 } weft_ws_kind;

typedef enum weft_ws_role { WEFT_WS_SERVER, WEFT_WS_CLIENT } weft_ws_role;

/** Codes of a close frame (RFC 6455, 7.4.1). One's own are 4000 to 4999. */
enum {
    WEFT_WS_NORMAL = 1000,
    WEFT_WS_GOING_AWAY = 1001,
    WEFT_WS_PROTOCOL_ERROR = 1002,
    WEFT_WS_UNSUPPORTED = 1003,
    WEFT_WS_NO_CODE = 1005,  /* it had none; never sent */
    WEFT_WS_ABNORMAL = 1006, /* there was no close frame; never sent */
    WEFT_WS_NOT_UTF8 = 1007,
    WEFT_WS_POLICY = 1008,
    WEFT_WS_TOO_BIG = 1009,
    WEFT_WS_NO_EXTENSION = 1010,
    WEFT_WS_FAILURE = 1011
};

enum { WEFT_WS_CONTROL_BYTES = 125, WEFT_WS_REASON_BYTES = 123 };

typedef struct weft_ws_message {
    weft_ws_kind kind;
    weft_text data; /* no 0 behind it; `at` is never NULL */
} weft_ws_message;

/** Zeroed: what stands behind "0:". It is copied, and texts in it need to last
 *  until the call returns that is given it. */
typedef struct weft_ws_opts {
    size_t max_message;      /* octets of one that is read; 0: 1 MiB */
    uint64_t max_frame;      /* and of a frame of it; 0: as max_message */
    size_t fragment;         /* a longer message goes in frames of so many
                                octets, with pongs of ours between; 0: in one */
    weft_time ping_every;    /* to a peer that is silent for so long while it is
                                read from; 0: 30 s; less: none */
    weft_time pong_timeout;  /* for whatever comes after a ping; 0: 10 s */
    weft_time close_timeout; /* of a closing handshake; 0: 5 s */
    /* "chat.v2, chat.v1", the best first; NULL: none. A server takes the first
     * of these that the client has offered, or none; a client offers them. */
    const char *protocols;
    /* A pong has come; it must not park. NULL: no. */
    void (*on_pong)(weft_text data, void *user);
    void *user; /* for the hooks */

    /* Of a server: may a page of this origin come in? If not, 403. Asked only
     * if the request says one, as browsers do. NULL: it has to be that of the
     * request's host, so that no strange page uses somebody's cookies. */
    bool (*origin)(weft_req *r, weft_text origin, void *user);

    /* Of a client. */
    weft_time connect_timeout; /* for connection and handshake; 0: 30 s */
    const char *from;          /* the Origin to say; NULL: none */
    const char *const *fields; /* more of the request: name, value, name, value,
                                  NULL; NULL: none */
    const weft_dial_opts *dial; /* NULL: as weft_dial */
    weft_transport *transport;  /* instead of dialling: TLS for a wss URL, or
                                   memory. Taken over, also on an error */
    int *ret_status;            /* is set to that of the answer, 0 before there
                                   is one; NULL: no */
} weft_ws_opts;

/* ---- the beginning ------------------------------------------------------ */

/**
 * Answers a request that asks for WebSocket (RFC 6455, 4.2) by 101. The fields
 * that weft_reply_field has set go with it. Then the connection is a WebSocket
 * until the handler returns, and *ret_ws is to be ended before that. What asks
 * for something else is refused: with 426 if it asks for no WebSocket or
 * another version than 13, 405 if it is no GET, 403 for its origin, and
 * otherwise 400. `o` may be NULL.
 *
 * Parks. Returns 1; 0: it was refused, and that has been answered; -EINVAL:
 * `protocols` is no list of tokens; -ENOMEM; or as weft_req_upgrade.
 */
WEFT_PARKS int weft_ws_accept(weft_req *r, const weft_ws_opts *o,
                              weft_ws **ret_ws);

/**
 * Connects to "ws://host[:port]/path?query" and asks for WebSocket. A "wss" URL
 * needs `o->transport`. `o` may be NULL. Redirects are not followed.
 *
 * Parks. Returns 0; -ECONNREFUSED also for an answer other than 101, and
 * -EPROTO for one that is no proof of WebSocket, or has what was not asked for;
 * -EBADMSG: it is no HTTP; -ETIMEDOUT; -EPIPE: the peer ended before; -EINVAL:
 * the URL, `protocols`, or a field that is none or one of the handshake's own;
 * -EPROTONOSUPPORT: wss without a transport; -ENOMEM; or as weft_dial_with. The
 * record (weft/error.h) says which.
 */
WEFT_PARKS int weft_ws_connect(weft_ws **ret_ws, const char *url,
                               const weft_ws_opts *o);

/**
 * A WebSocket over a stream whose handshake is done, for tests and for what has
 * its own. *s stays yours, has to outlast it, and is not closed by it; but its
 * sending side is ended by weft_ws_close. `o` may be NULL. Returns NULL without
 * memory.
 */
WEFT_MUST weft_ws *weft_ws_new(weft_stream *s, weft_ws_role role,
                               const weft_ws_opts *o);

/** What was chosen of `protocols`, or a text at NULL. */
WEFT_API weft_text weft_ws_protocol(const weft_ws *ws);

/* ---- reading ------------------------------------------------------------ */

/**
 * Waits for the next message. *ret_message is good until the next read, close
 * or end.
 *
 * Parks. Returns 1; 0 when the peer has closed, or answered our close, each
 * time from then on; -ECANCELED (nothing is lost); -EBUSY: another fiber reads;
 * -ENOMEM (it may be tried again); -ESHUTDOWN, as above; what ended the
 * connection, as above, each time from then on; -EPIPE after a weft_ws_close
 * that was not answered; or as weft_stream_peek.
 */
WEFT_PARKS int weft_ws_read(weft_ws *ws, weft_ws_message *ret_message);

/** Of the peer's close frame: WEFT_WS_NO_CODE if it said none; WEFT_WS_ABNORMAL
 *  if there is no such frame, yet or for ever. The reason is UTF-8, and is good
 *  as long as *ws. */
WEFT_API int weft_ws_close_code(const weft_ws *ws);
WEFT_API weft_text weft_ws_close_reason(const weft_ws *ws);

/* ---- sending ------------------------------------------------------------ */

/**
 * Sends a message, which may be empty. Parks while the peer does not read, and
 * for who is sending: bound that by a scope.
 *
 * Returns 0: the system has it; -EILSEQ: a text that is not UTF-8, nothing was
 * sent; -EINVAL: no such kind; -EDEADLK: the caller is within a message of
 * weft_ws_send_begin; -EOWNERDEAD: a fiber ended within one; -EPIPE: either
 * side has closed, or the sending is broken; or as weft_stream_write.
 */
WEFT_PARKS int weft_ws_send(weft_ws *ws, weft_ws_kind kind, const void *data,
                            size_t len);

/** The same, but a short one is gathered (weft_stream_write), and goes when the
 *  connection is read from and has to wait, with the next send, or on flush. */
WEFT_PARKS int weft_ws_write(weft_ws *ws, weft_ws_kind kind, const void *data,
                             size_t len);
WEFT_PARKS int weft_ws_flush(weft_ws *ws);

/**
 * Sends a message in parts, each a frame, as they come to be. From begin to end
 * others who send a message wait; control frames go in between. By one fiber.
 * What the octets of a text are is told from those of all parts: one that
 * cannot be UTF-8 behind what was sent is -EILSEQ, and so is an end within a
 * character. Then it was not sent, and the message is still open; likewise
 * after -ECANCELED and -ENOMEM. Other errors are of the connection, and end is
 * to be called all the same. A part without octets is no frame.
 *
 * Park. Return as weft_ws_send; -EINVAL: the caller has begun none.
 */
WEFT_PARKS int weft_ws_send_begin(weft_ws *ws, weft_ws_kind kind);
WEFT_PARKS int weft_ws_send_part(weft_ws *ws, const void *data, size_t len);
WEFT_PARKS int weft_ws_send_end(weft_ws *ws);

/** Sends a ping of up to WEFT_WS_CONTROL_BYTES; see `on_pong`. Parks. Returns
 *  as weft_ws_send; -EINVAL: it is longer. */
WEFT_PARKS int weft_ws_ping(weft_ws *ws, const void *data, size_t len);

/* ---- the end ------------------------------------------------------------ */

/**
 * The closing handshake (RFC 6455, 7.1.2): sends a close frame if none was
 * sent, waits for the peer's, passing over messages that come before it, and
 * ends the connection: a server ends its sending first, a client waits for
 * that, and closes. All of it within `close_timeout`. After a failure it sends
 * the code of that, and waits only for the peer to have read it. Calls that
 * others are in end, with -EPIPE or what they were about; nothing can be sent
 * after it. Called again it returns the same.
 *
 * `code` is 0: WEFT_WS_GOING_AWAY if the server is stopping, else
 * WEFT_WS_NORMAL; or one that may be sent. `reason` is up to
 * WEFT_WS_REASON_BYTES of UTF-8, or NULL.
 *
 * Parks. Returns 0: both have closed (or we, if the server is stopping);
 * -ETIMEDOUT: the peer has not in time; -EPIPE, -ECONNRESET: it went before; or
 * what else ended the connection. -EINVAL: a code or a reason that cannot be
 * sent; then nothing was done. -ECANCELED: it may be called again.
 */
WEFT_PARKS int weft_ws_close(weft_ws *ws, int code, const char *reason);

/**
 * Closes and frees *ws, for the end of a handler whose result was `rc`: with 0
 * or more as weft_ws_close does with code 0; otherwise by WEFT_WS_FAILURE, if
 * that was not about the connection itself. If the caller is cancelled it says
 * WEFT_WS_GOING_AWAY, and waits for no answer.
 * Calls that others are in end before it is freed, as with weft_ws_close; for
 * what else they do with *ws see weft_ws_free.
 *
 * Parks, and is no cancel point. Returns `rc`; 0 for an `rc` above 0, and for
 * -ESHUTDOWN.
 */
WEFT_PARKS int weft_ws_end(weft_ws *ws, int rc);

/** Frees *ws without a word to the peer; a client's connection is closed. No
 *  fiber may be in a call of it, nor another one within a message of its own.
 *  NULL is fine. Never parks. */
WEFT_API void weft_ws_free(weft_ws *ws);

WEFT_END_DECLS

#endif
