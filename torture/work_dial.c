/* SPDX-License-Identifier: MIT */
/* work_dial.c - dialling a name with several addresses, or with none that
 * answers. */
#include <weft.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "torture.h"

static int knows_two(const char *host, int family, weft_addr ret[], size_t max,
                     void *user)
{
    (void)user;
    EXPECT(max >= 2 && strcmp(host, "example.org") == 0);
    if (family == AF_INET6) return -ENODATA;
    TRY(weft_addr_parse(&ret[0], "127.0.0.1:0"));
    TRY(weft_addr_parse(&ret[1], "127.0.0.2:0"));
    return 2;
}

static const weft_dial_opts plain = {.lookup = knows_two, .keepalive = true};
static const weft_dial_opts bound = {.lookup = knows_two,
                                     .local = "127.0.0.1:0"};

/* From the one end to the other. */
static int meet(weft_fd listener, const char *address, const weft_dial_opts *o)
{
    weft_fd near_end, far_end;
    TRY(weft_dial_with(&near_end, address, o));
    int rc = weft_accept(listener, &far_end, NULL);
    if (rc == 0) {
        char c = 0;
        rc = weft_write_all(near_end, "x", 1, NULL);
        if (rc == 0) rc = weft_read_exact(far_end, &c, 1, NULL);
        if (rc == 0) EXPECT(c == 'x');
        (void)weft_close(far_end);
    }
    (void)weft_close(near_end);
    return rc;
}

static int dial_listener(weft_fd listener)
{
    char address[64];
    weft_addr at;
    TRY(weft_local_addr(listener, &at));
    (void)snprintf(address, sizeof address, "example.org:%u",
                   weft_addr_port(&at));
    TRY(meet(listener, address, &plain));
    return meet(listener, address, &bound);
}

static int listens_and_dials(void *arg)
{
    weft_fd listener;
    (void)arg;
    TRY(weft_listen(&listener, "0.0.0.0:0", NULL));
    int rc = dial_listener(listener);
    (void)weft_close(listener);
    return rc;
}

static int dials_in_vain(void *arg)
{
    weft_fd conn;
    (void)arg;
    int rc = weft_dial_with(&conn, "example.org:1", &plain);
    EXPECT(rc < 0);
    return rc == -ECONNREFUSED ? 0 : rc;
}

static int patiently(void *fn)
{
    return weft_with_timeout(WEFT_SEC(1), *(weft_fn *)fn, NULL);
}

static int a_dial_by_name(void)
{
    weft_fn fn = listens_and_dials;
    return weft_run(patiently, &fn, NULL);
}
WORK(a_dial_by_name, MAY(ETIMEDOUT, EPIPE, ECONNRESET, ENOTCONN));

static int a_dial_in_vain(void)
{
    weft_fn fn = dials_in_vain;
    return weft_run(patiently, &fn, NULL);
}
WORK(a_dial_in_vain, MAY(0));
