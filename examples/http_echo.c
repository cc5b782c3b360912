/* SPDX-License-Identifier: MIT */
/*
 * http_echo HOST:PORT - says of each request how it has been read, until
 * SIGTERM:
 *
 *     method=POST
 *     target=/as/received?x
 *     body_len=5
 *     body_crc32=3610a686
 *     h.host=127.0.0.1:8080
 *     h.content-length=5
 *
 * That makes it a server to try others against: clients, proxies, and this
 * library. The body is read as it comes and never kept, and the reply is
 * written line by line, so a request costs no more than its head.
 */
#include <weft.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* ---- the body ------------------------------------------------------------ */

static uint32_t crc_table[256]; /* CRC-32 of zip and Ethernet */

static void make_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
        crc_table[i] = c;
    }
}

static uint32_t crc_on(uint32_t crc, const char *data, size_t len)
{
    crc = ~crc;
    for (size_t i = 0; i < len; i++)
        crc = crc >> 8 ^ crc_table[(crc ^ (unsigned char)data[i]) & 0xff];
    return ~crc;
}

struct body {
    uint64_t len;
    uint32_t crc;
};

/* What is wrong with a body the server answers itself. */
static int read_body(weft_req *r, struct body *b)
{
    const char *data;
    ssize_t n;
    while ((n = weft_req_peek(r, &data)) > 0) {
        b->len += (uint64_t)n;
        b->crc = crc_on(b->crc, data, (size_t)n);
        weft_req_consume(r, (size_t)n);
    }
    return (int)n;
}

/* ---- the reply ----------------------------------------------------------- */

/* It is written twice: the first time only its length is found out. */
struct out {
    weft_req *r;
    bool counting;
    uint64_t len;
};

static int put(struct out *o, const char *text, size_t len)
{
    o->len += len;
    return o->counting ? 0 : weft_reply_write(o->r, text, len);
}

static int put_text(struct out *o, const char *before, weft_text t,
                    const char *behind)
{
    int err = put(o, before, strlen(before));
    if (err == 0) err = put(o, t.at, t.len);
    return err < 0 ? err : put(o, behind, strlen(behind));
}

static int put_lower_case(struct out *o, weft_text name)
{
    char piece[64];
    int err = 0;
    for (size_t i = 0, n = 0; i < name.len && err == 0; i++) {
        char c = name.at[i];
        piece[n++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        if (n < sizeof piece && i + 1 < name.len) continue;
        err = put(o, piece, n);
        n = 0;
    }
    return err;
}

static int put_all(struct out *o, const struct body *b)
{
    char text[64];
    weft_text name, value;
    const weft_http_request *head = &o->r->head;
    int n = snprintf(text, sizeof text,
                     "body_len=%" PRIu64 "\nbody_crc32=%08" PRIx32 "\n", b->len,
                     b->crc);
    int err = put_text(o, "method=", head->method, "\n");
    if (err == 0) err = put_text(o, "target=", head->target, "\n");
    if (err == 0) err = put(o, text, (size_t)n);
    for (size_t i = 0;
         err == 0 && weft_http_field_at(&head->fields, i, &name, &value); i++) {
        err = put(o, "h.", 2);
        if (err == 0) err = put_lower_case(o, name);
        if (err == 0) err = put_text(o, "=", value, "\n");
    }
    return err;
}

static int echo(weft_req *r, void *unused)
{
    struct body body = {0};
    struct out count = {.r = r, .counting = true}, out = {.r = r};
    (void)unused;
    int err = read_body(r, &body);
    if (err == 0) err = put_all(&count, &body);
    if (err == 0) err = weft_reply_begin(r, 200, "text/plain", count.len);
    if (err == 0) err = put_all(&out, &body);
    return err;
}

/* ---- the server ---------------------------------------------------------- */

static int start(void *arg)
{
    static const weft_http_server_opts opts = {
        .handler = echo,
        .limits = {.line = 16 << 10, .head = 64 << 10},
        .max_body = 1 << 20,
    };
    char text[WEFT_ADDR_TEXT];
    weft_fd listener;
    weft_addr at;
    weft_http_server *s = weft_http_server_new(&opts);
    if (!s) return -ENOMEM;
    int err = weft_listen(&listener, arg, NULL);
    if (err == 0) err = weft_local_addr(listener, &at);
    if (err == 0) {
        fprintf(stderr, "listening on %s\n",
                weft_addr_format(&at, text, sizeof text));
        err = weft_http_serve(s, listener);
    }
    weft_http_server_free(s);
    return err;
}

/* As many connections as the system allows, not as the shell suggests. */
static void allow_descriptors(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0) return;
    r.rlim_cur = r.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &r);
}

int main(int argc, char **argv)
{
    const weft_run_opts opts = {.handle_signals = true};
    if (argc != 2) {
        fprintf(stderr, "usage: %s HOST:PORT\n", argv[0]);
        return 2;
    }
    make_crc_table();
    allow_descriptors();
    int rc = weft_run(start, argv[1], &opts);
    if (rc < 0) weft_error_print(2, rc);
    return rc < 0;
}
