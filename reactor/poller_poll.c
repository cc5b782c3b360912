/* SPDX-License-Identifier: MIT */
/*
 * poller_poll.c - poll(2): anywhere, and the third opinion for the tests.
 *
 * A registration is a row of a table. Only what a fiber waits for is asked
 * about, and a row that fired is not asked about again until it is expected
 * again; so a level looks like an edge.
 */
#include "reactor/poller.h"

#include "runtime/os.h"

#include <string.h>

struct row {
    int fd;
    unsigned asked; /* of WF_IN, WF_OUT */
    enum wf_poll_mode mode;
    uint64_t key;
};

struct wf_poller {
    int wake[2];
    size_t count, room;
    struct row *rows;
    struct pollfd *asks; /* parallel to rows, one longer: the last is wake */
};

static int make_room(struct wf_poller *p, size_t room)
{
    struct row *rows = wf_alloc(room * sizeof *rows);
    struct pollfd *asks = wf_alloc((room + 1) * sizeof *asks);
    if (!rows || !asks) {
        wf_free(rows, room * sizeof *rows);
        wf_free(asks, (room + 1) * sizeof *asks);
        return -ENOMEM;
    }
    if (p->rows) {
        memcpy(rows, p->rows, p->count * sizeof *rows);
        wf_free(p->rows, p->room * sizeof *rows);
        wf_free(p->asks, (p->room + 1) * sizeof *asks);
    }
    p->rows = rows;
    p->asks = asks;
    p->room = room;
    return 0;
}

int wf_poller_open(struct wf_poller **ret_poller)
{
    struct wf_poller *p = wf_zalloc(sizeof *p);
    if (!p) return -ENOMEM;
    int err = make_room(p, 16);
    if (err < 0) goto free_it;
    err = wf_os_pipe(p->wake);
    if (err < 0) goto free_rows;
    *ret_poller = p;
    return 0;

free_rows:
    wf_free(p->rows, p->room * sizeof *p->rows);
    wf_free(p->asks, (p->room + 1) * sizeof *p->asks);
free_it:
    wf_free(p, sizeof *p);
    return err;
}

void wf_poller_close(struct wf_poller *p)
{
    wf_os_close(p->wake[0]);
    wf_os_close(p->wake[1]);
    wf_free(p->rows, p->room * sizeof *p->rows);
    wf_free(p->asks, (p->room + 1) * sizeof *p->asks);
    wf_free(p, sizeof *p);
}

static struct row *find(struct wf_poller *p, int fd)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->rows[i].fd == fd) return &p->rows[i];
    return NULL;
}

int wf_poller_add(struct wf_poller *p, int fd, uint64_t key,
                  enum wf_poll_mode mode, unsigned events)
{
    int refused = wf_hostile(WF_CALL_POLL_CTL);
    if (refused < 0 && refused != -EINTR) return refused;
    /* As epoll: what is always ready is not registered, what is not open
     * cannot be. */
    struct stat st;
    int err = wf_os_fstat(fd, &st);
    if (err < 0) return err;
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) return -EPERM;
    if (find(p, fd)) return -EEXIST;
    if (p->count == p->room && make_room(p, p->room * 2) < 0) return -ENOMEM;
    p->rows[p->count++] =
        (struct row){fd, events & (WF_IN | WF_OUT), mode, key};
    return 0;
}

int wf_poller_again(struct wf_poller *p, int fd, uint64_t key,
                    enum wf_poll_mode mode, unsigned events)
{
    struct row *r = find(p, fd);
    if (!r) return -ENOENT;
    *r = (struct row){fd, events & (WF_IN | WF_OUT), mode, key};
    return 0;
}

void wf_poller_remove(struct wf_poller *p, int fd)
{
    struct row *r = find(p, fd);
    if (r) *r = p->rows[--p->count];
}

void wf_poller_expect(struct wf_poller *p, int fd, unsigned events)
{
    struct row *r = find(p, fd);
    if (r) r->asked |= events & (WF_IN | WF_OUT);
}

int wf_poller_wait(struct wf_poller *p, struct wf_event *events, int max,
                   int64_t timeout_ns)
{
    for (size_t i = 0; i < p->count; i++) {
        struct row *r = &p->rows[i];
        short want =
            (short)((r->asked & WF_IN ? POLLIN | POLLPRI | POLLRDHUP : 0) |
                    (r->asked & WF_OUT ? POLLOUT : 0));
        p->asks[i] = (struct pollfd){.fd = want ? r->fd : -1, .events = want};
    }
    p->asks[p->count] = (struct pollfd){.fd = p->wake[0], .events = POLLIN};

    int64_t ms = timeout_ns <= 0 ? 0
                 : timeout_ns > INT64_C(86400000) * 1000000
                     ? 86400000
                     : (timeout_ns + 999999) / 1000000;
    if (timeout_ns == INT64_MAX) ms = -1;
    if (wf_os_poll(p->asks, (nfds_t)p->count + 1, (int)ms) <= 0) return 0;

    char drained[64];
    while (p->asks[p->count].revents &&
           wf_os_read(p->wake[0], drained, sizeof drained) > 0)
        continue;

    int out = 0;
    for (size_t i = 0; i < p->count && out < max; i++) {
        short got = p->asks[i].revents;
        if (!got) continue;
        struct row *r = &p->rows[i];
        bool gone = got & (POLLHUP | POLLERR | POLLNVAL);
        unsigned ready = (got & POLLIN || gone ? WF_IN : 0u) |
                         (got & POLLOUT || gone ? WF_OUT : 0u) |
                         (got & POLLRDHUP || gone ? WF_HUP : 0u) |
                         (got & POLLPRI ? WF_PRI : 0u);
        if (r->mode != WF_LEVEL)
            r->asked = r->mode == WF_ONCE ? 0 : r->asked & ~ready;
        events[out++] = (struct wf_event){.key = r->key, .ready = ready};
    }
    return out;
}

void wf_poller_wake(struct wf_poller *p)
{
    wf_os_nudge(p->wake[1], "", 1);
}
