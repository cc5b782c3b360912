/* SPDX-License-Identifier: MIT */
/* address.c - "HOST:PORT" with a numeric host, and Unix sockets. */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static int parse_unix(const char *text, struct address *ret_address)
{
    struct address a = {0};
    struct sockaddr_un *un = (void *)&a.to;
    const char *path = text + 5;
    size_t len = strlen(path);
    if (len < 2 || len >= sizeof un->sun_path || strlen(text) >= sizeof a.text)
        return -EINVAL;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    if (path[0] == '@')
        un->sun_path[0] = '\0';
    else
        len++;
    a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    memcpy(a.text, text, strlen(text) + 1);
    *ret_address = a;
    return 0;
}

int address_parse(const char *text, struct address *ret_address)
{
    struct address a = {0};
    struct sockaddr_in *v4 = (void *)&a.to;
    struct sockaddr_in6 *v6 = (void *)&a.to;
    char host[64];
    if (strncmp(text, "unix:", 5) == 0) return parse_unix(text, ret_address);
    const char *colon = strrchr(text, ':');
    if (colon == NULL || strlen(text) >= sizeof a.text) return -EINVAL;

    char *end;
    long port = strtol(colon + 1, &end, 10);
    size_t len = (size_t)(colon - text);
    if (end == colon + 1 || *end != '\0' || port < 0 || port > 65535) {
        return -EINVAL;
    }
    bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
    if (bracketed) text++, len -= 2;
    memcpy(host, text, len);
    host[len] = '\0';

    if (!bracketed && inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        a.len = sizeof *v4;
    } else if (bracketed && inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        a.len = sizeof *v6;
    } else {
        return -EINVAL;
    }
    memcpy(a.text, text - bracketed, strlen(text - bracketed) + 1);
    *ret_address = a;
    return 0;
}
