/* SPDX-License-Identifier: MIT */
/*
 * weft/url.h (http) - URLs as RFC 3986 has them, and what is in a query.
 *
 *     weft_url u;
 *     int err = weft_url_parse(&u, weft_text_of("http://[::1]:8080/a?b#c"));
 *     if (err < 0) return err;
 *     printf("%.*s, port %d\n", WEFT_TEXT_ARGS(u.host), weft_url_port(&u));
 *
 *     char next[1024];
 *     ssize_t len = weft_url_join(weft_text_of("http://a/b/c"),
 *                                 weft_text_of("../d"), next, sizeof next);
 *
 * Strict: an octet that the grammar of RFC 3986 does not have in that place,
 * such as a space, anything that is not ASCII, or % without two hexadecimal
 * digits, is refused and not repaired. What is wrong, and where, is told in
 * weft_last_error().
 *
 * What writes to `buf` puts a 0 behind it, for which there has to be room too,
 * and returns the length without it; -ENOBUFS, there is no room (then what is
 * in buf is of no use); -EINVAL. Nothing here parks, allocates or needs a
 * fiber.
 */
#ifndef WEFT_URL_H
#define WEFT_URL_H

#include <weft/base.h>
#include <weft/text.h>

#include <sys/types.h>

WEFT_BEGIN_DECLS

/* ---- URLs --------------------------------------------------------------- */

/** The parts of a URL, in the text that was given, escapes and all. A part is
 *  not there (at NULL), or it is, and may be empty: "x?" has a query. */
typedef struct weft_url {
    weft_text scheme;    /* without the ':'; none: a relative reference */
    weft_text authority; /* what follows "//": the next three as they stand */
    weft_text userinfo;  /* without the '@' */
    weft_text host;      /* without the [] of IPv6; there if authority is */
    weft_text path;      /* always there */
    weft_text query;     /* without the '?' */
    weft_text fragment;  /* without the '#' */
    int port;            /* 1 to 65535; 0: none is said, or an empty one */
    bool host_is_ip6;
} weft_url;

/**
 * Takes a URI or relative reference (RFC 3986, 4.1) apart. IPv6 is looked at as
 * a whole, and has no zone; of an IPvFuture the host keeps its brackets. An
 * empty host is refused for http, https, ws and wss (RFC 9110, 4.2.1).
 *
 * Returns 0; -EINVAL: it is none, or its port is 0 or over 65535; then *ret is
 * not written.
 */
WEFT_MUST int weft_url_parse(weft_url *ret, weft_text t);

/** The port that is said, else the usual one of http, https, ws and wss; else
 *  0. */
WEFT_API int weft_url_port(const weft_url *u);

/**
 * The URL that `reference` means in a document at `base` (RFC 3986, 5.2, as the
 * strict ones do), dot segments removed. A path that would begin with // and be
 * read as a host gets "/." before it. buf is neither of the two texts.
 *
 * Returns the length; -EINVAL: one is no URL, base has no scheme, or there is
 * no host where one is needed, as "///x" is of http; -ENOBUFS.
 */
WEFT_MUST ssize_t weft_url_join(weft_text base, weft_text reference, char *buf,
                                size_t size);

/* ---- percent coding ----------------------------------------------------- */

/** Makes octets of %XX, and, where plus_is_space, spaces of +. buf may be t.at.
 *  -EINVAL: a bad escape, or a 0, as %00 or itself. */
WEFT_MUST ssize_t weft_url_decode(weft_text t, char *buf, size_t size,
                                  bool plus_is_space);

/** Makes %XX of all but letters, digits and -._~ so that it can stand in any
 *  part of a URL: one segment, one name, one value. */
WEFT_MUST ssize_t weft_url_encode(weft_text t, char *buf, size_t size,
                                  bool space_is_plus);

/**
 * The path of a request as the name of something below a root: decoded, without
 * "." and "..", escaped or not, and without empty segments, so that it begins
 * with one / if `path` begins with any, and otherwise with none. A / at the end
 * stays. Room for as much as `path`, and the 0, is enough. buf may be path.at.
 *
 * -EINVAL: it leads above the root, even for a moment; %2F, \ or a 0, escaped
 * or not; a bad escape.
 */
WEFT_MUST ssize_t weft_path_normalize(weft_text path, char *buf, size_t size);

/* ---- queries, and bodies of application/x-www-form-urlencoded ----------- */

/** The next pair of name=value, & after &, as it stands; *query is what is
 *  left. Without = the value is not there. Empty pairs are passed over. false:
 *  there is none left. */
WEFT_MUST bool weft_query_next(weft_text *query, weft_text *ret_name,
                               weft_text *ret_value);

/** The first value of that name, as it stands; the name is decoded to be
 *  compared. false: there is none. */
WEFT_MUST bool weft_query_find(weft_text query, const char *name,
                               weft_text *ret_value);

/** The same decoded, with + for a space; or -ENOENT. */
WEFT_MUST ssize_t weft_query_get(weft_text query, const char *name, char *buf,
                                 size_t size);

/**
 * Writes name=value behind the *len octets in buf, encoded, after an & unless
 * nothing or a '?' or '&' stands before it; of a value that is not there only
 * the name. Adds to *len.
 *
 * Returns 0; -ENOBUFS: *len and these octets are as they were.
 */
WEFT_MUST int weft_query_add(char *buf, size_t size, size_t *len,
                             weft_text name, weft_text value);

WEFT_END_DECLS

#endif
