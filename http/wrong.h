/* SPDX-License-Identifier: MIT */
/* wrong.h - what can be wrong with a message: a status and a sentence each. */
#ifndef HTTP_WRONG_H
#define HTTP_WRONG_H

#include <stdint.h>

enum wf_wrong {
    WF_WRONG_NOTHING,
    WF_WRONG_START,
    WF_WRONG_METHOD,
    WF_WRONG_METHOD_LONG,
    WF_WRONG_TARGET,
    WF_WRONG_ESCAPE,
    WF_WRONG_FORM,
    WF_WRONG_ASTERISK,
    WF_WRONG_CONNECT,
    WF_WRONG_VERSION,
    WF_WRONG_MAJOR,
    WF_WRONG_LINE_LONG,
    WF_WRONG_STATUS,
    WF_WRONG_REASON,
    WF_WRONG_LINE_END,
    WF_WRONG_HEAD_LONG,
    WF_WRONG_FIELDS_MANY,
    WF_WRONG_FOLD,
    WF_WRONG_NAME,
    WF_WRONG_NAME_LONG,
    WF_WRONG_VALUE,
    WF_WRONG_LENGTH,
    WF_WRONG_LENGTH_TWICE,
    WF_WRONG_HOST,
    WF_WRONG_HOST_TWICE,
    WF_WRONG_CODING,
    WF_WRONG_HOST_NONE,
    WF_WRONG_CODING_OLD,
    WF_WRONG_CODING_LENGTH,
    WF_WRONG_CODING_LAST,
    WF_WRONG_CODING_OTHER,
    WF_WRONG_EXPECT,
    WF_WRONG_TRAILER,
    WF_WRONG_CHUNK_SIZE,
    WF_WRONG_CHUNK_LARGE,
    WF_WRONG_CHUNK_EXTENSION,
    WF_WRONG_CHUNK_EXTENSIONS_LONG,
    WF_WRONG_CHUNK_LINE_END,
    WF_WRONG_CHUNK_END
};

struct wf_wrong_words {
    int status; /* for a reply */
    const char *sentence;
};

struct wf_wrong_words wf_http_wrong(unsigned wrong);

#endif
