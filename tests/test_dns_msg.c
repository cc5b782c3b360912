/* SPDX-License-Identifier: MIT */
/* test_dns_msg.c - queries, and replies that are right. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "dns_build.h"
#include "harness.h"

static struct build b;
static struct wf_dns_reader r;
static struct wf_dns_head head;

static void read_it(void)
{
    int err = wf_dns_read(&r, b.octets, b.len, &head);
    if (err < 0) test_fail(__FILE__, __LINE__, "refused: %s", r.wrong);
    CHECK(!r.wrong);
}

/* The first record of a type. */
static void find(struct wf_dns_record *ret, uint16_t type)
{
    wf_dns_rewind(&r);
    while (wf_dns_next(&r, ret))
        if (ret->type == type) return;
    test_fail(__FILE__, __LINE__, "no record of type %u", type);
}

TEST_PLAIN(a_query_is_a_header_and_one_question)
{
    uint8_t buf[WF_DNS_QUERY];
    static const char want[] = "\xab\xcd\1\0\0\1\0\0\0\0\0\0"
                               "\3www\7Example\0\0\34\0\1";
    CHECK_EQ(wf_dns_write_query(buf, sizeof buf, 0xabcd, "www.Example",
                                WF_DNS_AAAA, false),
             sizeof want - 1);
    CHECK(memcmp(buf, want, sizeof want - 1) == 0);
}

TEST_PLAIN(a_query_with_OPT_asks_for_what_goes_in_one_packet)
{
    uint8_t buf[WF_DNS_QUERY];
    memset(buf, 0x5a, sizeof buf);
    ssize_t n = wf_dns_write_query(buf, sizeof buf, 7, "x.", WF_DNS_A, true);
    CHECK_EQ(n, 12 + 3 + 4 + 11);
    CHECK_EQ(buf[11], 1);
    CHECK(memcmp(buf + 19, "\0\0\51\4\320\0\0\0\0\0\0", 11) == 0);
    CHECK_EQ(wf_dns_read(&r, buf, (size_t)n, &head), 0);
    CHECK_EQ(head.udp, WF_DNS_UDP_MAX);
    CHECK_EQ(head.id, 7);
    CHECK_EQ(head.flags, WF_DNS_RD);
}

TEST_PLAIN(the_longest_query_has_room_and_less_is_refused)
{
    uint8_t buf[WF_DNS_QUERY + 1];
    char name[256];
    memset(name, 'x', 254);
    name[63] = name[127] = name[191] = '.';
    name[253] = 0;
    buf[WF_DNS_QUERY] = 0x5a;
    CHECK_EQ(wf_dns_write_query(buf, WF_DNS_QUERY, 1, name, WF_DNS_A, true),
             WF_DNS_QUERY);
    CHECK_EQ(buf[WF_DNS_QUERY], 0x5a);
    for (size_t len = 0; len < WF_DNS_QUERY; len++)
        CHECK_EQ(wf_dns_write_query(buf, len, 1, name, WF_DNS_A, true),
                 -ENOBUFS);
    CHECK_EQ(wf_dns_write_query(buf, sizeof buf, 1, "a..b", WF_DNS_A, true),
             -EINVAL);
}

TEST_PLAIN(the_question_comes_back_as_it_was_asked)
{
    uint8_t buf[WF_DNS_QUERY];
    char name[WF_DNS_NAME];
    uint16_t type, class_;
    ssize_t n =
        wf_dns_write_query(buf, sizeof buf, 1, "a\\.B.c", WF_DNS_SRV, true);
    CHECK(n > 0);
    CHECK_EQ(wf_dns_read_question(buf, (size_t)n, name, &type, &class_), 0);
    CHECK_STR(name, "a\\.B.c");
    CHECK_EQ(type, WF_DNS_SRV);
    CHECK_EQ(class_, WF_DNS_IN);
    buf[5] = 2;
    CHECK_EQ(wf_dns_read_question(buf, (size_t)n, name, &type, &class_),
             -EBADMSG);
    buf[5] = 0;
    CHECK_EQ(wf_dns_read_question(buf, (size_t)n, name, &type, &class_),
             -EBADMSG);
    CHECK_EQ(wf_dns_read_question(buf, 11, name, &type, &class_), -EBADMSG);
}

static bool answers(const char *name)
{
    return wf_dns_answers(b.octets, b.len, BUILD_ID, name, WF_DNS_A);
}

TEST_PLAIN(a_reply_answers_the_query_with_its_id_and_question)
{
    build_reply(&b, "www.example", WF_DNS_A);
    CHECK(answers("www.example"));
    CHECK(answers("www.example."));
    CHECK(!answers("ww.example"));
    CHECK(!answers("www.example.org"));
    CHECK(!answers("a..b"));
    CHECK(!wf_dns_answers(b.octets, b.len, BUILD_ID ^ 1, "www.example", 1));
    CHECK(!wf_dns_answers(b.octets, b.len, BUILD_ID, "www.example", 28));
}

TEST_PLAIN(a_reply_may_have_the_question_in_any_case)
{
    build_reply(&b, "wWw.EXample", WF_DNS_A);
    CHECK(answers("www.example"));
    CHECK(answers("WWW.EXAMPLE"));
}

TEST_PLAIN(a_query_or_another_operation_or_class_answers_nothing)
{
    build_reply(&b, "x", WF_DNS_A);
    build_set16(&b, 2, WF_DNS_RD);
    CHECK(!answers("x"));
    for (unsigned opcode = 1; opcode < 16; opcode++) {
        build_set16(&b, 2, WF_DNS_QR | opcode << 11);
        CHECK(!answers("x"));
    }
    build_set16(&b, 2, WF_DNS_QR | WF_DNS_TC | WF_DNS_NXDOMAIN);
    CHECK(answers("x"));
    build_set16(&b, b.len - 2, 3);
    CHECK(!answers("x"));
}

TEST_PLAIN(a_reply_has_exactly_one_question)
{
    build_reply(&b, "x", WF_DNS_A);
    build_set16(&b, 4, 0);
    CHECK(!answers("x"));
    build_set16(&b, 4, 2);
    build_octets(&b, b.octets + BUILD_QUESTION, 7); /* the same once more */
    CHECK(!answers("x"));
    CHECK_EQ(wf_dns_read(&r, b.octets, b.len, &head), 0);
}

TEST_PLAIN(a_cut_reply_with_TC_still_answers)
{
    build_all_kinds(&b);
    b.octets[2] |= WF_DNS_TC >> 8;
    b.len = 60;
    CHECK(answers("www.example"));
    CHECK_EQ(wf_dns_read_head(b.octets, b.len, &head), 0);
    CHECK(head.flags & WF_DNS_TC);
    CHECK_EQ(wf_dns_read(&r, b.octets, b.len, &head), -EBADMSG);
}

TEST_PLAIN(the_records_of_all_sections_come_in_their_order)
{
    static const struct {
        uint16_t type;
        enum wf_dns_section section;
        const char *name;
        size_t len;
    } want[] = {
        {WF_DNS_CNAME, WF_DNS_ANSWER, "www.example", 13},
        {WF_DNS_A, WF_DNS_ANSWER, "web.example", 4},
        {WF_DNS_AAAA, WF_DNS_ANSWER, "web.example", 16},
        {WF_DNS_SRV, WF_DNS_ANSWER, "_sip._udp.example", 8},
        {WF_DNS_MX, WF_DNS_ANSWER, "example", 9},
        {WF_DNS_TXT, WF_DNS_ANSWER, "example", 11},
        {WF_DNS_PTR, WF_DNS_ANSWER, "1.2.0.192.in-addr.arpa", 2},
        {WF_DNS_SOA, WF_DNS_AUTHORITY, "example", 52},
        {WF_DNS_NS, WF_DNS_AUTHORITY, "example", 5},
        {WF_DNS_OPT, WF_DNS_ADDITIONAL, ".", 7},
    };
    struct wf_dns_record rec;
    build_all_kinds(&b);
    read_it();
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
            CHECK_EQ(wf_dns_next(&r, &rec), 1);
            CHECK_EQ(rec.type, want[i].type);
            CHECK_EQ(rec.section, want[i].section);
            CHECK_STR(rec.name, want[i].name);
            CHECK_EQ(rec.len, want[i].len);
        }
        CHECK_EQ(wf_dns_next(&r, &rec), 0);
        CHECK_EQ(wf_dns_next(&r, &rec), 0);
        wf_dns_rewind(&r);
    }
}

TEST_PLAIN(the_header_tells_what_is_in_the_message)
{
    build_all_kinds(&b);
    build_set16(&b, 2, WF_DNS_QR | WF_DNS_AA | WF_DNS_NXDOMAIN);
    read_it();
    CHECK_EQ(head.id, BUILD_ID);
    CHECK_EQ(head.flags, WF_DNS_QR | WF_DNS_AA | WF_DNS_NXDOMAIN);
    CHECK_EQ(head.rcode, WF_DNS_NXDOMAIN);
    CHECK_EQ(head.questions, 1);
    CHECK_EQ(head.answers, 7);
    CHECK_EQ(head.authorities, 2);
    CHECK_EQ(head.additionals, 1);
    CHECK_EQ(head.udp, 4096);
}

TEST_PLAIN(an_OPT_adds_high_bits_to_the_rcode)
{
    build_reply(&b, "x", WF_DNS_A);
    read_it();
    CHECK_EQ(head.udp, 0);
    build_record(&b, WF_DNS_ADDITIONAL, ".", WF_DNS_OPT, 0x01000000);
    build_set16(&b, b.data - 8, 100); /* less than 512 is 512 */
    read_it();
    CHECK_EQ(head.rcode, WF_DNS_BADVERS);
    CHECK_EQ(head.udp, WF_DNS_UDP);
}

TEST_PLAIN(a_ttl_with_its_top_bit_is_none)
{
    struct wf_dns_record rec;
    build_reply(&b, "x", WF_DNS_A);
    build_a(&b, "x", 0x7fffffff);
    build_a(&b, "x", 0x80000000);
    build_a(&b, "x", 0xffffffff);
    read_it();
    CHECK_EQ(wf_dns_next(&r, &rec), 1);
    CHECK_EQ(rec.ttl, WF_DNS_TTL_MAX);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(wf_dns_next(&r, &rec), 1);
        CHECK_EQ(rec.ttl, 0);
    }
}

TEST_PLAIN(the_data_of_each_kind_are_read)
{
    struct wf_dns_record rec;
    struct wf_dns_srv srv;
    struct wf_dns_mx mx;
    struct wf_dns_soa soa;
    char name[WF_DNS_NAME];
    build_all_kinds(&b);
    read_it();
    find(&rec, WF_DNS_CNAME);
    CHECK_EQ(wf_dns_data_name(&r, &rec, name), 0);
    CHECK_STR(name, "web.example");
    find(&rec, WF_DNS_PTR);
    CHECK_EQ(wf_dns_data_name(&r, &rec, name), 0);
    CHECK_STR(name, "web.example");
    find(&rec, WF_DNS_NS);
    CHECK_EQ(wf_dns_data_name(&r, &rec, name), 0);
    CHECK_STR(name, "ns.example");
    find(&rec, WF_DNS_A);
    CHECK(memcmp(rec.data, "\300\0\2\1", 4) == 0);
    find(&rec, WF_DNS_SRV);
    CHECK_EQ(wf_dns_data_srv(&r, &rec, &srv), 0);
    CHECK_EQ(srv.priority, 1);
    CHECK_EQ(srv.weight, 2);
    CHECK_EQ(srv.port, 5060);
    CHECK_STR(srv.target, "web.example");
    find(&rec, WF_DNS_MX);
    CHECK_EQ(wf_dns_data_mx(&r, &rec, &mx), 0);
    CHECK_EQ(mx.preference, 10);
    CHECK_STR(mx.exchange, "mail.example");
    find(&rec, WF_DNS_SOA);
    CHECK_EQ(wf_dns_data_soa(&r, &rec, &soa), 0);
    CHECK_STR(soa.primary, "ns.example");
    CHECK_STR(soa.mailbox, "hostmaster.example");
    CHECK_EQ(soa.serial, 1);
    CHECK_EQ(soa.refresh, 2);
    CHECK_EQ(soa.retry, 3);
    CHECK_EQ(soa.expire, 4);
    CHECK_EQ(soa.minimum, 120);
}

TEST_PLAIN(the_strings_of_a_TXT_come_one_after_another)
{
    struct wf_dns_record rec;
    const uint8_t *text;
    size_t at = 0, len;
    build_all_kinds(&b);
    read_it();
    find(&rec, WF_DNS_TXT);
    CHECK_EQ(wf_dns_data_txt(&rec, &at, &text, &len), 1);
    CHECK(len == 5 && memcmp(text, "hello", 5) == 0);
    CHECK_EQ(wf_dns_data_txt(&rec, &at, &text, &len), 1);
    CHECK_EQ(len, 0);
    CHECK_EQ(wf_dns_data_txt(&rec, &at, &text, &len), 1);
    CHECK(len == 3 && memcmp(text, "you", 3) == 0);
    CHECK_EQ(wf_dns_data_txt(&rec, &at, &text, &len), 0);
    find(&rec, WF_DNS_A);
    at = 0;
    CHECK_EQ(wf_dns_data_txt(&rec, &at, &text, &len), 0);
}

TEST_PLAIN(data_of_another_type_or_class_are_refused)
{
    static union {
        struct wf_dns_srv srv;
        struct wf_dns_mx mx;
        struct wf_dns_soa soa;
        char name[WF_DNS_NAME];
    } u;
    struct wf_dns_record rec;
    build_all_kinds(&b);
    read_it();
    find(&rec, WF_DNS_A);
    CHECK_EQ(wf_dns_data_name(&r, &rec, u.name), -EINVAL);
    CHECK_EQ(wf_dns_data_srv(&r, &rec, &u.srv), -EINVAL);
    CHECK_EQ(wf_dns_data_mx(&r, &rec, &u.mx), -EINVAL);
    CHECK_EQ(wf_dns_data_soa(&r, &rec, &u.soa), -EINVAL);
    build_reply(&b, "x", WF_DNS_A);
    build_cname(&b, "x", 1, "y");
    build_set16(&b, b.data - 8, 3);
    read_it();
    find(&rec, WF_DNS_CNAME);
    CHECK_EQ(wf_dns_data_name(&r, &rec, u.name), -EINVAL);
}
