"""A customer writes in the web chat and gets an answer: the whole way, through HTTP."""

from datetime import timedelta
from pathlib import Path

import pytest
from shop import Shop, play

from desk import wording


def test_a_frequent_question_is_answered(tmp_path: Path) -> None:
    async def story(shop: Shop) -> None:
        customer = await shop.customer()
        answers = await customer.says("什么时候发货")
        assert len(answers) == 1
        assert "发" in answers[0]
        assert "{" not in answers[0]

    play(tmp_path, story)
