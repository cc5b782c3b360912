/* SPDX-License-Identifier: MIT */
/*
 * weft/http_parse.h (http) - strict parsers of HTTP/1.1 (RFC 9112): the heads
 * of requests and responses, chunks, and trailers.
 *
 *     weft_http_mark marks[100];
 *     weft_http_request r;
 *     weft_http_request_init(&r, marks, 100, NULL);
 *     do {
 *         len += receive(buf + len);                 wherever buf is by now
 *         n = weft_http_parse_request(&r, buf, len);
 *     } while (n == 0);
 *     if (n < 0) return refuse(r.status, r.wrong);
 *     answer(r.verb, r.path, weft_http_field(&r.fields, "accept"));
 *
 * Pure: no input or output, no allocation, no clock. Each is given all octets
 * of its head that have come, from the first one on, and looks at each octet
 * once: it goes on where it stopped, even if the octets stand elsewhere now.
 * The result is the same however the octets are dealt out.
 *
 * Order. What is wrong is told as soon as the octets that are there say so, and
 * what comes first in the octets is told first:
 *   - an octet that cannot stand where it does: with that octet;
 *   - a target of no form, or not of its method: with the SP behind it;
 *   - a field line that is wrong by itself (a length, a Host, a coding, the
 *     second of what may be there once): with the LF that ends it;
 *   - the limit of a head: with the last octet that it allows, if that does not
 *     end the head; any other: with the first octet too many, before that octet
 *     is looked at;
 *   - what is wrong with all of the head: after its last LF, in the order in
 *     which it stands at weft_http_parse_request.
 *
 * Strict in every head and trailer section (400, or -EBADMSG): lines end in CR
 * LF, and neither stands alone; no line is folded; a name is a token, and ':'
 * follows at once; a value holds no control octet but HTAB, and no DEL; 0x80 to
 * 0xFF may be in a value or reason, and nowhere else. Spaces and tabs around a
 * value are no part of it.
 */
#ifndef WEFT_HTTP_PARSE_H
#define WEFT_HTTP_PARSE_H

#include <weft/base.h>
#include <weft/http.h>
#include <weft/text.h>

#include <sys/types.h>

WEFT_BEGIN_DECLS

/** The most octets of: the first line, without its CR LF; the head (or trailer
 *  section) with its empty line, 1 GiB at most. And the most field lines, which
 *  are never more than there are marks. 0 or a NULL: what stands here. */
typedef struct weft_http_limits {
    size_t line;     /* 16 KiB */
    size_t head;     /* 64 KiB */
    unsigned fields; /* 100 */
} weft_http_limits;

/** How long the body is that follows a head (RFC 9112, 6.3). */
typedef enum weft_http_framing {
    WEFT_HTTP_NO_BODY,
    WEFT_HTTP_LENGTH,     /* `length` octets; may be 0 */
    WEFT_HTTP_CHUNKED,    /* weft_http_dechunk */
    WEFT_HTTP_UNTIL_CLOSE /* of responses only */
} weft_http_framing;

/* Where a parser of a head is. */
struct weft_http_scan_ {
    uint64_t length_; /* that Content-Length told */
    uint32_t at_;     /* octets that are done with */
    uint32_t first_;  /* where the first line begins */
    uint32_t line_limit_, head_limit_, field_limit_;
    uint32_t host_; /* which line is Host */
    uint16_t seen_; /* of the fields that matter, and what they said */
    uint16_t code_; /* the status, as far as it is read */
    uint8_t state_, kind_;
    uint8_t step_, major_; /* within the version and the status */
    uint8_t wrong_;
};

/* ---- requests ----------------------------------------------------------- */

/** The forms of a target (RFC 9112, 3.2). */
typedef enum weft_http_form {
    WEFT_HTTP_ORIGIN,    /* "/x?y" */
    WEFT_HTTP_ABSOLUTE,  /* "http://h/x?y", and https */
    WEFT_HTTP_AUTHORITY, /* "h:80": CONNECT */
    WEFT_HTTP_ASTERISK   /* "*": OPTIONS */
} weft_http_form;

/** The texts stand in the octets that the parser was given last. */
typedef struct weft_http_request {
    weft_text method, target; /* as received */
    weft_http_verb verb;
    int minor; /* of HTTP/1.x: 0, or 1 also for 1.2 to 1.9 */
    weft_http_form form;
    weft_text path;  /* not decoded; "/" if an absolute form has none; `at` is
                        NULL in the other two forms */
    weft_text query; /* what follows the first '?'; `at` is NULL: none */
    weft_text host;  /* with its port, of the target if that has one, else of
                        Host; `at` is NULL: HTTP/1.0 without */
    weft_http_fields fields;
    weft_http_framing framing;
    uint64_t length;       /* of LENGTH; 0 otherwise */
    bool keep_alive;       /* the connection outlives the reply */
    bool expects_continue; /* Expect: 100-continue, in HTTP/1.1; with a body or
                              not */
    bool upgrades;         /* HTTP/1.1, Upgrade, and Connection: upgrade */
    int status;            /* after -EBADMSG; 0 before */
    const char *wrong;     /* likewise, a sentence; NULL before */
    struct weft_http_scan_ scan_;
    uint32_t target_, path_, query_, host_; /* where the texts stand */
} weft_http_request;

/** Begins a request. The marks are the caller's and stay his, for as long as
 *  r->fields is used. `limits` is not kept. Again for the next one. */
WEFT_API void weft_http_request_init(weft_http_request *r,
                                     weft_http_mark *marks, size_t room,
                                     const weft_http_limits *limits);

/**
 * Reads on. `data` has all octets from the head's first, len of them, and may
 * be elsewhere than before; what follows the head is not looked at. One CR LF
 * in front of the request line is passed over, and counted.
 *
 * Returns how long the head is, and *r is filled; called again, the same. Or 0:
 * more octets are needed. Or -EBADMSG: it must be refused with r->status, for
 * the reason r->wrong; method and verb, target, minor (else 1), and the fields
 * that were whole are then as far as they were read, keep_alive is false, and
 * called again, it returns the same. Or -EINVAL: fewer octets than last time.
 *
 * 400  what is not said below, and any octet out of place; the target: empty,
 *      with '#', a control octet or 0x7F to 0xFF, a '%' without two digits, of
 *      no form, "*" other than with OPTIONS, CONNECT without host:port, another
 *      scheme than http and https, userinfo; a Content-Length that is repeated,
 *      no number, or beyond 2^63-1 (digits only, no list); a Host that is
 *      repeated, empty or malformed; a Transfer-Encoding with an empty member,
 *      with `chunked` twice, before another, or with a parameter
 * 414  the request line passes the limit (or the head's, within it)
 * 431  the head does; or there are too many fields, which the first octet of
 *      the next name tells; or a name of over 65535 octets
 * 501  a method of over 32 octets, which the 33rd tells
 * 505  HTTP/x.y of another x than 1, which y tells
 * And of the whole head, in this order:
 * 400  no Host in HTTP/1.1
 * 400  Transfer-Encoding in HTTP/1.0
 * 400  Transfer-Encoding and Content-Length
 * 400  a Transfer-Encoding that does not end in `chunked` (RFC 9112, 6.3)
 * 501  one with other codings before that
 * 417  an Expect other than 100-continue, in HTTP/1.1 (in 1.0 it is ignored)
 */
WEFT_MUST ssize_t weft_http_parse_request(weft_http_request *r,
                                          const char *data, size_t len);

/** The octets of the head stand at `data` now, and all texts point there. */
WEFT_API void weft_http_request_move(weft_http_request *r, const char *data);

/* ---- responses ---------------------------------------------------------- */

/** As weft_http_request. */
typedef struct weft_http_response {
    int minor;
    int status;       /* 100 to 999; 0: not yet read */
    weft_text reason; /* may be empty */
    weft_http_fields fields;
    weft_http_framing framing;
    uint64_t length;
    bool keep_alive;   /* false with UNTIL_CLOSE */
    bool upgrades;     /* the connection speaks another protocol from here on: a
                          101 with Upgrade and Connection: upgrade; a 2xx to
                          CONNECT */
    const char *wrong; /* after -EBADMSG; NULL before */
    struct weft_http_scan_ scan_;
    weft_http_verb asked_;
    uint32_t reason_;
} weft_http_response;

/** Begins the response to a request with that verb: HEAD and CONNECT change how
 *  long the body is. After a 1xx the caller begins the next in the same way,
 *  and bounds how many of them there may be. */
WEFT_API void weft_http_response_init(weft_http_response *r,
                                      weft_http_verb asked,
                                      weft_http_mark *marks, size_t room,
                                      const weft_http_limits *limits);

/**
 * As weft_http_parse_request, without an empty line in front. Refused are, of
 * the status line: another version than HTTP/1.x; a status that is not three
 * digits from 100 on; no SP behind the status; a control octet but HTAB in the
 * reason. Of a field line: a Content-Length and a Transfer-Encoding as in a
 * request. And of the whole head, in this order, save in a 2xx to CONNECT,
 * whose length and coding are ignored (RFC 9110, 9.3.6):
 *   - Transfer-Encoding in HTTP/1.0
 *   - Transfer-Encoding and Content-Length
 *   - a Transfer-Encoding that is anything but `chunked`
 *
 * NO_BODY: to HEAD, of 1xx, 204 and 304, and a 2xx to CONNECT; even if a length
 * is told, but a 1xx or 204 with a length over 0 or a coding is not kept alive.
 * Otherwise CHUNKED, else LENGTH, else UNTIL_CLOSE.
 */
WEFT_MUST ssize_t weft_http_parse_response(weft_http_response *r,
                                           const char *data, size_t len);

WEFT_API void weft_http_response_move(weft_http_response *r, const char *data);

/* ---- chunks (RFC 9112, 7.1) --------------------------------------------- */

/** What all chunk extensions may have in octets, from the first ';' of a line
 *  to its CR. 16 octets of body give one back, up to these. */
enum { WEFT_HTTP_EXTENSIONS = 16384 };

typedef struct weft_http_chunked {
    bool trailers;     /* the last chunk is done; weft_http_parse_trailers */
    const char *wrong; /* after -EBADMSG; NULL before */
    uint64_t left_;    /* of the size or of the chunk */
    uint32_t credit_;  /* what extensions may still have */
    uint8_t state_, digits_;
} weft_http_chunked;

WEFT_API void weft_http_chunked_init(weft_http_chunked *c);

/**
 * Takes octets of a chunked body. *ret_body is one run of the body's octets
 * among them, where they stand; it may be empty. Returns how many octets were
 * taken: all, or up to the next run, or, with c->trailers, up to the end of the
 * last chunk's line. It takes none only when there are none, or c->trailers.
 * Returns -EBADMSG, c->wrong: then there is no run, since what stood before was
 * handed out first; and so again.
 *
 * A size is 1 to 16 hexadecimal digits and at most 2^63-1; an extension is
 * ";name", ";name=token" or ";name=" and a quoted string. Spaces and tabs may
 * stand around ';' and '=', as a recipient has to read them (RFC 9110, 5.6.3),
 * and nowhere else; no CR or LF stands alone. Extensions are not handed out.
 */
WEFT_MUST ssize_t weft_http_dechunk(weft_http_chunked *c, const char *data,
                                    size_t len, weft_text *ret_body);

/* ---- trailers (RFC 9112, 7.1.2) ----------------------------------------- */

typedef struct weft_http_trailers {
    weft_http_fields fields;
    int status;        /* after -EBADMSG: 400 or 431; 0 before */
    const char *wrong; /* likewise; NULL before */
    struct weft_http_scan_ scan_;
} weft_http_trailers;

/** As weft_http_request_init; limits->line has no meaning here. */
WEFT_API void weft_http_trailers_init(weft_http_trailers *t,
                                      weft_http_mark *marks, size_t room,
                                      const weft_http_limits *limits);

/**
 * Reads the field lines behind the last chunk, as weft_http_parse_request does:
 * returns the octets of the section with its empty line (2: there are no
 * trailers); 0; -EBADMSG; -EINVAL. A name that must not come so late (framing,
 * routing, authentication, request modifiers, response controls, the content's
 * form; RFC 9110, 6.5.1) is refused with the LF of its line.
 */
WEFT_MUST ssize_t weft_http_parse_trailers(weft_http_trailers *t,
                                           const char *data, size_t len);

WEFT_API void weft_http_trailers_move(weft_http_trailers *t, const char *data);

WEFT_END_DECLS

#endif
