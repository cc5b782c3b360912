/* SPDX-License-Identifier: MIT */
/*
 * test_file_cache.c - files on a kernel that takes what is not in the cache for
 * the end of the file, as Linux 5.9 and 5.10 may do.
 *
 * This program puts itself before preadv2(2).
 */
#include <weft/file.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

static int asked;

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset,
                int flags);

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset,
                int flags)
{
    (void)fd, (void)iov, (void)count, (void)offset, (void)flags;
    asked++;
    return 0;
}

/* A file of eight octets, which is gone with its handle. */
static weft_fd eight_octets(void)
{
    char path[] = "/tmp/weft-cache-XXXXXX";
    int number = mkstemp(path);
    weft_fd fd;
    CHECK(number >= 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(write(number, "12345678", 8), 8);
    CHECK_EQ(lseek(number, 0, SEEK_SET), 0);
    CHECK_EQ(weft_fd_adopt(number, &fd), 0);
    return fd;
}

TEST(what_is_not_in_the_cache_is_not_the_end)
{
    char buf[16];
    weft_fd fd = eight_octets();
    asked = 0;
    CHECK_EQ(weft_file_pread(fd, buf, sizeof buf, 3), 5);
    CHECK_EQ(memcmp(buf, "45678", 5), 0);
    CHECK_EQ(weft_file_read(fd, buf, 6), 6);
    CHECK_EQ(weft_file_read(fd, buf, 6), 2);
    CHECK_EQ(memcmp(buf, "78", 2), 0);
    CHECK_EQ(weft_file_close(fd), 0);
    if (asked == 0) SKIP("the system is not asked what is cached");
}

TEST(the_end_is_the_end)
{
    char c;
    weft_fd fd = eight_octets();
    CHECK_EQ(weft_file_pread(fd, &c, 1, 8), 0);
    CHECK_EQ(weft_file_pread(fd, &c, 1, 100), 0);
    CHECK_EQ(weft_file_close(fd), 0);
}
