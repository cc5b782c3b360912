/* SPDX-License-Identifier: MIT */
/* authority.h - host [ ":" port ] (RFC 3986, 3.2.2 and 3.2.3). */
#ifndef HTTP_AUTHORITY_H
#define HTTP_AUTHORITY_H

#include <weft/text.h>

/*
 * Whether it is one: with a host, and with no userinfo. *ret_port, unless
 * NULL, is the port: 0 when there is none, or it is empty or 0.
 */
bool wf_http_is_authority(weft_text t, unsigned *ret_port);

#endif
