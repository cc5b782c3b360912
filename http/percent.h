/* SPDX-License-Identifier: MIT */
/*
 * percent.h - octets of a URL, of which some are written as %XX.
 */
#ifndef WF_HTTP_PERCENT_H
#define WF_HTTP_PERCENT_H

#include <weft/text.h>

#include <sys/types.h>

/** Letters, digits and -._~ (RFC 3986, 2.3). */
bool wf_url_is_unreserved(char c);

/** Do a % and two hexadecimal digits stand at octet `at`? */
bool wf_percent_is_at(weft_text t, size_t at);

/** The octet at *at, which moves behind it, or behind its escape: 0 to 255, or
 *  -EINVAL: a bad escape, or a 0. */
int wf_percent_next(weft_text t, size_t *at, bool plus_is_space);

/** Says that of what is in t as -EINVAL: "`what`: ..." with octet and place. */
int wf_percent_refuse(const char *what, weft_text t, size_t at);

/** How long the text of all of t is; SIZE_MAX - 2 and above: too long. */
size_t wf_percent_length(weft_text t, bool space_is_plus);

/** Writes it, without a 0; returns where it ends. */
char *wf_percent_write(char *out, weft_text t, bool space_is_plus);

#endif
