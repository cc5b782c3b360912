/* SPDX-License-Identifier: MIT */
/*
 * weft.h - all of weft. Each header below is the manual of one concept.
 */
#ifndef WEFT_H
#define WEFT_H

/* Fibers, and what they fail with. */
#include <weft/base.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/random.h>
#include <weft/run.h>
#include <weft/stats.h>
#include <weft/time.h>

/* Structured concurrency. */
#include <weft/background.h>
#include <weft/cleanup.h>
#include <weft/debug.h>
#include <weft/gather.h>
#include <weft/gen.h>
#include <weft/local.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/task.h>

/* Between fibers. */
#include <weft/barrier.h>
#include <weft/cache.h>
#include <weft/chan.h>
#include <weft/cond.h>
#include <weft/cpool.h>
#include <weft/event.h>
#include <weft/limiter.h>
#include <weft/mutex.h>
#include <weft/once.h>
#include <weft/ratelimit.h>
#include <weft/ratelimits.h>
#include <weft/retry.h>
#include <weft/rwlock.h>
#include <weft/select.h>
#include <weft/sem.h>
#include <weft/signal.h>
#include <weft/ticker.h>
#include <weft/timed.h>
#include <weft/transaction.h>
#include <weft/workqueue.h>

/* Between threads. */
#include <weft/post.h>
#include <weft/token.h>
#include <weft/workers.h>

/* Descriptors and the network. */
#include <weft/activation.h>
#include <weft/addr.h>
#include <weft/buffer.h>
#include <weft/datagram.h>
#include <weft/dns.h>
#include <weft/faulty.h>
#include <weft/dial.h>
#include <weft/io.h>
#include <weft/memory.h>
#include <weft/net.h>
#include <weft/pipe.h>
#include <weft/serve.h>
#include <weft/socket.h>
#include <weft/splice.h>
#include <weft/stream.h>
#include <weft/transport.h>
#include <weft/tty.h>
#include <weft/udp.h>
#include <weft/unix.h>

/* Other threads. */
#include <weft/blocking.h>
#include <weft/file.h>
#include <weft/names.h>

/* Other programs. */
#include <weft/process.h>

/* HTTP. */
#include <weft/arena.h>
#include <weft/http.h>
#include <weft/http_client.h>
#include <weft/http_files.h>
#include <weft/http_parse.h>
#include <weft/http_route.h>
#include <weft/http_server.h>
#include <weft/http_write.h>
#include <weft/text.h>
#include <weft/url.h>
#include <weft/websocket.h>

/* For the tests of a program. */
#include <weft/testing.h>

#endif
