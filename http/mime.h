/* SPDX-License-Identifier: MIT */
/* mime.h - the Content-Type of a file name. */
#ifndef HTTP_MIME_H
#define HTTP_MIME_H

#include <weft/http_files.h>

/** By the options, which may be NULL, then by the usual table; never NULL. */
const char *wf_type_of(const char *name, const weft_http_files_opts *o);

#endif
