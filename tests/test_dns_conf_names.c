/* SPDX-License-Identifier: MIT */
/* test_dns_conf_names.c - under which names one is looked for, and in turn. */
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "net/dns_conf.h"

/* The names in turn, with a blank behind each. */
static const char *names(const char *conf, const char *name)
{
    static struct wf_dns_conf c;
    static char text[40 * WF_DNS_NAME];
    char next[WF_DNS_NAME];
    struct wf_dns_names n;
    wf_dns_conf_parse(&c, conf, strlen(conf));
    wf_dns_names_init(&n, &c, name);
    text[0] = 0;
    while (wf_dns_names_next(&n, next)) {
        CHECK_EQ(wf_dns_name_check(next), 0);
        strcat(strcat(text, next), " ");
    }
    CHECK_EQ(wf_dns_names_next(&n, next), 0);
    return text;
}

TEST_PLAIN(a_name_with_few_dots_is_tried_in_the_list_first)
{
    CHECK_STR(names("search a b\n", "www"), "www.a www.b www ");
    CHECK_STR(names("search a\noptions ndots:2\n", "w.x"), "w.x.a w.x ");
    CHECK_STR(names("search a\noptions ndots:15\n", "1.2.3.4.5.6.7.8.9.10"),
              "1.2.3.4.5.6.7.8.9.10.a 1.2.3.4.5.6.7.8.9.10 ");
}

TEST_PLAIN(a_name_with_enough_dots_is_tried_as_it_is_first)
{
    CHECK_STR(names("search a b\n", "www.x"), "www.x www.x.a www.x.b ");
    CHECK_STR(names("search a\noptions ndots:2\n", "w.x.y"), "w.x.y w.x.y.a ");
    CHECK_STR(names("search a\noptions ndots:0\n", "www"), "www www.a ");
}

TEST_PLAIN(a_name_with_a_dot_at_its_end_is_tried_as_it_is_alone)
{
    CHECK_STR(names("search a b\n", "www."), "www ");
    CHECK_STR(names("search a b\n", "www.x."), "www.x ");
    CHECK_STR(names("search a b\n", "."), ". ");
    CHECK_STR(names("search a\n", "www\\\\."), "www\\\\ ");
    /* a dot of the label is none of those */
    CHECK_STR(names("search a\n", "www\\."), "www\\..a www\\. ");
    CHECK_STR(names("search a\n", "w\\.x"), "w\\.x.a w\\.x ");
}

TEST_PLAIN(without_a_list_a_name_is_tried_as_it_is)
{
    CHECK_STR(names("", "www"), "www ");
    CHECK_STR(names("", "www.x"), "www.x ");
    CHECK_STR(names("", "Www.X."), "Www.X ");
}

TEST_PLAIN(the_root_in_the_list_is_the_name_as_it_is_and_not_once_more)
{
    CHECK_STR(names("search a . b\n", "www"), "www.a www www.b ");
    CHECK_STR(names("search . .\n", "www"), "www ");
    CHECK_STR(names("search a .\n", "www.x"), "www.x www.x.a ");
}

TEST_PLAIN(without_queries_for_top_level_domains_a_bare_name_needs_the_list)
{
    CHECK_STR(names("search a\noptions no-tld-query\n", "www"), "www.a ");
    CHECK_STR(names("options no-tld-query\n", "www"), "");
    CHECK_STR(names("options no-tld-query\n", "www."), "www ");
    CHECK_STR(names("options no-tld-query\n", "w.x"), "w.x ");
    CHECK_STR(names("options no-tld-query ndots:2\n", "w.x"), "w.x ");
}

TEST_PLAIN(what_is_not_a_name_is_tried_nowhere)
{
    CHECK_STR(names("search a\n", ""), "");
    CHECK_STR(names("search a\n", "a..b"), "");
    CHECK_STR(names("search a\n", "a.."), "");
    CHECK_STR(names("search a\n", "a\\"), "");
}

TEST_PLAIN(what_gets_too_long_with_a_domain_behind_is_passed_over)
{
    char name[256], want[1000];
    memset(name, 'x', sizeof name);
    name[63] = name[127] = name[191] = '.';
    name[250] = 0; /* with "bb" behind, 253 */
    (void)snprintf(want, sizeof want, "%s %s.bb %s.a ", name, name, name);
    CHECK_STR(names("search ccc bb dddd a\n", name), want);
}
