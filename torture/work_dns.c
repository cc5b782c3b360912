/* SPDX-License-Identifier: MIT */
/* work_dns.c - names, and random octets. */
#include <weft.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "torture.h"

enum { ROOM = 512, HEAD = 12 };

static weft_fd udp, tcp;
static weft_addr at;

/* Makes of a query its answer: 192.0.2.1, or by UDP that it does not fit. */
static size_t answer(uint8_t *msg, size_t len, bool truncated)
{
    static const uint8_t record[16] = {0xc0, HEAD, 0, 1, 0,   1, 0, 0,
                                       0,    60,   0, 4, 192, 0, 2, 1};
    EXPECT(len > HEAD && len + sizeof record < ROOM);
    msg[2] = truncated ? 0x83 : 0x81;
    msg[3] = 0x80;
    if (truncated) return len;
    msg[7] = 1;
    memcpy(msg + len, record, sizeof record);
    return len + sizeof record;
}

static int answer_datagram(void)
{
    uint8_t buf[ROOM];
    struct sockaddr_storage from;
    struct iovec iov = {buf, sizeof buf};
    struct msghdr m = {.msg_name = &from,
                       .msg_namelen = sizeof from,
                       .msg_iov = &iov,
                       .msg_iovlen = 1};
    ssize_t n = weft_recvmsg(udp, &m, 0);
    if (n == -ECONNREFUSED) return 0; /* who had asked is gone */
    TRY(n);
    if (n <= HEAD) return 0; /* the world is hostile, and has cut it */
    iov.iov_len = answer(buf, (size_t)n, buf[HEAD + 1] == 't');
    n = weft_sendmsg(udp, &m, 0);
    return n < 0 ? (int)n : 0;
}

static int serves_datagrams(void *arg)
{
    (void)arg;
    for (;;)
        TRY(answer_datagram());
}

static int answer_connection(weft_fd conn)
{
    uint8_t buf[2 + ROOM];
    TRY(weft_read_exact(conn, buf, 2, NULL));
    EXPECT(buf[0] == 0);
    TRY(weft_read_exact(conn, buf + 2, buf[1], NULL));
    size_t len = answer(buf + 2, buf[1], false);
    buf[1] = (uint8_t)len;
    return weft_write_all(conn, buf, len + 2, NULL);
}

static int serves_connections(void *arg)
{
    weft_fd conn;
    (void)arg;
    for (;;) {
        TRY(weft_accept(tcp, &conn, NULL));
        int rc = answer_connection(conn);
        (void)weft_close(conn);
        if (rc != -ECONNRESET && rc != -EPIPE) TRY(rc); /* who asks is gone */
    }
}

static int look_up_with(weft_resolver *r)
{
    static const char *const hosts[] = {"www.test", "tcp.test"};
    for (int i = 0; i < 2; i++) {
        weft_addr a;
        int n = weft_dns_lookup(r, hosts[i], AF_INET, &a, 1);
        TRY(n);
        const struct sockaddr_in *in = (const struct sockaddr_in *)&a.sa;
        EXPECT(n == 1 && a.sa.ss_family == AF_INET);
        EXPECT(ntohl(in->sin_addr.s_addr) == 0xc0000201);
    }
    return 0;
}

static int look_up(void)
{
    char address[WEFT_ADDR_TEXT];
    const weft_resolver_opts o = {
        .servers = weft_addr_format(&at, address, sizeof address),
        .resolv_conf = work_path("resolv.conf"),
        .hosts = work_path("hosts"),
        .search = "",
        .timeout = WEFT_MSEC(100),
        .no_edns = true};
    weft_resolver *r = weft_resolver_new(&o);
    if (!r) return -ENOMEM;
    int rc = look_up_with(r);
    weft_resolver_free(r);
    return rc;
}

static int serve_and_look_up(weft_nursery *n)
{
    const weft_spawn_opts daemon = {.daemon = true};
    TRY(weft_spawn_ex(n, serves_datagrams, NULL, &daemon));
    TRY(weft_spawn_ex(n, serves_connections, NULL, &daemon));
    return look_up();
}

static int open_udp(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in.sin_port = htons((in_port_t)weft_addr_port(&at));
    TRY(weft_socket(AF_INET, SOCK_DGRAM, 0, &udp));
    int rc = weft_bind(udp, (const struct sockaddr *)&in, sizeof in);
    if (rc < 0) (void)weft_close(udp);
    return rc;
}

static int has_names(void *arg)
{
    weft_nursery n;
    (void)arg;
    TRY(weft_listen(&tcp, "127.0.0.1:0", NULL));
    int rc = weft_local_addr(tcp, &at);
    if (rc == 0) rc = open_udp();
    if (rc < 0) {
        (void)weft_close(tcp);
        return rc;
    }
    rc = weft_nursery_open(&n, NULL);
    if (rc == 0) rc = weft_nursery_close(&n, serve_and_look_up(&n));
    (void)weft_close(udp);
    (void)weft_close(tcp);
    return rc;
}

static void write_text(const char *name, const char *text)
{
    int fd = open(work_path(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    EXPECT(fd >= 0);
    EXPECT(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    EXPECT(close(fd) == 0);
}

static int names(void)
{
    write_text("resolv.conf", "options attempts:2\n");
    write_text("hosts", "192.0.2.9 other.test\n");
    return weft_run(has_names, NULL, NULL);
}
/* The server ended, or its answers did not come: nobody has answered. */
WORK(names, MAY(EHOSTUNREACH, EREMOTEIO, EBADMSG, EPIPE, EADDRINUSE));

static int asks_the_system(void *arg)
{
    weft_addr a;
    (void)arg;
    int n = weft_dns_lookup_system("127.0.0.1", AF_INET, &a, 1);
    TRY(n);
    const struct sockaddr_in *in = (const struct sockaddr_in *)&a.sa;
    EXPECT(n == 1 && ntohl(in->sin_addr.s_addr) == INADDR_LOOPBACK);
    return 0;
}

static int names_of_the_system(void)
{
    return weft_run(asks_the_system, NULL, NULL);
}
WORK(names_of_the_system, MAY(0));

static int random_octets(void)
{
    uint8_t octets[1000];
    unsigned same = 0;
    memset(octets, 0x5a, sizeof octets);
    TRY(weft_random_bytes(octets, sizeof octets));
    for (size_t i = 0; i < sizeof octets; i++)
        same += octets[i] == 0x5a;
    EXPECT(same < 100);
    return 0;
}
WORK(random_octets, MAY(0));
