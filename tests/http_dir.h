/* SPDX-License-Identifier: MIT */
/*
 * http_dir.h - a directory of files, and a site that serves it at /f.
 *
 *     struct site site = {.stats = {0}};
 *     make_dir();
 *     put("a.txt", "hello");
 *     open_files(&site, NULL);
 *     CHECK_STR(get(&site, "/f/a.txt", ""), "200");
 *     CHECK_STR(body(), "hello");
 *     close_site(&site);
 *     remove_dir();
 */
#ifndef TESTS_HTTP_DIR_H
#define TESTS_HTTP_DIR_H

#include <weft/file.h>
#include <weft/http_files.h>
#include <weft/time.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_site.h"

static char home[512];

static inline const char *in_dir(const char *name)
{
    static char paths[8][1024];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", home, name);
    return path;
}

/* A directory, and "www" in it. */
static inline void make_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(home, sizeof home, "%s/weft-http-XXXXXX",
                   tmp && strlen(tmp) < 400 ? tmp : "/tmp");
    CHECK(mkdtemp(home) != NULL);
    CHECK_EQ(mkdir(in_dir("www"), 0755), 0);
}

static inline int remove_one(const char *path, const struct stat *st, int type,
                             struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static inline void remove_dir(void)
{
    CHECK_EQ(nftw(home, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void put_octets(const char *name, const void *data, size_t len)
{
    FILE *f = fopen(in_dir(name), "w");
    CHECK(f != NULL);
    CHECK_EQ(fwrite(data, 1, len, f), len);
    CHECK_EQ(fclose(f), 0);
}

static inline void put(const char *name, const char *text)
{
    put_octets(name, text, strlen(text));
}

static inline void link_to(const char *target, const char *name)
{
    CHECK_EQ(symlink(target, in_dir(name)), 0);
}

/* Ten seconds after all that was made here: the virtual clock starts in 2001.
 * */
static inline void wait_for_files(void)
{
    struct stat st;
    CHECK_EQ(stat(home, &st), 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(st.st_ctime + 10) - weft_calendar()), 0);
}

static inline void open_files(struct site *s, const weft_http_files_opts *o)
{
    make_server(s);
    CHECK_EQ(weft_http_files(s->server, "/f", in_dir("www"), o), 0);
    open_site(s);
}

/* Asks, and returns the status; `fields` are lines with their ends. */
static inline const char *get(struct site *s, const char *target,
                              const char *fields)
{
    static char request[1024], status[4];
    (void)snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: h\r\n" CLOSE "%s\r\n", target,
                   fields);
    (void)ask(s, request);
    CHECK(heard_len > 12);
    memcpy(status, heard + 9, 3);
    return status;
}

static inline const char *body(void)
{
    const char *end = strstr(heard, "\r\n\r\n");
    CHECK(end != NULL);
    return end + 4;
}

static inline size_t body_len(void)
{
    return heard_len - (size_t)(body() - heard);
}

/* The value of a field of the reply; NULL: there is none. */
static inline const char *field(const char *name)
{
    static char values[4][256];
    static unsigned next;
    char key[64], *value = values[next++ % 4];
    (void)snprintf(key, sizeof key, "\r\n%s: ", name);
    const char *at = strstr(heard, key);
    if (!at || at > body()) return NULL;
    at += strlen(key);
    (void)snprintf(value, sizeof values[0], "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

#endif
