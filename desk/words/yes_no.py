"""Short answers to a question that the desk put, in the customer's own words."""

from __future__ import annotations

from desk.words.folding import fold

_PARTICLES = " 。.!！~～,，、?？的了呢哦噢啊呀吧嘛哈滴谢谢多谢感谢麻烦您你亲请"
_YES = frozenset(
    [
        "好",
        "好好",
        "好行",
        "行",
        "行行",
        "可以",
        "可",
        "要",
        "要要",
        "需要",
        "嗯",
        "嗯嗯",
        "恩",
        "恩恩",
        "是",
        "是是",
        "对",
        "对对",
        "成",
        "中",
        "ok",
        "okk",
        "yes",
        "y",
        "好呢",
        "没问题",
        "当然",
        "当然要",
        "转",
        "转吧",
        "请",
        "来吧",
        "帮我转",
        "帮转",
        "那就转",
        "那转",
        "好转",
        "行转",
        "可以转",
        "要转",
        "叫来",
        "那好",
        "那行",
        "那要",
        "好可以",
    ]
)
_NO = frozenset(
    [
        "不",
        "不要",
        "不用",
        "不必",
        "不需要",
        "用不着",
        "算",
        "算算",
        "不是",
        "先不",
        "先不用",
        "先不要",
        "暂时不用",
        "暂时不要",
        "暂时不需要",
        "没必要",
        "no",
        "n",
        "免",
        "别",
        "不要转",
        "不用转",
        "不转",
    ]
)
_SOLVED = frozenset(
    [
        "解决",
        "已解决",
        "已经解决",
        "都解决",
        "解决完",
        "解决好",
        "搞定",
        "弄好",
        "好用",
        "可以用",
        "没问题",
        "处理好",
        "已处理",
        "有用",
        "有帮助",
        "满意",
        "收到",
        "完美",
    ]
)
_NOT_SOLVED = frozenset(
    [
        "没",
        "没有",
        "没解决",
        "没有解决",
        "还没",
        "还没有",
        "还没解决",
        "还没有解决",
        "未解决",
        "没搞定",
        "没弄好",
        "没处理",
        "没用",
        "没有用",
        "不行",
        "还是不行",
        "还不行",
        "还是没有",
        "还是没解决",
        "还是没用",
        "没帮上",
        "解决不",
        "没解决好",
        "根本没解决",
        "不满意",
        "无效",
        "没好",
        "还没好",
        "没处理好",
    ]
)


def _core(text: str) -> str:
    folded = fold(text)
    previous = None
    while folded != previous:
        previous = folded
        folded = folded.strip(_PARTICLES)
        for ending in ("谢谢", "多谢", "感谢"):
            folded = folded.removesuffix(ending).removeprefix(ending)
    return folded


def says_yes(text: str) -> bool:
    """Whether the text agrees and says nothing else: 好的, 要, 可以啊, 嗯嗯 …"""
    return _core(text) in _YES


def says_no(text: str) -> bool:
    """Whether the text declines and says nothing else: 不用了, 算了, 先不要 …"""
    return _core(text) in _NO


def says_solved(text: str) -> bool:
    """Whether the text answers 「解决了吗」 with yes: 解决了谢谢, 搞定, 嗯 …"""
    return _core(text) in _SOLVED or says_yes(text)


def says_not_solved(text: str) -> bool:
    """Whether the text answers 「解决了吗」 with no: 没有, 还是不行 …"""
    return _core(text) in _NOT_SOLVED or says_no(text)
