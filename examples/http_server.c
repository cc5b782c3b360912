/* SPDX-License-Identifier: MIT */
/*
 * http_server HOST:PORT [WORKERS] - answers every request with "Hello, World!".
 *
 * HTTP/1.1 (RFC 9112) with keep-alive and pipelining. What could be read in
 * two ways is refused: folded or malformed fields, doubled lengths, any
 * Transfer-Encoding. A head is at most 16 KiB, a body (which is passed over) at
 * most 1 MiB, and each request must come whole within 10 s. On SIGTERM every
 * connection gets the answers to what it has sent, the last one with
 * "Connection: close".
 *
 * With several workers each has a listener at the port, and its own copy of the
 * usual answer: what a handler keeps in a static variable is thread-local.
 */
#include <weft.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HEAD_MAX = 16 * 1024, BODY_MAX = 1024 * 1024 };

/* ---- the head of a request ---------------------------------------------- */

struct request {
    bool head, keep_alive, expects, host;
    int minor;  /* HTTP/1.x */
    long body;  /* octets; -1: none was said */
    int refuse; /* a status to answer instead */
};

enum { TOKEN = 1, TEXT = 2 }; /* classes of octets (RFC 9110, 5.5 and 5.6.2) */

static unsigned char class_of[256];

static void make_classes(void)
{
    for (int c = 0; c < 256; c++) {
        if (c == '\t' || (c >= ' ' && c != 127)) class_of[c] |= TEXT;
        if (c > ' ' && c < 127 && !strchr("\"(),/:;<=>?@[\\]{}", c))
            class_of[c] |= TOKEN;
    }
}

static const char *skip(const char *p, const char *end, unsigned class)
{
    while (p < end && class_of[(unsigned char)*p] & class)
        p++;
    return p;
}

/* `word` is in lower case. */
static bool is(const char *p, size_t len, const char *word)
{
    for (size_t i = 0; i < len; i++) {
        char c = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] | 32) : p[i];
        if (c != word[i]) return false; /* also where the word ends */
    }
    return word[len] == 0;
}

static void take_length(struct request *r, const char *v, size_t len)
{
    long n = 0;
    for (size_t i = 0; i < len; i++) {
        if (v[i] < '0' || v[i] > '9') r->refuse = 400;
        if (n <= BODY_MAX) n = n * 10 + (v[i] - '0');
    }
    if (len == 0 || r->body >= 0) r->refuse = 400;
    if (!r->refuse && n > BODY_MAX) r->refuse = 413;
    r->body = n;
}

static void take_connection(struct request *r, const char *v, size_t len)
{
    while (len > 0) { /* a list: keep-alive, Upgrade */
        const char *comma = memchr(v, ',', len);
        size_t part = comma ? (size_t)(comma - v) : len, n = part;
        const char *word = v;
        while (n > 0 && (*word == ' ' || *word == '\t'))
            word++, n--;
        while (n > 0 && (word[n - 1] == ' ' || word[n - 1] == '\t'))
            n--;
        if (is(word, n, "close")) r->keep_alive = false;
        if (is(word, n, "keep-alive") && r->minor == 0) r->keep_alive = true;
        v += comma ? part + 1 : part;
        len -= comma ? part + 1 : part;
    }
}

static void take_field(struct request *r, const char *name, size_t name_len,
                       const char *v, size_t len)
{
    switch (name_len) {
    case 4:
        if (!is(name, 4, "host")) return;
        if (r->host) r->refuse = 400;
        r->host = true;
        return;
    case 6:
        if (is(name, 6, "expect") && is(v, len, "100-continue"))
            r->expects = true;
        return;
    case 10:
        if (is(name, 10, "connection")) take_connection(r, v, len);
        return;
    case 14:
        if (is(name, 14, "content-length")) take_length(r, v, len);
        return;
    case 17:
        if (is(name, 17, "transfer-encoding")) r->refuse = 501;
        return;
    default:
        return;
    }
}

/* METHOD SP target SP HTTP/1.x CRLF; the rest of the line, or NULL. */
static const char *request_line(struct request *r, const char *p,
                                const char *end)
{
    const char *at = skip(p, end, TOKEN);
    r->head = at - p == 4 && memcmp(p, "HEAD", 4) == 0;
    if (at == p || at == end || *at != ' ') return NULL;
    const char *target = ++at;
    while (at<end && * at> ' ' && *at < 127)
        at++;
    if (at == target || end - at < 11 || *at != ' ') return NULL;
    if (memcmp(at + 1, "HTTP/1.", 7) != 0) return NULL;
    if ((at[8] != '0' && at[8] != '1') || at[9] != '\r' || at[10] != '\n')
        return NULL;
    r->minor = at[8] - '0';
    r->keep_alive = r->minor == 1;
    return at + 11;
}

/* Parses the head at p. Returns its length, 0 if it is not all there yet, -1
 * if it is malformed. */
static long parse_head(struct request *r, const char *p, size_t len)
{
    const char *start = p, *end = p + len;
    const char *line_end = memchr(p, '\n', len);
    *r = (struct request){.body = -1};
    if (!line_end) return 0;
    /* One empty line before a request is passed over (RFC 9112, 2.2). */
    if (line_end == p + 1 && *p == '\r') {
        p += 2;
        line_end = memchr(p, '\n', len - 2);
        if (!line_end) return 0;
    }
    p = request_line(r, p, line_end + 1);
    if (!p) return -1;
    for (;;) {
        if (p == end || (*p == '\r' && p + 1 == end)) return 0;
        if (p[0] == '\r' && p[1] == '\n') break;
        const char *name = p;
        p = skip(p, end, TOKEN);
        if (p == end) return 0;
        if (*p != ':' || p == name) return -1;
        size_t name_len = (size_t)(p - name);
        do
            p++;
        while (p < end && (*p == ' ' || *p == '\t'));
        const char *value = p;
        p = skip(p, end, TEXT);
        if (end - p < 2) return 0;
        if (p[0] != '\r' || p[1] != '\n') return -1;
        const char *last = p;
        while (last > value && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        take_field(r, name, name_len, value, (size_t)(last - value));
        p += 2;
    }
    if (r->minor == 1 && !r->host) r->refuse = 400;
    return p + 2 - start;
}

/* ---- answers ------------------------------------------------------------ */

static const char *date(void)
{
    static _Thread_local char text[40];
    time_t now = time(NULL);
    struct tm tm;
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT",
             gmtime_r(&now, &tm));
    return text;
}

/* The usual answer is made once a second, and only the others are pieced
 * together from its halves. */
static int answer(weft_stream *s, const struct request *r, bool close)
{
    static const char body[] = "Hello, World!";
    static _Thread_local char reply[256];
    static _Thread_local size_t head, len; /* octets of its fields; of all */
    static _Thread_local weft_time fresh_until;
    if (weft_now() >= fresh_until) {
        fresh_until = weft_after(WEFT_SEC(1));
        head = (size_t)snprintf(
            reply, sizeof reply,
            "HTTP/1.1 200 OK\r\nServer: weft\r\nDate: %s\r\n"
            "Content-Type: text/plain\r\nContent-Length: %zu\r\n",
            date(), sizeof body - 1);
        len = head + (size_t)snprintf(reply + head, sizeof reply - head,
                                      "\r\n%s", body);
    }
    if (!close && r->minor == 1 && !r->head)
        return weft_stream_write(s, reply, len);

    const char *connection = close           ? "Connection: close\r\n"
                             : r->minor == 0 ? "Connection: keep-alive\r\n"
                                             : "";
    int err = weft_stream_write(s, reply, head);
    if (err == 0) err = weft_stream_write(s, connection, strlen(connection));
    if (err == 0)
        err = weft_stream_write(s, reply + head, r->head ? 2 : len - head);
    return err;
}

static int refuse(weft_stream *s, int status)
{
    const char *words = status == 413   ? "Content Too Large"
                        : status == 431 ? "Request Header Fields Too Large"
                        : status == 501 ? "Not Implemented"
                        : status == 408 ? "Request Timeout"
                                        : "Bad Request";
    char reply[192];
    int n = snprintf(reply, sizeof reply,
                     "HTTP/1.1 %d %s\r\nServer: weft\r\nDate: %s\r\n"
                     "Content-Length: 0\r\nConnection: close\r\n\r\n",
                     status, words, date());
    return weft_stream_write(s, reply, (size_t)n);
}

/* ---- connections -------------------------------------------------------- */

/* Waits for a whole head and consumes it: its length, 0 at the end of the
 * connection, -EPROTO if it must be refused (r->refuse), or an error. */
static long read_head(weft_stream *s, struct request *r)
{
    const char *data;
    ssize_t have = weft_stream_peek(s, &data);
    if (have <= 0) return have;
    for (;;) {
        long len = parse_head(r, data, (size_t)have);
        if (len > HEAD_MAX || (len == 0 && have >= HEAD_MAX)) r->refuse = 431;
        if (len < 0) r->refuse = 400;
        if (r->refuse) return -EPROTO;
        if (len > 0) {
            weft_stream_consume(s, (size_t)len);
            return len;
        }
        ssize_t more = weft_stream_more(s, (size_t)have, SIZE_MAX, &data);
        if (more < 0) return more;
        if (more == have) return 0; /* it ended in the middle */
        have = more;
    }
}

static int pass_over_body(weft_stream *s, const struct request *r)
{
    long left = r->body;
    if (left > 0 && r->expects) {
        int err = weft_stream_write(s, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        if (err < 0) return err;
    }
    while (left > 0) {
        const char *data;
        ssize_t n = weft_stream_peek(s, &data);
        if (n <= 0) return n < 0 ? (int)n : -EPIPE;
        if (n > left) n = left;
        weft_stream_consume(s, (size_t)n);
        left -= n;
    }
    return 0;
}

enum { ENDED, GO_ON, CLOSE }; /* by the peer; ...; by us */

/* One request, or an error. */
static int serve_one(weft_conn *c, weft_stream *s)
{
    struct request r = {.body = -1};
    long len = read_head(s, &r);
    if (len == -EPROTO) {
        int err = refuse(s, r.refuse);
        return err < 0 ? err : CLOSE;
    }
    if (len <= 0) return len < 0 ? (int)len : ENDED;
    int err = pass_over_body(s, &r);
    if (err < 0) return err;
    bool close = !r.keep_alive || weft_conn_draining(c);
    err = answer(s, &r, close);
    return err < 0 ? err : close ? CLOSE : GO_ON;
}

/* One scope for all requests; moving its deadline on is a store. */
static int serve_all(weft_conn *c, weft_stream *s)
{
    weft_scope patience;
    weft_scope_init(&patience);
    int rc = weft_scope_begin_after(&patience, WEFT_FOREVER, WEFT_FAIL);
    if (rc < 0) return rc;
    do {
        weft_scope_set_deadline(&patience, weft_after(WEFT_SEC(10)));
        rc = serve_one(c, s);
    } while (rc == GO_ON);
    return weft_scope_end(&patience, rc);
}

static int serve(weft_conn *c)
{
    weft_stream s;
    weft_stream_init(&s, c->fd);
    int rc = serve_all(c, &s);
    int err = rc == CLOSE ? weft_stream_finish(&s, WEFT_SEC(1))
                          : weft_stream_close(&s);
    if (rc == -ETIMEDOUT) rc = 0; /* a slow peer is no failure of ours */
    return rc < 0 ? rc : err;
}

static int start(void *arg)
{
    char text[WEFT_ADDR_TEXT];
    const weft_listen_opts each = {.reuse_port = weft_workers() > 1};
    weft_fd listener;
    weft_addr at;
    make_classes();
    int err = weft_listen(&listener, arg, &each);
    if (err < 0) return err;
    err = weft_local_addr(listener, &at);
    if (err < 0) return err;
    fprintf(stderr, "listening on %s\n",
            weft_addr_format(&at, text, sizeof text));
    return weft_serve(listener, serve, NULL, NULL);
}

int main(int argc, char **argv)
{
    const weft_run_opts opts = {.handle_signals = true,
                                .workers = argc == 3 ? atoi(argv[2]) : 1};
    if (argc < 2 || argc > 3 || opts.workers < 1) {
        fprintf(stderr, "usage: %s HOST:PORT [WORKERS]\n", argv[0]);
        return 2;
    }
    int rc = weft_run(start, argv[1], &opts);
    if (rc < 0) weft_error_print(2, rc);
    return rc < 0;
}
