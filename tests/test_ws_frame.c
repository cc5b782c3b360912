/* SPDX-License-Identifier: MIT */
/* test_ws_frame.c - heads of frames, masks and codes, without a connection. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "harness.h"
#include "http/ws_frame.h"

static const struct wf_ws_rules to_client = {false, false},
                                to_server = {true, false},
                                to_client_within = {false, true};

struct row {
    const char *octets;
    size_t len;
    const char *wrong; /* NULL: it is right, and this long */
};

#define ROW(octets, wrong)                                                     \
    {                                                                          \
        octets, sizeof(octets) - 1, wrong                                      \
    }

/* The answer comes with the last octet of the row, and not before it. */
static void check_rows(const struct row *rows, size_t count,
                       const struct wf_ws_rules *rules)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &rows[i];
        struct wf_ws_head h;
        const char *wrong = NULL;
        for (size_t n = 0; n < r->len; n++)
            CHECK_EQ(wf_ws_parse_head(&h, r->octets, n, rules, &wrong), 0);
        ssize_t rc = wf_ws_parse_head(&h, r->octets, r->len, rules, &wrong);
        CHECK_EQ(rc, r->wrong ? -EPROTO : (ssize_t)r->len);
        if (r->wrong) CHECK_STR(wrong, r->wrong);
    }
}

#define CHECK_ROWS(rows, rules)                                                \
    check_rows(rows, sizeof(rows) / sizeof *(rows), rules)

TEST_PLAIN(a_head_is_told_by_its_last_octet_and_a_wrong_one_by_its_first)
{
    static const struct row rows[] = {
        ROW("\x81\x00", NULL),
        ROW("\x82\x7D", NULL),
        ROW("\x01\x7E\x00\x7E", NULL),
        ROW("\x82\x7E\xFF\xFF", NULL),
        ROW("\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00", NULL),
        ROW("\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", NULL),
        ROW("\x88\x00", NULL),
        ROW("\x89\x7D", NULL),
        ROW("\x8A\x01", NULL),
        ROW("\xC1", "a reserved bit is set"),
        ROW("\xA1", "a reserved bit is set"),
        ROW("\x91", "a reserved bit is set"),
        ROW("\xF9", "a reserved bit is set"),
        ROW("\x83", "a reserved opcode"),
        ROW("\x84", "a reserved opcode"),
        ROW("\x85", "a reserved opcode"),
        ROW("\x86", "a reserved opcode"),
        ROW("\x87", "a reserved opcode"),
        ROW("\x8B", "a reserved opcode"),
        ROW("\x8C", "a reserved opcode"),
        ROW("\x8D", "a reserved opcode"),
        ROW("\x8E", "a reserved opcode"),
        ROW("\x8F", "a reserved opcode"),
        ROW("\x08", "a control frame in fragments"),
        ROW("\x09", "a control frame in fragments"),
        ROW("\x0A", "a control frame in fragments"),
        ROW("\x80", "there is no message to continue"),
        ROW("\x00", "there is no message to continue"),
        ROW("\x89\x7E", "a control frame of over 125 octets"),
        ROW("\x88\x7F", "a control frame of over 125 octets"),
        ROW("\x81\x80", "a server's frame is masked"),
        ROW("\x82\x7E\x00\x00", "a length in more octets than needed"),
        ROW("\x82\x7E\x00\x7D", "a length in more octets than needed"),
        ROW("\x82\x7F\x80", "a length over 2^63"),
        ROW("\x82\x7F\xFF", "a length over 2^63"),
        ROW("\x82\x7F\x00\x00\x00\x00\x00\x00",
            "a length in more octets than needed"),
    };
    CHECK_ROWS(rows, &to_client);
}

TEST_PLAIN(a_client_has_to_mask_its_frames)
{
    static const struct row rows[] = {
        ROW("\x81\x80\x01\x02\x03\x04", NULL),
        ROW("\x82\xFE\x01\x00\x01\x02\x03\x04", NULL),
        ROW("\x82\xFF\x00\x00\x00\x01\x00\x00\x00\x00\x01\x02\x03\x04", NULL),
        ROW("\x81\x05", "a client's frame is not masked"),
        ROW("\x89\x00", "a client's frame is not masked"),
    };
    CHECK_ROWS(rows, &to_server);
}

TEST_PLAIN(within_a_message_it_has_to_be_continued)
{
    static const struct row rows[] = {
        ROW("\x00\x00", NULL),
        ROW("\x80\x03", NULL),
        ROW("\x89\x00", NULL),
        ROW("\x88\x02", NULL),
        ROW("\x81", "a new message within another"),
        ROW("\x02", "a new message within another"),
    };
    CHECK_ROWS(rows, &to_client_within);
}

TEST_PLAIN(a_head_that_was_written_reads_the_same)
{
    static const uint64_t lengths[] = {0,     1,     125,       126,
                                       127,   65535, 65536,     1 << 20,
                                       65537, 256,   INT64_MAX, 4294967296};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (unsigned bits = 0; bits < 4; bits++) {
            const struct wf_ws_head h = {.fin = bits & 1,
                                         .masked = bits & 2,
                                         .opcode = WF_WS_BINARY,
                                         .len = lengths[i],
                                         .key = {9, 8, 7, bits & 2 ? 6 : 0}};
            const struct wf_ws_rules rules = {h.masked, false};
            struct wf_ws_head again;
            uint8_t out[WF_WS_HEAD];
            const char *wrong;
            size_t len = wf_ws_write_head(out, &h);
            CHECK_EQ(wf_ws_parse_head(&again, out, len, &rules, &wrong), len);
            CHECK_EQ(wf_ws_parse_head(&again, out, len - 1, &rules, &wrong), 0);
            CHECK_EQ(again.fin, h.fin);
            CHECK_EQ(again.masked, h.masked);
            CHECK_EQ(again.opcode, h.opcode);
            CHECK_EQ(again.len, h.len);
            if (h.masked) CHECK(memcmp(again.key, h.key, 4) == 0);
        }
}

/* RFC 6455, 5.7. */
TEST_PLAIN(the_examples_of_the_rfc_read_as_it_says)
{
    static const char unmasked[] = "\x81\x05\x48\x65\x6c\x6c\x6f";
    static const char masked[] = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    struct wf_ws_head h;
    const char *wrong;
    char text[5];
    CHECK_EQ(wf_ws_parse_head(&h, unmasked, 7, &to_client, &wrong), 2);
    CHECK(h.fin && h.opcode == WF_WS_TEXT && h.len == 5);
    CHECK_EQ(wf_ws_parse_head(&h, masked, 11, &to_server, &wrong), 6);
    wf_ws_mask(text, masked + 6, 5, h.key, 0);
    CHECK(memcmp(text, "Hello", 5) == 0);
}

TEST_PLAIN(a_mask_goes_on_where_it_stopped_wherever_the_octets_stand)
{
    static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D};
    uint8_t from[64], want[64], got[80];
    for (size_t i = 0; i < sizeof from; i++) {
        from[i] = (uint8_t)(i * 7 + 1);
        want[i] = from[i] ^ key[i % 4];
    }
    for (size_t first = 0; first <= sizeof from; first++)
        for (size_t shift = 0; shift < 9; shift++) {
            memset(got, 0, sizeof got);
            wf_ws_mask(got + shift, from, first, key, 0);
            wf_ws_mask(got + shift + first, from + first, sizeof from - first,
                       key, first);
            CHECK(memcmp(got + shift, want, sizeof want) == 0);
            CHECK_EQ(got[shift + sizeof want], 0);
            wf_ws_mask(got + shift, got + shift, sizeof want, key, 1ull << 40);
            CHECK(memcmp(got + shift, from, sizeof from) == 0);
        }
}

TEST_PLAIN(codes_that_a_close_frame_may_have_are_those_of_the_registry)
{
    for (int code = -1; code < 70000; code++) {
        bool valid = (code >= 1000 && code <= 1014 && code != 1004 &&
                      code != 1005 && code != 1006) ||
                     (code >= 3000 && code < 5000);
        CHECK_EQ(wf_ws_code_is_valid(code), valid);
    }
}

TEST_PLAIN(a_close_frame_has_no_code_or_a_valid_one_and_a_reason_in_utf8)
{
    CHECK_EQ(wf_ws_parse_close("", 0), 1005);
    CHECK_EQ(wf_ws_parse_close("\x03", 1), -EPROTO);
    CHECK_EQ(wf_ws_parse_close("\x03\xE8", 2), 1000);
    CHECK_EQ(wf_ws_parse_close("\x03\xE8gr\xC3\xBC\xC3\x9F", 8), 1000);
    CHECK_EQ(wf_ws_parse_close("\x0F\xA0", 2), 4000);
    CHECK_EQ(wf_ws_parse_close("\x03\xED", 2), -EPROTO);
    CHECK_EQ(wf_ws_parse_close("\x00\x00", 2), -EPROTO);
    CHECK_EQ(wf_ws_parse_close("\x03\xE8\xFF", 3), -EILSEQ);
    CHECK_EQ(wf_ws_parse_close("\x03\xE8\xC3", 3), -EILSEQ);
}
