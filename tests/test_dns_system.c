/* SPDX-License-Identifier: MIT */
/*
 * test_dns_system.c - the system's resolver, as it might be: getaddrinfo is this
 * program's own.
 */
#include <weft/blocking.h>
#include <weft/dial.h>
#include <weft/io.h>
#include <weft/names.h>
#include <weft/nursery.h>
#include <weft/time.h>

#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

#include "dns_texts.h"
#include "system.h"

enum { MANY = 100 };

static int began[2], go_on[2]; /* pipes, for a lookup that takes long */
static int freed;

static struct addrinfo *node(int family, const char *text,
                             struct addrinfo *next)
{
    struct sockaddr_in6 *in6 = calloc(1, sizeof *in6);
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)in6;
    struct addrinfo *a = calloc(1, sizeof *a);
    bool six = family == AF_INET6;
    CHECK(a != NULL && in6 != NULL);
    in6->sin6_family = (sa_family_t)family;
    if (family != AF_UNIX)
        CHECK_EQ(inet_pton(family, text,
                           six ? (void *)&in6->sin6_addr : &in->sin_addr),
                 1);
    *a = (struct addrinfo){.ai_family = family,
                           .ai_addr = (struct sockaddr *)(void *)in6,
                           .ai_addrlen = six ? sizeof *in6 : sizeof *in,
                           .ai_next = next};
    return a;
}

static struct addrinfo *many(void)
{
    struct addrinfo *list = NULL;
    char text[32];
    for (int i = MANY; i > 0; i--) {
        (void)snprintf(text, sizeof text, "192.0.2.%d", i);
        list = node(AF_INET, text, list);
    }
    return list;
}

static void wait_to_go_on(void)
{
    char c;
    CHECK_EQ(write(began[1], "b", 1), 1);
    CHECK_EQ(read(go_on[0], &c, 1), 1);
}

int getaddrinfo(const char *host, const char *service,
                const struct addrinfo *hints, struct addrinfo **ret)
{
    CHECK(service == NULL);
    CHECK_EQ(hints->ai_socktype, SOCK_STREAM);
    if (strncmp(host, "eai ", 4) == 0) {
        errno = EMFILE;
        return atoi(host + 4);
    }
    if (strcmp(host, "slow") == 0) wait_to_go_on();
    if (strcmp(host, "many") == 0) {
        *ret = many();
        return 0;
    }
    if (strcmp(host, "odd") == 0) {
        *ret = node(AF_UNIX, "", NULL);
        return 0;
    }
    if (strcmp(host, "four") == 0 && hints->ai_family != AF_INET6) {
        *ret = node(AF_INET, "192.0.2.4", NULL);
        return 0;
    }
    *ret = node(AF_INET6, "2001:db8::1",
                node(AF_INET, "192.0.2.1", node(AF_INET, "192.0.2.1", NULL)));
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list->ai_addr);
        free(list);
        list = next;
    }
    __atomic_add_fetch(&freed, 1, __ATOMIC_RELAXED);
}

TEST(each_address_of_the_system_is_given_once)
{
    weft_addr a[WEFT_DNS_ADDRS];
    int n = weft_dns_lookup_system("host", AF_UNSPEC, a, WEFT_DNS_ADDRS);
    CHECK_STR(dns_text_of(a, n), "2001:db8::1 192.0.2.1");
    CHECK_EQ(freed, 1);
    n = weft_dns_lookup_system("host", AF_UNSPEC, a, 1);
    CHECK_STR(dns_text_of(a, n), "2001:db8::1");
}

TEST(more_addresses_than_there_is_room_for_are_left_out)
{
    struct sockaddr_storage sa[3];
    weft_addr a[MANY];
    CHECK_EQ(weft_dns_lookup_system("many", AF_INET, a, MANY), WEFT_DNS_ADDRS);
    CHECK_STR(dns_text_of(&a[31], 1), "192.0.2.32");
    CHECK_EQ(weft_getaddrinfo("many", AF_INET, sa, 3), 64);
    CHECK_EQ(weft_getaddrinfo("many", AF_INET, NULL, 0), 64);
}

TEST(what_is_no_address_of_a_host_does_not_count)
{
    weft_addr a;
    dns_check_failure(weft_dns_lookup_system("odd", AF_UNSPEC, &a, 1), -ENODATA,
                      "getaddrinfo odd", NULL);
    CHECK_EQ(freed, 1);
}

TEST(what_the_system_says_becomes_a_code)
{
    static const struct {
        int eai, code;
    } rows[] = {
        {EAI_NONAME, -ENOENT},       {EAI_AGAIN, -EHOSTUNREACH},
        {EAI_FAIL, -EREMOTEIO},      {EAI_MEMORY, -ENOMEM},
        {EAI_FAMILY, -EAFNOSUPPORT}, {EAI_SYSTEM, -EMFILE},
        {EAI_SOCKTYPE, -EREMOTEIO},
#ifdef EAI_NODATA
        {EAI_NODATA, -ENODATA},
#endif
#ifdef EAI_ADDRFAMILY
        {EAI_ADDRFAMILY, -ENODATA},
#endif
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char host[32];
        weft_addr a;
        (void)snprintf(host, sizeof host, "eai %d", rows[i].eai);
        dns_check_failure(weft_dns_lookup_system(host, AF_INET, &a, 1),
                          rows[i].code, host, NULL);
    }
    CHECK_EQ(freed, 0);
}

/* ---- one that takes long ------------------------------------------------- */

static int asks_slowly(void *arg)
{
    weft_addr a;
    char name[] = "slow"; /* which is gone before the thread is */
    int n = weft_dns_lookup_system(name, AF_INET, &a, 1);
    memset(name, 'x', sizeof name - 1);
    *(int *)arg = n;
    return n;
}

TEST_REAL(a_cancelled_lookup_does_not_wait_for_the_system)
{
    weft_nursery n;
    weft_fd started;
    weft_pool_stats st;
    char c;
    int result = 1;
    system_pipe(began);
    system_pipe(go_on);
    CHECK_EQ(weft_fd_adopt(began[0], &started), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, asks_slowly, &result), 0);
    CHECK_EQ(weft_read(started, &c, 1), 1);
    weft_nursery_cancel(&n, 0, "test");
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(freed, 0);
    weft_pool_stats_read(WEFT_POOL_BLOCKING, &st);
    CHECK_EQ(st.abandoned, 1);
    CHECK_EQ(write(go_on[1], "g", 1), 1);
    CHECK_EQ(weft_close(started), 0);
    CHECK_EQ(close(began[1]), 0);
    CHECK_EQ(close(go_on[1]), 0);
    while (st.abandoned > 0) {
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        weft_pool_stats_read(WEFT_POOL_BLOCKING, &st);
    }
    CHECK_EQ(__atomic_load_n(&freed, __ATOMIC_RELAXED), 1);
    CHECK_EQ(close(go_on[0]), 0);
}

static char dialled[256];

static int note_and_refuse(weft_fd *ret_conn, const weft_addr *to, void *user)
{
    char text[WEFT_ADDR_TEXT];
    (void)ret_conn, (void)user;
    strcat(strcat(dialled, weft_addr_format(to, text, sizeof text)), " ");
    return -ECONNREFUSED;
}

/* Asked for IPv6 alone, it has addresses of another host of that name. */
TEST(a_dial_by_the_system_asks_it_for_both_families_at_once)
{
    const weft_dial_opts o = {.system_resolver = true,
                              .connect = note_and_refuse};
    weft_fd conn;
    CHECK_EQ(weft_dial_with(&conn, "four:80", &o), -ECONNREFUSED);
    CHECK_STR(dialled, "192.0.2.4:80 ");
    dialled[0] = 0;
    CHECK_EQ(weft_dial_with(&conn, "host:80", &o), -ECONNREFUSED);
    CHECK_STR(dialled, "[2001:db8::1]:80 192.0.2.1:80 ");
}
