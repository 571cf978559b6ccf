"""Does the customer want our questions after delivery to stop, or to come again?

退订 works in every state, so this is read before everything else.
"""

from __future__ import annotations

import re

from desk.words.folding import clauses, fold

_OURS = (
    r"(?:消息|短信|信息|广告|推送|通知|回访|问卷|调查|订阅|邀请"
    r"|提醒|服务|骚扰信息|垃圾短信|垃圾信息|微信|私信)"
)
_POLITE = (
    r"(?:你好|您好|请问|请|麻烦你?|帮我|给我|我要|我想要?|我|想|要"
    r"|直接|马上|立即|怎么|如何|怎样|可以|能|能不能|回复|回|发|好的|亲|那|就)"
)
_NO = r"(?:别|不要|不用|不想|不需要|请勿|勿|停止|不准|不许|不必|少|拒绝|禁止|不再|麻烦别)"
_END = r"(?:了|啦|吧|谢谢|好吗|行吗|可以吗|啊|吗|呢|哈|你们?的?|所有|全部|一下)*$"

# Some shops sell what can be unsubscribed or booked; there 退订 alone speaks of that.
_UNSUBSCRIBE = re.compile(
    rf"^{_POLITE}{{0,4}}退订(?:一下|掉|所有|全部|你们?的?|这个|这些|这种)?{_OURS}?{_END}"
)
_SOLD = re.compile(r"会员|plus|开通|套餐|订单|预订|预定|酒店|机票|车票|门票|房间|课程|[订定]金|下单")
_STOP = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^{_POLITE}{{1,4}}td$",
        r"^(?:回复?|发)t$",
        rf"^{_POLITE}{{0,4}}(?:取消|关闭|停止|停掉|关掉|退出)(?:一下|掉|所有|全部|你们?的?|这个|这些)?(?:订阅|推送|回访|通知|问卷|{_OURS}订阅){_END}",
        rf"{_NO}再(?:给我|向我|跟我|往我这)?(?:发|推|发送|推送)(?:来|过来)?(?:了|啦|吧)*$",
        rf"{_NO}(?:再|在|老|总|一直|继续)?(?:给我|向我|对我|往我这)?(?:们)?(?:发|推|发送|推送|群发|乱发|做|搞)(?:来|送|什么|任何|这种|这些|这个|那些|你们的?|一些|了){{0,2}}的?{_OURS}",
        rf"{_NO}(?:再|在|老|总|一直|继续)?(?:来|给我|对我|向我|找我|做)?(?:打扰|骚扰|推送|回访|群发)(?:我们?|人)?{_END}",
        rf"^(?:我|真的|以后|今后|也)*+(?:不想|不要|不愿意|不希望|拒绝)(?:再|继续)?(?:收到|接收|接受|看到)(?:任何|你们?的?|这些|这种|这样的|此类|什么|关于|贵店的?){{0,2}}的?(?:{_OURS}{_END}|了|$)",
        r"^(?:stop|unsubscribe|optout)$",
    )
)
_RESUME = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^{_POLITE}{{0,4}}(?:恢复|重新|继续|重新开启|重新打开|开启|打开|再次)(?:开启|接收|接受|收到|给我发|发)?(?:你们?的?)?{_OURS}{_END}",
        rf"^{_POLITE}{{0,4}}(?:取消|撤销)退订{_END}",
        rf"^(?:我要|我想|帮我|我想要)?订阅{_END}",
        r"^(?:start|subscribe|resubscribe)$",
    )
)


def asks_to_stop(text: str) -> bool:
    """Returns whether the customer wants no more messages of our own accord (退订, TD, 别再发了).

    T and TD count only alone. 退订单 and 退订金 are about orders and deposits, 别再发货 is about parcels.
    """
    stretches = _stretches(text)
    if "".join(stretches) in ("t", "td") or _matches(stretches, _STOP):
        return True
    return _matches(stretches, (_UNSUBSCRIBE,)) and _SOLD.search(fold(text)) is None


def asks_to_resume(text: str) -> bool:
    """Returns whether the customer takes an opt-out back (恢复订阅, 重新订阅, 恢复回访)."""
    return _matches(_stretches(text), _RESUME)


def _stretches(text: str) -> list[str]:
    return [clause.words for clause in clauses(fold(text))]


def _matches(stretches: list[str], patterns: tuple[re.Pattern[str], ...]) -> bool:
    return any(pattern.search(words) for words in stretches for pattern in patterns)
