"""A real ``huiyin serve`` in a process of its own, and the shop's systems that talk to it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SECRET = hashlib.sha256(b"the shop in the browser").digest()
API_KEY = "browser-shop-key-R7tq2LxW9dVb4KzN"
ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RunningShop:
    """``serve`` with short survey delays; ``kill`` and ``start`` as often as a test likes."""

    def __init__(self, folder: Path, embed_origin: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.password = ""
        self._embed_origin = embed_origin
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Starts it and waits until it answers."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HUIYIN_")}
        environ |= {
            "HUIYIN_VAR_DIR": str(self.folder),
            "HUIYIN_LISTEN": f"127.0.0.1:{self.port}",
            "HUIYIN_SHOP_NAME": "山野茶具",
            "HUIYIN_SHOP_SECRET": "whsec_" + base64.b64encode(SECRET).decode(),
            "HUIYIN_API_KEY": API_KEY,
            "HUIYIN_SURVEY_DELAY": "1s",
            "HUIYIN_QUIET_HOURS": "off",
            "HUIYIN_EMBED_ORIGINS": self._embed_origin,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bot", "serve"],
            cwd=ROOT,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read_banner, args=(self._process,), daemon=True).start()
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """Ctrl-C; returns the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(10)

    def _read_banner(self, process: subprocess.Popen[str]) -> None:
        # Read to the end, so that a full pipe never stops the server.
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                found = re.search(r"password\s+(\S+)", line)
                if found:
                    self.password = found.group(1)

    # --- The shop's own systems --------------------------------------------------------------------

    def report(self, kind: str, order_id: str, name: str = "林晓月") -> None:
        """Posts a signed order event."""
        event = {
            "type": f"order.{kind}",
            "id": f"{order_id}-{kind}",
            "occurred_at": datetime.now(UTC).isoformat(),
            "order": {
                "id": order_id,
                "buyer": {"id": f"buyer-{name}", "name": name, "phone": "13912345678"},
                "items": [
                    {"sku": "CUP-03", "name": "青瓷主人杯", "quantity": 2, "price": "68.00"},
                    {"sku": "TEA-11", "name": "明前龙井 100g", "quantity": 1, "price": "168.00"},
                ],
                "amount": "304.00",
                "currency": "CNY",
                "carrier": "顺丰速运",
                "tracking_no": "SF1380013800138",
            },
        }
        body = json.dumps(event, ensure_ascii=False).encode()
        stamp = str(int(time.time()))
        signed = f"{event['id']}.{stamp}.".encode() + body
        signature = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
        headers = {
            "webhook-id": str(event["id"]),
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{signature}",
        }
        request = urllib.request.Request(f"{self.url}/api/v1/orders/events", body, headers)
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status in {200, 202}

    def order_link(self, order_id: str) -> str:
        """The customer's link to an order, once the event before it was worked."""
        until = time.monotonic() + 10
        while True:
            request = urllib.request.Request(
                f"{self.url}/api/v1/orders/{order_id}/links", headers={"Authorization": f"Bearer {API_KEY}"}
            )
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    links: dict[str, Any] = json.load(answer)
                    return str(links["web"])
            except urllib.error.HTTPError as error:
                if error.code != 404 or time.monotonic() > until:
                    raise
                time.sleep(0.1)
