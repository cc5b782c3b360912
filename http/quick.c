/* SPDX-License-Identifier: MIT */
/*
 * quick.c - a request that comes whole and has nothing odd in it.
 *
 * Most are so, and then there is no state to keep and nothing to refuse. What
 * is not plain here, for whatever reason, is left to request.c, which reads it
 * again from its first octet on and alone says what is wrong. So all that is
 * taken here must be taken there, and come to the same.
 *
 * Plain is: a target in origin form, HTTP/1.1, and of the fields that matter
 * Host, Content-Length and the usual values of Connection.
 *
 * Where one line ends the next begins, so each scan would have to wait for those
 * before it. But the heads of a connection are mostly alike: the processor is
 * told to go on where the line ended in the head before, while the scans find
 * out whether it does. A guess that was wrong costs a branch, and nothing else:
 * all octets are looked at, and what counts is where the scan ends.
 */
#include "quick.h"

#include <string.h>

#include "authority.h"
#include "head.h"
#include "heed.h"
#include "octets.h"
#include "scan.h"

#if defined(__SSE2__) && !defined(WF_HTTP_WORDS)

#include <emmintrin.h>

enum {
    LEAST = 16, /* octets that there are, so that all can be read in sixteens */
    LONGEST_METHOD = 7,
    LONGEST_NAME = 255,
    LONGEST_LENGTH = 18 /* digits: any such number is small enough */
};

#define LIKELY(x) __builtin_expect((x), 1)
#define TWICE     static inline __attribute__((always_inline))

/* What is read. */
struct text {
    const char *data, *end;
    const char *last; /* the last place with LEAST octets from it on */
    const char *base; /* where the texts are to point, instead of data */
    const bool guess;
    uint16_t *const layout; /* then: how long the lines were */
};

/* The i-th line begins at p and ends at `end`, as a scan has found. The same
 * place, but where it is as it was before reckoned from what that was. The empty
 * instruction keeps the compiler from seeing that they are the same. */
TWICE const char *as_before(const struct text t, unsigned i, const char *p,
                            const char *end)
{
    const char *from = p;
    if (!t.guess) return end;
    uint16_t *len = &t.layout[i % WF_HTTP_LINES];
    __asm__("" : "+r"(from));
    from += *len;
    if (LIKELY(end - p == *len)) return from;
    *len = (uint16_t)(end - p);
    return end;
}

/* ---- scans -------------------------------------------------------------- */

static inline __m128i load(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* A bit for each octet for which it is not so. */
static inline unsigned none_of(__m128i x)
{
    return (unsigned)_mm_movemask_epi8(x) ^ 0xffff;
}

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

/* Of the sixteen octets at p, a bit for each that is none of: letters, '-'. */
static inline unsigned strangers_to_name(const char *p)
{
    __m128i x = load(p);
    __m128i letter = within(_mm_or_si128(x, each(0x20)), 'a', 'z');
    return none_of(_mm_or_si128(letter, is(x, '-')));
}

/* Letters, digits, '-' and '.'. */
static inline unsigned strangers_to_host(const char *p)
{
    __m128i x = load(p);
    __m128i letter = within(_mm_or_si128(x, each(0x20)), 'a', 'z');
    __m128i other = _mm_andnot_si128(is(x, '/'), within(x, '-', '9'));
    return none_of(_mm_or_si128(letter, other));
}

/* '&' to '~' but '?'. */
static inline unsigned strangers_to_target(const char *p)
{
    __m128i x = load(p);
    return none_of(_mm_andnot_si128(is(x, '?'), within(x, '&', '~')));
}

/* No control octet. */
static inline unsigned strangers_to_value(const char *p)
{
    __m128i x = load(p);
    __m128i above = _mm_cmpeq_epi8(_mm_max_epu8(x, each(0x20)), x);
    return none_of(_mm_andnot_si128(is(x, 0x7f), above));
}

/*
 * Each returns the first octet that may be a stranger to its kind, or NULL:
 * there is none before the end. Who finds there one that is none goes on behind
 * it. The last octets are read as the end of sixteen, which begin in the head.
 */
#define SCAN(kind)                                                             \
    __attribute__((noinline)) static const char *kind##_in_rest(               \
        const char *p, const char *end)                                        \
    {                                                                          \
        unsigned strangers =                                                   \
            strangers_to_##kind(end - 16) >> (16 - (end - p));                 \
        return strangers ? p + __builtin_ctz(strangers) : NULL;                \
    }                                                                          \
    TWICE const char *kind##_end(const struct text t, const char *p)           \
    {                                                                          \
        for (; LIKELY(p <= t.last); p += 16) {                                 \
            unsigned strangers = strangers_to_##kind(p);                       \
            if (LIKELY(strangers != 0))                                        \
                return p + (unsigned)__builtin_ctz(strangers);                 \
        }                                                                      \
        return kind##_in_rest(p, t.end);                                       \
    }

SCAN(name)
SCAN(host)
SCAN(target)
SCAN(value)

/* Are there fewer octets left at p? They are 16 at most. */
TWICE bool lacks(const struct text t, const char *p, int octets)
{
    return !LIKELY(p <= t.last) && t.end - p < octets;
}

/* ---- the first line ----------------------------------------------------- */

/* Behind the SP that follows it. */
TWICE const char *read_method(weft_http_request *r, const struct text t)
{
    if (LIKELY(memcmp(t.data, "GET ", 4) == 0)) {
        r->method = (weft_text){t.base, 3};
        r->verb = WEFT_HTTP_GET;
        return t.data + 4;
    }
    const char *stop = name_end(t, t.data);
    if (!stop || *stop != ' ' || stop == t.data ||
        stop - t.data > LONGEST_METHOD)
        return NULL;
    r->method = (weft_text){t.base, (size_t)(stop - t.data)};
    r->verb = weft_http_verb_of((weft_text){t.data, r->method.len});
    return r->verb == WEFT_HTTP_CONNECT ? NULL : stop + 1;
}

/* From the slash up to the SP behind it; *ret_query is behind the first '?'. */
TWICE const char *read_target(const struct text t, const char *p,
                              const char **ret_query)
{
    const char *query = NULL;
    for (;; p++) {
        p = target_end(t, p);
        if (!p) return NULL;
        if (LIKELY(*p == ' ')) break;
        if (*p == '?') {
            if (!query) query = p + 1;
        } else if (*p == '%') {
            if (t.end - p < 3 || !wf_octet_is(p[1], WF_OCTET_HEX) ||
                !wf_octet_is(p[2], WF_OCTET_HEX))
                return NULL;
        } else if (!wf_octet_is(*p, WF_OCTET_TARGET)) {
            return NULL;
        }
    }
    *ret_query = query;
    return p;
}

TWICE const char *read_line(weft_http_request *r, const struct text t)
{
    static const char version[] = " HTTP/1.1\r\n";
    enum { VERSION = sizeof version - 1, AND_AN_END = VERSION + 2 };
    const char *query;
    const char *target = read_method(r, t);
    if (!target || lacks(t, target, 1) || *target != '/') return NULL;
    const char *p = read_target(t, target, &query);
    if (p) p = as_before(t, 0, target, p);
    if (!p || lacks(t, p, AND_AN_END) || memcmp(p, version, VERSION) != 0 ||
        p - t.data + VERSION - 2 > r->scan_.line_limit_)
        return NULL;
    r->target.at = r->path.at = t.base + (target - t.data);
    r->target.len = r->path.len = (size_t)(p - target);
    r->target_ = r->path_ = (uint32_t)(target - t.data);
    r->query = (weft_text){NULL, 0};
    r->query_ = 0;
    if (query) {
        r->path.len = (size_t)(query - 1 - target);
        r->query.at = t.base + (query - t.data);
        r->query.len = (size_t)(p - query);
        r->query_ = (uint32_t)(query - t.data);
    }
    return p + VERSION;
}

/* ---- the field lines ---------------------------------------------------- */

/* One to five octets of which some come before: are all digits? Those before
 * count as zeroes; adding 6 takes what is beyond '9' out of the digits' row. */
static inline bool are_digits(const char *start, const char *stop)
{
    const uint64_t rows = WF_EACH(0xf0), zeroes = WF_EACH('0');
    uint64_t x, theirs = ~UINT64_C(0) << (64 - 8 * (stop - start));
    memcpy(&x, stop - sizeof x, sizeof x);
    x = (x & theirs) | (zeroes & ~theirs);
    return (x & rows) == zeroes && ((x + WF_EACH(6)) & rows) == zeroes;
}

/* Behind the colon; it may be empty. */
static inline bool is_port(const char *start, const char *stop)
{
    if (stop - start > 5) return false;
    if (stop == start) return true;
    return are_digits(start, stop) &&
           (stop - start < 5 || memcmp(start, "65535", 5) <= 0);
}

/* A name or an IPv4 address, perhaps with a port; the rest is authority.c's. */
TWICE bool is_host(const struct text t, const char *p, const char *stop)
{
    const char *port = host_end(t, p);
    if (LIKELY(port && port > p && port <= stop)) {
        if (port == stop) return true;
        if (*port == ':' && is_port(port + 1, stop)) return true;
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

/* Of a line that matters, and is no Host, with its value. */
__attribute__((noinline)) static bool
heed(weft_http_request *r, enum wf_known known, weft_text value, unsigned *seen)
{
    switch (known) {
    case WF_KNOWN_LENGTH:
        if ((*seen & WF_SEEN_LENGTH) ||
            !read_length(value.at, value.at + value.len, &r->length))
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

static inline struct text text_of(const char *data, const char *end)
{
    return (struct text){data, end, end - LEAST, data, false, NULL};
}

/* What a token has besides letters and '-' is rare. */
__attribute__((noinline)) static const char *
rare_name_end(const char *p, const char *data, const char *end)
{
    const struct text t = text_of(data, end);
    while (p && *p != ':') {
        if (!wf_octet_is(*p, WF_OCTET_TOKEN) || ++p == end) return NULL;
        p = name_end(t, p);
    }
    return p;
}

/* And so are tabs in a value. */
__attribute__((noinline)) static const char *
rare_value_end(const char *p, const char *data, const char *end)
{
    const struct text t = text_of(data, end);
    while (p && *p == '\t')
        p = ++p == end ? NULL : value_end(t, p);
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
TWICE const char *read_fields(weft_http_request *r, const struct text t,
                              const char *p, unsigned *ret_seen)
{
    weft_http_mark *m = r->fields.marks, *last = m + r->scan_.field_limit_;
    unsigned seen = 0, line = 1;
    for (; *p != '\r'; m++, line++, p += 2) {
        const char *name = p;
        if (m == last) return NULL;
        p = name_end(t, p);
        if (!LIKELY(p && *p == ':')) {
            p = rare_name_end(p, t.data, t.end);
            if (!p) return NULL;
        }
        size_t name_len = (size_t)(p - name);
        if (lacks(t, p, 5) || name_len - 1 >= LONGEST_NAME) return NULL;
        enum wf_known which = known(name, name_len);
        m->name = (uint32_t)(name - t.data);
        m->name_len = (uint16_t)name_len;
        m->known_ = (uint16_t)which;
        p += 1 + (p[1] == ' ');
        while (!LIKELY(*p > ' ') && is_space(*p) && !lacks(t, p, 5))
            p++;
        const char *value = p;
        p = value_end(t, p);
        if (!LIKELY(p && *p == '\r')) {
            p = rare_value_end(p, t.data, t.end);
            if (!p) return NULL;
        }
        p = as_before(t, line, name, p);
        if (lacks(t, p, 4) || memcmp(p, "\r\n", 2) != 0) return NULL;
        const char *stop = p;
        while (!LIKELY(stop[-1] > ' ') && stop > value && is_space(stop[-1]))
            stop--;
        m->value = (uint32_t)(value - t.data);
        m->value_len = (uint32_t)(stop - value);
        if (which == WF_KNOWN_HOST) {
            if ((seen & WF_SEEN_HOST) || !is_host(t, value, stop)) return NULL;
            seen |= WF_SEEN_HOST;
            r->host.at = t.base + (value - t.data);
            r->host.len = (size_t)(stop - value);
            r->host_ = m->value;
        } else if (which != WF_KNOWN_NOT) {
            const weft_text text = {value, (size_t)(stop - value)};
            if (!heed(r, which, text, &seen)) return NULL;
        }
    }
    if (p[1] != '\n') return NULL;
    r->fields.count = (uint32_t)(m - r->fields.marks);
    *ret_seen = seen;
    return p + 2;
}

/* ---- all of it ---------------------------------------------------------- */

TWICE size_t read_all(weft_http_request *r, const struct text t)
{
    struct weft_http_scan_ *s = &r->scan_;
    unsigned seen = 0;
    r->length = 0;
    const char *p = read_line(r, t);
    if (p) p = read_fields(r, t, p, &seen);
    if (!p || !(seen & WF_SEEN_HOST)) return 0;
    r->minor = 1;
    r->form = WEFT_HTTP_ORIGIN;
    r->fields.base = t.base;
    r->framing = seen & WF_SEEN_LENGTH ? WEFT_HTTP_LENGTH : WEFT_HTTP_NO_BODY;
    r->keep_alive = !(seen & WF_SEEN_CLOSE);
    r->expects_continue = r->upgrades = false;
    r->status = 0;
    r->wrong = NULL;
    s->state_ = WF_AT_END;
    s->first_ = 0;
    s->at_ = (uint32_t)(p - t.data);
    return s->at_;
}

size_t wf_http_quick(weft_http_request *r, const char *data, size_t len)
{
    const char *end = wf_http_end(&r->scan_, data, len);
    return end - data < LEAST ? 0 : read_all(r, text_of(data, end));
}

size_t wf_http_quick_as_before(weft_http_request *r, const char *data,
                               size_t len, const char *base, uint16_t *layout)
{
    const char *end = wf_http_end(&r->scan_, data, len);
    if (end - data < LEAST) return 0;
    return read_all(r,
                    (struct text){data, end, end - LEAST, base, true, layout});
}

#else

size_t wf_http_quick(weft_http_request *r, const char *data, size_t len)
{
    (void)r;
    (void)data;
    (void)len;
    return 0;
}

size_t wf_http_quick_as_before(weft_http_request *r, const char *data,
                               size_t len, const char *base, uint16_t *layout)
{
    (void)r;
    (void)data;
    (void)len;
    (void)base;
    (void)layout;
    return 0;
}

#endif
