/* SPDX-License-Identifier: MIT */
/* coding.h - Transfer-Encoding (RFC 9112, 6.1). */
#ifndef HTTP_CODING_H
#define HTTP_CODING_H

#include "head.h"

/* One line of it; several are one list. */
enum wf_wrong wf_http_heed_coding(struct weft_http_scan_ *s, weft_text value);

#endif
