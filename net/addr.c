/* SPDX-License-Identifier: MIT */
/*
 * addr.c - addresses from text and back.
 */
#include <weft/addr.h>

#include <weft/error.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static int parse_port(const char *text, in_port_t *ret_port)
{
    unsigned port = 0;
    if (!*text) return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return -EINVAL;
        port = port * 10 + (unsigned)(*text - '0');
        if (port > 65535) return -EINVAL;
    }
    *ret_port = htons((in_port_t)port);
    return 0;
}

#if defined(__linux__)
enum { HAS_ABSTRACT = 1 };
#else
enum { HAS_ABSTRACT = 0 };
#endif

/* A path ends in a 0. One that begins with @ is in the abstract namespace,
 * where the length counts and no 0 ends it. */
static int parse_unix(weft_addr *a, const char *path)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&a->sa;
    bool abstract = path[0] == '@';
    size_t len = strlen(path), room = sizeof un->sun_path;
    if (len == 0 || (abstract && len == 1)) return -EINVAL;
    if (abstract && !HAS_ABSTRACT) return -ENOTSUP;
    if (abstract ? len > room : len >= room) return -ENAMETOOLONG;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len);
    if (abstract)
        un->sun_path[0] = 0;
    else
        un->sun_path[len++] = 0;
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return 0;
}

static int parse_v4(weft_addr *a, const char *host, const char *port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&a->sa;
    in->sin_family = AF_INET;
    a->len = sizeof *in;
    if (*host && inet_pton(AF_INET, host, &in->sin_addr) != 1) return -EINVAL;
    return parse_port(port, &in->sin_port);
}

static int parse_v6(weft_addr *a, char *host, const char *port)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->sa;
    in6->sin6_family = AF_INET6;
    a->len = sizeof *in6;
    char *zone = strchr(host, '%');
    if (zone) {
        *zone++ = 0;
        in6->sin6_scope_id = if_nametoindex(zone);
        if (in6->sin6_scope_id == 0) return -EINVAL;
    }
    if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1) return -EINVAL;
    return parse_port(port, &in6->sin6_port);
}

static int parse(weft_addr *a, const char *text)
{
    if (strncmp(text, "unix:", 5) == 0) return parse_unix(a, text + 5);
    if (strncmp(text, "tcp://", 6) == 0) text += 6;

    char host[96];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host) return -EINVAL;
    size_t len = (size_t)(colon - text);
    memcpy(host, text, len);
    host[len] = 0;
    if (host[0] != '[') return parse_v4(a, host, colon + 1);
    if (len < 2 || host[len - 1] != ']') return -EINVAL;
    host[len - 1] = 0;
    return parse_v6(a, host + 1, colon + 1);
}

int weft_addr_parse(weft_addr *a, const char *text)
{
    weft_addr parsed = {.len = 0};
    int err = parse(&parsed, text);
    if (err == -ENAMETOOLONG)
        return weft_fail_at(err, NULL, 0,
                            "address %.40s...: the path is too long", text);
    if (err == -ENOTSUP)
        return weft_fail_at(err, NULL, 0,
                            "address %.60s: there are none without a file here",
                            text);
    if (err < 0)
        return weft_fail_at(
            err, NULL, 0,
            "\"%.60s\" is no address like 127.0.0.1:80, [::1]:80 "
            "or unix:/path",
            text);
    *a = parsed;
    return 0;
}

static void format_unix(const weft_addr *a, char *buf, size_t len)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->sa;
    size_t path = a->len > offsetof(struct sockaddr_un, sun_path)
                      ? a->len - offsetof(struct sockaddr_un, sun_path)
                      : 0;
    if (path == 0)
        (void)snprintf(buf, len, "unix:");
    else if (HAS_ABSTRACT && un->sun_path[0] == 0)
        (void)snprintf(buf, len, "unix:@%.*s", (int)path - 1, un->sun_path + 1);
    else
        (void)snprintf(buf, len, "unix:%.*s", (int)path, un->sun_path);
}

char *weft_addr_format(const weft_addr *a, char *buf, size_t len)
{
    char host[INET6_ADDRSTRLEN] = "?";
    char zone[IF_NAMESIZE + 1] = "";
    if (len == 0) return buf;
    switch (a->sa.ss_family) {
    case AF_UNIX:
        format_unix(a, buf, len);
        break;
    case AF_INET: {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&a->sa;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        (void)snprintf(buf, len, "%s:%u", host, ntohs(in->sin_port));
        break;
    }
    case AF_INET6: {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->sa;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        if (in6->sin6_scope_id) {
            zone[0] = '%';
            if (!if_indextoname(in6->sin6_scope_id, zone + 1)) zone[0] = 0;
        }
        (void)snprintf(buf, len, "[%s%s]:%u", host, zone, ntohs(in6->sin6_port));
        break;
    }
    default:
        (void)snprintf(buf, len, "?");
        break;
    }
    return buf;
}

unsigned weft_addr_port(const weft_addr *a)
{
    if (a->sa.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&a->sa)->sin_port);
    if (a->sa.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&a->sa)->sin6_port);
    return 0;
}
