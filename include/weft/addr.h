/* SPDX-License-Identifier: MIT */
/*
 * weft/addr.h (net) - where a socket is.
 *
 *     weft_addr a;
 *     int err = weft_addr_parse(&a, "[::1]:8080");
 *
 * The text of an address is one of
 *
 *     127.0.0.1:8080    [::1]:8080    [fe80::1%eth0]:8080    :8080 (any IPv4)
 *     tcp://127.0.0.1:8080            unix:/run/x    unix:@abstract
 *
 * IPv4 is four decimal numbers without leading zeros; IPv6 stands in brackets,
 * its scope is an interface's name or number; a port is a number of one to five
 * digits, and not a service's name. In a Unix path or name \\ is a backslash
 * and \x0a an octet in hexadecimal; nothing else may stand behind a backslash.
 * Nothing may stand before or behind an address either, no space and no path.
 * Names of hosts are not resolved here. Abstract addresses, which need no file,
 * are of Linux alone; \x00 is fine in them.
 *
 * What is written is the one text of RFC 5952 (and of its section 5 for
 * IPv4-mapped addresses), and is read as an equal address. What no text is read
 * as is written all the same: "unix:" for a socket without a name, "unix:@" for
 * the abstract name of no octets, "?" for an address of another family.
 *
 * Errors are said in weft_last_error(), with the text and what is wrong there.
 * Nothing here parks or needs a fiber, and any thread will do. On an error
 * nothing is written to what was to be returned.
 */
#ifndef WEFT_ADDR_H
#define WEFT_ADDR_H

#include <weft/base.h>

#include <sys/socket.h>

WEFT_BEGIN_DECLS

typedef struct weft_addr {
    struct sockaddr_storage sa;
    socklen_t len;
} weft_addr;

enum {
    WEFT_ADDR_TEXT = 448, /* room for any text weft_addr_format writes */
    WEFT_HOST_TEXT = 256  /* room for any host weft_addr_split reads */
};

/* ---- texts -------------------------------------------------------------- */

/** 0; -EINVAL: not an address; -ENAMETOOLONG: a Unix path of over 107 octets
 *  (macOS, BSD: 103); -ENOTSUP: an abstract address, and this is not Linux;
 *  -EMFILE: no descriptor is free, which it takes to find an interface. */
WEFT_MUST int weft_addr_parse(weft_addr *a, const char *text);

/** A host without a port: "10.0.0.1", "::1", "fe80::1%eth0"; in no brackets. 0;
 *  -EINVAL: it is no such address (but perhaps a name), or the port is over
 *  65535. */
WEFT_MUST int weft_addr_parse_host(weft_addr *a, const char *host,
                                   unsigned port);

/**
 * Takes "host:port" or "tcp://host:port" apart, and looks nothing up. The host
 * is an address as above, "" or a name: labels of letters, digits, - and _ with
 * dots between them and perhaps behind them (RFC 1123, 2.1). A name whose last
 * label is a number, such as 127.1 or 0x7f000001, is a bad IPv4 address. The
 * brackets of IPv6 are left out; a scope is not looked at.
 *
 * Returns 0; -EINVAL: it is none of that; -ENAMETOOLONG: a label of over 63
 * octets, a name of over 253, or a host that does not fit into `room` with a 0
 * at its end, as it does into WEFT_HOST_TEXT.
 */
WEFT_MUST int weft_addr_split(const char *text, char *host, size_t room,
                              unsigned *ret_port);

/** Writes the text of *a, cut to `len` with a 0 at the end; returns `buf`. */
WEFT_API char *weft_addr_format(const weft_addr *a, char *buf, size_t len);

/** The same without the port, and brackets: "10.0.0.1", "fe80::1%eth0". */
WEFT_API char *weft_addr_format_host(const weft_addr *a, char *buf, size_t len);

/* ---- typed -------------------------------------------------------------- */

/** IPv4: 127.0.0.1 is 0x7f000001. 0; -EINVAL: the port is over 65535. */
WEFT_MUST int weft_addr_ipv4(weft_addr *a, uint32_t host, unsigned port);

/** IPv6, octets in the order of the network; `scope`, an interface's index, is
 *  0 for none. 0; -EINVAL: the port is over 65535. */
WEFT_MUST int weft_addr_ipv6(weft_addr *a, const uint8_t octets[16],
                             uint32_t scope, unsigned port);

/** A Unix path as it is, no escapes. 0; -EINVAL: it is empty; -ENAMETOOLONG. */
WEFT_MUST int weft_addr_unix(weft_addr *a, const char *path);

/** An abstract Unix name of any octets, without the 0 before it that the kernel
 *  wants. 0; -EINVAL: of none; -ENAMETOOLONG: over 107; -ENOTSUP. */
WEFT_MUST int weft_addr_abstract(weft_addr *a, const void *name, size_t len);

/**
 * What some other call has told, looked at: 0; -EINVAL: shorter than one of its
 * family, or longer than there is; -EAFNOSUPPORT: neither IPv4, IPv6 nor Unix;
 * -ENAMETOOLONG: a Unix path without room for the 0 at its end.
 */
WEFT_MUST int weft_addr_from(weft_addr *a, const struct sockaddr *sa,
                             socklen_t len);

/** AF_INET, AF_INET6, AF_UNIX, or as it is in `sa`. */
WEFT_API int weft_addr_family(const weft_addr *a);

/** The port, in host order; 0 for a Unix socket. */
WEFT_API unsigned weft_addr_port(const weft_addr *a);

/** 0; -EINVAL: over 65535; -EAFNOSUPPORT: neither IPv4 nor IPv6. */
WEFT_MUST int weft_addr_set_port(weft_addr *a, unsigned port);

/** The index of the interface; 0: none, or not IPv6. */
WEFT_API uint32_t weft_addr_scope(const weft_addr *a);

/** 0; -EAFNOSUPPORT: not IPv6. */
WEFT_MUST int weft_addr_set_scope(weft_addr *a, uint32_t scope);

/** The octets of an IP address in the order of the network; how many: 4, 16, or
 *  0 if it is none. */
WEFT_API size_t weft_addr_octets(const weft_addr *a, uint8_t ret_octets[16]);

/** The path of a Unix socket, or NULL. It is a part of *a. */
WEFT_API const char *weft_addr_path(const weft_addr *a);

/** The abstract name of a Unix socket, in *a, with its length; or NULL. */
WEFT_API const void *weft_addr_abstract_name(const weft_addr *a,
                                             size_t *ret_len);

/* ---- what it is --------------------------------------------------------- */

/*
 * An IPv4-mapped address (::ffff:10.0.0.1) is how an IPv6 socket sees an IPv4
 * peer. Except for weft_addr_is_mapped what follows takes it for the IPv4
 * address, which it leads to. All are false of what is no IP address.
 */
WEFT_API bool weft_addr_is_mapped(const weft_addr *a);
WEFT_API bool weft_addr_is_any(const weft_addr *a);      /* 0.0.0.0, :: */
WEFT_API bool weft_addr_is_loopback(const weft_addr *a); /* 127/8, ::1 */
WEFT_API bool weft_addr_is_multicast(const weft_addr *a);  /* 224/4, ff00::/8 */
WEFT_API bool weft_addr_is_link_local(const weft_addr *a); /* 169.254/16,
                                                              fe80::/10 */
/** 10/8, 172.16/12, 192.168/16 (RFC 1918), fc00::/7 (RFC 4193). */
WEFT_API bool weft_addr_is_private(const weft_addr *a);

/** Makes an IPv4-mapped address the IPv4 one; others stay. Was it one? */
WEFT_API bool weft_addr_unmap(weft_addr *a);

/* ---- comparing ---------------------------------------------------------- */

/**
 * Below 0, 0 or above: a total order. IPv4 before IPv6 before Unix before the
 * rest; then by octets, scope and port; Unix without a name, paths, abstract
 * names. What is not named, such as sin6_flowinfo, does not count. An
 * IPv4-mapped address is not the IPv4 one: unmap first. For hosts alone set the
 * port of both to 0.
 */
WEFT_API int weft_addr_compare(const weft_addr *a, const weft_addr *b);
WEFT_API bool weft_addr_equal(const weft_addr *a, const weft_addr *b);

/** The same for equal addresses and seeds. Peers choose their addresses; with a
 *  random seed they do not choose the place in your table so easily. */
WEFT_API uint64_t weft_addr_hash(const weft_addr *a, uint64_t seed);

/* ---- prefixes ----------------------------------------------------------- */

/** All addresses with these first bits (RFC 4632, RFC 4291, 2.3). */
typedef struct weft_addr_prefix {
    int family; /* AF_INET, AF_INET6 */
    unsigned bits;
    uint8_t octets[16];
} weft_addr_prefix;

/** "10.0.0.0/8", "2001:db8::/32"; without a / it is one address. 0; -EINVAL:
 *  not a prefix, or, as in 10.0.0.1/8, more than that. */
WEFT_MUST int weft_addr_prefix_parse(weft_addr_prefix *p, const char *text);

/**
 * Does it have this address, whatever its port and scope? IPv4-mapped addresses
 * are in IPv4 prefixes, and of IPv6 prefixes only in those from ::ffff:0:0/96
 * down, which have IPv4 addresses too: ::/0 has no IPv4 peer on any socket.
 */
WEFT_API bool weft_addr_prefix_has(const weft_addr_prefix *p,
                                   const weft_addr *a);

/** As weft_addr_format; WEFT_ADDR_TEXT is room enough. */
WEFT_API char *weft_addr_prefix_format(const weft_addr_prefix *p, char *buf,
                                       size_t len);

WEFT_END_DECLS

#endif
