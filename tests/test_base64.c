/* SPDX-License-Identifier: MIT */
/* test_base64.c - the examples of RFC 4648, and texts that are refused. */
#include <errno.h>
#include <string.h>

#include "harness.h"
#include "http/base64.h"

static const struct {
    const char *data, *text;
} known[] = {{"", ""},
             {"f", "Zg=="},
             {"fo", "Zm8="},
             {"foo", "Zm9v"},
             {"foob", "Zm9vYg=="},
             {"fooba", "Zm9vYmE="},
             {"foobar", "Zm9vYmFy"},
             {"\xff\xef\xbe\xfb", "/+++"
                                  "+w=="}};

TEST_PLAIN(rfc_4648_octets_become_letters)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char text[WF_BASE64_TEXT(8)];
        size_t len = strlen(known[i].data);
        CHECK_EQ(wf_base64_encode(known[i].data, len, text),
                 strlen(known[i].text));
        CHECK_STR(text, known[i].text);
        CHECK_EQ(WF_BASE64_TEXT(len), strlen(text) + 1);
    }
}

TEST_PLAIN(rfc_4648_letters_become_octets)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char data[8];
        size_t len = strlen(known[i].data);
        CHECK_EQ(wf_base64_decode(weft_text_of(known[i].text), data, len), len);
        CHECK(memcmp(data, known[i].data, len) == 0);
    }
}

TEST_PLAIN(every_octet_in_every_place_goes_there_and_back)
{
    unsigned char data[4], back[4];
    char text[WF_BASE64_TEXT(sizeof data)];
    for (unsigned octet = 0; octet < 256; octet++)
        for (size_t at = 0; at < sizeof data; at++)
            for (size_t len = at + 1; len <= sizeof data; len++) {
                memset(data, 0xa5, sizeof data);
                data[at] = (unsigned char)octet;
                (void)wf_base64_encode(data, len, text);
                CHECK_EQ(
                    wf_base64_decode(weft_text_of(text), back, sizeof back),
                    len);
                CHECK(memcmp(back, data, len) == 0);
            }
}

TEST_PLAIN(what_is_not_whole_and_alone_is_refused)
{
    static const char *const bad[] = {
        "Z",    "Zg",   "Zg=",      "Zm9",      "=",      "==",
        "====", "Z===", "Zg==Zg==", "Zm=v",     "Zm9v\n", " Zg=",
        "Zg-=", "Z_8=", "Zm9v=",    "Zm9v====", "Zg= ",   "\xc3\xa9==",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char data[16];
        if (wf_base64_decode(weft_text_of(bad[i]), data, sizeof data) !=
            -EINVAL)
            test_fail(__FILE__, __LINE__, "\"%s\" was taken", bad[i]);
    }
}

/* Else there would be several texts for the same octets. */
TEST_PLAIN(bits_that_mean_nothing_are_refused)
{
    char data[3];
    CHECK_EQ(wf_base64_decode(weft_text_of("Zh=="), data, 3), -EINVAL);
    CHECK_EQ(wf_base64_decode(weft_text_of("Zm9="), data, 3), -EINVAL);
    CHECK_EQ(wf_base64_decode(weft_text_of("/w=="), data, 3), 1);
}

TEST_PLAIN(octets_without_room_are_not_written)
{
    char data[4] = "....";
    CHECK_EQ(wf_base64_decode(weft_text_of("Zm9v"), data, 2), -ENOBUFS);
    CHECK_EQ(wf_base64_decode(weft_text_of("Zm8="), data, 1), -ENOBUFS);
    CHECK(memcmp(data, "....", 4) == 0);
    CHECK_EQ(wf_base64_decode(weft_text_of("Zm9v"), data, 3), 3);
    CHECK(memcmp(data, "foo.", 4) == 0);
}
