/* SPDX-License-Identifier: MIT */
/*
 * process.h - a piece of a test in a process of its own.
 *
 *     struct ending e;
 *     run_in_process(overflow, NULL, &e);
 *     CHECK(e.signal == SIGSEGV && strstr(e.said, "stack overflow"));
 *
 * For what changes or ends a process: a limit, a fault, a signal.
 */
#ifndef TESTS_PROCESS_H
#define TESTS_PROCESS_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ending {
    int status;      /* of exit, or -1 */
    int signal;      /* that killed it, or 0 */
    char said[8192]; /* on standard output and standard error */
};

/* Runs body(arg) in a child; it exits with 0 when body returns. */
void run_in_process(void (*body)(void *arg), void *arg, struct ending *ret);

/* The same, and the test fails if the child does; its own CHECK has a say. */
void must_run_in_process(void (*body)(void *arg), void *arg);

/* Under a sanitizer or Valgrind, which take faults and memory limits amiss. */
bool a_tool_is_watching(void);

/* Under Valgrind, which counts descriptors by itself: a call that returns one
 * too many has happened, and its descriptor is closed at once. */
bool valgrind_is_watching(void);

/* Under Valgrind and in an emulator: there posix_spawn does not learn what
 * became of the child, and returns before the program is executed. */
bool vfork_is_a_fork(void);

/* Does the kernel refuse memory beyond it? */
#if defined(__APPLE__)
enum { RLIMIT_AS_HOLDS = 0 };
#else
enum { RLIMIT_AS_HOLDS = 1 };
#endif

#ifdef __cplusplus
}
#endif

#endif
