"""The intents that a customer's words may have, and which of them the desk treats in a way of their own.

An understander names one of them or none. The names are those of ``nlu/server/domain.yml``, which a test
compares, so that what is trained and what is decided never drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing that customers want.

    Attributes:
        group: 会话, 商品, 价格, 下单, 物流, 售后, 账户 or 反馈.
        zh: Short name for staff.
    """

    name: str
    group: str
    zh: str


FEEDBACK_GROUP = "反馈"
TALK_GROUP = "会话"

_GROUPS = {
    TALK_GROUP: {
        "greet": "问候",
        "thanks": "感谢",
        "goodbye": "告别",
        "affirm": "肯定",
        "deny": "否定",
        "request_human": "转人工",
        "bot_identity": "问身份",
        "business_hours": "客服时间",
    },
    "商品": {
        "product_info": "商品咨询",
        "size_advice": "尺码或型号建议",
        "product_authenticity": "正品",
        "product_stock": "库存",
        "product_usage": "使用方法",
    },
    "价格": {
        "bargain": "议价",
        "promotion": "优惠活动",
        "price_protection": "价保",
        "gift": "赠品",
    },
    "下单": {
        "how_to_order": "怎么下单",
        "payment_method": "支付方式",
        "payment_issue": "支付异常",
        "change_address": "改地址",
        "change_order": "改订单",
        "cancel_order": "取消订单",
        "order_status": "查订单",
        "invoice": "发票",
    },
    "物流": {
        "shipping_time": "何时发货",
        "shipping_fee": "运费",
        "courier": "用什么快递",
        "tracking": "查物流",
        "delivery_delay": "配送超时",
        "delivery_schedule": "预约配送",
        "not_received": "显示签收没收到",
    },
    "售后": {
        "return_policy": "退货政策",
        "return_request": "要退货",
        "exchange_request": "要换货",
        "refund_request": "要退款",
        "refund_status": "退款或售后进度",
        "return_shipping_fee": "退换运费",
        "missing_item": "少件漏发",
        "wrong_item": "发错货",
        "damaged_item": "破损",
        "quality_problem": "质量问题",
        "warranty_repair": "保修维修",
        "installation": "安装服务",
    },
    "账户": {
        "account_issue": "账号问题",
        "membership": "会员积分",
    },
    FEEDBACK_GROUP: {
        "complaint": "投诉",
        "praise": "表扬",
        "suggestion": "建议",
        "unsubscribe": "退订",
    },
}

INTENTS: Mapping[str, Intent] = {
    name: Intent(name, group, zh) for group, names in _GROUPS.items() for name, zh in names.items()
}
"""Every intent by its name, in the order in which staff choose among them."""

AFFIRM = "affirm"
DENY = "deny"
REQUEST_HUMAN = "request_human"
COMPLAINT = "complaint"

FEEDBACK = frozenset(_GROUPS[FEEDBACK_GROUP])
"""What tells us something rather than asking: never answered out of the FAQ as if it were a question."""

EXPERIENCES = FEEDBACK | {
    "delivery_delay",
    "missing_item",
    "wrong_item",
    "damaged_item",
    "quality_problem",
}
"""What customers tell about an order when they are asked how it was."""
