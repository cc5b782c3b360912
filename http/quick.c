/* SPDX-License-Identifier: MIT */
/*
 * quick.c - a request that comes whole and has nothing odd in it.
 *
 * Most are so, and then there is no state to keep and nothing to refuse. What
 * is not plain here, for whatever reason, is left to request.c, which reads it
 * again from its first octet on and alone says what is wrong. So all that is
 * taken here must be taken there, and come to the same; and nothing but marks
 * is written before the end.
 *
 * Plain is: a target in origin form, HTTP/1.1, and of the fields that matter
 * Host, Content-Length and the usual values of Connection.
 */
#include "quick.h"

#include <string.h>

#include "authority.h"
#include "heed.h"
#include "octets.h"

#if defined(__SSE2__) && !defined(WF_HTTP_WORDS)

#include <emmintrin.h>

enum {
    LEAST = 16, /* octets that there are, so that all can be read in sixteens */
    LONGEST_METHOD = 7,
    LONGEST_NAME = 255,
    LONGEST_LENGTH = 18 /* digits: any such number is small enough */
};

#define LIKELY(x) __builtin_expect((x), 1)

/* ---- scans -------------------------------------------------------------- */

static inline __m128i each(int octet)
{
    return _mm_set1_epi8((char)octet);
}

/* All bits of an octet that is in lo..hi; that is this one. */
static inline __m128i within(__m128i x, int lo, int hi)
{
    __m128i up = _mm_sub_epi8(x, each(lo));
    return _mm_cmpeq_epi8(_mm_min_epu8(up, each(hi - lo)), up);
}

static inline __m128i is(__m128i x, int octet)
{
    return _mm_cmpeq_epi8(x, each(octet));
}

/* Letters and '-'. */
static inline __m128i fine_name(__m128i x)
{
    return _mm_or_si128(within(_mm_or_si128(x, each(0x20)), 'a', 'z'),
                        is(x, '-'));
}

/* Letters, digits, '-' and '.'. */
static inline __m128i fine_host(__m128i x)
{
    __m128i letter = within(_mm_or_si128(x, each(0x20)), 'a', 'z');
    __m128i other = _mm_andnot_si128(is(x, '/'), within(x, '-', '9'));
    return _mm_or_si128(letter, other);
}

/* '&' to '~' but '?'. */
static inline __m128i fine_target(__m128i x)
{
    return _mm_andnot_si128(is(x, '?'), within(x, '&', '~'));
}

/* No control octet. */
static inline __m128i fine_value(__m128i x)
{
    __m128i above = _mm_cmpeq_epi8(_mm_max_epu8(x, each(0x20)), x);
    return _mm_andnot_si128(is(x, 0x7f), above);
}

/*
 * Each returns the first octet that may be a stranger to its kind, or NULL:
 * there is none before `end`. Who finds there one that is none goes on behind
 * it. The last octets are read as the end of sixteen, which begin in the head.
 */
#define SCAN(kind)                                                             \
    static inline const char *kind##_end(const char *p, const char *end)       \
    {                                                                          \
        for (;; p += 16) {                                                     \
            const char *at = LIKELY(end - p >= 16) ? p : end - 16;             \
            __m128i x = _mm_loadu_si128((const __m128i *)(const void *)at);    \
            unsigned fine = (unsigned)_mm_movemask_epi8(fine_##kind(x));       \
            unsigned strangers = (fine ^ 0xffff) >> (p - at);                  \
            if (LIKELY(strangers != 0)) return p + __builtin_ctz(strangers);   \
            if (end - p <= 16) return NULL;                                    \
        }                                                                      \
    }

SCAN(name)
SCAN(host)
SCAN(target)
SCAN(value)

/* ---- the first line ----------------------------------------------------- */

/* Behind the SP that follows it. */
static inline const char *read_method(weft_http_request *r, const char *p,
                                      const char *end)
{
    if (LIKELY(memcmp(p, "GET ", 4) == 0)) {
        r->method = (weft_text){p, 3};
        r->verb = WEFT_HTTP_GET;
        return p + 4;
    }
    const char *stop = name_end(p, end);
    if (!stop || *stop != ' ' || stop == p || stop - p > LONGEST_METHOD)
        return NULL;
    r->method = (weft_text){p, (size_t)(stop - p)};
    r->verb = weft_http_verb_of(r->method);
    return r->verb == WEFT_HTTP_CONNECT ? NULL : stop + 1;
}

/* From the slash up to the SP behind it; *ret_query is behind the first '?'. */
static inline const char *read_target(const char *p, const char *end,
                                      const char **ret_query)
{
    const char *query = NULL;
    for (;; p++) {
        p = target_end(p, end);
        if (!p) return NULL;
        if (LIKELY(*p == ' ')) break;
        if (*p == '?') {
            if (!query) query = p + 1;
        } else if (*p == '%') {
            if (end - p < 3 || !wf_octet_is(p[1], WF_OCTET_HEX) ||
                !wf_octet_is(p[2], WF_OCTET_HEX))
                return NULL;
        } else if (!wf_octet_is(*p, WF_OCTET_TARGET)) {
            return NULL;
        }
    }
    *ret_query = query;
    return p;
}

static inline const char *read_line(weft_http_request *r, const char *data,
                                    const char *end)
{
    static const char version[] = " HTTP/1.1\r\n";
    enum { VERSION = sizeof version - 1, AND_AN_END = VERSION + 2 };
    const char *query;
    const char *target = read_method(r, data, end);
    if (!target || target == end || *target != '/') return NULL;
    const char *p = read_target(target, end, &query);
    if (!p || end - p < AND_AN_END || memcmp(p, version, VERSION) != 0 ||
        p - data + VERSION - 2 > r->scan_.line_limit_)
        return NULL;
    r->target = (weft_text){target, (size_t)(p - target)};
    r->path = r->target;
    r->target_ = r->path_ = (uint32_t)(target - data);
    if (query) {
        r->path.len = (size_t)(query - 1 - target);
        r->query = (weft_text){query, (size_t)(p - query)};
        r->query_ = (uint32_t)(query - data);
    }
    return p + VERSION;
}

/* ---- the field lines ---------------------------------------------------- */

/* A name or an IPv4 address, perhaps with a port; the rest is authority.c's. */
static bool is_host(const char *p, const char *stop, const char *end)
{
    const char *port = host_end(p, end);
    if (LIKELY(port && port > p && port <= stop)) {
        if (port == stop) return true;
        const char *start = port + 1;
        if (*port == ':' && stop - start <= 5)
            while (++port < stop && (unsigned)(*port - '0') < 10)
                ;
        if (port == stop &&
            (stop - start < 5 || memcmp(start, "65535", 5) <= 0))
            return true;
    }
    return wf_http_is_authority((weft_text){p, (size_t)(stop - p)}, NULL);
}

static bool read_length(const char *p, const char *stop, uint64_t *ret)
{
    uint64_t n = 0;
    if (p == stop || stop - p > LONGEST_LENGTH) return false;
    for (; p < stop; p++) {
        if (!wf_octet_is(*p, WF_OCTET_DIGIT)) return false;
        n = n * 10 + (unsigned)(*p - '0');
    }
    *ret = n;
    return true;
}

/* Of a line that matters, with its value up to `stop`. */
static bool heed(weft_http_request *r, const weft_http_mark *m, const char *p,
                 const char *stop, const char *end, unsigned *seen)
{
    const weft_text value = {p, (size_t)(stop - p)};
    switch ((enum wf_known)m->known_) {
    case WF_KNOWN_HOST:
        if ((*seen & WF_SEEN_HOST) || !is_host(p, stop, end)) return false;
        *seen |= WF_SEEN_HOST;
        r->host = value;
        r->host_ = m->value;
        return true;
    case WF_KNOWN_LENGTH:
        if ((*seen & WF_SEEN_LENGTH) || !read_length(p, stop, &r->length))
            return false;
        *seen |= WF_SEEN_LENGTH;
        return true;
    case WF_KNOWN_CONNECTION:
        if (weft_text_is(value, "keep-alive")) return true;
        *seen |= WF_SEEN_CLOSE;
        return weft_text_is(value, "close");
    default:
        return false;
    }
}

/* Which of the names it may be, by its length and first letter. */
static inline enum wf_known known(const char *name, size_t len)
{
    static const char first[WF_KNOWN_LONGEST + 1] = {
        [4] = 'h', [10] = 'c', [14] = 'c', [6] = 'e', [7] = 'u', [17] = 't'};
    if (len > WF_KNOWN_LONGEST || first[len] != (*name | 0x20))
        return WF_KNOWN_NOT;
    if (len == 4 && memcmp(name, "Host", 4) == 0) return WF_KNOWN_HOST;
    return wf_http_known(name, len);
}

/* What a token has besides letters and '-' is rare. */
__attribute__((noinline)) static const char *rare_name_end(const char *p,
                                                           const char *end)
{
    while (p && *p != ':') {
        if (!wf_octet_is(*p, WF_OCTET_TOKEN) || ++p == end) return NULL;
        p = name_end(p, end);
    }
    return p;
}

/* And so are tabs in a value. */
__attribute__((noinline)) static const char *rare_value_end(const char *p,
                                                            const char *end)
{
    while (p && *p == '\t')
        p = ++p == end ? NULL : value_end(p, end);
    return p;
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/*
 * The lines from p on, and the empty one, each of which is followed by as many
 * octets as an empty one has: so nothing is asked of the end but by the scans,
 * and once behind each.
 */
static inline const char *read_fields(weft_http_request *r, const char *data,
                                      const char *p, const char *end,
                                      unsigned *ret_seen)
{
    weft_http_mark *m = r->fields.marks, *last = m + r->scan_.field_limit_;
    unsigned seen = 0;
    for (; *p != '\r'; m++, p += 2) {
        const char *name = p;
        if (m == last) return NULL;
        p = name_end(p, end);
        if (!LIKELY(p && *p == ':')) p = rare_name_end(p, end);
        if (!p || end - p < 5 || (size_t)(p - name) - 1 >= LONGEST_NAME)
            return NULL;
        m->name = (uint32_t)(name - data);
        m->name_len = (uint16_t)(p - name);
        m->known_ = (uint16_t)known(name, (size_t)(p - name));
        p += p[1] == ' ' ? 2 : 1;
        while (!LIKELY(*p > ' ') && is_space(*p) && end - p > 4)
            p++;
        const char *value = p;
        p = value_end(p, end);
        if (!LIKELY(p && *p == '\r')) p = rare_value_end(p, end);
        if (!p || end - p < 4 || memcmp(p, "\r\n", 2) != 0) return NULL;
        const char *stop = p;
        while (!LIKELY(stop[-1] > ' ') && stop > value && is_space(stop[-1]))
            stop--;
        m->value = (uint32_t)(value - data);
        m->value_len = (uint32_t)(stop - value);
        if (m->known_ && !heed(r, m, value, stop, end, &seen)) return NULL;
    }
    if (p[1] != '\n') return NULL;
    r->fields.count = (uint32_t)(m - r->fields.marks);
    *ret_seen = seen;
    return p + 2;
}

/* ---- all of it ---------------------------------------------------------- */

/* As it was before, so that nothing is left of what was read. */
static size_t start_over(weft_http_request *r)
{
    r->method = r->target = r->path = r->query = r->host = (weft_text){NULL, 0};
    r->verb = WEFT_HTTP_OTHER;
    r->length = 0;
    r->fields.count = 0;
    r->target_ = r->path_ = r->query_ = r->host_ = 0;
    return 0;
}

size_t wf_http_quick(weft_http_request *r, const char *data, size_t len)
{
    struct weft_http_scan_ *s = &r->scan_;
    const char *const end = wf_http_end(s, data, len);
    unsigned seen = 0;
    if (end - data < LEAST) return 0;
    const char *p = read_line(r, data, end);
    if (p) p = read_fields(r, data, p, end, &seen);
    if (!p || !(seen & WF_SEEN_HOST)) return start_over(r);
    r->fields.base = data;
    if (seen & WF_SEEN_LENGTH) r->framing = WEFT_HTTP_LENGTH;
    r->keep_alive = !(seen & WF_SEEN_CLOSE);
    s->state_ = WF_AT_END;
    s->at_ = (uint32_t)(p - data);
    return (size_t)(p - data);
}

#else

size_t wf_http_quick(weft_http_request *r, const char *data, size_t len)
{
    (void)r;
    (void)data;
    (void)len;
    return 0;
}

#endif
