/* SPDX-License-Identifier: MIT */
/* range.h - which octets of something a Range asks for (RFC 9110, 14). */
#ifndef HTTP_RANGE_H
#define HTTP_RANGE_H

#include <weft/http_files.h>
#include <weft/text.h>

struct wf_range {
    uint64_t first, last; /* both are of it */
};

/**
 * The ranges that `value` asks of `size` octets, into `ranges`, which has
 * WEFT_HTTP_RANGES places: those of which there is something, cut off at the
 * end, in the order in which they were asked for, and overlapping ones joined
 * to the first of them.
 *
 * Returns how many; 0: the field is to be passed over; -ERANGE: there is
 * nothing of any.
 */
int wf_ranges_parse(weft_text value, uint64_t size, struct wf_range *ranges);

#endif
