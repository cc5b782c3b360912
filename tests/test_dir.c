/* SPDX-License-Identifier: MIT */
/* test_dir.c - a directory's unusual entries, and two who read one at a time. */
#include <weft/file.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fibers.h"

static char home[64], inside[96];

static void make_home(void)
{
    (void)snprintf(home, sizeof home, "/tmp/weft-dir-XXXXXX");
    CHECK(mkdtemp(home) != NULL);
    (void)snprintf(inside, sizeof inside, "%s/fifo", home);
    CHECK_EQ(mkfifo(inside, 0600), 0);
}

static void remove_home(void)
{
    CHECK_EQ(unlink(inside), 0);
    CHECK_EQ(rmdir(home), 0);
}

TEST(what_is_neither_file_nor_directory_nor_link_is_of_another_type)
{
    weft_dir *d;
    weft_dirent e;
    make_home();
    CHECK_EQ(weft_dir_open(home, &d), 0);
    CHECK_EQ(weft_dir_next(d, &e), 1);
    CHECK_STR(e.name, "fifo");
    CHECK(e.type == WEFT_FILE_OTHER || e.type == WEFT_FILE_UNKNOWN);
    CHECK_EQ(weft_dir_next(d, &e), 0);
    weft_dir_close(d);
    remove_home();
}

static weft_dir *both;

static int takes_the_only_entry(void *arg)
{
    weft_dirent e;
    (void)arg;
    CHECK_EQ(weft_dir_next(both, &e), 1);
    CHECK_STR(e.name, "fifo");
    return 0;
}

TEST_FIFO(a_second_fiber_is_turned_away_while_one_reads_a_directory)
{
    weft_dirent e;
    int rc;
    make_home();
    CHECK_EQ(weft_dir_open(home, &both), 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, takes_the_only_entry, NULL), 0);
        CHECK_EQ(weft_yield(), 0); /* it waits for a thread that reads */
        CHECK_EQ(weft_dir_next(both, &e), -EBUSY);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_dir_next(both, &e), 0);
    weft_dir_close(both);
    remove_home();
}
