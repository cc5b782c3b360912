/* SPDX-License-Identifier: MIT */
/*
 * echo_server HOST:PORT [WORKERS] - sends back what it is sent, until SIGTERM.
 *
 * A connection that is silent for five minutes is closed. With several workers
 * one accepts for all; the handlers share nothing, and need not know.
 */
#include <weft.h>

#include <stdio.h>
#include <stdlib.h>

static int echo_all(weft_stream *s, weft_scope *silence)
{
    for (;;) {
        const char *data;
        weft_scope_set_deadline(silence, weft_after(WEFT_SEC(300)));
        ssize_t n = weft_stream_peek(s, &data);
        if (n <= 0) return (int)n;
        int err = weft_stream_write(s, data, (size_t)n);
        if (err < 0) return err;
        weft_stream_consume(s, (size_t)n);
    }
}

static int echo(weft_conn *c)
{
    weft_stream s;
    weft_scope silence;
    weft_stream_init(&s, c->fd);
    weft_scope_init(&silence);
    int rc = weft_scope_begin(&silence);
    if (rc == 0) rc = weft_scope_end(&silence, echo_all(&s, &silence));
    int err = weft_stream_close(&s);
    return rc < 0 ? rc : err;
}

static int start(void *arg)
{
    char text[WEFT_ADDR_TEXT];
    weft_fd listener;
    weft_addr at;
    int err = weft_listen(&listener, arg, NULL);
    if (err < 0) return err;
    err = weft_local_addr(listener, &at);
    if (err < 0) return err;
    fprintf(stderr, "listening on %s\n",
            weft_addr_format(&at, text, sizeof text));
    return weft_serve(listener, echo, NULL, NULL);
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
