/* SPDX-License-Identifier: MIT */
/*
 * dump.h - the fibers of this thread alone, as text.
 */
#ifndef WF_DUMP_H
#define WF_DUMP_H

void wf_dump_here(int fd);

#endif
