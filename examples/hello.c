/* SPDX-License-Identifier: MIT */
/*
 * hello - three fibers, one after the other and all at once.
 */
#include <weft.h>

#include <stdio.h>

struct greeting {
    const char *name;
    weft_time after;
};

static int greet(void *arg)
{
    struct greeting *g = arg;
    int err = weft_sleep(g->after);
    if (err < 0) return err;
    printf("hello from %s\n", g->name);
    return 0;
}

static int start(void *arg)
{
    struct greeting all[] = {{"warp", WEFT_MSEC(300)},
                             {"weft", WEFT_MSEC(100)},
                             {"shed", WEFT_MSEC(200)}};
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (size_t i = 0; i < 3 && rc == 0; i++)
            rc = weft_spawn(&n, greet, &all[i]);
    }
    puts("all have said it");
    return rc;
}

int main(void)
{
    return weft_run(start, NULL, NULL) < 0;
}
