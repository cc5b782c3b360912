/* SPDX-License-Identifier: MIT */
/*
 * test_random.c - octets that nobody can foretell.
 */
#include <weft/random.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "system.h"

TEST_PLAIN(random_octets_fill_all_of_the_buffer_and_no_more)
{
    static const size_t sizes[] = {0, 1, 2, 255, 256, 257, 512, 5000};
    unsigned char buf[5001];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t len = sizes[i], same = 0;
        memset(buf, 0xa5, sizeof buf);
        CHECK_EQ(weft_random_bytes(buf, len), 0);
        CHECK_EQ(buf[len], 0xa5);
        for (size_t k = 0; k < len; k++)
            same += buf[k] == 0xa5;
        CHECK(len < 100 || same < len / 16);
    }
}

TEST(half_of_the_bits_are_set)
{
    unsigned char buf[16384];
    int set = 0;
    CHECK_EQ(weft_random_bytes(buf, sizeof buf), 0);
    for (size_t i = 0; i < sizeof buf; i++)
        for (int bit = 0; bit < 8; bit++)
            set += buf[i] >> bit & 1;
    /* Ten deviations of 181 each. */
    CHECK(abs(set - 65536) < 1810);
}

TEST_PLAIN(a_forked_child_gets_others)
{
    uint64_t mine[2], theirs[2];
    int ends[2];
    CHECK_EQ(weft_random_bytes(mine, sizeof mine), 0);
    system_pipe(ends);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int err = weft_random_bytes(theirs, sizeof theirs);
        ssize_t n = write(ends[1], theirs, sizeof theirs);
        _exit(err < 0 || n != (ssize_t)sizeof theirs);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(read(ends[0], theirs, sizeof theirs), (ssize_t)sizeof theirs);
    CHECK_EQ(weft_random_bytes(mine, sizeof mine), 0);
    CHECK(memcmp(mine, theirs, sizeof mine) != 0);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
}
