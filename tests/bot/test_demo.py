"""The sample shop: seeded once and whole, and three steps that work."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_rig import serving
from shop import FakeScorer

from bot.app import Installation
from bot.demo import start
from bot.settings import Settings, load_settings
from desk import wording
from desk.values import CaseState, OrderStatus
from storage.locks import AlreadyServingError, SingleServeLock
from storage.reports import SurveyOutcome


def demo_in(folder: Path) -> Settings:
    return start.demo_settings(load_settings({"HUIYIN_VAR_DIR": str(folder / "var")}))


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose var/demo holds the sample."""
    folder = tmp_path_factory.mktemp("demo")
    settings = demo_in(folder)
    start.remove_data(settings)
    asyncio.run(start.seed(settings, FakeScorer()))
    return folder


def test_the_sample_shop_has_something_of_everything(seeded: Path) -> None:
    async def look() -> None:
        async with Installation(demo_in(seeded), scorer=FakeScorer()) as shop:
            feedback = (await shop.read_reports(lambda r: r.feedback(None, None, "", 100))).rows
            assert {one.rating for one in feedback} == {2, 3, 4, 5}
            commented = [one for one in feedback if one.comment]
            assert len(commented) >= 6
            assert all(one.sentiment is not None for one in commented)

            waiting = (await shop.read_reports(lambda r: r.cases("open", None, 10))).rows
            assert [case.state for case in waiting] == [CaseState.WAITING]
            closed = (await shop.read_reports(lambda r: r.cases("closed", None, 10))).rows
            assert [(case.staff_name, case.helped) for case in closed] == [("小林", True)]
            assert len((await shop.read_reports(lambda r: r.faq_misses(10))).rows) >= 3

            accounting = await shop.read_reports(lambda r: r.survey_accounting())
            assert accounting.balanced
            assert accounting.missing == 0
            surveys = (await shop.read_reports(lambda r: r.survey_rows(100))).rows
            outcomes = {line.outcome for line in surveys}
            assert {SurveyOutcome.ANSWERED, SurveyOutcome.WAITING, SurveyOutcome.SKIPPED} <= outcomes
            statuses = {line.order_status for line in surveys}
            assert {OrderStatus.DELIVERED, OrderStatus.RETURNED, OrderStatus.REFUNDED} <= statuses
            assert await shop.database.read(lambda unit: unit.dead_letters.count()) == 0

    asyncio.run(look())


def test_a_second_start_neither_seeds_nor_changes_the_password(seeded: Path) -> None:
    settings = demo_in(seeded)
    assert start.is_seeded(settings)

    async def greet() -> tuple[start.Welcome, int]:
        async with Installation(settings, scorer=FakeScorer()) as shop:
            welcome = await start.prepare_welcome(shop)
            cases = (await shop.read_reports(lambda r: r.cases("closed", None, 10))).rows
            return welcome, len(cases)

    assert asyncio.run(greet()) == asyncio.run(greet())


def test_a_sample_that_was_interrupted_is_made_anew(tmp_path: Path) -> None:
    settings = demo_in(tmp_path)
    settings.var_dir.mkdir(parents=True)
    (settings.var_dir / "huiyin.db").write_bytes(b"half of it")
    (settings.var_dir / "notes.txt").write_text("mine")
    assert not start.is_seeded(settings)
    start.remove_data(settings)
    assert not (settings.var_dir / "huiyin.db").exists()
    assert (settings.var_dir / "notes.txt").read_text() == "mine"


def test_data_are_not_pulled_away_under_a_running_demo(tmp_path: Path) -> None:
    settings = demo_in(tmp_path)
    with SingleServeLock(settings.var_dir), pytest.raises(AlreadyServingError):
        start.remove_data(settings)


def test_nothing_of_the_real_shop_gets_into_the_demo(tmp_path: Path) -> None:
    real = load_settings(
        {
            "HUIYIN_VAR_DIR": str(tmp_path),
            "HUIYIN_DATABASE_URL": "postgresql://shop:secret@db.internal/shop",
            "HUIYIN_API_KEY": "shop-api-key-Zq8vN2xT7wLd4RkB9mHc",
            "HUIYIN_LISTEN": "[::1]:9090",
            "HUIYIN_TIMEZONE": "Europe/Berlin",
        }
    )
    demo = start.demo_settings(real)
    assert demo.var_dir == tmp_path / "demo"
    assert demo.database_url == f"sqlite:///{tmp_path.as_posix()}/demo/huiyin.db"
    assert demo.api_key is None
    assert demo.listen == real.listen
    assert demo.public_url == real.public_url
    assert demo.timezone.key == "Europe/Berlin"


def test_the_three_steps_of_the_banner_work(seeded: Path) -> None:
    """An answer, a survey and a case, over the network, as the banner promises."""
    with serving(seeded, "demo") as demo, httpx.Client(base_url=demo.url, timeout=20) as http:
        link = re.search(r"(http://\S+)/chat#order=(\S+)", demo.output)
        assert link is not None
        assert link[1] == demo.url
        assert re.search(r"login demo +密码 password \S{16}", demo.output)
        assert "Preparing" not in demo.output

        client = secrets.token_urlsafe(16)

        def open_chat(**more: str) -> dict[str, str]:
            body = {"client_session_id": client, **more}
            opened = http.post("/api/v1/chat/sessions", json=body).json()
            return {"Authorization": f"Bearer {opened['token']}"}

        def say(text: str) -> None:
            body = {"client_msg_id": secrets.token_urlsafe(12), "text": text}
            assert http.post("/api/v1/chat/messages", json=body, headers=token).status_code == 202

        def expect(words: str) -> None:
            until = time.monotonic() + 20
            seen: list[str] = []
            with http.stream("GET", "/api/v1/chat/events?after=0", headers=token) as events:
                for line in events.iter_lines():
                    seen.append(line)
                    if words in line:
                        return
                    assert time.monotonic() < until, seen
            raise AssertionError(seen)

        token = open_chat()
        say("什么时候发货")
        expect('"author": "bot"')
        assert open_chat(order_token=link[2]) == token
        expect(wording.SURVEY_ASK.format(order="DEMO0001").splitlines()[0])
        say("2")
        say("不满意，杯盖有点漏水")
        expect("HY-1003")
        assert demo.stop() == 0
    log: Any = demo.output
    assert "杯盖" not in log
