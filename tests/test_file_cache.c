/* SPDX-License-Identifier: MIT */
/*
 * test_file_cache.c - files on a kernel that takes what is not in the cache for
 * the end of the file, as Linux 5.9 and 5.10 may do.
 *
 * This program puts itself before syscall(2), and has no other new calls.
 */
#include <weft/file.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#include <unistd.h>

#include "harness.h"

static int asked;

#if defined(__linux__)
long syscall(long number, ...);

long syscall(long number, ...)
{
#ifdef SYS_preadv2
    if (number == SYS_preadv2) {
        asked++;
        return 0;
    }
#endif
    (void)number;
    errno = ENOSYS;
    return -1;
}
#endif

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
