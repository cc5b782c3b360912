/* SPDX-License-Identifier: MIT */
/*
 * test_corpus.c - what the fuzzer has found so far, fuzz/corpus, once more: as
 * it is, cut short, and with an octet changed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "harness.h"
#include "system.h"

struct fuzz_target *fuzz_targets;

enum { LARGEST = 65536, CHANGES = 2000 };

/* In the source tree, of which the tests are in build/FLAVOUR/tests. */
static void corpus_of(const struct fuzz_target *t, char *ret, size_t size)
{
    system_program(ret, size);
    for (int up = 0; up < 4; up++) {
        char *slash = strrchr(ret, '/');
        if (slash) *slash = 0;
    }
    size_t len = strlen(ret);
    (void)snprintf(ret + len, size - len, "/fuzz/corpus/%s", t->name);
}

static size_t read_file(const char *path, uint8_t *ret)
{
    FILE *file = fopen(path, "r");
    if (!file) test_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
    size_t len = fread(ret, 1, LARGEST, file);
    CHECK(len < LARGEST);
    CHECK_EQ(fclose(file), 0);
    return len;
}

/* With nothing behind it. */
static void run(const struct fuzz_target *t, const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    CHECK(copy);
    if (len) memcpy(copy, data, len);
    t->run(copy, len);
    free(copy);
}

static void as_it_is(const struct fuzz_target *t, uint8_t *data, size_t len)
{
    run(t, data, len);
}

/* About so many steps are taken through a file of any length. */
static size_t step(size_t len)
{
    return 1 + len / (test_is_slow() ? CHANGES / 50 : CHANGES);
}

static void cut_short(const struct fuzz_target *t, uint8_t *data, size_t len)
{
    for (size_t cut = 0; cut < len; cut += step(len))
        run(t, data, cut);
}

static void changed(const struct fuzz_target *t, uint8_t *data, size_t len)
{
    static const uint8_t changes[] = {0xff, 0x80, 0x20, 0x01};
    for (size_t at = 0; at < len; at += step(len))
        for (size_t i = 0; i < sizeof changes; i++) {
            data[at] ^= changes[i];
            run(t, data, len);
            data[at] ^= changes[i];
        }
}

static void each_file(const struct fuzz_target *t,
                      void (*fn)(const struct fuzz_target *t, uint8_t *data,
                                 size_t len))
{
    static uint8_t data[LARGEST];
    char path[4096];
    unsigned files = 0;
    corpus_of(t, path, sizeof path);
    size_t dir = strlen(path);
    DIR *d = opendir(path);
    if (!d) test_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (e->d_name[0] == '.') continue;
        (void)snprintf(path + dir, sizeof path - dir, "/%s", e->d_name);
        (void)printf("%s\n", path);
        fn(t, data, read_file(path, data));
        files++;
    }
    CHECK_EQ(closedir(d), 0);
    CHECK(files > 0);
}

static void each_target(void (*fn)(const struct fuzz_target *t, uint8_t *data,
                                   size_t len))
{
    CHECK(fuzz_targets);
    for (const struct fuzz_target *t = fuzz_targets; t; t = t->next)
        each_file(t, fn);
}

TEST_PLAIN(each_target_takes_its_corpus)
{
    each_target(as_it_is);
}

TEST_PLAIN(each_target_takes_its_corpus_cut_short)
{
    each_target(cut_short);
}

TEST_PLAIN(each_target_takes_its_corpus_with_any_octet_changed)
{
    each_target(changed);
}

TEST_PLAIN(each_target_takes_nothing_at_all)
{
    CHECK(fuzz_targets);
    for (const struct fuzz_target *t = fuzz_targets; t; t = t->next)
        run(t, NULL, 0);
}
