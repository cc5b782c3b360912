/* SPDX-License-Identifier: MIT */
/*
 * exact.h - the tests that say exactly what the kernel does for one call.
 */
#ifndef TESTS_EXACT_H
#define TESTS_EXACT_H

/* In a hostile world by seed (WEFT_HOSTILE=n) such a test is spared what it
 * is about, and no more: the environment says so until the next call. */
void exact_for_this_world(const char *program, const char *test);

#endif
