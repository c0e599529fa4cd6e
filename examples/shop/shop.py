"""A small shop: what an app must do to be released without losing a request, and little more.

It needs Python 3.9 and nothing else. Both services of fleet.yml run this file and learn from the
environment who they are: SERVICE, RELEASE and PORT, as every frontend does.

It answers HTTP/1.1 on its own asyncio protocol instead of http.server, which costs several times
as much CPU for a request; the tests send hundreds of them per second beside a whole cluster.
"""

import asyncio
import concurrent.futures
import json
import os
import pathlib
import signal
import sys
import time
from urllib.parse import parse_qs, urlsplit

SERVICE = os.environ.get("SERVICE", "www")
RELEASE = os.environ.get("RELEASE", "none")
HOST = os.environ.get("HOST", "0.0.0.0")
PORT = int(os.environ.get("PORT", "8000"))
VERSION = (pathlib.Path(__file__).parent / "VERSION").read_text().strip()

# Ways to be a bad release, for tests and for those who want to see what happens.
FAIL = os.environ.get("FAIL", "")
FAILS = ("", "exit", "never-listen", "wrong-port", "unhealthy", "flap", "crash")
FAIL_AFTER = int(os.environ.get("FAIL_AFTER_MS", "3000")) / 1000
SLOW_START = int(os.environ.get("SLOW_START_MS", "0")) / 1000

LONGEST_HEAD = 16 * 1024
LONGEST_BODY = 1024 * 1024
# After SIGTERM an idle connection stays this long, for a request that is already on its way.
LINGER = 0.5

REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}
WHO = {
    "app": "shop",
    "service": SERVICE,
    "version": VERSION,
    "release": RELEASE,
    "pid": os.getpid(),
    "port": PORT,
}
VERSION_JSON = (json.dumps(WHO) + "\n").encode()
WELCOME = f"shop {SERVICE}, version {VERSION}, release {RELEASE}\n".encode()
STAMP = f"X-Version: {VERSION}\r\nX-Release: {RELEASE}\r\nX-Pid: {os.getpid()}\r\n"


class Connection(asyncio.Protocol):
    """One client. Answers its requests one after another."""

    def __init__(self, shop):
        self.shop = shop
        self.received = bytearray()
        self.answering = None
        self.transport = None
        self.close_after = False

    def connection_made(self, transport):
        self.transport = transport
        self.shop.connections.add(self)

    def connection_lost(self, _error):
        if self.answering:
            self.answering.cancel()
        self.shop.lost(self)

    def data_received(self, data):
        self.received += data
        if self.answering is None:
            self.proceed()
        elif len(self.received) > LONGEST_HEAD + LONGEST_BODY:
            self.transport.pause_reading()

    def proceed(self):
        """Answers what has arrived in full."""
        while self.answering is None and not self.transport.is_closing():
            request = self.take_request()
            if request is None:
                return
            answer = self.shop.answer(*request)
            if asyncio.iscoroutine(answer):
                self.answering = asyncio.ensure_future(self.finish(answer))
            else:
                self.respond(*answer)

    def take_request(self):
        """The next request as (method, path, query), None while it is not complete."""
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            if len(self.received) > LONGEST_HEAD:
                self.refuse(431)
            return None
        lines = self.received[:end].decode("latin-1").split("\r\n")
        parts = lines[0].split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            return self.refuse(400)
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        if "transfer-encoding" in fields:
            return self.refuse(411)
        length = fields.get("content-length", "0")
        if not length.isdigit():
            return self.refuse(400)
        if int(length) > LONGEST_BODY:
            return self.refuse(413)
        total = end + 4 + int(length)
        if len(self.received) < total:
            return None
        del self.received[:total]
        self.transport.resume_reading()
        connection = fields.get("connection", "").lower()
        self.close_after = connection == "close" or (
            parts[2] == "HTTP/1.0" and connection != "keep-alive"
        )
        url = urlsplit(parts[1])
        return parts[0], url.path, url.query

    def refuse(self, status):
        self.close_after = True
        self.respond(status, b"")

    async def finish(self, answer):
        try:
            await answer_to(self, answer)
        finally:
            self.answering = None
        self.proceed()

    def respond(self, status, body, content_type="text/plain; charset=utf-8"):
        self.head(status, f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n", body)
        self.end()

    def head(self, status, fields, body=b""):
        """Writes the head, and with it, in one segment, what is there of the body."""
        self.close_after = self.close_after or self.shop.stopping
        closing = "Connection: close\r\n" if self.close_after else ""
        head = f"HTTP/1.1 {status} {REASONS[status]}\r\n{fields}{STAMP}{closing}\r\n"
        self.transport.write(head.encode("latin-1") + body)

    def end(self):
        if self.close_after:
            self.transport.close()

    def close_if_idle(self):
        if self.answering is None and not self.received:
            self.transport.close()


async def answer_to(connection, answer):
    """Waits for a slow answer, which is a response or writes one by itself."""
    response = await answer
    if callable(response):
        await response(connection)
    else:
        connection.respond(*response)


class Shop:
    """The pages, and the way from the first to the last request."""

    def __init__(self):
        self.connections = set()
        self.stopping = False
        self.stopped = None
        self.checks = 0
        # One thread: what it burns is taken from the requests of this process alone.
        self.burner = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        # Made where the loop runs: Python 3.9 ties a lock to the loop that is there when it is made.
        self.cashier = None

    def answer(self, method, path, query):
        """A response as (status, body), or a coroutine that returns one later."""
        if method not in ("GET", "POST"):
            return 405, b"only GET and POST\n"
        if path == "/":
            return 200, WELCOME
        if path == "/health":
            return self.health()
        if path == "/version":
            return 200, VERSION_JSON, "application/json"
        if path in SLOW:
            try:
                ms = int(parse_qs(query).get("ms", ["100"])[0])
            except ValueError:
                ms = -1
            if not 0 <= ms <= 60_000:
                return 400, b"ms must be a number from 0 to 60000\n"
            return SLOW[path](self, ms)
        return 404, b"no such page\n"

    def health(self):
        """Flapping: well for two checks, then ill for four."""
        self.checks += 1
        ill = FAIL == "unhealthy" or FAIL == "flap" and self.checks % 6 in (0, 3, 4, 5)
        return (500, b"unhealthy on request\n") if ill else (200, b"ok\n")

    async def work(self, ms):
        """Burns CPU for ms milliseconds of its own time, not of the clock on the wall."""
        await asyncio.get_running_loop().run_in_executor(self.burner, burn, ms / 1000)
        return 200, f"worked {ms} ms in version {VERSION}\n".encode()

    async def till(self, ms):
        """One customer at a time, and the others queue: load that shows and costs no CPU."""
        async with self.cashier:
            await asyncio.sleep(ms / 1000)
        return 200, f"paid in {ms} ms in version {VERSION}\n".encode()

    async def slow(self, ms):
        await asyncio.sleep(ms / 1000)
        return 200, f"waited {ms} ms in version {VERSION}\n".encode()

    async def stream(self, ms):
        """Ten lines, spread over ms milliseconds."""

        async def write(connection):
            connection.head(200, "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n")
            for number in range(1, 11):
                await asyncio.sleep(ms / 10_000)
                line = f"{number} of 10 from version {VERSION}\n".encode()
                connection.transport.write(b"%x\r\n%s\r\n" % (len(line), line))
            connection.transport.write(b"0\r\n\r\n")
            connection.end()

        return write

    def lost(self, connection):
        self.connections.discard(connection)
        if self.stopping and not self.connections:
            self.stopped.set()

    async def run(self):
        loop = asyncio.get_running_loop()
        self.stopped = asyncio.Event()
        self.cashier = asyncio.Lock()
        terminated = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, terminated.set)
        await wait_for(terminated, SLOW_START)
        if FAIL == "never-listen":
            say("is not going to listen, as FAIL asks")
            await terminated.wait()
        if terminated.is_set():
            return
        # 0: any port but the one that was asked for.
        port = 0 if FAIL == "wrong-port" else PORT
        server = await loop.create_server(lambda: Connection(self), HOST, port, backlog=1024)
        say(f"listens on {HOST}:{server.sockets[0].getsockname()[1]}")
        if FAIL == "crash":
            loop.call_later(FAIL_AFTER, crash)
        await terminated.wait()
        say("was asked to stop")
        self.stopping = True
        server.close()
        await self.drain()
        say("has answered everything and stops")

    async def drain(self):
        """Ends when every request has its answer; how long that may take, fleet decides."""
        if not self.connections:
            return
        await wait_for(self.stopped, LINGER)
        for connection in list(self.connections):
            connection.close_if_idle()
        if self.connections:
            await self.stopped.wait()


# Pages that take a while; each is asked for with ?ms=.
SLOW = {"/work": Shop.work, "/till": Shop.till, "/slow": Shop.slow, "/stream": Shop.stream}


def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(1000))


async def wait_for(event, seconds):
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except asyncio.TimeoutError:
        pass


def crash():
    say("crashes, as FAIL asks")
    os._exit(70)


def say(text):
    print(f"{SERVICE} version {VERSION} {text}", flush=True)


def main():
    if FAIL not in FAILS:
        sys.exit(f"FAIL must be one of {', '.join(FAILS[1:])}")
    if FAIL == "exit":
        sys.exit("exits at once, as FAIL asks")
    asyncio.run(Shop().run())


if __name__ == "__main__":
    main()
