#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""check-websocket.py [EXAMPLES] - WebSocket as somebody else understands it.

The client of python3-websockets (a Debian package) talks to examples/ws_echo,
and its server to examples/ws_client; where it is too well-behaved the frames are
made by hand. Works on the loopback alone, and ends what it has started. The last
line has the totals; the status is 1 when a check failed.
"""
import asyncio
import http
import os
import pathlib
import signal
import struct
import sys

try:
    import websockets
except ImportError:
    print("skip all of it: there is no python3-websockets")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

HERE = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES = pathlib.Path(sys.argv[1] if len(sys.argv) > 1
                        else HERE / "build" / "examples")
LIMIT = 60  # seconds, for each check
SMALL = 1000  # max_message of the second server

checks = []


def check(name):
    """Names a check; what it raises is why it failed."""
    def add(fn):
        checks.append((name, fn))
        return fn
    return add


def same(got, want):
    if got != want:
        raise AssertionError(f"{got!r:.200} is not {want!r:.200}")


# --- the server under test
class Server:
    def __init__(self, *args):
        self.args = args

    async def __aenter__(self):
        self.process = await asyncio.create_subprocess_exec(
            str(EXAMPLES / "ws_echo"), "127.0.0.1:0", *self.args,
            stderr=asyncio.subprocess.PIPE)
        line = await self.process.stderr.readline()
        self.port = int(line.decode().rsplit(":", 1)[1])
        self.url = f"ws://127.0.0.1:{self.port}/"
        return self

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


def connect(server, **options):
    options.setdefault("max_size", None)
    return websockets.connect(server.url, **options)


# --- frames by hand
def frame(first, payload=b"", mask=b"\1\2\3\4", length=None):
    n = len(payload)
    bit = 0x80 if mask else 0
    if length is not None:
        head = bytes([first, bit | length[0]]) + length[1:]
    elif n < 126:
        head = bytes([first, bit | n])
    elif n < 65536:
        head = bytes([first, bit | 126]) + struct.pack(">H", n)
    else:
        head = bytes([first, bit | 127]) + struct.pack(">Q", n)
    if not mask:
        return head + payload
    return head + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(payload))


HANDSHAKE = ("GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")


async def by_hand(server, extra="", head=HANDSHAKE):
    """A connection, and the head of the answer to a handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write((head + extra + "\r\n").encode())
    return reader, writer, (await reader.readuntil(b"\r\n\r\n")).decode()


async def hear(reader):
    """The first octet of a frame, which is short, and its payload."""
    first, n = await reader.readexactly(2)
    if n == 126:
        n, = struct.unpack(">H", await reader.readexactly(2))
    return first, await reader.readexactly(n)


async def refuses(server, octets, code):
    """Says something wrong, and goes on saying more."""
    reader, writer, head = await by_hand(server)
    same(head.split()[1], "101")
    writer.write(octets)
    first, payload = await hear(reader)
    same((first, payload[:2]), (0x88, struct.pack(">H", code)))
    same(await reader.read(), b"")
    writer.close()


# --- ws_echo
@check("texts and binary messages come back as they were")
async def _(echo, _small):
    async with connect(echo) as ws:
        for message in ("hello", "gr\u00fc\u00df \U0001F600", "", b"", b"\0\xff"):
            await ws.send(message)
            same(await ws.recv(), message)


@check("messages of every size around the edges come back")
async def _(echo, _small):
    async with connect(echo) as ws:
        for n in (1, 125, 126, 127, 16383, 16384, 16385, 65535, 65536, 1 << 20,
                  10 << 20):
            message = os.urandom(n)
            await ws.send(message)
            same(await ws.recv() == message, True)


@check("fragments are one message")
async def _(echo, _small):
    async with connect(echo) as ws:
        await ws.send(["one ", "", "two ", "three"])
        same(await ws.recv(), "one two three")
        await ws.send([b"x" * 1000] * 100)
        same(await ws.recv(), b"x" * 100000)


@check("a ping is answered, between messages and between fragments")
async def _(echo, _small):
    async with connect(echo, ping_interval=None) as ws:
        async def parts():
            yield "one "
            await (await ws.ping(b"between"))
            yield "two"
        await (await ws.ping(b"x" * 125))
        await (await ws.ping(b""))
        await ws.send(parts())
        same(await ws.recv(), "one two")


@check("a close is answered with its code")
async def _(echo, _small):
    for code, reason in ((1000, ""), (1001, "gone"), (4000, "gr\u00fc\u00df"),
                         (3000, "r" * 123)):
        ws = await connect(echo)
        await ws.close(code, reason)
        same((ws.close_code, ws.close_reason), (code, ""))


@check("a close without a code is answered by one, and the server ends first")
async def _(echo, _small):
    reader, writer, _head = await by_hand(echo)
    writer.write(frame(0x88))
    same(await hear(reader), (0x88, b""))
    same(await reader.read(), b"")
    writer.close()


@check("permessage-deflate is declined")
async def _(echo, _small):
    async with connect(echo, compression="deflate") as ws:
        same(ws.extensions, [])
        await ws.send("a" * 1000)
        same(await ws.recv(), "a" * 1000)


@check("without an offer nothing is said of extensions or protocols")
async def _(echo, _small):
    async with connect(echo, compression=None,
                       subprotocols=["chat"]) as ws:
        same(ws.extensions, [])
        same(ws.subprotocol, None)


@check("what is not UTF-8 is 1007, at once")
async def _(echo, _small):
    for octets in (frame(0x81, b"\xff"), frame(0x81, b"\xc3"),
                   frame(0x81, b"\xed\xa0\x80"),
                   frame(0x01, b"\xe2\x82") + frame(0x80, b"("),
                   frame(0x81, b"", length=b"\x7e\x40\x00") + b"\xfe",
                   frame(0x88, b"\x03\xe8\xff")):
        await refuses(echo, octets, 1007)


@check("what the protocol has not is 1002")
async def _(echo, _small):
    for octets in (frame(0xc1), frame(0xa1), frame(0x91), frame(0x83),
                   frame(0x87), frame(0x8b), frame(0x8f), frame(0x09),
                   frame(0x08), frame(0x80), frame(0x00),
                   frame(0x01, b"a") + frame(0x81, b"b"),
                   frame(0x89, b"p" * 126), frame(0x81, b"x", mask=b""),
                   frame(0x82, length=b"\x7e\x00\x7d"),
                   frame(0x82, length=b"\x7f" + b"\0" * 7 + b"\1"),
                   frame(0x82, length=b"\x7f\x80" + b"\0" * 7),
                   frame(0x88, b"\x03"), frame(0x88, b"\x03\xed"),
                   frame(0x88, b"\x03\xee"), frame(0x88, b"\x03\xf7"),
                   frame(0x88, b"\x0b\xb7"), frame(0x88, b"\0\0")):
        await refuses(echo, octets, 1002)


@check("what is too big is 1009, before it has come")
async def _(echo, small):
    await refuses(small, frame(0x82, length=b"\x7e\x03\xe9"), 1009)
    await refuses(small, frame(0x82, length=b"\x7f\x7f" + b"\xff" * 7), 1009)
    await refuses(small, frame(0x02, b"x" * 900) + frame(0x80, b"x" * 101), 1009)
    async with connect(small) as ws:
        await ws.send(b"x" * SMALL)
        same(await ws.recv(), b"x" * SMALL)
        try:
            await ws.send(b"x" * (4 << 20))
            await ws.recv()
        except websockets.ConnectionClosed:
            pass
        same(ws.close_code, 1009)
    await refuses(echo, frame(0x82, length=b"\x7f" + struct.pack(
        ">Q", (16 << 20) + 1)), 1009)


@check("octet by octet it is the same")
async def _(echo, _small):
    reader, writer, _head = await by_hand(echo)
    octets = (frame(0x01, b"he") + frame(0x89, b"?") + frame(0x80, b"llo") +
              frame(0x88, b"\x03\xe8"))
    for i in range(len(octets)):
        writer.write(octets[i:i + 1])
        await writer.drain()
        await asyncio.sleep(0.001)
    same(await hear(reader), (0x8a, b"?"))
    same(await hear(reader), (0x81, b"hello"))
    same(await hear(reader), (0x88, b"\x03\xe8"))
    same(await reader.read(), b"")
    writer.close()


@check("5,000 messages come back in order, sent without waiting")
async def _(echo, _small):
    async with connect(echo, max_queue=None) as ws:
        async def send_all():
            for i in range(5000):
                await ws.send(f"message {i}")
        sender = asyncio.ensure_future(send_all())
        for i in range(5000):
            same(await ws.recv(), f"message {i}")
        await sender


@check("300 connections talk at the same time")
async def _(echo, _small):
    async def talk(n):
        async with connect(echo, open_timeout=LIMIT) as ws:
            for i in range(20):
                await ws.send(f"{n} {i}")
                same(await ws.recv(), f"{n} {i}")
    await asyncio.gather(*(talk(n) for n in range(300)))


@check("a handshake that is none is refused as RFC 6455 and RFC 9110 say")
async def _(echo, _small):
    rows = ((HANDSHAKE.replace("13", "8"), "426", "Sec-WebSocket-Version: 13"),
            (HANDSHAKE.replace("Upgrade: websocket\r\n", ""), "426",
             "Upgrade: websocket"),
            (HANDSHAKE.replace("dGhl", "dGh"), "400", ""),
            (HANDSHAKE + "Origin: http://elsewhere\r\n", "403", ""),
            (HANDSHAKE.replace("GET", "DELETE"), "405", "Allow: GET"))
    for request, status, has in rows:
        _reader, writer, head = await by_hand(echo, head=request)
        same(head.split()[1], status)
        same(has in head, True)
        writer.close()


@check("who vanishes disturbs nobody")
async def _(echo, _small):
    for _ in range(20):
        _reader, writer, _head = await by_hand(echo)
        writer.write(frame(0x82, length=b"\x7e\xff\xff") + b"half")
        writer.transport.abort()
    async with connect(echo) as ws:
        await ws.send("still here")
        same(await ws.recv(), "still here")


@check("SIGTERM is told with 1001, what had come is answered, and it ends")
async def _(_echo, _small):
    async with Server() as server:
        idle = [await connect(server) for _ in range(20)]
        await idle[0].send("last")
        same(await idle[0].recv(), "last")
        server.process.send_signal(signal.SIGTERM)
        for ws in idle:
            await ws.wait_closed()
            same(ws.close_code, 1001)
        same(await server.process.wait(), 0)


# --- ws_client
class Client:
    """ws_client, and a server that `handler` is of."""
    def __init__(self, handler, **options):
        self.handler, self.options = handler, options
        self.seen = asyncio.get_running_loop().create_future()

    async def handle(self, ws):
        try:
            result = await self.handler(ws)
            await ws.wait_closed()
        except websockets.ConnectionClosed:
            result = None
        if not self.seen.done():
            self.seen.set_result((ws.close_code, result))

    async def run(self, lines=b"", eof=True):
        self.options.setdefault("ping_interval", None)
        async with websockets.serve(self.handle, "127.0.0.1", 0,
                                    **self.options) as server:
            port = server.sockets[0].getsockname()[1]
            process = await asyncio.create_subprocess_exec(
                str(EXAMPLES / "ws_client"), f"ws://127.0.0.1:{port}/chat",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE)
            try:
                process.stdin.write(lines)
                if eof:
                    process.stdin.close()
                out = await process.stdout.read()
                err = await process.stderr.read()
                await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
        return process.returncode, out.decode(), err.decode()


async def echo_all(ws):
    async for message in ws:
        await ws.send(message)


@check("ws_client: lines are texts, and the end of them is a close")
async def _(_echo, _small):
    async def handler(ws):
        for _ in range(3):
            await ws.send(await ws.recv())
        await ws.recv()
    client = Client(handler)
    rc, out, _err = await client.run(b"one\n\ngr\xc3\xbc\xc3\x9f\n", eof=True)
    # What comes behind our close frame is passed over.
    same(rc, 0)
    same(out.splitlines()[-1][:11], "closed 1000")
    same((await client.seen)[0], 1000)


@check("ws_client: the server is the first to close")
async def _(_echo, _small):
    async def handler(ws):
        await ws.send(b"octets")
        await ws.send(["a te", "xt in ", "parts"])
        await ws.send("")
        await ws.close(4000, "that is all")
    client = Client(handler)
    rc, out, _err = await client.run(eof=False)
    same(out.splitlines(), ["binary octets", "text a text in parts", "text ",
                            "closed 4000 that is all"])
    same((rc, (await client.seen)[0]), (0, 4000))


@check("ws_client: 1,000 lines come back in order")
async def _(_echo, _small):
    async def handler(ws):
        for _ in range(1000):
            await ws.send(await ws.recv())
        await ws.close()
    lines = [f"line {i}" for i in range(1000)]
    rc, out, _err = await Client(handler).run(
        "".join(line + "\n" for line in lines).encode(), eof=False)
    same(rc, 0)
    same(out.splitlines()[:1000], ["text " + line for line in lines])


@check("ws_client: pings are answered")
async def _(_echo, _small):
    async def handler(ws):
        for n in (0, 1, 125):
            await (await ws.ping(b"p" * n))
        await ws.close()
        return "ponged"
    client = Client(handler)
    await client.run(eof=False)
    same(await client.seen, (1000, "ponged"))


@check("ws_client: what a server may not do is told by its code")
async def _(_echo, _small):
    rows = ((b"\x81\x01\xff", 1007), (b"\x81\x81\0\0\0\0x", 1002),
            (b"\xc1\x00", 1002), (b"\x80\x00", 1002), (b"\x83\x00", 1002),
            (b"\x82\x7f\0\0\0\0\0\x10\0\1", 1009),
            (b"\x88\x02\x03\xed", 1002))
    for octets, code in rows:
        async def handler(ws, octets=octets):
            ws.transport.write(octets)
        client = Client(handler)
        rc, _out, err = await client.run(eof=False)
        same((await client.seen)[0], code)
        same((rc, "websocket: " in err), (1, True))


@check("ws_client: a server that compresses does not, unasked")
async def _(_echo, _small):
    async def handler(ws):
        same(ws.extensions, [])
        await ws.send("a" * 1000)
        await ws.close()
    rc, out, _err = await Client(handler, compression="deflate").run(eof=False)
    same((rc, out.splitlines()[0]), (0, "text " + "a" * 1000))


@check("ws_client: a refusal is told with its status")
async def _(_echo, _small):
    async def refuse(_path, _headers):
        return http.HTTPStatus.FORBIDDEN, [], b"no\n"
    rc, _out, err = await Client(echo_all, process_request=refuse).run()
    same((rc, "refused with 403 Forbidden" in err), (1, True))


@check("ws_client: a server that vanishes is an error")
async def _(_echo, _small):
    async def handler(ws):
        await ws.send("hello")
        await asyncio.sleep(0.1)
        ws.transport.abort()
    rc, out, _err = await Client(handler).run(eof=False)
    same((rc, out.splitlines()), (1, ["text hello", "closed 1006 "]))


# --- all of it
async def main():
    passed = failed = 0
    async with Server() as echo, Server(str(SMALL)) as small:
        for name, fn in checks:
            try:
                await asyncio.wait_for(fn(echo, small), LIMIT)
            except Exception as e:  # whatever it is, it failed
                failed += 1
                print(f"FAIL {name}: {type(e).__name__}: {e}", flush=True)
            else:
                passed += 1
                print(f"ok   {name}", flush=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed > 0


sys.exit(asyncio.run(main()))
