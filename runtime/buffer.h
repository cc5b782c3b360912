/* SPDX-License-Identifier: MIT */
/*
 * buffer.h - the end of a run, for the shared buffers.
 */
#ifndef WF_BUFFER_H
#define WF_BUFFER_H

void wf_buffers_close(void);

#endif
