/* SPDX-License-Identifier: MIT */
/* exact.c - tests whose subject is what one call does when no world is hostile.
 * They run in such a world as well, without that part of it. */
#include "exact.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OCTETS = 1, /* it says how many octets one call moves */
    THERE = 2,  /* it says that a call finds what is there, or is not refused */
    TIMES = 4,  /* it says how long, or how often, something is waited for */
    BATCH = 8   /* it says what one poll brings, and in which order */
};

static const char *const variables[] = {
    "WEFT_HOSTILE_SHORT", "WEFT_HOSTILE_EAGAIN", "WEFT_HOSTILE_EINTR",
    "WEFT_HOSTILE_EVENTS"};

static const struct {
    const char *test;
    unsigned about;
} exact[] = {
    {"test_accept/a_try_accept_takes_what_waits_and_says_eagain_else", THERE},
    {"test_accept/without_descriptors_accept_waits_quietly_and_goes_on_at_once",
     THERE},
    {"test_cancel_points_io/cp_01_a_flush_sends_nothing", OCTETS},
    {"test_cancel_points_io/cp_01_reading", OCTETS},
    {"test_cancel_points_io/cp_01_streams_with_everything_in_the_buffer",
     OCTETS},
    {"test_cancel_points_io/cp_01_writing", OCTETS},
    {"test_cancel_points_io/cp_02_descriptors", OCTETS | THERE},
    {"test_dump/a_descriptor_is_registered_when_it_first_waits_and_never_again",
     THERE},
    {"test_dump/a_sleeping_run_polls_once_not_over_and_over", THERE | TIMES},
    {"test_fd_races/a_number_closed_and_reopened_crosses_no_wires", OCTETS},
    {"test_fd_races/a_number_reused_between_wake_and_run_is_not_read",
     OCTETS | THERE},
    {"test_fd_races/generations_keep_hundreds_of_handles_apart", THERE},
    {"test_fd_races/the_first_of_a_batch_may_close_the_second", OCTETS | THERE},
    {"test_fd_races/"
     "the_first_of_a_batch_may_close_the_second_and_reopen_its_number",
     OCTETS | THERE},
    {"test_fd_races/the_new_owner_of_a_number_is_woken_by_its_own_octets_only",
     OCTETS},
    {"test_file/a_fifo_is_for_the_reactor", OCTETS},
    {"test_file/others_have_turns_by_the_octets_of_what_is_cached", OCTETS},
    {"test_file/sweep/files_are_closed_and_nothing_is_left_over", OCTETS},
    {"test_file/what_many_fibers_have_cached_is_not_all_copied_in_one_turn",
     OCTETS},
    {"test_file/what_the_system_cannot_send_is_copied", OCTETS},
    {"test_foreign/a_cancelled_wait_leaves_no_spin_behind", TIMES | BATCH},
    {"test_foreign/a_wait_that_is_over_leaves_no_spin_behind", TIMES | BATCH},
    {"test_grant_io/", THERE},
    {"test_grant_io/grt_01_a_grant_survives_a_cancel_in_the_same_turn", BATCH},
    {"test_grant_io/grt_07_the_granter_may_cancel_all_but_one", BATCH},
    {"test_grant_io/grt_08_a_cancelled_nursery_takes_nothing_back", BATCH},
    {"test_grant_io/grt_09_of_two_cancels_the_first_is_the_reason", BATCH},
    {"test_grant_io/grt_10_a_task_is_cancelled_alone", BATCH},
    {"test_grant_io/grt_datagrams_go_to_who_waits_first", BATCH},
    {"test_io/a_read_returns_what_is_there", OCTETS},
    {"test_io/a_regular_file_never_parks", OCTETS},
    {"test_io/a_short_read_does_not_lose_what_comes_next", OCTETS},
    {"test_io/a_try_read_sees_what_has_just_been_written", THERE},
    {"test_io/a_vector_read_waits_as_a_read_does", OCTETS},
    {"test_io/read_exact_gathers_the_pieces", OCTETS},
    {"test_io/read_exact_says_epipe_and_how_much_came_before_the_end", OCTETS},
    {"test_io/try_calls_say_eagain_where_the_others_would_wait", THERE},
    {"test_io/vectors_are_read_and_written_in_order", OCTETS},
    {"test_io_close/a_reader_that_is_woken_and_then_cancelled_gets_its_octets",
     OCTETS | THERE | BATCH},
    {"test_io_close/fds_01_a_cancelled_reader_loses_nothing", OCTETS},
    {"test_io_close/"
     "fds_02_a_second_reader_gets_ebusy_and_the_first_is_unaffected",
     OCTETS},
    {"test_io_close/fds_03_one_fiber_reads_while_another_writes", OCTETS},
    {"test_io_close/fds_04_closing_wakes_a_writer", THERE},
    {"test_io_close/inside_a_cancelled_scope_a_read_fails_though_there_is_data",
     OCTETS},
    {"test_io_close/octets_that_came_in_the_turn_of_the_cancel_are_still_there",
     OCTETS},
    {"test_io_close/wait_tells_which_of_both_there_is", THERE},
    {"test_io_edges/"
     "a_message_does_not_come_between_the_octets_of_another_writer",
     OCTETS},
    {"test_io_edges/"
     "a_message_with_a_descriptor_does_not_hide_the_octets_behind_it",
     OCTETS},
    {"test_io_edges/a_newcomer_does_not_pass_the_writers_who_wait", THERE},
    {"test_io_edges/"
     "a_read_that_stops_at_a_passed_descriptor_does_not_miss_what_follows",
     OCTETS},
    {"test_io_edges/"
     "a_read_that_stops_at_urgent_data_does_not_miss_what_follows",
     OCTETS},
    {"test_io_edges/places_in_line_are_kept_when_their_numbers_come_round",
     THERE},
    {"test_io_edges/waiting_and_reading_by_the_number_does_not_spin",
     OCTETS | TIMES},
    {"test_io_edges/writers_of_a_datagram_socket_are_all_served_in_order",
     THERE},
    {"test_io_ends/a_half_closed_connection_still_carries_the_answer", OCTETS},
    {"test_io_ends/a_reset_wakes_a_parked_writer", THERE},
    {"test_io_ends/a_shut_down_sender_gets_epipe_and_no_signal", THERE},
    {"test_io_ends/a_sigpipe_that_was_pending_and_blocked_before_is_left_so",
     THERE},
    {"test_io_ends/a_write_to_a_closed_peer_is_epipe_and_never_a_signal",
     THERE},
    {"test_io_ends/octets_that_come_together_with_the_end_are_delivered_first",
     OCTETS},
    {"test_io_ends/the_end_comes_after_the_last_octet_and_stays",
     OCTETS | THERE},
    {"test_net/a_live_socket_file_is_left_alone", OCTETS | THERE},
    {"test_net/a_stale_socket_file_is_taken_out_of_the_way", OCTETS},
    {"test_net/a_unix_path_carries_octets_and_its_file_stays", OCTETS},
    {"test_net/an_abstract_name_carries_octets", OCTETS},
    {"test_net/any_address_can_be_dialled_by_127_0_0_1", OCTETS},
    {"test_net/each_direction_is_shut_down_by_itself", OCTETS},
    {"test_net/ipv4_carries_octets_both_ways", OCTETS},
    {"test_net/ipv6_carries_octets_both_ways", OCTETS},
    {"test_poller/a_wait_never_ends_early", TIMES},
    {"test_poller/a_wake_before_the_wait_ends_that_one_and_no_other", TIMES},
    {"test_poller/what_is_so_already_ends_a_wait_for_ever", TIMES},
    {"test_poller/what_was_removed_ends_no_wait", TIMES},
    {"test_select_fd/", THERE},
    {"test_select_fd/ready_and_then_another_of_that_number_is_closed",
     OCTETS | BATCH},
    {"test_serve_limits/a_stop_takes_no_more_of_a_peer_from_the_backlog_than_he_"
     "may_have",
     OCTETS | THERE},
    {"test_serve_stop/a_stop_serves_what_waits_in_the_backlog", OCTETS | THERE},
    {"test_serve_workers/"
     "a_stop_while_a_worker_computes_loses_nobody_at_its_door",
     THERE},
    {"test_stream/a_buffer_grows_to_its_limit_and_says_enobufs", OCTETS},
    {"test_stream/a_peek_shows_what_is_there_and_consumes_nothing", OCTETS},
    {"test_stream/inside_a_cancelled_scope_more_fails_though_there_is_more",
     OCTETS},
    {"test_splice_ways/a_copy_does_not_write_between_what_another_fiber_writes",
     OCTETS | THERE},
    {"test_splice_ways/what_is_held_in_a_pipe_goes_before_a_file",
     OCTETS | THERE},
    {"test_splice_ways/what_was_held_by_hand_goes_before_what_is_spliced",
     OCTETS | THERE},
    {"test_stream/more_waits_until_there_are_more_octets_than_before", OCTETS},
    {"test_stream/reads_into_a_buffer_take_what_is_there_first", OCTETS},
    {"test_stream_out/a_read_that_finds_input_does_not_wait_and_sends_nothing",
     OCTETS | THERE},
    {"test_stream_out/close_sends_what_is_gathered", OCTETS},
    {"test_stream_out/"
     "fini_drops_what_is_gathered_and_leaves_the_descriptor_open",
     OCTETS},
    {"test_stream_out/small_writes_are_gathered_until_a_flush", OCTETS},
    {"test_stream_out/what_is_gathered_goes_out_before_a_wait_for_input",
     OCTETS | THERE},
    {"test_stream_out/what_passes_16_kib_goes_out_by_itself", THERE},
    {"test_stream_scratch/what_is_shown_may_be_written_in_pieces", OCTETS},
    {"test_stream_try_flush/"
     "over_a_descriptor_all_goes_that_there_is_room_for",
     OCTETS | THERE},
    {"test_sweep_io/sweep/no_letter_is_lost", THERE},
    {"test_sweep_net/sweep/lines_come_whole_and_in_order", OCTETS},
    {"test_sweep_net/sweep/reading_and_writing_do_not_meet", OCTETS},
    {"test_udp/a_sender_waits_for_room_and_nothing_of_a_cancelled_one_goes",
     THERE},
    {"test_udp/what_strangers_sent_before_there_was_a_peer_is_dropped", THERE},
    {"test_udp_batch/a_call_takes_what_there_is_and_no_more_than_a_batch",
     OCTETS | THERE},
    {"test_udp_batch/a_newcomer_does_not_pass_the_senders_who_wait",
     OCTETS | THERE},
    {"test_udp_batch/senders_without_room_are_served_in_order", THERE},
    {"test_udp_batch/"
     "who_waits_first_takes_all_there_is_and_the_next_waits_on",
     OCTETS | THERE | BATCH},
};

/* A row that ends in / is for all tests of a program. */
static bool is_meant(const char *row, const char *name)
{
    size_t len = strlen(row);
    return row[len - 1] == '/' ? strncmp(row, name, len) == 0
                               : strcmp(row, name) == 0;
}

static unsigned subject_of(const char *program, const char *test)
{
    char name[512];
    unsigned about = 0;
    (void)snprintf(name, sizeof name, "%s/%s", program, test);
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        if (is_meant(exact[i].test, name)) about |= exact[i].about;
    return about;
}

void exact_for_this_world(const char *program, const char *test)
{
    const char *world = getenv("WEFT_HOSTILE");
    if (!world || atoi(world) == 0) return;
    unsigned about = subject_of(program, test);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        (void)setenv(variables[i], about & 1u << i ? "0" : "1", 1);
}
