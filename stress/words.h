/* SPDX-License-Identifier: MIT */
/*
 * words.h - what the one who runs programs tells words.c.
 */
#ifndef STRESS_WORDS_H
#define STRESS_WORDS_H

#include <stdint.h>

/* A program begins after so many steps; `how_again`: to run it once more. */
void words_begin(uint64_t first_step, const char *how_again);

/* Ends the process with a report when it aborts, or makes no step for so many
 * seconds; 0: no more. */
void words_watch(int seconds);

#endif
