"""Short answers in the customer's own words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.words.yes_no import says_no, says_not_solved, says_solved, says_yes


@pytest.mark.parametrize(
    "text", ["好", "好的呀", "要", "嗯嗯", "可以的，谢谢", "行吧", "OK", "需要！", "那就转吧", "是的"]
)
def test_agreeing(text: str) -> None:
    assert says_yes(text)
    assert not says_no(text)


@pytest.mark.parametrize("text", ["不用了", "不要", "算了", "先不用，谢谢", "不需要呢", "暂时不用", "no"])
def test_declining(text: str) -> None:
    assert says_no(text)
    assert not says_yes(text)


@pytest.mark.parametrize("text", ["解决了", "搞定了，谢谢亲", "嗯", "已经解决了哦", "可以用了"])
def test_solved(text: str) -> None:
    assert says_solved(text)
    assert not says_not_solved(text)


@pytest.mark.parametrize("text", ["没有", "还没解决呢", "还是不行", "没用", "不行啊", "没有解决"])
def test_not_solved(text: str) -> None:
    assert says_not_solved(text)
    assert not says_solved(text)


@pytest.mark.parametrize(
    "text", ["", "好看吗", "要多久发货", "不用了还能退吗", "解决方案是什么", "没有蓝色的吗", "可以便宜点吗"]
)
def test_more_than_an_answer_is_no_answer(text: str) -> None:
    assert not any(says(text) for says in (says_yes, says_no, says_solved, says_not_solved))


@given(st.text())
def test_any_text_is_read_without_a_fault(text: str) -> None:
    assert not (says_yes(text) and says_no(text))
