/* SPDX-License-Identifier: MIT */
/*
 * test_example_output.c - the examples that talk to nobody say what stands in
 * examples/expected, octet by octet.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "process.h"
#include "program.h"
#include "system.h"

enum { TEXT = 8192 };

/* In the source tree, of which the tests are in build/FLAVOUR/tests. */
static void read_expected(const char *name, char *text)
{
    char path[4096];
    system_program(path, sizeof path);
    for (int up = 0; up < 4; up++) {
        char *slash = strrchr(path, '/');
        if (slash) *slash = 0;
    }
    size_t room = sizeof path - strlen(path);
    (void)snprintf(strchr(path, 0), room, "/examples/expected/%s.txt", name);
    FILE *file = fopen(path, "r");
    if (!file) test_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
    size_t len = fread(text, 1, TEXT - 1, file);
    text[len] = 0;
    CHECK(len > 0 && len < TEXT - 1);
    CHECK_EQ(fclose(file), 0);
}

static void says_what_is_expected(const char *name)
{
    static char text[TEXT], want[TEXT];
    struct program p;
    char *none[] = {NULL};
    read_expected(name, want);
    start_program(&p, name, none);
    int status = await_program(&p, text, sizeof text);
    CHECK_STR(text, want);
    CHECK_EQ(status, 0);
}

TEST_PLAIN(gather_shows_results_in_order_and_what_a_failure_stops)
{
    says_what_is_expected("gather");
}

TEST_PLAIN(exceptions_takes_the_first_copy_and_lets_the_others_close)
{
    says_what_is_expected("exceptions");
}

TEST_PLAIN(timeout_shows_what_each_deadline_makes_of_a_request)
{
    says_what_is_expected("timeout");
}

TEST_PLAIN(testing_tests_a_server_in_no_time)
{
    says_what_is_expected("testing");
}

TEST_PLAIN(race_shows_one_winner_and_no_buffer_of_a_loser)
{
    says_what_is_expected("race");
}

TEST_PLAIN(worker_pool_shows_a_result_for_each_job)
{
    says_what_is_expected("worker_pool");
}

TEST_PLAIN(dns_lookup_shows_what_hosts_says_of_a_name_and_what_is_wrong)
{
    static char text[TEXT], want[TEXT], path[64];
    static const char hosts[] = "192.0.2.5 db.example db\n"
                                "2001:db8::5 db.example\n";
    struct program p;
    char *arguments[] = {"-h",   path, "-s",   "127.0.0.1:9", "db.example",
                         "ADDR", "A",  "AAAA", "NSAP",        NULL};
    (void)snprintf(path, sizeof path, "/tmp/weft-names-%d", (int)getpid());
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK(fputs(hosts, file) >= 0);
    CHECK_EQ(fclose(file), 0);
    read_expected("dns_lookup", want);
    start_program(&p, "dns_lookup", arguments);
    int status = await_program(&p, text, sizeof text);
    CHECK_EQ(unlink(path), 0);
    CHECK_STR(text, want);
    CHECK_EQ(status, 1);
}

TEST_PLAIN(pattern_52_57_work_queue_shows_what_becomes_of_each_letter)
{
    says_what_is_expected("work_queue");
}

TEST_PLAIN(pattern_59_pipeline_shows_a_slow_stage_an_early_end_and_a_failure)
{
    says_what_is_expected("pipeline");
}

TEST_PLAIN(select_loop_shows_one_case_at_a_time_and_each_in_time)
{
    says_what_is_expected("select_loop");
}

TEST_PLAIN(pattern_97_retry_shows_what_is_tried_again_and_when)
{
    says_what_is_expected("retry");
}

TEST_PLAIN(pattern_106_to_109_rate_limit_shows_who_is_refused_and_who_waits)
{
    says_what_is_expected("rate_limit");
}

TEST_PLAIN(pattern_103_pool_lends_in_line_and_names_who_forgot)
{
    says_what_is_expected("pool");
}

TEST_PLAIN(pattern_77_cache_shows_one_question_for_all_who_ask)
{
    says_what_is_expected("cache");
}

TEST_PLAIN(pattern_88_ticker_shows_seconds_that_do_not_drift)
{
    says_what_is_expected("ticker");
}

TEST_PLAIN(pattern_79_timed_shows_the_slow_orders_and_what_they_wait_for)
{
    says_what_is_expected("timed");
}

TEST_PLAIN(udp_echo_shows_what_is_lost_and_sent_again)
{
    says_what_is_expected("udp_echo");
}

TEST_PLAIN(graceful_stop_shows_what_each_signal_does)
{
    says_what_is_expected("graceful_stop");
}

TEST_PLAIN(unix_fd_pass_serves_each_connection_in_another_process)
{
    says_what_is_expected("unix_fd_pass");
}

TEST_PLAIN(subprocess_shows_how_each_program_ended)
{
    if (vfork_is_a_fork()) SKIP("posix_spawn does not learn of a failed exec");
    says_what_is_expected("subprocess");
}

TEST_PLAIN(pattern_62_process_pool_loses_a_job_with_its_worker_and_no_other)
{
    if (vfork_is_a_fork()) SKIP("an emulator cannot execute its own kind");
    says_what_is_expected("process_pool");
}

TEST_PLAIN(generator_shows_a_producer_that_is_closed_before_the_loop_is_left)
{
    says_what_is_expected("generator");
}

TEST_PLAIN(background_shows_a_shutdown_that_names_what_is_left)
{
    says_what_is_expected("background");
}

TEST_PLAIN(offload_shows_that_the_clock_ticks_on_and_what_is_left_behind)
{
    says_what_is_expected("offload");
}

TEST_PLAIN(multicore_shows_a_result_that_does_not_depend_on_who_found_it)
{
    says_what_is_expected("multicore");
}

TEST_PLAIN(files_shows_notes_that_are_never_half_there)
{
    says_what_is_expected("files");
}

/* The mail of the last order is all that ends by itself. After that nothing is
 * to happen any more, and it is told to stop. */
TEST_PLAIN(background_shuts_down_in_the_same_way_when_it_gets_a_signal)
{
    static char text[TEXT], want[TEXT];
    struct program p;
    char *wait[] = {(char[]){"wait"}, NULL};
    size_t len = 0, n;
    read_expected("background_signal", want);
    start_program(&p, "background", wait);
    do {
        n = read_its_line(&p, text + len, sizeof text - len);
        len += n;
    } while (n > 0 && !strstr(text + len - n, "mail: sent"));
    CHECK_EQ(kill(p.pid, SIGTERM), 0);
    int status = await_program(&p, text + len, sizeof text - len);
    CHECK_STR(text, want);
    CHECK_EQ(status, 0);
}

TEST_PLAIN(http_client_shows_who_is_followed_asked_again_and_given_up)
{
    says_what_is_expected("http_client");
}
