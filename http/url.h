/* SPDX-License-Identifier: MIT */
/*
 * http/url.h - what a URL has to have besides its grammar.
 */
#ifndef WF_HTTP_URL_H
#define WF_HTTP_URL_H

#include <weft/text.h>

/** The host of an authority: 0; -EINVAL, with a text: it is empty, and must not
 *  be in that scheme (RFC 9110, 4.2.1). */
int wf_url_check_host(weft_text scheme, weft_text host);

#endif
