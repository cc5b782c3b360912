/* SPDX-License-Identifier: MIT */
/*
 * tcp_proxy LISTEN TARGET - carries each connection on to another address.
 *
 *     tcp_proxy 127.0.0.1:8081 127.0.0.1:8080 &
 *     curl http://127.0.0.1:8081/
 *
 * A connection has two fibers, one for each direction, which read from one
 * stream and write to the other; octets are gone on before there is a buffer for
 * them. A peer that has finished sending may go on receiving: its end is passed
 * on, and the connection is over when both directions are. An error of either
 * side ends both with a reset, so that nobody takes what is cut off for the
 * whole. A target that does not answer has five seconds.
 */
#include <weft.h>

#include <stdio.h>

#define PATIENCE WEFT_SEC(5) /* with the target */

struct way {
    weft_stream *from, *to;
};

/* Until its end, which it passes on. */
static int carry(void *arg)
{
    const struct way *w = arg;
    int err = weft_stream_copy(w->from, w->to, UINT64_MAX, NULL);
    return err < 0 ? err : weft_stream_shutdown_write(w->to);
}

static int carry_both_ways(weft_stream *client, weft_stream *target)
{
    struct way there = {client, target}, back = {target, client};
    const weft_spawn_opts o = {.name = "back"};
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn_ex(&n, carry, &back, &o);
        if (rc == 0) rc = carry(&there);
    }
    return rc;
}

static void reset(weft_fd fd)
{
    int err = weft_set_reset_on_close(fd, true);
    (void)err; /* it has gone already */
}

static int relay(weft_conn *c)
{
    const char *address = c->arg;
    weft_fd target = {0, 0};
    weft_stream client, other;
    int rc;
    WEFT_FAIL_AFTER(rc, PATIENCE)
        rc = weft_dial(&target, address);
    if (rc == -ETIMEDOUT) return weft_fail(rc, "%s does not answer", address);
    if (rc < 0) return rc;
    weft_stream_init(&client, c->fd);
    weft_stream_init(&other, target);
    rc = carry_both_ways(&client, &other);
    weft_stream_fini(&client);
    weft_stream_fini(&other);
    if (rc < 0) {
        reset(c->fd);
        reset(target);
    }
    weft_close(target);
    return rc;
}

static int start(void *arg)
{
    char **addresses = arg, text[WEFT_ADDR_TEXT];
    weft_fd listener;
    weft_addr at;
    int err = weft_listen(&listener, addresses[0], NULL);
    if (err < 0) return err;
    err = weft_local_addr(listener, &at);
    if (err < 0) return err;
    fprintf(stderr, "listening on %s\n",
            weft_addr_format(&at, text, sizeof text));
    return weft_serve(listener, relay, addresses[1], NULL);
}

int main(int argc, char **argv)
{
    const weft_run_opts opts = {.handle_signals = true};
    if (argc != 3) {
        fprintf(stderr, "usage: %s LISTEN TARGET\n", argv[0]);
        return 2;
    }
    int rc = weft_run(start, argv + 1, &opts);
    if (rc < 0) weft_error_print(2, rc);
    return rc < 0;
}
