"""The keeper: one server runs with the model in force, whatever happens to it, and models change without a gap."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.nlu_server.keeper import KeeperTimes, RasaKeeper
from bot.nlu_server.model_store import Model, ModelStore
from bot.nlu_server.optional_rasa import OptionalRasa
from desk.errors import UnderstandingError
from nlu.faq_search import FaqSearch

pytestmark = pytest.mark.enable_socket

TIMES = KeeperTimes(look=0.05, start=15.0, pause=0.05, longest_pause=0.2, grace=0.3)

# Speaks as Rasa does, as far as we ask; what it answers is written in the model.
SERVER = """
import http.server, json, sys, urllib.parse
model, port, token = sys.argv[1:]
says = open(model).read()
if says == "broken":
    sys.exit(3)
class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        known = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("token") == [token]
        said = {"model_file": says, "intent": {"name": says, "confidence": 0.9}, "intent_ranking": [], "entities": []}
        body = json.dumps(said).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Answers).serve_forever()
"""


async def start_stand_in(file: Path, port: int, token: str, private: Path) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, str(file), str(port), token,
        stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, cwd=private,
    )  # fmt: skip


def put_in_force(store: ModelStore, says: str, day: int = 0) -> Model:
    draft = store.draft()
    draft.write_text(says)
    when = datetime(2026, 11, 21, tzinfo=UTC) + timedelta(days=day)
    return store.add(draft, f"{day:064x}", ("greet", "thanks"), {"seconds": 1.0}, when)


class Kept:
    """A keeper at work, with what it looks after."""

    def __init__(self, var_dir: Path) -> None:
        self.store = ModelStore(var_dir)
        self.rasa = OptionalRasa(FaqSearch())
        self.keeper = RasaKeeper(self.store, self.rasa, start_stand_in, TIMES, lambda: True)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not true():
                await asyncio.sleep(0.02)

    async def intent(self, text: str = "在吗") -> str | None:
        return (await self.rasa.parse(text)).intent


@asynccontextmanager
async def keeping(var_dir: Path) -> AsyncIterator[Kept]:
    kept = Kept(var_dir)
    stopped = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(kept.keeper.run(stopped.is_set))
        try:
            yield kept
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await kept.keeper.close()
            await kept.rasa.close()


def test_it_starts_with_the_model_in_force_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async def story() -> None:
        async with keeping(tmp_path) as kept:
            await asyncio.sleep(0.2)
            assert kept.keeper.state() == "degraded: no model"
            assert not kept.rasa.expected
            put_in_force(kept.store, "greet")
            await kept.until(lambda: kept.keeper.state() == "ok")
            assert await kept.intent() == "greet"
            assert kept.rasa.figures()["rasa_starts"] == 1
            pid = kept.keeper.pid
            assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert list(kept.store.folder.glob(".room-*")) == []

    asyncio.run(story())


def test_a_killed_server_comes_back_and_meanwhile_nobody_is_told_it_is_well(tmp_path: Path) -> None:
    async def story() -> None:
        put_in_force(ModelStore(tmp_path), "greet")
        async with keeping(tmp_path) as kept:
            for start in (1, 2, 3):
                await kept.until(lambda start=start: kept.rasa.starts == start)  # type: ignore[misc]
                pid = kept.keeper.pid
                assert pid is not None
                assert await kept.intent() == "greet"
                os.kill(pid, signal.SIGKILL)
                await kept.until(lambda pid=pid: kept.keeper.pid != pid)  # type: ignore[misc]
            assert kept.rasa.expected

    asyncio.run(story())


def test_another_model_takes_over_without_one_failed_question_and_back(tmp_path: Path) -> None:
    async def story() -> None:
        first = put_in_force(ModelStore(tmp_path), "greet")
        async with keeping(tmp_path) as kept:
            await kept.until(lambda: kept.keeper.state() == "ok")
            said: list[str | None] = []
            second = put_in_force(kept.store, "thanks", 1)
            for wanted, answer in ((second, "thanks"), (first, "greet")):
                kept.store.use(wanted.name)
                async with asyncio.timeout(30):
                    while said[-1:] != [answer]:
                        # Each text is new, so none is answered from memory.
                        said.append(await kept.intent(f"在吗 {len(said)}"))
                # What was on its way is long answered when the old server ends.
                for _ in range(20):
                    said.append(await kept.intent(f"在吗 {len(said)}"))
                    await asyncio.sleep(0.03)
            changes = [
                answer for before, answer in zip([None, *said], said, strict=False) if before != answer
            ]
            assert changes == ["greet", "thanks", "greet"]
            assert sum(value for name, value in kept.rasa.figures().items() if "failures" in name) == 0

    asyncio.run(story())


def test_a_model_that_was_changed_never_runs_and_the_one_before_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        before = put_in_force(ModelStore(tmp_path), "greet")
        async with keeping(tmp_path) as kept:
            await kept.until(lambda: kept.keeper.state() == "ok")
            changed = put_in_force(kept.store, "thanks", 1)
            (kept.store.folder / f"{changed.name}.tar.gz").write_text("greet")
            await kept.until(lambda: kept.keeper.state().startswith("degraded: the model is refused"))
            assert await kept.intent() == "greet"
            assert kept.rasa.starts == 1
            kept.store.use(before.name)
            await kept.until(lambda: kept.keeper.state() == "ok")
            assert kept.rasa.starts == 1

    asyncio.run(story())


def test_a_model_that_cannot_run_leaves_the_search_alone_and_the_next_one_mends_it(tmp_path: Path) -> None:
    async def story() -> None:
        put_in_force(ModelStore(tmp_path), "broken")
        async with keeping(tmp_path) as kept:
            await kept.until(lambda: kept.keeper.state() == "degraded: Rasa does not start")
            with pytest.raises(UnderstandingError):
                await kept.intent()
            put_in_force(kept.store, "greet", 1)
            await kept.until(lambda: kept.keeper.state() == "ok")
            assert await kept.intent() == "greet"

    asyncio.run(story())
