/* SPDX-License-Identifier: MIT */
/*
 * ws_client URL - a WebSocket client: sends each line of standard input as a
 * text message, and prints each message that comes, until either side ends.
 *
 * Two fibers: one reads the connection, the other the lines. At the end it says
 * how the connection was closed: "closed 1000 reason".
 */
#include <weft.h>

#include <stdio.h>

static int print_all(weft_ws *ws)
{
    weft_ws_message m;
    int rc;
    while ((rc = weft_ws_read(ws, &m)) > 0) {
        printf("%s %.*s\n", m.kind == WEFT_WS_TEXT ? "text" : "binary",
               WEFT_TEXT_ARGS(m.data));
        fflush(stdout);
    }
    return rc;
}

static int send_all(weft_ws *ws, weft_stream *lines)
{
    const char *line;
    size_t len;
    int rc;
    while ((rc = weft_stream_read_line(lines, 1 << 20, &line, &len)) > 0) {
        rc = weft_ws_send(ws, WEFT_WS_TEXT, line, len);
        if (rc < 0) return rc == -EPIPE ? 0 : rc; /* the reader knows why */
    }
    return rc < 0 ? rc : weft_ws_close(ws, 0, NULL);
}

static int send_lines(void *ws)
{
    weft_stream lines;
    weft_fd in;
    int err = weft_std_open(0, &in);
    if (err < 0) return err;
    weft_stream_init(&lines, in);
    err = send_all(ws, &lines);
    int closed = weft_stream_close(&lines);
    return err < 0 ? err : closed;
}

/* When the connection has ended, nobody needs the lines any more. */
static int talk(weft_ws *ws)
{
    const weft_spawn_opts sender = {.name = "lines", .daemon = true};
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn_ex(&n, send_lines, ws, &sender);
        if (rc == 0) rc = print_all(ws);
    }
    return rc;
}

static int start(void *arg)
{
    weft_ws *ws;
    int err = weft_ws_connect(&ws, arg, NULL);
    if (err < 0) return err;
    err = talk(ws);
    printf("closed %d %.*s\n", weft_ws_close_code(ws),
           WEFT_TEXT_ARGS(weft_ws_close_reason(ws)));
    return weft_ws_end(ws, err);
}

int main(int argc, char **argv)
{
    const weft_run_opts opts = {.handle_signals = true};
    if (argc != 2) {
        fprintf(stderr, "usage: %s ws://HOST[:PORT]/PATH\n", argv[0]);
        return 2;
    }
    int rc = weft_run(start, argv[1], &opts);
    if (rc < 0) weft_error_print(2, rc);
    return rc < 0;
}
