/* SPDX-License-Identifier: MIT */
/* route_pattern.h - "/users/{id}", segment by segment. */
#ifndef HTTP_ROUTE_PATTERN_H
#define HTTP_ROUTE_PATTERN_H

#include <weft/http_route.h>
#include <weft/text.h>

/** 0, or -EINVAL with a sentence that says where. Counts the parameters. */
int wf_pattern_check(const char *pattern, unsigned *ret_params);

/** The name that a segment of a good pattern gives, and whether it is {name*};
 *  at NULL: it is a word. */
weft_text wf_pattern_param(weft_text segment, bool *ret_rest);

#endif
