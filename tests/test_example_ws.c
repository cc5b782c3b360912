/* SPDX-License-Identifier: MIT */
/* test_example_ws.c - the example ws_echo, by a client of ours. */
#include <weft/run.h>
#include <weft/websocket.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "program.h"

static struct program server;

static weft_ws *connect_to_it(void)
{
    char url[160];
    weft_ws *ws;
    (void)snprintf(url, sizeof url, "ws://%s/", server.address[0]);
    CHECK_EQ(weft_ws_connect(&ws, url, NULL), 0);
    return ws;
}

static void check_echo(weft_ws *ws, const char *text)
{
    weft_ws_message m;
    CHECK_EQ(weft_ws_send(ws, WEFT_WS_TEXT, text, strlen(text)), 0);
    CHECK_EQ(weft_ws_read(ws, &m), 1);
    CHECK(weft_text_is(m.data, text));
}

static int talk(void *arg)
{
    weft_ws *ws = connect_to_it();
    (void)arg;
    check_echo(ws, "hello");
    CHECK_EQ(weft_ws_close(ws, 4000, "enough"), 0);
    CHECK_EQ(weft_ws_close_code(ws), 4000);
    weft_ws_free(ws);
    return 0;
}

static int stay(void *arg)
{
    weft_ws *ws = connect_to_it();
    weft_ws_message m;
    (void)arg;
    check_echo(ws, "hello");
    CHECK_EQ(kill(server.pid, SIGTERM), 0);
    CHECK_EQ(weft_ws_read(ws, &m), 0);
    CHECK_EQ(weft_ws_close_code(ws), WEFT_WS_GOING_AWAY);
    return weft_ws_end(ws, 0);
}

static void start(void)
{
    start_server(&server, "ws_echo", (char *[]){(char[]){"127.0.0.1:0"}, NULL});
}

TEST_PLAIN(ws_echo_sends_a_message_back_and_closes_as_it_is_asked_to)
{
    start();
    CHECK_EQ(weft_run(talk, NULL, NULL), 0);
    stop_server(&server);
}

TEST_PLAIN(ws_echo_says_goodbye_when_it_is_stopped)
{
    char text[256];
    start();
    CHECK_EQ(weft_run(stay, NULL, NULL), 0);
    CHECK_EQ(await_program(&server, text, sizeof text), 0);
    CHECK_STR(text, "");
}
