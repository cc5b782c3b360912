/* SPDX-License-Identifier: MIT */
/*
 * unix_fd_pass - a master accepts connections and passes them on to a worker,
 * another process, over a Unix socket. The worker is told who they are from,
 * answers on them, and learns nothing of the address.
 */
#include <weft.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLIENTS = 3 };

/* ---- the worker --------------------------------------------------------- */

/* One message, one connection: its text says what it is about. */
static int serve_next(weft_fd master)
{
    char about[32], answer[64];
    weft_fd conn;
    weft_unix_extra x = {.handles = &conn, .room = 1};
    ssize_t n = weft_unix_recv(master, about, sizeof about, &x);
    if (n <= 0) return (int)n; /* the master has gone */
    if (x.count != 1) return weft_fail(-EPROTO, "no connection came along");
    int len = snprintf(answer, sizeof answer, "the worker serves %.*s\n",
                       (int)n, about);
    int err = weft_write_all(conn, answer, (size_t)len, NULL);
    (void)weft_close(conn);
    return err < 0 ? err : 1;
}

static int worker(void *arg)
{
    weft_fd master;
    weft_unix_creds boss;
    int rc = weft_fd_adopt(*(int *)arg, &master);
    if (rc < 0) return rc;
    /* Nobody else may give it work. */
    rc = weft_unix_peer(master, &boss);
    if (rc == 0 && boss.uid != getuid()) rc = weft_fail(-EPERM, "not our own");
    if (rc == 0) rc = 1;
    while (rc > 0)
        rc = serve_next(master);
    (void)weft_close(master);
    return rc;
}

/* ---- the master, and its clients ---------------------------------------- */

static const char *address(weft_fd listener, char text[WEFT_ADDR_TEXT])
{
    weft_addr at;
    int err = weft_local_addr(listener, &at);
    return err < 0 ? "?" : weft_addr_format(&at, text, WEFT_ADDR_TEXT);
}

static int print_answer(weft_fd conn)
{
    char text[64];
    size_t len = 0;
    int err = weft_read_exact(conn, text, sizeof text, &len);
    printf("%.*s", (int)len, text);
    return err == -EPIPE ? 0 : err; /* it ended, as it should */
}

/* The connection goes to the worker; the master's own copy is closed. */
static int pass_on(weft_fd to, weft_fd listener, int number)
{
    weft_fd conn;
    char about[32];
    int err = weft_accept(listener, &conn, NULL);
    if (err < 0) return err;
    const int passed = weft_fd_number(conn);
    int len = snprintf(about, sizeof about, "client %d", number);
    err = weft_unix_send_fds(to, about, (size_t)len, &passed, 1, NULL);
    (void)weft_close(conn);
    return err;
}

static int serve_clients(weft_fd to, weft_fd listener)
{
    char where[WEFT_ADDR_TEXT];
    for (int i = 1; i <= CLIENTS; i++) {
        weft_fd client;
        int err = weft_dial(&client, address(listener, where));
        if (err < 0) return err;
        err = pass_on(to, listener, i);
        if (err == 0) err = print_answer(client);
        (void)weft_close(client);
        if (err < 0) return err;
    }
    return 0;
}

static int master(void *arg)
{
    weft_fd to, listener;
    int rc = weft_fd_adopt(*(int *)arg, &to);
    if (rc < 0) return rc;
    rc = weft_listen(&listener, "127.0.0.1:0", NULL);
    if (rc == 0) {
        rc = serve_clients(to, listener);
        (void)weft_close(listener);
    }
    (void)weft_close(to); /* the worker reads the end */
    return rc;
}

/* ---- two processes ------------------------------------------------------ */

static int run(weft_fn fn, int socket)
{
    int rc = weft_run(fn, &socket, NULL);
    if (rc < 0) weft_error_print(2, rc);
    return rc < 0 ? 1 : 0;
}

int main(void)
{
    int ends[2], status;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0) return 1;
    pid_t pid = fork();
    if (pid < 0) return 1;
    (void)close(ends[pid != 0]);
    if (pid == 0) return run(worker, ends[1]);
    int rc = run(master, ends[0]);
    if (waitpid(pid, &status, 0) < 0 || status != 0) return 1;
    if (rc == 0) printf("the worker has ended\n");
    return rc;
}
