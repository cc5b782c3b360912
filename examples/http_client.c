/* SPDX-License-Identifier: MIT */
/*
 * http_client [URL...] - many pages at once, three at a time, over one pool;
 * what is slow is given up, what is busy is asked again, what moved is
 * followed.
 *
 * Without a URL it asks a server of its own, in memory and on the virtual
 * clock.
 */
#include <weft.h>

#include <stdio.h>
#include <string.h>

enum { MANY = 64, AT_A_TIME = 3 };

/* ---- pages -------------------------------------------------------------- */

struct page {
    const char *url;
    int status;
    bool moved, insisted;
    size_t octets;
    weft_time took;
    char why[104];
};

struct pages {
    weft_http *client;
    struct page list[MANY];
};

/* The reply is ended whatever becomes of it. */
static int take_in(struct page *p, weft_resp *r)
{
    weft_text body;
    int err = weft_http_check(r);
    if (err == 0) err = weft_resp_body(r, 1 << 20, &body);
    if (err == 0) p->octets = body.len;
    p->status = r->status;
    p->moved = r->redirects > 0;
    p->insisted = r->attempts > r->redirects + 1;
    (void)weft_resp_end(r);
    return err;
}

static int fetch(size_t i, void *context)
{
    struct pages *all = context;
    struct page *p = &all->list[i];
    weft_resp r;
    weft_time start = weft_now();
    int err = weft_http_get(all->client, p->url, &r);
    if (err == 0) err = take_in(p, &r);
    if (err < 0 && weft_last_error())
        (void)snprintf(p->why, sizeof p->why, "%s", weft_last_error()->msg);
    p->took = weft_now() - start;
    return err;
}

static void report(const struct page *p, int rc)
{
    printf("%-9s %4d ms  ", p->url, (int)(p->took / WEFT_MSEC(1)));
    if (rc < 0)
        printf("%s\n", p->why);
    else
        printf("%d, %zu octets%s%s\n", p->status, p->octets,
               p->moved ? ", elsewhere" : "", p->insisted ? ", at last" : "");
}

/* All of them, whatever becomes of one; but no more than a minute for all. */
static int fetch_all(struct pages *all, size_t count)
{
    const weft_gather_opts o = {.policy = WEFT_COLLECT, .limit = AT_A_TIME};
    weft_http_client_stats stats;
    int rcs[MANY] = {0}, rc;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(60))
        rc = weft_map(count, fetch, all, rcs, &o);
    for (size_t i = 0; i < count; i++)
        report(&all->list[i], rcs[i]);
    weft_http_client_stats_read(all->client, &stats);
    printf("%d requests over %d connections\n",
           (int)(stats.requests + stats.retried + stats.redirected),
           (int)stats.dialled);
    return rc;
}

static const weft_http_opts usual = {.per_host = AT_A_TIME,
                                     .first_byte_timeout = WEFT_SEC(2),
                                     .redirects = 5,
                                     .retries = 2};

/* ---- a server to ask ---------------------------------------------------- */

static int busy_for = 2; /* times that it says so */

static int answer(weft_stream *s, weft_text path)
{
    if (weft_text_is(path, "/busy") && busy_for-- > 0)
        return weft_stream_printf(s, "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\n"
                                     "Content-Length: 0\r\n\r\n");
    if (weft_text_is(path, "/silent")) return weft_sleep(WEFT_FOREVER);
    if (weft_text_is(path, "/moved"))
        return weft_stream_printf(s, "HTTP/1.1 302 Found\r\nLocation: /new\r\n"
                                     "Content-Length: 0\r\n\r\n");
    if (weft_text_is(path, "/gone"))
        return weft_stream_printf(s, "HTTP/1.1 404 Not Found\r\n"
                                     "Content-Length: 0\r\n\r\n");
    int err = weft_sleep(WEFT_MSEC(100 * path.len)); /* it thinks */
    if (err < 0) return err;
    return weft_stream_printf(s,
                              "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n"
                              "%.*s",
                              path.len, WEFT_TEXT_ARGS(path));
}

/* Heads alone: nobody sends it a body. */
static int serve_one(weft_conn *c)
{
    weft_stream s;
    weft_http_mark marks[16];
    weft_http_request r;
    const char *head;
    ssize_t n;
    int err = 0;
    weft_conn_stream(c, &s);
    while (err == 0 &&
           (n = weft_stream_read_until_text(&s, "\r\n\r\n", 8192, &head)) > 0) {
        weft_http_request_init(&r, marks, 16, NULL);
        if (weft_http_parse_request(&r, head, (size_t)n) != n) break;
        char path[32];
        err = weft_text_copy(r.path, path, sizeof path);
        if (err == 0) err = answer(&s, weft_text_of(path));
    }
    int end = weft_stream_close(&s);
    return err < 0 ? err : end;
}

static int serve(void *listener)
{
    return weft_serve_memory(listener, serve_one, NULL, NULL);
}

static int dial(weft_transport **ret, const char *host, int port, void *user)
{
    (void)host; /* there is only one */
    (void)port;
    return weft_memory_dial(user, ret);
}

/* ---- either ------------------------------------------------------------- */

static int ask_own_server(void *arg)
{
    struct pages *all = arg;
    static const char *const urls[] = {"one",  "three",  "busy", "moved",
                                       "gone", "silent", "two"};
    const weft_spawn_opts daemon = {.name = "server", .daemon = true};
    weft_memory_listener *l = weft_memory_listener_new(0);
    weft_http_opts o = usual;
    size_t count = sizeof urls / sizeof *urls;
    int rc;
    if (!l) return -ENOMEM;
    o.base = "http://pages.example/";
    o.retry_base = -1; /* without chance: the output is always the same */
    o.connect = dial;
    o.user = l;
    for (size_t i = 0; i < count; i++)
        all->list[i].url = urls[i];
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn_ex(&n, serve, l, &daemon);
        if (rc < 0) break;
        all->client = weft_http_new(&o);
        rc = all->client ? fetch_all(all, count) : -ENOMEM;
        int err = weft_http_free(all->client);
        if (rc == 0) rc = err;
    }
    weft_memory_listener_free(l);
    return rc;
}

static int ask_others(void *arg)
{
    struct pages *all = arg;
    size_t count = 0;
    while (count < MANY && all->list[count].url)
        count++;
    all->client = weft_http_new(&usual);
    if (!all->client) return -ENOMEM;
    int rc = fetch_all(all, count);
    int err = weft_http_free(all->client);
    return rc < 0 ? rc : err;
}

int main(int argc, char **argv)
{
    static struct pages all;
    weft_run_opts o = {.virtual_clock = argc == 1, .handle_signals = true};
    for (int i = 1; i < argc && i <= MANY; i++)
        all.list[i - 1].url = argv[i];
    int rc = weft_run(argc == 1 ? ask_own_server : ask_others, &all, &o);
    if (rc < 0) weft_error_print(2, rc);
    return rc < 0;
}
