/* SPDX-License-Identifier: MIT */
/* test_dns_msg_bad.c - replies that are wrong, and what is said of them. */
#include <errno.h>
#include <string.h>

#include "dns_build.h"
#include "harness.h"

static struct build b;

/* Reads all that there is to read of a message that may be anything. */
static int use(const void *msg, size_t len)
{
    static union {
        struct wf_dns_srv srv;
        struct wf_dns_mx mx;
        struct wf_dns_soa soa;
        char name[WF_DNS_NAME];
    } u;
    static struct wf_dns_chain c;
    static struct wf_dns_record rec;
    struct wf_dns_reader r;
    struct wf_dns_head head;
    uint16_t type, class_;
    (void)wf_dns_read_head(msg, len, &head);
    (void)wf_dns_read_question(msg, len, u.name, &type, &class_);
    (void)wf_dns_answers(msg, len, BUILD_ID, "www.example", WF_DNS_A);
    int err = wf_dns_read(&r, msg, len, &head);
    CHECK_EQ(err, r.wrong ? -EBADMSG : 0);
    if (err < 0) {
        CHECK_EQ(wf_dns_next(&r, &rec), 0);
        return err;
    }
    unsigned n = 0;
    while (wf_dns_next(&r, &rec)) {
        const uint8_t *text;
        size_t at = 0, octets;
        n++;
        CHECK_EQ(wf_dns_name_check(rec.name), 0);
        (void)wf_dns_data_name(&r, &rec, u.name);
        (void)wf_dns_data_srv(&r, &rec, &u.srv);
        (void)wf_dns_data_mx(&r, &rec, &u.mx);
        (void)wf_dns_data_soa(&r, &rec, &u.soa);
        while (wf_dns_data_txt(&rec, &at, &text, &octets))
            CHECK(text + octets <= rec.data + rec.len);
    }
    CHECK_EQ(n, head.answers + head.authorities + head.additionals);
    int found = wf_dns_follow(&r, "www.example", WF_DNS_A, &c);
    CHECK(found >= 0 || found == -ELOOP);
    for (int i = 0; i < found; i++) {
        CHECK_EQ(wf_dns_chain_next(&r, &c, &rec), 1);
        CHECK_EQ(rec.len, 4);
    }
    if (found >= 0) CHECK_EQ(wf_dns_chain_next(&r, &c, &rec), 0);
    return 0;
}

static void refused(const char *why)
{
    struct wf_dns_reader r;
    struct wf_dns_head head = {.id = 77};
    void *copy = build_exact(b.octets, b.len);
    CHECK_EQ(wf_dns_read(&r, copy, b.len, &head), -EBADMSG);
    CHECK_STR(r.wrong, why);
    CHECK_EQ(head.id, 77); /* written on success only */
    free(copy);
}

TEST_PLAIN(a_message_cut_anywhere_is_refused)
{
    build_all_kinds(&b);
    CHECK_EQ(use(b.octets, b.len), 0);
    for (size_t len = 0; len < b.len; len++) {
        void *copy = build_exact(b.octets, len);
        CHECK_EQ(use(copy, len), -EBADMSG);
        free(copy);
    }
}

TEST_PLAIN(a_message_cut_anywhere_with_its_counts_mended_is_read_or_refused)
{
    build_all_kinds(&b);
    for (size_t len = 12; len < b.len; len++) {
        for (unsigned answers = 0; answers < 8; answers++) {
            uint8_t *copy = build_exact(b.octets, len);
            copy[7] = (uint8_t)answers;
            copy[9] = copy[11] = 0;
            (void)use(copy, len);
            free(copy);
        }
    }
}

TEST_PLAIN(any_octet_of_a_message_may_be_anything)
{
    build_all_kinds(&b);
    uint8_t *copy = build_exact(b.octets, b.len);
    unsigned step = test_is_slow() ? 37 : 1;
    for (size_t at = 0; at < b.len; at++) {
        for (unsigned value = 0; value < 256; value += step) {
            copy[at] = (uint8_t)value;
            (void)use(copy, b.len);
        }
        copy[at] = b.octets[at];
    }
    free(copy);
}

TEST_PLAIN(any_two_octets_of_a_message_may_be_a_pointer)
{
    build_all_kinds(&b);
    uint8_t *copy = build_exact(b.octets, b.len);
    size_t step = test_is_slow() ? 41 : 1;
    for (size_t at = 12; at + 1 < b.len; at++) {
        for (size_t to = 0; to <= b.len; to += step) {
            copy[at] = (uint8_t)(0xc0 | to >> 8);
            copy[at + 1] = (uint8_t)to;
            (void)use(copy, b.len);
        }
        memcpy(copy + at, b.octets + at, 2);
    }
    free(copy);
}

TEST_PLAIN(counts_that_lie_are_refused)
{
    for (size_t count = 4; count < 12; count += 2) {
        build_all_kinds(&b);
        build_set16(&b, count, build_get16(&b, count) + 1);
        CHECK_EQ(use(b.octets, b.len), -EBADMSG);
        build_set16(&b, count, 0xffff);
        CHECK_EQ(use(b.octets, b.len), -EBADMSG);
        build_all_kinds(&b);
        build_set16(&b, count, build_get16(&b, count) - 1);
        CHECK_EQ(use(b.octets, b.len), -EBADMSG);
    }
}

TEST_PLAIN(octets_behind_the_last_record_are_refused)
{
    build_all_kinds(&b);
    b.data = 0;
    build_octets(&b, "", 1);
    refused("there is more behind its last record");
}

TEST_PLAIN(a_length_of_data_that_lies_is_refused)
{
    build_all_kinds(&b);
    struct wf_dns_reader r;
    struct wf_dns_head head;
    struct wf_dns_record rec;
    CHECK_EQ(wf_dns_read(&r, b.octets, b.len, &head), 0);
    while (wf_dns_next(&r, &rec)) {
        size_t at = (size_t)(rec.data - b.octets) - 2;
        for (unsigned lie = 0; lie < 300; lie++) {
            if (lie == rec.len) continue;
            /* Where one string ends, the next could be a record's name. */
            if (rec.type == WF_DNS_TXT) continue;
            build_set16(&b, at, lie);
            if (use(b.octets, b.len) == 0)
                test_fail(__FILE__, __LINE__, "type %u, %u octets are taken",
                          rec.type, lie);
        }
        build_set16(&b, at, 0xffff);
        CHECK_EQ(use(b.octets, b.len), -EBADMSG);
        build_set16(&b, at, (unsigned)rec.len);
    }
}

TEST_PLAIN(an_address_is_of_four_or_of_sixteen_octets)
{
    for (unsigned octets = 0; octets < 20; octets++) {
        static const uint8_t zeros[20];
        build_reply(&b, "x", WF_DNS_A);
        build_record(&b, WF_DNS_ANSWER, "x", WF_DNS_A, 1);
        build_octets(&b, zeros, octets);
        CHECK_EQ(use(b.octets, b.len), octets == 4 ? 0 : -EBADMSG);
        build_set16(&b, b.data - 10, WF_DNS_AAAA);
        CHECK_EQ(use(b.octets, b.len), octets == 16 ? 0 : -EBADMSG);
        build_set16(&b, b.data - 10, 999); /* nobody knows what that holds */
        CHECK_EQ(use(b.octets, b.len), 0);
        build_set16(&b, b.data - 10, WF_DNS_A);
        build_set16(&b, b.data - 8, 3); /* nor what class CH has */
        CHECK_EQ(use(b.octets, b.len), 0);
    }
}

TEST_PLAIN(each_kind_of_data_has_its_size)
{
    static const struct {
        uint16_t type;
        const char *octets;
        size_t len;
        const char *why;
    } bad[] = {
        {WF_DNS_CNAME, "", 0, "a name is cut off"},
        {WF_DNS_CNAME, "\1a\0x", 4, "the data of a record are too long"},
        {WF_DNS_PTR, "\1a", 2, "a name is cut off"},
        {WF_DNS_NS, "\300", 1, "a name is cut off"},
        {WF_DNS_MX, "\0", 1, "the data of a record are too short"},
        {WF_DNS_MX, "\0\1", 2, "a name is cut off"},
        {WF_DNS_MX, "\0\1\0\0", 4, "the data of a record are too long"},
        {WF_DNS_SRV, "\0\1\0\2\0", 5, "the data of a record are too short"},
        {WF_DNS_SRV, "\0\1\0\2\0\3", 6, "a name is cut off"},
        {WF_DNS_SOA, "\0", 1, "a name is cut off"},
        {WF_DNS_SOA, "\0\0abcdabcdabcdabcdab", 20,
         "the data of a record are too short"},
        {WF_DNS_SOA, "\0\0abcdabcdabcdabcdabcde", 23,
         "the data of a record are too long"},
        {WF_DNS_TXT, "", 0, "a TXT is empty"},
        {WF_DNS_TXT, "\1", 1, "a TXT is cut off"},
        {WF_DNS_TXT, "\1a\377bc", 5, "a TXT is cut off"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        build_reply(&b, "x", WF_DNS_A);
        build_record(&b, WF_DNS_ANSWER, "x", bad[i].type, 1);
        build_octets(&b, bad[i].octets, bad[i].len);
        refused(bad[i].why);
        /* also when what is missing could be had of the next record */
        build_a(&b, "x", 1);
        refused(bad[i].why);
    }
}

TEST_PLAIN(a_name_that_points_at_itself_or_forward_is_refused)
{
    for (int shift = 0; shift < 40; shift++) {
        build_reply(&b, "x", WF_DNS_A);
        b.data = 0;
        build_pointer(&b, b.len + (size_t)shift);
        build_tail(&b, WF_DNS_ANSWER, WF_DNS_TXT, 1);
        build_octets(&b, "\4\1a\0\0", 5);
        refused("a compressed name points forward");
    }
}

TEST_PLAIN(a_name_that_points_into_its_own_labels_is_refused)
{
    for (size_t to = 0; to < 5; to++) {
        build_reply(&b, "x", WF_DNS_A);
        b.data = 0;
        size_t start = b.len;
        build_octets(&b, "\1a\1b", 4);
        build_pointer(&b, start + to);
        build_tail(&b, WF_DNS_ANSWER, WF_DNS_TXT, 1);
        build_octets(&b, "\0", 1);
        refused("a compressed name points forward");
    }
}

TEST_PLAIN(two_names_that_point_at_each_other_are_refused)
{
    build_reply(&b, "x", WF_DNS_A);
    build_record(&b, WF_DNS_ANSWER, "x", 999, 1);
    size_t first = b.data;
    build_octets(&b, "\1a\300\0\1b\300\0", 8);
    build_set16(&b, first + 2, 0xc000 | (unsigned)(first + 4));
    build_set16(&b, first + 6, 0xc000 | (unsigned)first);
    b.data = 0;
    build_pointer(&b, first);
    build_tail(&b, WF_DNS_ANSWER, WF_DNS_TXT, 1);
    build_octets(&b, "\0", 1);
    refused("a compressed name points forward");
}

TEST_PLAIN(a_name_does_not_point_into_the_header)
{
    for (unsigned to = 0; to < WF_DNS_HEAD; to++) {
        build_reply(&b, "x", WF_DNS_A);
        b.data = 0;
        build_pointer(&b, to);
        build_tail(&b, WF_DNS_ANSWER, WF_DNS_TXT, 1);
        build_octets(&b, "\0", 1);
        refused("a compressed name points at the header");
    }
}

/* Data with n pointers, each to the one before; and a name that is the last. */
static void build_hops(unsigned n)
{
    build_reply(&b, "x", WF_DNS_A);
    build_record(&b, WF_DNS_ANSWER, "x", 999, 1);
    size_t to = BUILD_QUESTION;
    for (unsigned i = 0; i < n; i++) {
        size_t here = b.len;
        build_pointer(&b, to);
        to = here;
    }
    b.data = 0;
    build_pointer(&b, to);
    build_tail(&b, WF_DNS_ANSWER, WF_DNS_TXT, 1);
    build_octets(&b, "\0", 1);
}

TEST_PLAIN(the_pointers_of_a_name_are_bounded)
{
    build_hops(WF_DNS_HOPS - 1);
    CHECK_EQ(use(b.octets, b.len), 0);
    build_hops(WF_DNS_HOPS);
    refused("a name has too many pointers");
    build_hops(8000);
    refused("a name has too many pointers");
}

/* A name of so many labels of two octets, each with a pointer to the next, and
 * in the end to the question's name. */
static void build_long(const char *name, unsigned labels)
{
    build_reply(&b, name, WF_DNS_A);
    build_record(&b, WF_DNS_ANSWER, "x", 999, 1);
    size_t to = BUILD_QUESTION;
    for (unsigned i = 0; i < labels; i++) {
        size_t here = b.len;
        build_octets(&b, "\2ab", 3);
        build_pointer(&b, to);
        to = here;
    }
    b.data = 0;
    build_pointer(&b, to);
    build_tail(&b, WF_DNS_ANSWER, WF_DNS_TXT, 1);
    build_octets(&b, "\0", 1);
}

TEST_PLAIN(a_name_of_pointers_has_255_octets_at_the_most)
{
    build_long("x", 84); /* 3 * 84 + 2, and the root's 0: 255 */
    CHECK_EQ(use(b.octets, b.len), 0);
    build_long("xy", 84);
    refused("a name is over 255 octets");
    build_long("x", 85);
    refused("a name is over 255 octets");
}

TEST_PLAIN(a_label_of_64_octets_or_another_kind_is_refused)
{
    for (unsigned label = 64; label < 0xc0; label++) {
        static const uint8_t octets[256];
        build_reply(&b, "x", WF_DNS_A);
        b.data = 0;
        build_octets(&b, (uint8_t[]){(uint8_t)label}, 1);
        build_octets(&b, octets, sizeof octets);
        build_set16(&b, 6, 1);
        refused("a label is of an unknown kind");
    }
}

TEST_PLAIN(an_OPT_is_one_in_its_section_under_the_root)
{
    build_reply(&b, "x", WF_DNS_A);
    build_record(&b, WF_DNS_ADDITIONAL, ".", WF_DNS_OPT, 0);
    build_record(&b, WF_DNS_ADDITIONAL, ".", WF_DNS_OPT, 0);
    refused("there are two OPTs");
    build_reply(&b, "x", WF_DNS_A);
    build_record(&b, WF_DNS_ANSWER, ".", WF_DNS_OPT, 0);
    refused("an OPT is out of its section");
    build_reply(&b, "x", WF_DNS_A);
    build_record(&b, WF_DNS_AUTHORITY, ".", WF_DNS_OPT, 0);
    refused("an OPT is out of its section");
    build_reply(&b, "x", WF_DNS_A);
    build_record(&b, WF_DNS_ADDITIONAL, "x", WF_DNS_OPT, 0);
    refused("an OPT is not under the root");
    for (size_t cut = 1; cut < 7; cut++) {
        build_reply(&b, "x", WF_DNS_A);
        build_record(&b, WF_DNS_ADDITIONAL, ".", WF_DNS_OPT, 0);
        build_octets(&b, "\0\12\0\3abc", cut);
        refused("an OPT is cut off");
    }
}

TEST_PLAIN(what_is_no_message_has_no_header)
{
    struct wf_dns_head head;
    for (b.len = 0; b.len < WF_DNS_HEAD; b.len++) {
        refused("it has no header");
        CHECK_EQ(wf_dns_read_head(b.octets, b.len, &head), -EBADMSG);
    }
    struct wf_dns_reader r;
    CHECK_EQ(wf_dns_read(&r, NULL, 0, &head), -EBADMSG);
}

/* As many records as go, each with a name of as many pointers as go. */
TEST_PLAIN(the_most_a_message_can_ask_for_is_soon_done)
{
    build_hops(WF_DNS_HOPS - 1);
    unsigned last = build_get16(&b, b.len - 13) & 0x3fff;
    while (sizeof b.octets - b.len >= 13) {
        b.data = 0;
        build_pointer(&b, last);
        build_tail(&b, WF_DNS_ANSWER, WF_DNS_CNAME, 1);
        build_octets(&b, "\0", 1);
    }
    CHECK(build_get16(&b, 6) > 4900);
    CHECK_EQ(use(b.octets, b.len), 0);
}

TEST_PLAIN(a_hundred_thousand_drawn_messages_are_refused_or_read)
{
    uint64_t seed = test_seed() | 1;
    unsigned rounds = test_is_slow() ? 2000 : 100000;
    build_all_kinds(&b);
    uint8_t *copy = build_exact(b.octets, b.len);
    for (unsigned i = 0; i < rounds; i++) {
        memcpy(copy, b.octets, b.len);
        for (int changes = 0; changes < 4; changes++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            copy[(seed >> 33) % b.len] = (uint8_t)(seed >> 56);
        }
        (void)use(copy, b.len);
    }
    free(copy);
}
