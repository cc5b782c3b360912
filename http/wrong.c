/* SPDX-License-Identifier: MIT */
/* wrong.c - the statuses (RFC 9110, 15.5 and 15.6) and sentences of wrong.h. */
#include "wrong.h"

#include <stddef.h>

static const struct wf_wrong_words words[] = {
    [WF_WRONG_NOTHING] = {0, NULL},
    [WF_WRONG_START] = {400, "more than one empty line before the request"},
    [WF_WRONG_METHOD] = {400, "the method is no token"},
    [WF_WRONG_METHOD_LONG] = {501, "the method is too long"},
    [WF_WRONG_TARGET] = {400, "an octet that no target has"},
    [WF_WRONG_ESCAPE] = {400, "a '%' without two hexadecimal digits"},
    [WF_WRONG_FORM] = {400, "the target has no known form"},
    [WF_WRONG_ASTERISK] = {400, "the target * is of OPTIONS only"},
    [WF_WRONG_CONNECT] = {400, "the target of CONNECT is not host:port"},
    [WF_WRONG_VERSION] = {400, "the version is malformed"},
    [WF_WRONG_MAJOR] = {505, "the version is not HTTP/1.x"},
    [WF_WRONG_LINE_LONG] = {414, "the first line is too long"},
    [WF_WRONG_STATUS] = {400, "the status is malformed"},
    [WF_WRONG_REASON] = {400, "an octet that no reason has"},
    [WF_WRONG_LINE_END] = {400, "a line does not end in CR LF"},
    [WF_WRONG_HEAD_LONG] = {431, "the field lines are too long"},
    [WF_WRONG_FIELDS_MANY] = {431, "too many field lines"},
    [WF_WRONG_FOLD] = {400, "a line begins with a space"},
    [WF_WRONG_NAME] = {400, "a field's name is no token before a colon"},
    [WF_WRONG_NAME_LONG] = {431, "a field's name is too long"},
    [WF_WRONG_VALUE] = {400, "an octet that no field value has"},
    [WF_WRONG_LENGTH] = {400, "Content-Length is no length"},
    [WF_WRONG_LENGTH_TWICE] = {400, "more than one Content-Length"},
    [WF_WRONG_HOST] = {400, "Host is malformed"},
    [WF_WRONG_HOST_TWICE] = {400, "more than one Host"},
    [WF_WRONG_CODING] = {400, "Transfer-Encoding is malformed"},
    [WF_WRONG_HOST_NONE] = {400, "no Host"},
    [WF_WRONG_CODING_OLD] = {400, "Transfer-Encoding in HTTP/1.0"},
    [WF_WRONG_CODING_LENGTH] = {400, "Transfer-Encoding and Content-Length"},
    [WF_WRONG_CODING_LAST] = {400, "Transfer-Encoding does not end in chunked"},
    [WF_WRONG_CODING_OTHER] = {501, "a transfer coding other than chunked"},
    [WF_WRONG_EXPECT] = {417, "an expectation other than 100-continue"},
    [WF_WRONG_TRAILER] = {400, "a field that may not be a trailer"},
    [WF_WRONG_CHUNK_SIZE] = {400, "the chunk size is malformed"},
    [WF_WRONG_CHUNK_LARGE] = {400, "the chunk size is too large"},
    [WF_WRONG_CHUNK_EXTENSION] = {400, "a chunk extension is malformed"},
    [WF_WRONG_CHUNK_EXTENSIONS_LONG] = {400, "too many chunk extensions"},
    [WF_WRONG_CHUNK_LINE_END] = {400, "a chunk's line does not end in CR LF"},
    [WF_WRONG_CHUNK_END] = {400, "a chunk does not end in CR LF"},
};

struct wf_wrong_words wf_http_wrong(unsigned wrong)
{
    return words[wrong];
}
