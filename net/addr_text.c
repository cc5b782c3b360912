/* SPDX-License-Identifier: MIT */
/*
 * addr_text.c - addresses from text and back.
 *
 * Whoever reads a part returns what is wrong with it, in words, or NULL; the
 * public calls say that with the text.
 */
#include "addr.h"
#include "interface.h"

#include <weft/error.h>

#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static int refuse(int err, const char *text, const char *why)
{
    char quote[WF_ADDR_QUOTE];
    return weft_fail_at(err, NULL, 0, "address \"%s\": %s",
                        wf_addr_quote(quote, text), why);
}

/* ---- host and port ------------------------------------------------------ */

static const char *parse_port(unsigned *ret, const char *text)
{
    uint64_t port;
    size_t len = strlen(text);
    if (len == 0) return "the port is empty";
    if (strspn(text, "0123456789") < len) return "the port is not a number";
    if (!wf_decimal_parse(text, len, 5, 65535, &port))
        return "the port is over 65535";
    *ret = (unsigned)port;
    return NULL;
}

const char *wf_host_port_parse(struct wf_host_port *ret, const char *text)
{
    if (!*text) return "it is empty";
    if (strncmp(text, "tcp://", 6) == 0)
        text += 6;
    else if (strstr(text, "://"))
        return "the scheme is not tcp://";
    ret->brackets = *text == '[';
    ret->host = text + ret->brackets;
    if (ret->brackets) {
        const char *end = strrchr(text, ']');
        if (!end) return "the ] is missing";
        if (end[1] != ':') return "there is no :port behind the ]";
        ret->len = (size_t)(end - ret->host);
        return parse_port(&ret->port, end + 2);
    }
    const char *colon = strchr(text, ':');
    if (!colon) return "there is no port";
    if (strchr(colon + 1, ':')) return "IPv6 goes into brackets: [::1]:80";
    ret->len = (size_t)(colon - text);
    return parse_port(&ret->port, colon + 1);
}

/* ---- IP ----------------------------------------------------------------- */

/* Of a text that may be fine. */
static const char no_descriptor[] = "no descriptor is free to look it up with";

static int refuse_ip(const char *text, const char *why)
{
    return refuse(why == no_descriptor ? -EMFILE : -EINVAL, text, why);
}

/* All digits are a number, even if there is an interface of that name. */
static const char *parse_scope(uint32_t *ret, const char *zone, size_t len)
{
    char name[IF_NAMESIZE];
    uint64_t number;
    if (len == 0) return "the scope is empty";
    if (strspn(zone, "0123456789") >= len) {
        if (*zone == '0' ||
            !wf_decimal_parse(zone, len, 10, UINT32_MAX, &number))
            return "the scope is no interface's number";
        *ret = (uint32_t)number;
        return NULL;
    }
    if (len >= sizeof name) return "there is no interface of that name";
    memcpy(name, zone, len);
    name[len] = 0;
    int err = wf_interface(name, ret);
    if (err == -EMFILE || err == -ENFILE) return no_descriptor;
    return err < 0 ? "there is no interface of that name" : NULL;
}

static const char *parse_ipv6(weft_addr *ret, const char *host, size_t len,
                              unsigned port)
{
    uint8_t octets[16];
    uint32_t scope = 0;
    const char *zone = memchr(host, '%', len);
    size_t before = zone ? (size_t)(zone - host) : len;
    const char *why = wf_ipv6_parse(octets, host, before);
    if (!why && zone) why = parse_scope(&scope, zone + 1, len - before - 1);
    if (why) return why;
    return weft_addr_ipv6(ret, octets, scope, port) < 0 ? "a bad port" : NULL;
}

static const char *parse_ipv4(weft_addr *ret, const char *host, size_t len,
                              unsigned port)
{
    uint8_t o[4];
    const char *why = wf_ipv4_parse(o, host, len);
    if (why) return why;
    uint32_t number = (uint32_t)o[0] << 24 | (uint32_t)o[1] << 16 |
                      (uint32_t)o[2] << 8 | o[3];
    return weft_addr_ipv4(ret, number, port) < 0 ? "a bad port" : NULL;
}

const char *wf_host_parse(weft_addr *ret, const char *host, size_t len,
                          unsigned port)
{
    return memchr(host, ':', len) ? parse_ipv6(ret, host, len, port)
                                  : parse_ipv4(ret, host, len, port);
}

static const char *parse_ip(weft_addr *ret, const char *text)
{
    struct wf_host_port at;
    const char *why = wf_host_port_parse(&at, text);
    if (why) return why;
    if (at.brackets) return parse_ipv6(ret, at.host, at.len, at.port);
    if (at.len == 0) return parse_ipv4(ret, "0.0.0.0", 7, at.port);
    if (at.len == 1 && *at.host == '*') return "only weft_listen takes a *";
    return parse_ipv4(ret, at.host, at.len, at.port);
}

/* ---- Unix --------------------------------------------------------------- */

/* One octet at *text, which moves behind it; -1: a bad escape. */
static int next_octet(const char **text)
{
    const char *at = *text;
    if (*at != '\\') {
        *text += 1;
        return (unsigned char)*at;
    }
    if (at[1] == '\\') {
        *text += 2;
        return '\\';
    }
    if (at[1] != 'x') return -1;
    int high = wf_hex_digit(at[2]), low = high < 0 ? -1 : wf_hex_digit(at[3]);
    *text += 4;
    return low < 0 ? -1 : high << 4 | low;
}

/* Into `buf` of `room`: how many octets there are, perhaps more than that. */
static const char *unescape(char *buf, size_t room, size_t *ret_len,
                            const char *text)
{
    size_t len = 0;
    for (; *text; len++) {
        int octet = next_octet(&text);
        if (octet < 0) return "behind a \\ stands neither \\ nor xHH";
        if (len < room) buf[len] = (char)octet;
    }
    *ret_len = len;
    return NULL;
}

static int parse_unix(weft_addr *a, const char *text)
{
    char name[sizeof((struct sockaddr_un *)0)->sun_path];
    size_t len;
    bool abstract = text[5] == '@';
    const char *why = unescape(name, sizeof name, &len, text + 5 + abstract);
    if (why) return refuse(-EINVAL, text, why);
    if (len == 0)
        return refuse(-EINVAL, text,
                      abstract ? "the name is empty" : "the path is empty");
    if (abstract && !WF_HAS_ABSTRACT)
        return refuse(-ENOTSUP, text, "abstract names are of Linux alone");
    if (len >= sizeof name)
        return refuse(-ENAMETOOLONG, text, "it is too long");
    if (abstract) return weft_addr_abstract(a, name, len);
    if (memchr(name, 0, len))
        return refuse(-EINVAL, text, "a path has no octet of 0");
    name[len] = 0;
    return weft_addr_unix(a, name);
}

/* ---- reading ------------------------------------------------------------ */

int weft_addr_parse(weft_addr *a, const char *text)
{
    if (strncmp(text, "unix:", 5) == 0) return parse_unix(a, text);
    const char *why = parse_ip(a, text);
    return why ? refuse_ip(text, why) : 0;
}

int weft_addr_parse_host(weft_addr *a, const char *host, unsigned port)
{
    if (port > 65535)
        return refuse(-EINVAL, host, "its port is to be over 65535");
    const char *why = wf_host_parse(a, host, strlen(host), port);
    return why ? refuse_ip(host, why) : 0;
}

/* ---- taking apart ------------------------------------------------------- */

static bool of_a_name(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           c == '-' || c == '_';
}

static bool all_of(const char *text, size_t len, const char *set)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr(set, text[i])) return false;
    return len > 0;
}

/* Decimal, or hexadecimal behind 0x: so old inet_aton would take it. */
static bool is_number(const char *label, size_t len)
{
    if (len > 1 && label[0] == '0' && (label[1] | 0x20) == 'x')
        return len == 2 || all_of(label + 2, len - 2, "0123456789abcdefABCDEF");
    return all_of(label, len, "0123456789");
}

/* Labels, with dots between them. */
static int check_name(const char *name, size_t len, const char **ret_why)
{
    size_t label = 0, start = 0;
    if (name[len - 1] == '.') len--;
    for (size_t i = 0; i <= len; i++) {
        if (i < len && name[i] != '.') {
            *ret_why = "a character is of no address and no name";
            if (!of_a_name(name[i])) return -EINVAL;
            continue;
        }
        start = i - (label = i - start);
        *ret_why = "a part of the name is empty";
        if (label == 0) return -EINVAL;
        *ret_why = "a part of the name is over 63 octets";
        if (label > 63) return -ENAMETOOLONG;
        if (i < len) start = i + 1;
    }
    *ret_why = "the name is over 253 octets";
    if (len > 253) return -ENAMETOOLONG;
    *ret_why = "neither an IPv4 address nor a name";
    return is_number(name + start, label) ? -EINVAL : 0;
}

static int check_host(const struct wf_host_port *at, const char **ret_why)
{
    uint8_t octets[16];
    if (at->brackets) {
        const char *zone = memchr(at->host, '%', at->len);
        size_t len = zone ? (size_t)(zone - at->host) : at->len;
        *ret_why = "the scope is empty";
        if (zone && len + 1 == at->len) return -EINVAL;
        *ret_why = wf_ipv6_parse(octets, at->host, len);
        return *ret_why ? -EINVAL : 0;
    }
    if (at->len == 0) return 0;
    if (!wf_ipv4_parse(octets, at->host, at->len)) return 0;
    return check_name(at->host, at->len, ret_why);
}

int weft_addr_split(const char *text, char *host, size_t room,
                    unsigned *ret_port)
{
    struct wf_host_port at;
    const char *why = "a Unix address has no host";
    if (strncmp(text, "unix:", 5) == 0) return refuse(-EINVAL, text, why);
    why = wf_host_port_parse(&at, text);
    if (why) return refuse(-EINVAL, text, why);
    int err = check_host(&at, &why);
    if (err < 0) return refuse(err, text, why);
    if (at.len >= room)
        return refuse(-ENAMETOOLONG, text, "there is no room for the host");
    memcpy(host, at.host, at.len);
    host[at.len] = 0;
    *ret_port = at.port;
    return 0;
}

/* ---- writing ------------------------------------------------------------ */

static void write_escaped(char *to, size_t room, const char *octets, size_t len,
                          bool first_at)
{
    size_t n = 0;
    for (size_t i = 0; i < len && n + 5 <= room; i++) {
        unsigned char c = (unsigned char)octets[i];
        if (c == '\\')
            n += (size_t)snprintf(to + n, room - n, "\\\\");
        else if (c < ' ' || c == 0x7f || (first_at && i == 0 && c == '@'))
            n += (size_t)snprintf(to + n, room - n, "\\x%02x", c);
        else
            to[n++] = (char)c;
    }
    to[n] = 0;
}

static void format_unix(const weft_addr *a, char text[WEFT_ADDR_TEXT])
{
    size_t len = 0;
    const char *name = weft_addr_abstract_name(a, &len);
    const char *path = weft_addr_path(a), *start = name ? "unix:@" : "unix:";
    size_t n = strlen(start);
    memcpy(text, start, n + 1);
    if (path) {
        name = path;
        len = strnlen(path, sizeof((struct sockaddr_un *)0)->sun_path);
    }
    if (name) write_escaped(text + n, WEFT_ADDR_TEXT - n, name, len, path);
}

/* By name, if that leads back. */
static void write_scope(char *to, uint32_t scope)
{
    char name[IF_NAMESIZE];
    int kept = errno;
    bool named = scope && if_indextoname(scope, name) &&
                 name[strspn(name, "0123456789")];
    errno = kept;
    if (!scope)
        *to = 0;
    else if (named)
        (void)snprintf(to, 1 + sizeof name, "%%%s", name);
    else
        (void)snprintf(to, 1 + sizeof name, "%%%lu", (unsigned long)scope);
}

/* Without a port, and without brackets. */
static void format_host(const weft_addr *a, char text[WEFT_ADDR_TEXT])
{
    uint8_t octets[16];
    size_t n = weft_addr_octets(a, octets);
    if (n == 4)
        (void)wf_ipv4_format(octets, text);
    else if (n == 16)
        write_scope(text + wf_ipv6_format(octets, text), weft_addr_scope(a));
    else if (weft_addr_family(a) == AF_UNIX)
        format_unix(a, text);
    else
        memcpy(text, "?", 2);
}

char *weft_addr_format(const weft_addr *a, char *buf, size_t len)
{
    char host[WEFT_ADDR_TEXT];
    int family = weft_addr_family(a);
    if (len == 0) return buf;
    format_host(a, host);
    if (family == AF_INET)
        (void)snprintf(buf, len, "%s:%u", host, weft_addr_port(a));
    else if (family == AF_INET6)
        (void)snprintf(buf, len, "[%s]:%u", host, weft_addr_port(a));
    else
        (void)snprintf(buf, len, "%s", host);
    return buf;
}

char *weft_addr_format_host(const weft_addr *a, char *buf, size_t len)
{
    char host[WEFT_ADDR_TEXT];
    if (len == 0) return buf;
    format_host(a, host);
    (void)snprintf(buf, len, "%s", host);
    return buf;
}
