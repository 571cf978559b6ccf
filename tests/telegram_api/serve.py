"""``python -m telegram_api.serve``: the stand-in as a program.

Prints ``{"url": …, "token": …}`` in one line when it listens, and ends with its standard input or SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import threading

from telegram_api.api import TelegramApi


async def serve(host: str, port: int, token: str | None) -> None:
    """Serves until told to end."""
    api = TelegramApi(token) if token else TelegramApi()
    await api.start(host, port)
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)

    def watch() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(end.set)

    if not sys.stdin.isatty():
        threading.Thread(target=watch, daemon=True).start()
    print(json.dumps({"url": api.url, "token": api.token}), flush=True)
    await end.wait()
    await api.stop()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="A stand-in for the Telegram Bot API")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default=None)
    given = parser.parse_args()
    asyncio.run(serve(given.host, given.port, given.token))


if __name__ == "__main__":
    main()
