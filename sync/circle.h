/* SPDX-License-Identifier: MIT */
/*
 * circle.h - finding the fibers that wait for each other.
 */
#ifndef WF_CIRCLE_H
#define WF_CIRCLE_H

#include <stdbool.h>

/* Sets WF_C_CIRCLE in the marks of every fiber of this thread that waits for
 * itself, through others, and clears it in the rest. True: there are some. */
bool wf_circles_mark(void);

#endif
