/* SPDX-License-Identifier: MIT */
/*
 * random_bytes.c - random octets from the system.
 */
#include <weft/random.h>

#include <weft/error.h>

#include "runtime/os_file.h"

enum { AT_A_TIME = 256 }; /* never interrupted, never short */

static int read_device(char *at, size_t len)
{
    int fd = wf_os_open("/dev/urandom", O_RDONLY, 0);
    if (fd < 0) return fd;
    while (len > 0) {
        ssize_t n = wf_os_pread(fd, at, len, -1);
        if (n <= 0) {
            wf_os_close(fd);
            return n < 0 ? (int)n : -EIO;
        }
        at += n;
        len -= (size_t)n;
    }
    wf_os_close(fd);
    return 0;
}

int weft_random_bytes(void *buf, size_t len)
{
    char *at = buf;
    while (len > 0) {
        ssize_t n = wf_os_random(at, len < AT_A_TIME ? len : AT_A_TIME);
        if (n <= 0) { /* an old kernel, or a sandbox */
            int err = read_device(at, len);
            if (err < 0)
                return weft_fail_at(err, NULL, 0,
                                    "random octets of "
                                    "/dev/urandom");
            return 0;
        }
        at += n;
        len -= (size_t)n;
    }
    return 0;
}
