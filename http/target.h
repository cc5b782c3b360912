/* SPDX-License-Identifier: MIT */
/* target.h - the forms of a target (RFC 9112, 3.2). */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include "head.h"

/*
 * The parts of r's target, which is whole and has none but its octets: form,
 * path and query, and the host of an absolute or authority form. Where the
 * target stands, and where its query, is known.
 */
enum wf_wrong wf_http_read_target(weft_http_request *r, const char *data);

#endif
