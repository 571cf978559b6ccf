"""What happened in the sample shop over the last two weeks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from bot.demo.player import Player, Sale
from desk.values import Buyer, OrderStatus, StaffMember

SHOP_NAME = "回音示例店"

CREATED, PAID, SHIPPED = OrderStatus.CREATED, OrderStatus.PAID, OrderStatus.SHIPPED
DELIVERED, RETURNED = OrderStatus.DELIVERED, OrderStatus.RETURNED
REFUNDED, CANCELLED = OrderStatus.REFUNDED, OrderStatus.CANCELLED

# Numbers that begin with 100 are nobody's mobile phone.
_BUYERS = tuple(
    Buyer(f"demo-buyer-{number}", name, f"100000000{number:02}")
    for number, name in enumerate(
        ("王芳", "李伟", "张敏", "刘洋", "陈静", "杨磊", "赵婷", "黄强", "周丽", "吴昊", "徐娜", "孙杰"), 1
    )
)
_GOODS = {
    "cup": ("CUP-500", "保温杯 500ml", 6900),
    "tea": ("TEA-250", "龙井茶 250g", 12800),
    "lamp": ("LAMP-02", "护眼台灯", 15900),
    "bag": ("BAG-03", "帆布双肩包", 9900),
    "towel": ("TOWEL-3", "纯棉毛巾三条装", 3990),
    "mist": ("MIST-05", "桌面加湿器", 8900),
    "ears": ("EARS-06", "蓝牙耳机", 19900),
    "nuts": ("NUTS-07", "坚果礼盒", 8800),
}
_WAY = (CREATED, PAID, SHIPPED, DELIVERED)
_STEP = {CREATED: timedelta(), PAID: timedelta(minutes=6), SHIPPED: timedelta(hours=20)}
_IN_TRANSIT = timedelta(days=2, hours=3)

# (buyer, goods, last status, days ago that it was ordered)
_ORDERS: tuple[tuple[int, str, OrderStatus, int], ...] = (
    (0, "cup towel", DELIVERED, 12),
    (1, "tea", DELIVERED, 12),
    (2, "lamp", DELIVERED, 11),
    (3, "bag", DELIVERED, 11),
    (4, "mist", DELIVERED, 10),
    (5, "ears", DELIVERED, 10),
    (6, "nuts tea", DELIVERED, 9),
    (7, "cup", DELIVERED, 8),
    (8, "towel", DELIVERED, 6),
    (0, "nuts", DELIVERED, 4),
    (9, "lamp", DELIVERED, 12),
    (10, "bag cup", DELIVERED, 11),
    (11, "tea", DELIVERED, 9),
    (9, "nuts", DELIVERED, 8),
    (1, "ears", RETURNED, 13),
    (3, "mist", RETURNED, 12),
    (5, "towel", REFUNDED, 11),
    (10, "lamp", REFUNDED, 10),
    (2, "nuts", CANCELLED, 6),
    (11, "bag", CANCELLED, 5),
    (4, "cup", SHIPPED, 2),
    (6, "bag", SHIPPED, 3),
    (8, "tea", SHIPPED, 2),
    (10, "ears", SHIPPED, 3),
    (11, "mist towel", SHIPPED, 2),
    (2, "cup", PAID, 1),
    (7, "lamp", PAID, 1),
    (9, "ears", PAID, 1),
    (3, "nuts", CREATED, 1),
    (5, "tea", CREATED, 1),
)

# By the position of the order: what its buyer asked on the way, and the answers to the survey.
_ASKED = {0: "什么时候发货", 1: "怎么开发票", 2: "查物流", 4: "包邮吗", 6: "查订单", 8: "怎么退货"}
_ANSWERS: dict[int, tuple[str, ...]] = {
    0: ("5", "保温效果特别好，早上的水晚上还烫嘴，包装也很用心，推荐！"),
    1: ("5", "茶叶香味很好，送老人特别合适，很喜欢"),
    2: ("4", "灯很好看，光线柔和，孩子很喜欢"),
    3: ("3", "包的质量还行，颜色和图片有点差别"),
    4: ("4", "没有"),
    5: ("2", "左边耳机没声音，等了三天才送到，很失望"),
    6: ("5", "坚果新鲜，家里人都爱吃，送礼也有面子"),
    7: ("3", "杯子一般般，物流太慢了"),
}
_ONLY_ASKED = (8, 9)
_MISSES = ("你们老板喜欢什么颜色", "台灯能不能投影看电影", "帮我写一份辞职信")


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens at a time."""

    at: datetime
    act: Callable[[Player], Awaitable[None]]


def story(now: datetime, zone: ZoneInfo, agent: StaffMember) -> list[Step]:
    """The steps of the past, in order of time, all of them before ``now``."""
    today = now.astimezone(zone).date()

    def past(days: int, hour: int, minute: int) -> datetime:
        # Yesterday's evening may lie less than a day back, but never ahead.
        return datetime.combine(today - timedelta(days=days), time(hour, minute), zone).astimezone(now.tzinfo)

    steps: list[Step] = []
    for position, (buyer, goods, last, days) in enumerate(_ORDERS):
        ordered_at = past(days, 9 + position % 8, (position * 7) % 60)
        sale = _sale(position, buyer, goods, ordered_at.astimezone(zone))
        steps += _life_of(sale, last, ordered_at)
        if position in _ANSWERS or position in _ONLY_ASKED:
            steps += _talk_of(position, sale, ordered_at)
    steps += _complaint_handled(agent, _delivered_at(past(10, 9 + 5, 35)))
    steps += _misses(past)
    steps += _complaint_waiting(now)
    return sorted((step for step in steps if step.at < now), key=lambda step: step.at)


def _sale(position: int, buyer: int, goods: str, ordered_at: datetime) -> Sale:
    return Sale(
        f"HY{ordered_at:%Y%m%d}{position + 1:04}",
        _BUYERS[buyer],
        tuple((*_GOODS[name], 1 + (position + at) % 2) for at, name in enumerate(goods.split())),
    )


def _delivered_at(ordered_at: datetime) -> datetime:
    return ordered_at + _STEP[SHIPPED] + _IN_TRANSIT


def _life_of(sale: Sale, last: OrderStatus, ordered_at: datetime) -> list[Step]:
    way = list(_WAY[: _WAY.index(last) + 1]) if last in _WAY else [CREATED, PAID]
    if last in {RETURNED, REFUNDED}:
        way = [*_WAY, last]
    elif last is CANCELLED:
        way.append(last)
    at = ordered_at
    times = [at]
    for before, status in pairwise(way):
        if status is DELIVERED:
            at = _delivered_at(ordered_at)
        else:
            at = ordered_at + _STEP[status] if status in _STEP else at + timedelta(hours=5 + before.rank)
        times.append(at)
    return [Step(at, _report(sale, status)) for at, status in zip(times, way, strict=True)]


def _talk_of(position: int, sale: Sale, ordered_at: datetime) -> list[Step]:
    """The buyer opens the link of the order, perhaps asks something, and answers the survey."""
    name = sale.buyer.id
    opened_at = ordered_at + timedelta(minutes=30)
    steps = [Step(opened_at, _open(name, sale))]
    if position in _ASKED:
        steps.append(Step(opened_at + timedelta(minutes=1), _say(name, _ASKED[position])))
    answered_at = _delivered_at(ordered_at) + timedelta(days=1, minutes=25)
    for minutes, text in enumerate(_ANSWERS.get(position, ())):
        steps.append(Step(answered_at + timedelta(minutes=minutes), _say(name, text)))
    return steps


def _complaint_handled(agent: StaffMember, delivered_at: datetime) -> list[Step]:
    """The low rating called a person, who took the case and closed it."""
    name = _BUYERS[5].id
    at = delivered_at + timedelta(days=1, minutes=29)

    async def answers(player: Player) -> None:
        await player.staff_says(
            name, agent, "您好，非常抱歉！耳机我马上给您补发一副，今天就寄出，旧的不用退。"
        )

    async def closes(player: Player) -> None:
        await player.staff_closes(name, agent)

    return [
        Step(at, answers),
        Step(at + timedelta(minutes=3), _say(name, "好的，那谢谢了")),
        Step(at + timedelta(minutes=9), closes),
        Step(at + timedelta(minutes=12), _say(name, "解决了")),
    ]


def _misses(past: Callable[[int, int, int], datetime]) -> list[Step]:
    """Visitors ask what no entry answers."""
    steps = []
    for days, text in enumerate(_MISSES, start=2):
        visitor = f"visitor-{days}"
        steps.append(Step(past(days, 15, 10), _open(visitor, None)))
        steps.append(Step(past(days, 15, 11), _say(visitor, text)))
    return steps


def _complaint_waiting(now: datetime) -> list[Step]:
    """A few minutes ago somebody lost patience; nobody has taken the case yet."""
    visitor = "visitor-angry"
    return [
        Step(now - timedelta(minutes=9), _open(visitor, None)),
        Step(now - timedelta(minutes=8), _say(visitor, "包裹三天没动了，电话也没人接")),
        Step(now - timedelta(minutes=7), _say(visitor, "你们就是骗子，再不处理我要投诉你们！")),
    ]


def _report(sale: Sale, status: OrderStatus) -> Callable[[Player], Awaitable[None]]:
    return lambda player: player.reports(sale, status)


def _open(customer: str, sale: Sale | None) -> Callable[[Player], Awaitable[None]]:
    return lambda player: player.opens(customer, sale)


def _say(customer: str, text: str) -> Callable[[Player], Awaitable[None]]:
    return lambda player: player.says(customer, text)
