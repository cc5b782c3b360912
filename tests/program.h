/* SPDX-License-Identifier: MIT */
/*
 * program.h - an example program, started as a test is and seen from outside.
 *
 *     struct program p;
 *     char text[1024], *none[] = {NULL};
 *     start_program(&p, "hello", none);
 *     CHECK_EQ(await_program(&p, text, sizeof text), 0);
 *
 * They stand beside the tests of their flavour, or where EXAMPLES says, and run
 * as the tests do (TEST_RUNNER: under Valgrind, in an emulator).
 */
#ifndef TESTS_PROGRAM_H
#define TESTS_PROGRAM_H

#include <stddef.h>
#include <sys/types.h>

struct program {
    pid_t pid;
    int out; /* what it writes, on either descriptor */
    char address[2][128];
};

/* Starts it with those arguments, a NULL at their end. Skips the test if it has
 * not been built. */
void start_program(struct program *p, const char *name, char **arguments);

/* Starts a server and learns its addresses. */
void start_server(struct program *p, const char *name, char **addresses);

/* Its next line, or what there is to the end: how many octets; text gets a 0.
 * What the runner says by itself is passed over. */
size_t read_its_line(struct program *p, char *text, size_t size);

/* What else it writes, and its exit status; negative: the signal. */
int await_program(struct program *p, char *text, size_t size);

/* By SIGTERM; it has nothing to say to that. */
void stop_server(struct program *p);

/* The same of any descriptor. */
size_t read_line(int fd, char *text, size_t size);
size_t read_all(int fd, char *text, size_t size);

#endif
