/* SPDX-License-Identifier: MIT */
/*
 * weft-get METHOD URL [URL] - fetches them in order, with one client.
 *
 * Prints a line for each: its final status, how long its content is (chunks put
 * together), and the CRC-32 of that,
 *
 *     status=200 len=5 crc=3610a686
 *
 * or one that begins with "error" and says what went wrong. No redirect is
 * followed, and nothing is tried again. The next URL is asked for on the same
 * connection if the reply before was whole and in order, else on a new one.
 *
 * Ends with 0 if there was a reply for each, with 1 if not, and with 2 and its
 * usage when called wrongly.
 */
#include <weft.h>

#include <stdio.h>
#include <string.h>

struct args {
    const char *method;
    char **urls; /* ended by NULL */
};

/* The CRC of ISO 3309, as in gzip and PNG. */
static uint32_t crc_add(uint32_t crc, const void *data, size_t len)
{
    const unsigned char *octets = data;
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= octets[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static int read_body(weft_resp *r, uint64_t *ret_len, uint32_t *ret_crc)
{
    const char *data;
    ssize_t n;
    *ret_len = 0;
    *ret_crc = 0;
    while ((n = weft_resp_peek(r, &data)) > 0) {
        *ret_crc = crc_add(*ret_crc, data, (size_t)n);
        *ret_len += (uint64_t)n;
        weft_resp_consume(r, (size_t)n);
    }
    return (int)n;
}

static int fetch(weft_http *h, const char *method, const char *url)
{
    weft_resp r;
    uint64_t len = 0;
    uint32_t crc = 0;
    weft_http_call call = {.method = method, .url = url};
    int err = weft_http_send(h, &call, &r);
    if (err == 0) err = read_body(&r, &len, &crc);
    if (err == 0) {
        printf("status=%d len=%llu crc=%08x\n", r.status,
               (unsigned long long)len, (unsigned)crc);
    } else {
        const weft_error *e = weft_last_error();
        printf("error: %s%s%s\n", weft_strerror(err),
               e && e->code == err ? ": " : "",
               e && e->code == err ? e->msg : "");
    }
    (void)weft_resp_end(&r); /* its error is this one */
    fflush(stdout);
    return err;
}

/* What a server says that nobody asked for comes at once. In a moment it is
 * there, and a connection that was kept will not be used again. */
static int settle(weft_http *h)
{
    weft_http_client_stats stats;
    weft_http_client_stats_read(h, &stats);
    return stats.idle > 0 ? weft_sleep(WEFT_MSEC(50)) : 0;
}

static int fetch_all(void *arg)
{
    const struct args *a = arg;
    weft_http_opts o = {.name = "weft-get",
                        .first_byte_timeout = WEFT_SEC(10),
                        .idle_timeout = WEFT_SEC(10),
                        .total_timeout = WEFT_SEC(60)};
    weft_http *h = weft_http_new(&o);
    int status = 0;
    if (!h) return -ENOMEM;
    for (char **url = a->urls; *url; url++) {
        if (url > a->urls && settle(h) < 0) status = 1;
        if (fetch(h, a->method, *url) < 0) status = 1;
    }
    int err = weft_http_free(h);
    return err < 0 ? err : status;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: weft-get METHOD URL [URL]\n", stderr);
        return 2;
    }
    struct args a = {argv[1], argv + 2};
    weft_run_opts o = {.handle_signals = true};
    int rc = weft_run(fetch_all, &a, &o);
    if (rc >= 0) return rc;
    printf("error: %s\n", weft_strerror(rc));
    return 1;
}
