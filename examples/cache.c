/* SPDX-License-Identifier: MIT */
/*
 * cache - addresses that take a second to find, each found once however many
 * ask, and asked for again when it has grown old.
 */
#include <weft.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static weft_time began;

static double seconds(void)
{
    return (double)(weft_now() - began) / 1e9;
}

/* Stands for a question to a name server. */
static int resolve(const void *key, size_t len, void **ret_value, void *user)
{
    (void)user;
    printf("%4.1f s    [the server is asked for %.*s]\n", seconds(), (int)len,
           (const char *)key);
    int err = weft_sleep(WEFT_SEC(1));
    if (err < 0) return err;
    if (len == 4 && memcmp(key, "nope", len) == 0)
        return weft_fail(-ENOENT, "nobody is called nope");
    char *address = malloc(32);
    if (!address) return -ENOMEM;
    (void)snprintf(address, 32, "10.0.0.%zu, as of %.1f s", len, seconds());
    *ret_value = address;
    return 0;
}

struct client {
    weft_cache *names;
    const char *who, *name;
    weft_time patience;
};

/* What was got is ours until it is put back: it may grow old meanwhile, or be
 * forgotten, and stays valid all the same. */
static int connect_to(void *arg)
{
    const struct client *c = arg;
    void *address = NULL;
    int err;
    WEFT_FAIL_AFTER(err, c->patience) {
        err = weft_cache_get(c->names, c->name, strlen(c->name), &address);
    }
    printf("%4.1f s  %s: %s is %s\n", seconds(), c->who, c->name,
           err < 0 ? weft_strerror(err) : (const char *)address);
    if (err == 0) weft_cache_put(c->names, address);
    return 0;
}

/* Some clients at the same moment. */
static int connect_all(weft_cache *names, const char *name, weft_time first)
{
    static const char *const who[] = {"ann", "bob", "cat"};
    struct client clients[3];
    weft_job jobs[3];
    for (int i = 0; i < 3; i++) {
        clients[i] =
            (struct client){names, who[i], name, i == 0 ? first : WEFT_FOREVER};
        jobs[i] = (weft_job){.fn = connect_to, .arg = &clients[i]};
    }
    return weft_gather(jobs, 3, NULL);
}

static int use(weft_cache *names)
{
    weft_cache_stats s;
    puts("three ask at once");
    int rc = connect_all(names, "loom", WEFT_FOREVER);
    if (rc == 0) rc = weft_sleep(WEFT_SEC(30));
    if (rc < 0) return rc;
    puts("three ask later");
    rc = connect_all(names, "loom", WEFT_FOREVER);
    if (rc == 0) rc = weft_sleep(WEFT_SEC(60));
    if (rc < 0) return rc;
    puts("what was known has grown old, and the one who asks has no time");
    rc = connect_all(names, "loom", WEFT_MSEC(500));
    if (rc < 0) return rc;
    puts("there is none, which is remembered for a while too");
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = connect_all(names, "nope", WEFT_FOREVER);
    weft_cache_stats_read(names, &s);
    printf("asked by all: %d, by the cache: %d\n",
           (int)(s.hits + s.misses + s.waits), (int)s.misses);
    return rc;
}

static int start(void *arg)
{
    const weft_cache_opts o = {.fill = resolve,
                               .drop = free,
                               .ttl = WEFT_SEC(60),
                               .negative_ttl = WEFT_SEC(5)};
    weft_cache *names = weft_cache_new(&o);
    (void)arg;
    if (!names) return -ENOMEM;
    began = weft_now();
    int rc = use(names);
    weft_cache_free(names);
    return rc;
}

int main(void)
{
    /* The clock jumps to what is waited for: the same words in no time. */
    const weft_run_opts opts = {.virtual_clock = true};
    return weft_run(start, NULL, &opts) < 0;
}
