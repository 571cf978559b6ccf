"""``huiyin understand`` asks the Rasa of one's own, and says so when it did not answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from cli_rig import free_port, huiyin

NUMBER = "69217345"
WORDS = f"啥时能寄走 {NUMBER}"
_INTENT = {"name": "shipping_time", "confidence": 0.93}


class _Rasa(BaseHTTPRequestHandler):
    """Takes every text for the same question."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        start = WORDS.index(NUMBER)
        entity = {"entity": "order_number", "value": NUMBER, "start": start, "end": len(WORDS)}
        told = {"text": WORDS, "intent": _INTENT, "entities": [entity], "intent_ranking": [_INTENT]}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def rasa() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Rasa) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def understood(folder: Path, url: str) -> dict[str, Any]:
    done = huiyin(folder, "understand", WORDS, NLU_URL=url)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_server_of_nlu_url_is_asked(tmp_path: Path) -> None:
    with rasa() as url:
        told = understood(tmp_path, url)
    assert (told["source"], told["degraded"]) == ("rasa", False)
    assert (told["intent"], told["confidence"], told["action"]) == ("shipping_time", 0.93, "answer")
    assert told["entities"] == [{"name": "order_number", "value": NUMBER}]
    assert told["aspects"] == []


def test_without_an_answer_the_search_speaks_and_says_so(tmp_path: Path) -> None:
    told = understood(tmp_path, f"http://127.0.0.1:{free_port()}")
    assert (told["source"], told["degraded"]) == ("faq-search", True)
