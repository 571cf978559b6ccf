"""What an operator asks: is it ready, how much waits."""

from datetime import timedelta
from pathlib import Path

from shop import Shop, play

from storage.connect import sync_engine


def test_ready_says_how_each_part_is(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        answer = await shop.http.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "ready")
        await shop.run(lambda unit: unit.inbox.add("webchat", "1:x", "0" * 64, "l", b"poison", shop.clock()))
        for _ in range(6):
            await shop.settle()
            shop.clock.turn(timedelta(minutes=2))
        answer = await shop.http.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert answer.json()["parts"]["dead_letters"] == "1 waiting"

    play(tmp_path, story)


def test_figures_count_what_waits_and_tell_no_words(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("转人工")
        await customer.post("我的秘密")
        page = (await shop.http.get("/metrics")).text
        assert "huiyin_cases_waiting 1.0" in page
        assert "huiyin_inbox_waiting 1.0" in page
        assert "秘密" not in page

    play(tmp_path, story)


def test_it_is_not_ready_while_nothing_can_be_stored(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        engine = sync_engine(shop.installation.settings.database_url)
        with engine.begin():
            # A foreign writer holds the database.
            answer = await shop.http.get("/readyz")
        engine.dispose()
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
        assert (await shop.http.get("/readyz")).status_code == 200

    play(tmp_path, story)
