/* SPDX-License-Identifier: MIT */
/* mime.c - the usual Content-Type of a file name. */
#include <weft/http_files.h>

#include <string.h>

#include "mime.h"

#define UTF8 "; charset=utf-8"

/* What a web site is made of, in the order of the alphabet. Text of ours is
 * UTF-8; what has a charset of its own within (XML, JSON) needs none here. */
static const weft_http_type usual[] = {
    {"7z", "application/x-7z-compressed"},
    {"aac", "audio/aac"},
    {"apng", "image/apng"},
    {"atom", "application/atom+xml"},
    {"avif", "image/avif"},
    {"bmp", "image/bmp"},
    {"bz2", "application/x-bzip2"},
    {"c", "text/plain" UTF8},
    {"css", "text/css" UTF8},
    {"csv", "text/csv" UTF8},
    {"eot", "application/vnd.ms-fontobject"},
    {"epub", "application/epub+zip"},
    {"flac", "audio/flac"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"h", "text/plain" UTF8},
    {"htm", "text/html" UTF8},
    {"html", "text/html" UTF8},
    {"ico", "image/vnd.microsoft.icon"},
    {"ics", "text/calendar" UTF8},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript" UTF8},
    {"json", "application/json"},
    {"jsonld", "application/ld+json"},
    {"log", "text/plain" UTF8},
    {"m4a", "audio/mp4"},
    {"map", "application/json"},
    {"md", "text/markdown" UTF8},
    {"mid", "audio/midi"},
    {"mjs", "text/javascript" UTF8},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpeg", "video/mpeg"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/ogg"},
    {"otf", "font/otf"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"rss", "application/rss+xml"},
    {"rtf", "application/rtf"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"toml", "application/toml"},
    {"ttf", "font/ttf"},
    {"txt", "text/plain" UTF8},
    {"vtt", "text/vtt" UTF8},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"weba", "audio/webm"},
    {"webm", "video/webm"},
    {"webmanifest", "application/manifest+json"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml"},
    {"xml", "application/xml"},
    {"xz", "application/x-xz"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
};

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

static int compare_nocase(const char *a, const char *b)
{
    while (*a && lower(*a) == lower(*b))
        a++, b++;
    return lower(*a) - lower(*b);
}

/* What follows the last dot; NULL: there is none. One in the name of a
 * directory is followed by a slash, which is in no extension. */
static const char *extension_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : NULL;
}

const char *weft_http_type_of(const char *name)
{
    const char *extension = extension_of(name);
    size_t from = 0, to = sizeof usual / sizeof usual[0];
    while (extension && from < to) {
        size_t middle = from + (to - from) / 2;
        int c = compare_nocase(extension, usual[middle].extension);
        if (c == 0) return usual[middle].type;
        if (c < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

const char *wf_type_of(const char *name, const weft_http_files_opts *o)
{
    const char *extension = extension_of(name);
    const weft_http_type *t = o && extension ? o->types : NULL;
    for (; t && t->extension; t++)
        if (compare_nocase(extension, t->extension) == 0) return t->type;
    const char *type = weft_http_type_of(name);
    if (!type && o) type = o->default_type;
    return type ? type : "application/octet-stream";
}
