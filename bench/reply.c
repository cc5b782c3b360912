/* SPDX-License-Identifier: MIT */
/* reply.c - status, end of head, Content-Length, body. */
#include "reply.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Content-Length of a head of `len` octets, or -1. */
static long content_length(const char *head, size_t len)
{
    static const char name[] = "\ncontent-length:";
    for (size_t i = 0; i + sizeof name < len; i++) {
        if (strncasecmp(head + i, name, sizeof name - 1) != 0) continue;
        size_t k = i + sizeof name - 1;
        while (k < len && head[k] == ' ')
            k++;
        long v = -1;
        for (; k < len && head[k] >= '0' && head[k] <= '9'; k++) {
            v = (v < 0 ? 0 : v) * 10 + (head[k] - '0');
            if (v > MAX_REPLY) return -1;
        }
        return v;
    }
    return -1;
}

static bool is_200(const char *p)
{
    return memcmp(p, "HTTP/1.1 200 ", 13) == 0;
}

static long read_reply(struct reply *first, const char *p, size_t n)
{
    const char *end = memmem(p, n, "\r\n\r\n", 4);
    if (end == NULL) return n < MAX_REPLY ? 0 : -1;
    size_t head = (size_t)(end - p) + 4;
    long body = content_length(p, head);
    if (head < 17 || !is_200(p) || body < 0 || head + (size_t)body > MAX_REPLY)
        return -1;
    if (n < head + (size_t)body) return 0;
    if (first->head == 0) {
        first->head = head;
        first->body = (size_t)body;
        memcpy(first->octets, p, head + (size_t)body);
    }
    if ((size_t)body != first->body) return -1;
    if (memcmp(p + head, first->octets + first->head, (size_t)body) != 0) {
        return -1;
    }
    return (long)head + body;
}

/*
 * A reply of the same length, with the same status line, the end of its head
 * at the same place and the same body is the same reply with another date.
 */
static bool same_shape(const struct reply *first, const char *p, size_t n)
{
    return first->head > 0 && n >= first->head + first->body && is_200(p) &&
           memcmp(p + first->head - 4, first->octets + first->head - 4,
                  first->body + 4) == 0;
}

long reply_check(struct reply *first, const char *p, size_t n)
{
    if (same_shape(first, p, n)) return (long)(first->head + first->body);
    return read_reply(first, p, n);
}
