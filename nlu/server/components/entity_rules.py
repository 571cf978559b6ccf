"""The rules by which order numbers, telephone numbers and dates are found in a text.

Marketplace order numbers have 12 (JD) to 19 (Taobao) digits; a shop's own often mix letters in, and are taken only
when words say what they are, so that tracking numbers and model names are left alone. A mobile number has 11 digits
and starts with 13 to 19 (numbering plan of the MIIT).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nlu.server.components.folding import fold

ORDER_NUMBER = "order_number"
PHONE = "phone"
DATE = "date"

_CN = "一二三四五六七八九十"
_DAY = rf"(?:[12]\d|3[01]|0?[1-9]|[二三]?十[{_CN}]?|廿[{_CN}]|[{_CN}])"
_MONTH = rf"(?:1[0-2]|0?[1-9]|十[一二]?|[{_CN}])"

_PHONE = re.compile(
    r"(?<![\da-z])(?:(?:\+|00)?86[- ]?)?1[3-9]\d(?:\d{8}|[- ]\d{4}[- ]\d{4})(?!\d)"
    r"|(?<![\da-z])\(?0\d{2,3}\)?[- ]\d{7,8}(?![\d-])"
    r"|(?<![\da-z])400[- ]?\d{3,4}[- ]?\d{3,4}(?!\d)"
)
_ORDER_NUMBERS = (
    # The group is the number; the words before it are not part of it.
    re.compile(
        r"(?:订单|单子|查单|(?<![递运流])单(?=号))(?:号码|编号|号|编码|id)?(?:是|为)?[:：\s]*([a-z]{0,4}[-_]?\d[\da-z_-]{3,30})(?![\da-z])"
    ),
    re.compile(r"(?<![\da-z_.-])(\d{12,24})(?![\da-z_.-])"),
)
_DATE = re.compile(
    rf"(?:20)?\d\d[-/.年]{_MONTH}[-/.月]{_DAY}[日号]?(?![\d.])"
    rf"|(?:(?:今|去|明)年)?(?<!\d){_MONTH}月(?![龄嫂饼卡])(?:份)?(?:{_DAY}[日号]?|底|初|中旬|上旬|下旬)?"
    rf"|(?:这|本|上|下)个?月(?:{_DAY}[日号]|底|初|中旬)?"
    rf"|(?<![\d第{_CN}])(?:[12]\d|3[01]|0?[1-9]|[二三]?十[{_CN}]?|[{_CN}])[日号](?![楼仓库色码线店柜机链门院铺])(?=\D|$)"
    r"|大?[前后][天日](?!头)|[今明昨][天日儿早晚]|昨夜|前晚|当天(?=[买拍下])"
    r"|(?:这|本|上+|下+)?(?:个)?(?:周|星期|礼拜)(?:[一二三四五六日天末]|[1-7])(?![岁款件个单])"
    r"|(?:这|本|上+|下+)个?(?:周|星期|礼拜)"
    r"|月[底初](?=[能会到前发再来])"
)


@dataclass(frozen=True)
class EntitySpan:
    """What stands at ``text[start:end]``; `kind` is a name of domain.yml."""

    kind: str
    start: int
    end: int


def find_entities(text: str) -> list[EntitySpan]:
    """Returns the entities of `text` from left to right; none overlap, and a telephone number goes first."""
    folded = fold(text)
    taken: list[tuple[int, int]] = []
    spans: list[EntitySpan] = []

    def take(kind: str, start: int, end: int) -> None:
        if all(end <= first or start >= last for first, last in taken):
            taken.append((start, end))
            spans.append(EntitySpan(kind, *folded.original_span(start, end)))

    for match in _PHONE.finditer(folded.text):
        take(PHONE, *match.span())
    for pattern in _ORDER_NUMBERS:
        for match in pattern.finditer(folded.text):
            # One digit all along is how chat logs blot numbers out.
            if len(set(match[1])) > 1:
                take(ORDER_NUMBER, *match.span(1))
    for match in _DATE.finditer(folded.text):
        take(DATE, *match.span())
    return sorted(spans, key=lambda span: span.start)
