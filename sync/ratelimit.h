/* SPDX-License-Identifier: MIT */
/* ratelimit.h - of one rate limit, for those who keep many. */
#ifndef WF_RATELIMIT_H
#define WF_RATELIMIT_H

#include <weft/ratelimit.h>

/* Is all of it there, so that it says no more than a new one would? Whether
 * somebody waits is not looked at. */
bool wf_ratelimit_is_whole(weft_ratelimit *r, weft_time now);

#endif
