/* SPDX-License-Identifier: MIT */
/*
 * bench_http_parse - heads that are there as a whole, through the parser alone:
 * what a browser sends, and small ones one behind the other, as load generators
 * and proxies do.
 *
 * bench_http_parse --count N takes the browser's head N times and ends, and
 * --count-small N the small one: for a program that counts instructions.
 */
#include <weft/http_parse.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static const char browser[] =
    "GET /articles/2024/how-the-parser-works?ref=front&page=2 HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "Connection: keep-alive\r\n"
    "Cache-Control: max-age=0\r\n"
    "sec-ch-ua: \"Not A(Brand\";v=\"99\", \"Browser\";v=\"121\"\r\n"
    "sec-ch-ua-mobile: ?0\r\n"
    "sec-ch-ua-platform: \"Linux\"\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, "
    "like Gecko) Browser/121.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,"
    "image/avif,image/webp,*/*;q=0.8\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\n"
    "Cookie: session=2f7c1a94c2be4d0f; theme=dark; seen=18,22,41\r\n"
    "\r\n";

static const char small[] = "GET /plaintext HTTP/1.1\r\n"
                            "Host: 127.0.0.1:8080\r\n"
                            "Accept: */*\r\n"
                            "User-Agent: load/1\r\n"
                            "\r\n";

static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                             "Content-Type: text/plain\r\n"
                             "Content-Length: 13\r\n"
                             "\r\n";

enum { FIELDS = 64, PIPELINED = 16 };

static weft_http_mark marks[FIELDS];

static int64_t requests(const char *data, size_t len, int64_t n)
{
    int64_t start = bench_cpu();
    while (n > 0) {
        for (size_t at = 0; at < len && n > 0; n--) {
            weft_http_request r;
            weft_http_request_init(&r, marks, FIELDS, NULL);
            ssize_t head = weft_http_parse_request(&r, data + at, len - at);
            if (head <= 0) return -EBADMSG;
            BENCH_KEEP(r.fields.count);
            at += (size_t)head;
        }
    }
    return bench_cpu() - start;
}

static int64_t browsers(void *arg, int64_t n)
{
    (void)arg;
    return requests(browser, sizeof browser - 1, n);
}

static int64_t smalls(void *arg, int64_t n)
{
    return requests(arg, PIPELINED * (sizeof small - 1), n);
}

static int64_t alone(void *arg, int64_t n)
{
    (void)arg;
    return requests(small, sizeof small - 1, n);
}

static int64_t responses(void *arg, int64_t n)
{
    (void)arg;
    int64_t start = bench_cpu();
    for (int64_t i = 0; i < n; i++) {
        weft_http_response r;
        weft_http_response_init(&r, WEFT_HTTP_GET, marks, FIELDS, NULL);
        if (weft_http_parse_response(&r, answer, sizeof answer - 1) <= 0)
            return -EBADMSG;
        BENCH_KEEP(r.length);
    }
    return bench_cpu() - start;
}

/* The octets stand behind each other, and nothing behind the last. */
static char *repeated(const char *text, size_t len, int times)
{
    char *all = malloc(len * (size_t)times);
    for (int i = 0; all && i < times; i++)
        memcpy(all + len * (size_t)i, text, len);
    return all;
}

static void measure(void)
{
    char *pipeline = repeated(small, sizeof small - 1, PIPELINED);
    const struct bench_case cases[] = {
        {.name = "browser's head, 14 fields", .run = browsers, .at_most = 300},
        {.name = "head of 3 fields", .run = alone, .at_most = 60},
        {.name = "the same, 16 in a row",
         .run = smalls,
         .arg = pipeline,
         .at_most = 60},
        {.name = "response of 3 fields", .run = responses},
    };
    if (!pipeline) {
        bench_fail("out of memory");
        return;
    }
    bench_note("a browser's head has %zu octets, a small one %zu",
               sizeof browser - 1, sizeof small - 1);
    bench_cases(cases, sizeof cases / sizeof *cases);
    free(pipeline);
}

/* As many GB in a second as octets in a nanosecond; the best of some rounds. */
static void speed(void)
{
    enum { ROUNDS = 9, HEADS = 200000 };
    const struct bench_figure f = {
        .name = "browser's head, GB/s", .unit = "GB/s", .at_least = 2};
    double samples[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        int64_t took = browsers(NULL, HEADS);
        if (took <= 0) {
            bench_fail("a head was refused");
            return;
        }
        samples[i] = (double)(HEADS * (sizeof browser - 1)) / (double)took;
    }
    bench_figure(&f, samples, ROUNDS);
}

int main(int argc, char **argv)
{
    bench_begin("HTTP heads parsed", argc, argv);
    const char *count = bench_option("count");
    const char *count_small = bench_option("count-small");
    if (count || count_small) {
        if ((count && browsers(NULL, atoll(count)) < 0) ||
            (count_small && alone(NULL, atoll(count_small)) < 0))
            bench_fail("refused");
        return bench_end();
    }
    bench_pin(bench_core(1));
    measure();
    speed();
    return bench_end();
}
