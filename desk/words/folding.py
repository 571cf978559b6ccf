"""One way to make customers' texts comparable for the word lists.

The original text stays what is stored and shown; what is folded is only looked at.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_TRADITIONAL = (
    "轉務訴評騙訂專員請幫換聯繫絡進線闆機無煩這個們來說話還別動復訊發給從讓傳報監協舉謝點麼嗎"
    "態爛壞貨賣買遲誰錢過氣惱廢滾媽腦殘夠閱開啟關閉調認問題實處應該對錯後時間離職業產敗類恥臉"
    "黨賠償沒為樣當樂亂東負責經營領導總編輯貓證據網騷擾擔連續繼單嚴親嘍誆詐麵訪聽終於鐘電號碼"
    "難學熱條規則鬧悶罵衛縱傷窩賊淚隊銷軟憤費豬賤臟髒餵歐劃齊壓"
)
_SIMPLIFIED = (
    "转务诉评骗订专员请帮换联系络进线板机无烦这个们来说话还别动复讯发给从让传报监协举谢点么吗"
    "态烂坏货卖买迟谁钱过气恼废滚妈脑残够阅开启关闭调认问题实处应该对错后时间离职业产败类耻脸"
    "党赔偿没为样当乐乱东负责经营领导总编辑猫证据网骚扰担连续继单严亲喽诓诈面访听终于钟电号码"
    "难学热条规则闹闷骂卫纵伤窝贼泪队销软愤费猪贱脏脏喂欧划齐压"
)
_TO_SIMPLIFIED = str.maketrans(_TRADITIONAL, _SIMPLIFIED)

# These letters show as nothing, so they are a way to split a word without anybody seeing it.
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
# One letter that is a sentence of 18 once normalised would make a long text far longer.
_SENTENCE_LETTERS = frozenset("\ufdfa\ufdfb")
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Mn", "Mc", "Me"})

# Digits are left alone, because 12000 and 120 are not the same thing said louder.
_REPEATED = re.compile(r"([^\d\s])\1{2,}")
_WHITESPACE = re.compile(r"\s+")
_SPACED_OUT = re.compile(r"(?<![一-鿿])[一-鿿](?:[ .\-_*·/]+[一-鿿](?![一-鿿]))+")
_BETWEEN = re.compile(r"[ .\-_*·/]+")
_CLAUSE = re.compile(r"(\w+)(\W*)")


class Clause(NamedTuple):
    """A stretch of words, and the marks up to the next one.

    Attributes:
        words: Letters and digits only, never empty.
        marks: Spaces, punctuation and pictures that follow; may be empty.
    """

    words: str
    marks: str


def fold(text: str) -> str:
    """Returns the text in the one form that the word lists are written in.

    That is NFKC, lower case, simplified characters (those that the lists use), without characters
    that cannot be seen (zero width, direction, control, combining, lone surrogates), with single
    spaces, and with three or more of one character in a row as one. Takes any string, never raises,
    and needs time in proportion to the length.
    """
    # Combining characters go first: sorting a long run of them makes normalising quadratic.
    normal = unicodedata.normalize("NFKC", _visible(text))
    visible = _visible(normal.lower()).translate(_TO_SIMPLIFIED)
    spaced = _WHITESPACE.sub(" ", visible).strip()
    return _REPEATED.sub(r"\1", spaced)


def clauses(folded: str) -> tuple[Clause, ...]:
    """Returns the clauses of a folded text, split at spaces, punctuation and pictures.

    Single characters set apart ("人 工") are read together.
    """
    joined = _SPACED_OUT.sub(lambda found: _BETWEEN.sub("", found[0]), folded)
    return tuple(Clause(found[1], found[2]) for found in _CLAUSE.finditer(joined))


def _visible(text: str) -> str:
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isspace() or character in _SENTENCE_LETTERS:
        return " "
    if character in _BLANK_LETTERS or unicodedata.category(character) in _UNSEEN_CATEGORIES:
        return ""
    return character
