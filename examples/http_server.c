/* SPDX-License-Identifier: MIT */
/*
 * http_server.c - a web server: routes, JSON, files, a log, a graceful stop.
 *
 *     http_server [-v] HOST:PORT [WORKERS [DIRECTORY]]
 *     curl http://127.0.0.1:8080/hello/you
 *     curl http://127.0.0.1:8080/api/sum -H 'Content-Type: application/json' \
 *          -d '{"numbers": [1, 2, 3]}'
 *
 * Each connection has a fiber, so a handler reads, waits and answers in plain
 * order; what a client may send, and how long that may take, is bounded by the
 * server's defaults. The files of DIRECTORY are below /files/, and what no
 * route takes says hello. -v has a line for each request on standard error. On
 * SIGTERM it stops listening, answers what has come, and ends.
 *
 * JSON is read and written by jansson (Debian: libjansson-dev). Where that is
 * not installed the routes below /api/ answer 501.
 */
#include <weft.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- plain text --------------------------------------------------------- */

/* Any request of any path. A body is read to its end, so that one that is too
 * large is refused. */
static int hello(weft_req *r, void *ctx)
{
    static const char text[] = "Hello, World!";
    const char *data;
    ssize_t n = 0;
    (void)ctx;
    if (r->head.framing != WEFT_HTTP_NO_BODY)
        while ((n = weft_req_peek(r, &data)) > 0)
            weft_req_consume(r, (size_t)n);
    if (n < 0) return (int)n;
    return weft_reply(r, 200, "text/plain", text, sizeof text - 1);
}

static int greet(weft_req *r, void *ctx)
{
    weft_text name = weft_req_param(r, "name");
    (void)ctx;
    return weft_reply_printf(r, 200, "text/plain; charset=utf-8",
                             "Hello, %.*s!\n", WEFT_TEXT_ARGS(name));
}

/* Waiting costs others nothing; that it is too long the server finds itself. */
static int wait_for(weft_req *r, void *ctx)
{
    uint64_t ms;
    (void)ctx;
    if (weft_text_number(weft_req_param(r, "ms"), &ms) < 0 || ms > 3600000)
        return weft_reply_status(r, 404);
    int err = weft_sleep(WEFT_MSEC(ms));
    if (err < 0) return err;
    return weft_reply_printf(r, 200, "text/plain", "after %" PRIu64 " ms\n",
                             ms);
}

/* ---- JSON --------------------------------------------------------------- */

#ifdef WITH_JANSSON
#include <jansson.h>

enum { DEEPEST = 32, LARGEST = 65536 };

/* jansson calls itself for each bracket, and a fiber's stack is small. */
static bool is_too_deep(weft_text t)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < t.len; i++) {
        char c = t.at[i];
        if (c == '"') quoted = !quoted;
        if (quoted && c == '\\') i++;
        if (!quoted && (c == '[' || c == '{') && ++depth > DEEPEST) return true;
        if (!quoted && (c == ']' || c == '}')) depth--;
    }
    return false;
}

/* Sends `what`, which is used up. */
static int reply_json(weft_req *r, int status, json_t *what)
{
    char *text = what ? json_dumps(what, JSON_COMPACT) : NULL;
    json_decref(what);
    if (!text) return -ENOMEM;
    int err = weft_reply(r, status, "application/json", text, strlen(text));
    free(text);
    return err;
}

static int reply_wrong(weft_req *r, int status, const char *why)
{
    return reply_json(r, status, json_pack("{s: s}", "error", why));
}

static bool is_json(weft_text type)
{
    const char *end = type.at ? memchr(type.at, ';', type.len) : NULL;
    if (end) type.len = (size_t)(end - type.at);
    return weft_text_is_nocase(weft_text_trim(type), "application/json");
}

/* The body as JSON, to be given back; or NULL, and *ret_rc is what replying
 * that came to. */
static json_t *read_json(weft_req *r, int *ret_rc)
{
    weft_text body;
    json_error_t error;
    if (!is_json(weft_req_field(r, "content-type"))) {
        *ret_rc = reply_wrong(r, 415, "it is no application/json");
        return NULL;
    }
    *ret_rc = weft_req_body(r, LARGEST, &body);
    if (*ret_rc < 0) return NULL;
    if (is_too_deep(body)) {
        *ret_rc = reply_wrong(r, 400, "it is nested too deep");
        return NULL;
    }
    json_t *json =
        json_loadb(body.at, body.len, JSON_REJECT_DUPLICATES, &error);
    if (!json) *ret_rc = reply_wrong(r, 400, error.text);
    return json;
}

/* {"numbers": [1, 2.5]} gives {"count": 2, "sum": 3.5}. */
static int sum(weft_req *r, void *ctx)
{
    json_t *number;
    size_t i;
    double total = 0;
    bool good = true;
    int rc;
    (void)ctx;
    json_t *asked = read_json(r, &rc);
    if (!asked) return rc;
    const json_t *numbers = json_object_get(asked, "numbers");
    size_t count = json_array_size(numbers);
    json_array_foreach(numbers, i, number)
    {
        good = good && json_is_number(number);
        total += json_number_value(number);
    }
    good = good && json_is_array(numbers);
    json_decref(asked);
    if (!good) return reply_wrong(r, 422, "\"numbers\" is no list of numbers");
    return reply_json(
        r, 200,
        json_pack("{s: I, s: f}", "count", (json_int_t)count, "sum", total));
}

/* What the server sees of a request. */
static int show(weft_req *r, void *ctx)
{
    weft_text name, value;
    char peer[WEFT_ADDR_TEXT];
    json_t *fields = json_object();
    (void)ctx;
    for (size_t i = 0; weft_http_field_at(&r->head.fields, i, &name, &value);
         i++) {
        char key[64]; /* jansson takes UTF-8 alone, and leaves out the rest */
        if (weft_text_copy(name, key, sizeof key) == 0)
            (void)json_object_set_new(fields, key,
                                      json_stringn(value.at, value.len));
    }
    return reply_json(
        r, 200,
        json_pack("{s: s%, s: s%, s: s, s: o}", "method", r->head.method.at,
                  r->head.method.len, "target", r->head.target.at,
                  r->head.target.len, "peer",
                  weft_addr_format(&r->conn->peer, peer, sizeof peer), "fields",
                  fields));
}
#else
static int sum(weft_req *r, void *ctx)
{
    (void)ctx;
    return weft_reply_text(r, 501, "built without jansson\n");
}

#define show sum
#endif

/* ---- the server --------------------------------------------------------- */

/* The address, the request, what came of it. A line is one write, and holds up
 * the thread; who has more to say gives it to a fiber. */
static void log_request(const weft_req *r, int rc, weft_time took, void *user)
{
    char peer[WEFT_ADDR_TEXT];
    (void)user;
    fprintf(stderr, "%s \"%.*s %.*s\" %d %" PRIu64 " %.3f ms%s%s\n",
            weft_addr_format(&r->conn->peer, peer, sizeof peer),
            WEFT_TEXT_ARGS(r->head.method), WEFT_TEXT_ARGS(r->head.target),
            r->status, r->sent, (double)took / 1e6, rc < 0 ? " " : "",
            rc < 0 ? weft_strerror(rc) : "");
}

struct settings {
    const char *address, *directory;
    bool verbose;
};

static int add_routes(weft_http_server *s, const struct settings *set)
{
    static const weft_http_files_opts files = {.cache_control = "max-age=60"};
    int err = weft_http_route(s, NULL, "/", hello, NULL);
    if (err == 0) err = weft_http_route(s, "GET", "/hello/{name}", greet, NULL);
    if (err == 0) err = weft_http_route(s, "GET", "/wait/{ms}", wait_for, NULL);
    if (err == 0) err = weft_http_route(s, "POST", "/api/sum", sum, NULL);
    if (err == 0) err = weft_http_route(s, NULL, "/api/show", show, NULL);
    if (err == 0 && set->directory)
        err = weft_http_files(s, "/files", set->directory, &files);
    return err;
}

static int serve(weft_http_server *s, const struct settings *set)
{
    char text[WEFT_ADDR_TEXT];
    const weft_listen_opts each = {.reuse_port = weft_workers() > 1};
    weft_fd listener = {0};
    weft_addr at;
    int err = add_routes(s, set);
    if (err == 0) err = weft_listen(&listener, set->address, &each);
    if (err == 0) err = weft_local_addr(listener, &at);
    if (err < 0) return err;
    fprintf(stderr, "listening on %s\n",
            weft_addr_format(&at, text, sizeof text));
    return weft_http_serve(s, listener);
}

static int start(void *arg)
{
    const struct settings *set = arg;
    weft_http_server *s = weft_http_server_new(&(weft_http_server_opts){
        .handler = hello,
        .server_name = "weft",
        .on_request = set->verbose ? log_request : NULL,
    });
    if (!s) return -ENOMEM;
    int rc = serve(s, set);
    weft_http_server_free(s);
    return rc;
}

int main(int argc, char **argv)
{
    struct settings set = {0};
    weft_run_opts opts = {.handle_signals = true, .workers = 1};
    const char *program = *argv++;
    if (argc > 1 && strcmp(*argv, "-v") == 0)
        set.verbose = true, argv++, argc--;
    if (argc > 2) opts.workers = atoi(argv[1]);
    if (argc > 3) set.directory = argv[2];
    if (argc < 2 || argc > 4 || opts.workers < 1) {
        fprintf(stderr, "usage: %s [-v] HOST:PORT [WORKERS [DIRECTORY]]\n",
                program);
        return 2;
    }
    set.address = argv[0];
    int rc = weft_run(start, &set, &opts);
    if (rc < 0) weft_error_print(2, rc);
    return rc < 0;
}
