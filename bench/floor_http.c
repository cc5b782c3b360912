/* SPDX-License-Identifier: MIT */
/*
 * floor_http HOST:PORT - the HTTP server that others are measured against.
 *
 * Answers every request with the same text. The head is read in full: request
 * line, each name and value with its delimiters, Content-Length, Connection,
 * and Transfer-Encoding (which it refuses). Replies to a pipelined batch leave
 * with one send; the Date is made once a second.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "floor.h"
#include "system.h"

struct http_conn {
    struct floor_conn base;
    uint64_t body_left; /* of a request's body, still to be skipped */
};

struct request {
    uint64_t body;
    bool close;
    bool has_length;
};

enum { TOKEN = 1, TARGET = 2, VALUE = 4 };

static unsigned char class_of[256];
static char reply[512], reply_close[512];
static size_t reply_len, reply_close_len, date_at, date_close_at;
static char out[FLOOR_SCRATCH];

static void fill_classes(void)
{
    for (int c = 0; c < 256; c++) {
        unsigned char k = 0;
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                     (c >= 'a' && c <= 'z');
        if (c && (alnum || strchr("!#$%&'*+-.^_`|~", c))) k |= TOKEN;
        if (c > ' ' && c != 127) k |= TARGET;
        if ((c >= ' ' && c != 127) || c == '\t') k |= VALUE;
        class_of[c] = k;
    }
}

static const char *skip(const char *p, const char *end, int class)
{
    while (p < end && (class_of[(unsigned char)*p] & class))
        p++;
    return p;
}

/* ---- replies ------------------------------------------------------------- */

static size_t make_reply(char *buf, size_t size, const char *connection,
                         size_t *ret_date_at)
{
    static const char date[] = "Thu, 01 Jan 1970 00:00:00 GMT";
    int n = snprintf(buf, size,
                     "HTTP/1.1 200 OK\r\nServer: floor\r\nDate: %s\r\n"
                     "Content-Type: text/plain\r\n%sContent-Length: 13\r\n"
                     "\r\nHello, World!",
                     date, connection);
    *ret_date_at = (size_t)(strstr(buf, date) - buf);
    return (size_t)n;
}

static void refresh_date(void)
{
    static time_t shown;
    struct timespec now;
    struct tm tm;
    char date[40];
    clock_gettime(BENCH_CLOCK_TICK, &now);
    if (now.tv_sec == shown || gmtime_r(&now.tv_sec, &tm) == NULL) return;
    shown = now.tv_sec;
    size_t n = strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    memcpy(reply + date_at, date, n);
    memcpy(reply_close + date_close_at, date, n);
}

/* ---- the parser ---------------------------------------------------------- */

static bool same_name(const char *p, size_t len, const char *name)
{
    return len == strlen(name) && strncasecmp(p, name, len) == 0;
}

static bool take_field(struct request *r, const char *name, size_t name_len,
                       const char *value, size_t len)
{
    if (same_name(name, name_len, "content-length")) {
        if (r->has_length || len == 0 || len > 15) return false;
        r->has_length = true;
        for (size_t i = 0; i < len; i++) {
            if (value[i] < '0' || value[i] > '9') return false;
            r->body = r->body * 10 + (uint64_t)(value[i] - '0');
        }
    } else if (same_name(name, name_len, "connection")) {
        if (same_name(value, len, "close")) r->close = true;
        if (same_name(value, len, "keep-alive")) r->close = false;
    } else if (same_name(name, name_len, "transfer-encoding")) {
        return false;
    }
    return true;
}

/* Octets of the head at p; 0: it is not all there; -1: it is malformed. */
static ssize_t parse_head(const char *start, const char *end, struct request *r)
{
    static const char version[] = "HTTP/1.";
    *r = (struct request){0};

    const char *p = skip(start, end, TOKEN);
    if (p == end) return 0;
    if (p == start || *p != ' ') return -1;
    const char *target = ++p;
    p = skip(p, end, TARGET);
    if (p == end) return 0;
    if (p == target || *p != ' ') return -1;
    p++;
    if (end - p < 10) return 0;
    if (memcmp(p, version, 7) != 0 || (p[7] != '0' && p[7] != '1')) return -1;
    if (p[8] != '\r' || p[9] != '\n') return -1;
    r->close = p[7] == '0';
    p += 10;

    for (;;) {
        if (end - p < 2) return 0;
        if (p[0] == '\r') return p[1] == '\n' ? p + 2 - start : -1;
        const char *name = p;
        p = skip(p, end, TOKEN);
        if (p == end) return 0;
        if (p == name || *p != ':') return -1;
        size_t name_len = (size_t)(p - name);
        p++;
        while (p < end && (*p == ' ' || *p == '\t'))
            p++;
        const char *value = p;
        p = skip(p, end, VALUE);
        if (end - p < 2) return 0;
        if (p[0] != '\r' || p[1] != '\n') return -1;
        const char *last = p;
        while (last > value && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        if (!take_field(r, name, name_len, value, (size_t)(last - value))) {
            return -1;
        }
        p += 2;
    }
}

/* ---- serving ------------------------------------------------------------- */

static ssize_t refuse(struct floor_conn *c, size_t pending)
{
    static const char bad[] = "HTTP/1.1 400 Bad Request\r\nConnection: close"
                              "\r\nContent-Length: 0\r\n\r\n";
    if (pending > 0 && !floor_send(c, out, pending)) return -1;
    (void)floor_send(c, bad, sizeof bad - 1);
    c->ending = true;
    return 0;
}

static ssize_t requests(struct floor_conn *base, const char *data, size_t len)
{
    struct http_conn *c = (struct http_conn *)base;
    const char *p = data, *end = data + len;
    size_t pending = 0;

    while (p < end) {
        if (c->body_left > 0) {
            uint64_t here = (uint64_t)(end - p);
            uint64_t n = c->body_left < here ? c->body_left : here;
            c->body_left -= n;
            p += n;
            continue;
        }
        struct request r;
        ssize_t head = parse_head(p, end, &r);
        if (head < 0) return refuse(base, pending);
        if (head == 0) break;
        p += head;
        c->body_left = r.body;
        if (pending + sizeof reply > sizeof out) {
            if (!floor_send(base, out, pending)) return -1;
            pending = 0;
        }
        memcpy(out + pending, r.close ? reply_close : reply,
               r.close ? reply_close_len : reply_len);
        pending += r.close ? reply_close_len : reply_len;
        if (r.close) {
            base->ending = true;
            break;
        }
    }
    if (pending > 0 && !floor_send(base, out, pending)) return -1;
    return p - data;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: floor_http HOST:PORT\n", stderr);
        return 2;
    }
    fill_classes();
    reply_len = make_reply(reply, sizeof reply, "", &date_at);
    reply_close_len = make_reply(reply_close, sizeof reply_close,
                                 "Connection: close\r\n", &date_close_at);
    struct floor_server s = {.conn_size = sizeof(struct http_conn),
                             .received = requests,
                             .turn = refresh_date};
    return floor_run(argv[1], &s);
}
