/* SPDX-License-Identifier: MIT */
/* late.h - what may be a trailer (RFC 9110, 6.5.1). */
#ifndef HTTP_LATE_H
#define HTTP_LATE_H

#include <weft/text.h>

bool wf_http_comes_late(weft_text name);

#endif
