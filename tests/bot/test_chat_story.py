"""A customer writes in the web chat and gets an answer: the whole way, through HTTP."""

from pathlib import Path

import pytest
from shop import Play, Shop, play

from desk import wording


def test_a_frequent_question_is_answered(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        answers = await customer.says("什么时候发货")
        assert len(answers) == 1
        assert "发" in answers[0]
        assert "{" not in answers[0]

    play_both(tmp_path, story)


def test_a_likely_question_is_offered_and_chosen_by_digit_or_button(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        offered = await customer.says("东西不想要了咋办")
        assert offered == [wording.CHOICES]
        last = (await customer.lines())[-1]
        assert last["prompt"]["options"][-1]["label"] == wording.CHOICE_PERSON
        assert len(await customer.says("1")) == 1
        await customer.says("东西不想要了咋办")
        assert len(await customer.presses(last["prompt"]["options"][0]["label"])) == 1

    play(tmp_path, story)


def test_what_it_does_not_know_it_says_and_twice_lost_offers_a_person(
    tmp_path: Path, play_both: Play
) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        assert await customer.says("量子纠缠速度") == [wording.NOT_UNDERSTOOD]
        assert await customer.says("黎曼猜想证明") == [wording.LOST_TWICE]
        assert "工单" in (await customer.presses(wording.OFFER_YES))[0]
        misses = await shop.reports(lambda reports: reports.faq_misses(10, 0))
        assert {miss.text for miss in misses.rows} == {"量子纠缠速度", "黎曼猜想证明"}

    play_both(tmp_path, story)


def test_the_same_message_again_changes_nothing_and_other_words_conflict(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        first = await customer.post("怎么退货", "m-1")
        again = await customer.post("怎么退货", "m-1")
        await shop.settle()
        later = await customer.post("怎么退货", "m-1")
        assert [first.status_code, again.status_code, later.status_code] == [202, 202, 202]
        assert first.json() == again.json() == later.json()
        other = await customer.post("别的", "m-1")
        assert other.status_code == 409
        await shop.settle()
        assert [line["author"] for line in await customer.lines()] == ["customer", "bot"]

    play(tmp_path, story)


def test_the_same_client_gets_the_same_session_and_a_forged_token_gets_none(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        first = customer.token
        assert (await customer.open()).json()["token"] == first
        customer.token = first[:-2] + ("aa" if not first.endswith("aa") else "bb")
        assert (await customer.post("在吗")).status_code == 401
        customer.token = "no.token"
        assert (await customer.post("在吗")).status_code == 401

    play(tmp_path, story)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"client_msg_id":"a","text":" "}', b'{"client_msg_id":"a b","text":"x"}',
     b'{"client_msg_id":"a","text":5}', b"\xff\xfe", b'{"client_msg_id":"a","text":"' + b"x" * 4001 + b'"}',
     b'{"client_msg_id":"a","text":"' + b"x" * 70_000 + b'"}', b"[" * 100_000],
)  # fmt: skip
def test_a_bad_message_is_refused_with_a_reason_that_does_not_repeat_it(tmp_path: Path, body: bytes) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        answer = await shop.http.post("/api/v1/chat/messages", content=body, headers=customer.headers)
        assert 400 <= answer.status_code < 500
        assert set(answer.json()["detail"]) >= {"field", "reason"}
        assert await customer.lines() == []

    play(tmp_path, story)


def test_broken_characters_are_kept_as_well_as_they_can_be(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        body = b'{"client_msg_id":"odd","text":"\\ud83d a\\u0000b"}'
        answer = await shop.http.post("/api/v1/chat/messages", content=body, headers=customer.headers)
        assert answer.status_code == 202
        await shop.settle()
        assert (await customer.texts())[0] == "\ufffd ab"

    play(tmp_path, story)


def test_too_many_messages_are_refused_before_anything_is_stored(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        answers = [await customer.post(f"第 {number} 句") for number in range(22)]
        assert [answer.status_code for answer in answers] == [202] * 20 + [429] * 2
        assert int(answers[-1].headers["retry-after"]) >= 1
        await shop.settle()
        lines = [line["text"] for line in await customer.lines() if line["author"] == "customer"]
        assert lines == [f"第 {number} 句" for number in range(20)]

    play(tmp_path, story)


def test_customers_never_see_each_others_lines(tmp_path: Path, play_both: Play) -> None:
    async def story(shop: Shop) -> None:
        wang, zhang = await shop.customer("wang"), await shop.customer("zhang")
        await wang.says("我的秘密")
        await zhang.says("转人工")
        assert "我的秘密" not in await zhang.texts()

    play_both(tmp_path, story)


def test_a_message_that_cannot_be_worked_becomes_a_dead_letter_and_the_next_one_is_answered(
    tmp_path: Path,
) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        await customer.says("怎么退货")
        identity_id = await customer.identity_id()
        lane = f"identity:{identity_id}"
        await shop.run(
            lambda unit: unit.inbox.add(
                "webchat", f"{identity_id}:x", "0" * 64, lane, b"poison", shop.clock()
            )
        )
        await customer.post("什么时候发货", "after-poison")
        # At the first try: what breaks a rule does so for ever, and nobody waits for it.
        await shop.settle()
        assert [line["author"] for line in await customer.lines()][-1] == "bot"
        dead = await shop.run(lambda unit: unit.dead_letters.all(10))
        assert [(letter.error, letter.attempts) for letter in dead] == [("InvalidInputError", 1)]

    play(tmp_path, story)
