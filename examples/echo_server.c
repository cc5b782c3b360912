/* SPDX-License-Identifier: MIT */
/*
 * echo_server HOST:PORT - sends back what it is sent, until SIGTERM.
 *
 * A connection that is silent for five minutes is closed.
 */
#include <weft.h>

#include <stdio.h>

static int echo(weft_conn *c)
{
    weft_stream s;
    int rc = 0;
    weft_stream_init(&s, c->fd);
    while (rc == 0) {
        const char *data;
        ssize_t n = 0;
        WEFT_FAIL_AFTER(rc, WEFT_SEC(300)) {
            n = weft_stream_peek(&s, &data);
            rc = n < 0 ? (int)n : weft_stream_write(&s, data, (size_t)n);
        }
        if (n <= 0) break;
        weft_stream_consume(&s, (size_t)n);
    }
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
    const weft_run_opts opts = {.handle_signals = true};
    if (argc != 2) {
        fprintf(stderr, "usage: %s HOST:PORT\n", argv[0]);
        return 2;
    }
    int rc = weft_run(start, argv[1], &opts);
    if (rc < 0) weft_error_print(2, rc);
    return rc < 0;
}
