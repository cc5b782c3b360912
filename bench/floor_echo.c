/* SPDX-License-Identifier: MIT */
/*
 * floor_echo HOST:PORT - the echo server that others are measured against.
 */
#include <stdio.h>

#include "floor.h"

static ssize_t echo(struct floor_conn *c, const char *data, size_t len)
{
    return floor_send(c, data, len) ? (ssize_t)len : -1;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: floor_echo HOST:PORT\n", stderr);
        return 2;
    }
    struct floor_server s = {.conn_size = sizeof(struct floor_conn),
                             .received = echo};
    return floor_run(argv[1], &s);
}
