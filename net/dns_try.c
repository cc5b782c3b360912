/* SPDX-License-Identifier: MIT */
/*
 * dns_try.c - one try of one server.
 *
 * By UDP a try has a socket and an id of its own. The socket is connected, so
 * the kernel chooses its port at random, drops what others send, and tells of a
 * closed port. What still comes and is no answer to the question may be forged:
 * it is counted, and the wait goes on, since otherwise whoever guesses badly
 * could end the try (RFC 5452, 4 and 9).
 */
#include "dns_resolver.h"

#include <weft/buffer.h>
#include <weft/io.h>
#include <weft/random.h>
#include <weft/socket.h>

#include <string.h>

enum {
    ROOM = 4096,   /* for a reply by UDP; what is longer is fetched by TCP */
    TCP_LENGTH = 2 /* octets before a message, RFC 1035, 4.2.2 */
};

static int ours(struct wf_dns_try *t, int err, const char *step)
{
    t->is_ours = true;
    t->step = step;
    return err;
}

/* Of a call that went out to the server: memory and descriptors are ours, all
 * else is what the network says. */
static int theirs(struct wf_dns_try *t, int err, const char *step)
{
    t->is_ours = err == -ENOMEM || err == -EMFILE || err == -ENFILE;
    t->step = step;
    return err;
}

static int rubbish(struct wf_dns_try *t, const char *step)
{
    t->step = step;
    return -EBADMSG;
}

/* A message that answers. Keeps a copy of it if it can be read. */
static int accept_reply(struct wf_dns_try *t, const uint8_t *msg, size_t len)
{
    struct wf_dns_reader r;
    struct wf_dns_head head;
    int err = wf_dns_read(&r, msg, len, &head);
    if (err < 0) return rubbish(t, r.wrong);
    t->msg = weft_buffer_alloc(len);
    if (!t->msg) return ours(t, -ENOMEM, "keep the answer");
    memcpy(t->msg, msg, len);
    t->len = len;
    t->rcode = head.rcode;
    return 0;
}

/* ---- UDP ----------------------------------------------------------------- */

/* Old servers cut an error to the header. It cannot do more harm than to have
 * the question put again, without EDNS. */
static bool refuses_edns(const struct wf_dns_try *t, const uint8_t *msg,
                         size_t len, uint16_t id)
{
    struct wf_dns_head h;
    if (!t->edns || wf_dns_read_head(msg, len, &h) < 0) return false;
    unsigned rcode = h.flags & 15;
    return h.id == id && h.flags & WF_DNS_QR && !(h.flags & WF_DNS_OPCODE) &&
           h.questions == 0 &&
           (rcode == WF_DNS_FORMERR || rcode == WF_DNS_NOTIMP);
}

static int receive(struct wf_dns_try *t, weft_fd fd, uint16_t id)
{
    uint8_t buf[ROOM];
    for (;;) {
        struct iovec iov = {buf, sizeof buf};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
        struct wf_dns_head head;
        ssize_t n = weft_recvmsg(fd, &m, 0);
        if (n < 0) return theirs(t, (int)n, "wait for an answer");
        size_t len = (size_t)n;
        if (refuses_edns(t, buf, len, id)) {
            t->rcode = WF_DNS_FORMERR;
            return 0;
        }
        if (!wf_dns_answers(buf, len, id, t->name, t->type)) {
            t->r->stats.ignored++;
            continue;
        }
        (void)wf_dns_read_head(buf, len, &head);
        t->truncated = head.flags & WF_DNS_TC || m.msg_flags & MSG_TRUNC;
        return t->truncated ? 0 : accept_reply(t, buf, len);
    }
}

static int talk_udp(struct wf_dns_try *t, weft_fd fd, uint8_t *query,
                    size_t len, uint16_t id)
{
    struct iovec iov = {query, len};
    const struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    int err = weft_connect(fd, (const struct sockaddr *)&t->server->sa,
                           t->server->len);
    if (err < 0) return theirs(t, err, "connect by UDP");
    ssize_t n = weft_sendmsg(fd, &m, 0);
    if (n < 0) return theirs(t, (int)n, "send the question");
    t->r->stats.queries++;
    return receive(t, fd, id);
}

/* ---- TCP ----------------------------------------------------------------- */

static int receive_tcp(struct wf_dns_try *t, weft_fd fd, uint8_t *msg,
                       size_t len, uint16_t id)
{
    struct wf_dns_head head;
    int err = weft_read_exact(fd, msg, len, NULL);
    if (err < 0) return theirs(t, err, "read the answer by TCP");
    if (!wf_dns_answers(msg, len, id, t->name, t->type))
        return rubbish(t, "what came by TCP answers another question");
    (void)wf_dns_read_head(msg, len, &head);
    if (head.flags & WF_DNS_TC)
        return rubbish(t, "the answer is cut short by TCP too");
    return accept_reply(t, msg, len);
}

static int talk_tcp(struct wf_dns_try *t, weft_fd fd, const uint8_t *query,
                    size_t size, uint16_t id)
{
    uint8_t length[TCP_LENGTH];
    int err = weft_connect(fd, (const struct sockaddr *)&t->server->sa,
                           t->server->len);
    if (err < 0) return theirs(t, err, "connect by TCP");
    err = weft_write_all(fd, query, size, NULL);
    if (err < 0) return theirs(t, err, "send the question by TCP");
    t->r->stats.tcp++;
    err = weft_read_exact(fd, length, sizeof length, NULL);
    if (err < 0) return theirs(t, err, "read the answer by TCP");
    size_t len = (size_t)length[0] << 8 | length[1];
    if (len < WF_DNS_HEAD) return rubbish(t, "the answer by TCP is too short");
    uint8_t *msg = weft_buffer_alloc(len);
    if (!msg) return ours(t, -ENOMEM, "read the answer by TCP");
    err = receive_tcp(t, fd, msg, len, id);
    weft_buffer_free(msg, len);
    return err;
}

/* ---- both ---------------------------------------------------------------- */

int wf_dns_try(void *arg)
{
    struct wf_dns_try *t = arg;
    uint8_t query[TCP_LENGTH + WF_DNS_QUERY], *message = query + TCP_LENGTH;
    uint16_t id;
    weft_fd fd;
    int err = weft_random_bytes(&id, sizeof id);
    if (err < 0) return ours(t, err, "draw an id");
    ssize_t n = wf_dns_write_query(message, WF_DNS_QUERY, id, t->name, t->type,
                                   t->edns);
    if (n < 0) return ours(t, (int)n, "write the question");
    size_t len = (size_t)n;
    query[0] = (uint8_t)(len >> 8);
    query[1] = (uint8_t)len;
    err = weft_socket(t->server->sa.ss_family,
                      t->tcp ? SOCK_STREAM : SOCK_DGRAM, 0, &fd);
    if (err < 0) { /* without IPv6 there may be servers by IPv4 */
        bool next = err == -EAFNOSUPPORT || err == -EPROTONOSUPPORT;
        return next ? theirs(t, err, "socket") : ours(t, err, "socket");
    }
    err = t->tcp ? talk_tcp(t, fd, query, TCP_LENGTH + len, id)
                 : talk_udp(t, fd, message, len, id);
    (void)weft_close(fd);
    return err;
}
