/* SPDX-License-Identifier: MIT */
/*
 * ws_echo HOST:PORT [MAX_MESSAGE] - a WebSocket server that sends back each
 * message, until SIGTERM; then it says 1001 to those who are connected.
 *
 * Messages are of 16 MiB at most, or as many octets as is said.
 */
#include <weft.h>
#include <weft/http_server.h>

#include <stdio.h>
#include <stdlib.h>

static weft_ws_opts limits = {.max_message = 16 << 20};

static int echo_all(weft_ws *ws)
{
    weft_ws_message m;
    int rc;
    while ((rc = weft_ws_read(ws, &m)) > 0) {
        /* Gathered: what came together is answered together. */
        rc = weft_ws_write(ws, m.kind, m.data.at, m.data.len);
        if (rc < 0) break;
    }
    return rc;
}

static int echo(weft_req *r, void *ctx)
{
    weft_ws *ws;
    (void)ctx;
    int rc = weft_ws_accept(r, &limits, &ws);
    if (rc <= 0) return rc;
    return weft_ws_end(ws, echo_all(ws));
}

static int serve(weft_fd listener)
{
    const weft_http_server_opts o = {.handler = echo};
    weft_http_server *s = weft_http_server_new(&o);
    if (!s) return -ENOMEM;
    int rc = weft_http_serve(s, listener);
    weft_http_server_free(s);
    return rc;
}

static int start(void *arg)
{
    char text[WEFT_ADDR_TEXT];
    weft_fd listener;
    weft_addr at;
    int err = weft_listen(&listener, arg, NULL);
    if (err == 0) err = weft_local_addr(listener, &at);
    if (err < 0) return err;
    fprintf(stderr, "listening on %s\n",
            weft_addr_format(&at, text, sizeof text));
    return serve(listener);
}

int main(int argc, char **argv)
{
    const weft_run_opts opts = {.handle_signals = true};
    long max = argc == 3 ? atol(argv[2]) : 16 << 20;
    if (argc < 2 || argc > 3 || max < 1) {
        fprintf(stderr, "usage: %s HOST:PORT [MAX_MESSAGE]\n", argv[0]);
        return 2;
    }
    limits.max_message = (size_t)max;
    int rc = weft_run(start, argv[1], &opts);
    if (rc < 0) weft_error_print(2, rc);
    return rc < 0;
}
