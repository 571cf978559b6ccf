"""Every sentence that the bot says to a customer, in one place.

Warm and short, never blaming. Braces are filled by ``str.format`` with names listed beside each.
"""

from __future__ import annotations

from desk.values import AttachmentKind, OrderStatus

GREETING = "您好，我是{shop_name}的机器人客服，全天都在。想问什么直接打字就好；要找真人，随时发「转人工」。"
GREETING_CHOICES = "大家常问这些，点一下，或者回复数字："

CHOICES = "您是想问下面哪一个？点一下，或者回复数字。"
CHOICE_PERSON = "都不是，转人工"
NOT_UNDERSTOOD = "抱歉，这个我还不太懂，不想乱答耽误您。您换个说法试试，或者发「转人工」找客服。"
LOST_TWICE = "抱歉，连着没能帮上您。要不要请一位客服来看看？"
EMPTY = "我没看到文字内容，您可以再发一次，或者发「转人工」找客服。"

ACKNOWLEDGED = "好的～还有想问的直接打字就好，要找真人随时发「转人工」。"
FEEDBACK = {
    "praise": "谢谢您的肯定，我们会转告同事！",
    "suggestion": "谢谢您的建议，我们会认真看。想和客服细聊，就发「转人工」。",
    "unsubscribe": "不想再收到回访的话，回复「退订」就会停止。您来问问题，我们照样会回答。",
}
"""By intent, where the shop has no words of its own for it."""

MEDIA_NAMES = {
    AttachmentKind.PHOTO: "图片",
    AttachmentKind.VIDEO: "视频",
    AttachmentKind.VOICE: "语音",
    AttachmentKind.AUDIO: "音频",
    AttachmentKind.DOCUMENT: "文件",
    AttachmentKind.STICKER: "表情",
    AttachmentKind.LOCATION: "位置",
    AttachmentKind.CONTACT_CARD: "名片",
    AttachmentKind.OTHER: "内容",
}
"""{what} in the sentences below."""
MEDIA_RECEIVED = (
    "您发的{what}收到了，已经留好，客服能看到。我是机器人，看不懂{what}，"
    "请用文字说说是什么事，或者发「转人工」找客服。"
)
STICKER_RECEIVED = "收到您的表情啦～有什么想问的直接打字就好，要找真人随时发「转人工」。"
MEDIA_BESIDE_WORDS = "（您发的{what}我看不懂，已经留好，客服能看到。）"
MEDIA_AS_COMMENT = "{what}收到了，谢谢您，客服能看到。还想说两句就直接打字，没有的话点「没有了」。"
MEDIA_ASK_RATING = "{what}收到了，谢谢您，客服能看到。方便的话再给个 1～5 的分数；有别的事直接打字就好。"
MEDIA_AFTER_LOW_RATING = "{what}收到了，客服接入就能看到。方便的话，再用文字说说哪里没做好？"

OFFER_AFTER_ANGER = "让您不愉快了，很抱歉。要不要我请一位客服来处理？"
OFFER_YES = "好，转人工"
OFFER_NO = "先不用"
OFFER_DECLINED = "好的，有需要随时叫我，发「转人工」就能找到客服。"

HANDOFF = {
    "asked_for_person": "好的，正在为您转接客服（工单 {number}）。您可以先把情况发在这里，客服接入后都能看到。",
    "accepted_offer": "好的，正在为您转接客服（工单 {number}）。您可以先把情况发在这里，客服接入后都能看到。",
    "anger": "让您受委屈了，很抱歉。我已经请客服优先处理（工单 {number}），请您稍等，情况可以先发在这里。",
    "low_rating": "没让您满意，很抱歉。我已经请客服来跟进（工单 {number}）。方便的话，告诉我们哪里没做好？",
    "not_helped": "抱歉还没帮您解决好。我已经再请客服来跟进（工单 {number}），之前的情况都在，您不用重说。",
}
"""By ``CaseReason``; {number} is the case number."""

STILL_WAITING = (
    "还在为您联系客服（工单 {number}），您发的内容都在，不会丢。不想等了就回复「不用人工了」，我继续帮您。"
)
BACK_TO_BOT = "好的，已取消转接。我继续为您服务，有需要随时发「转人工」。"
PERSON_JOINED = "客服 {name} 已接入，为您服务"
PERSON_HANDED_OVER = "已为您转给客服 {name}，之前的内容都在，您不用重说"
PERSON_LEFT = "客服 {name} 已结束本次服务"
CASE_CLOSED = "感谢您的耐心。这次的问题解决了吗？"
HELPED_YES = "解决了"
HELPED_NO = "还没解决"
HELPED_THANKS = "太好了，谢谢您告诉我们！有需要随时来。"
CORRECTION = "更正：{text}"
LATE_TAP = "这个按钮已经过期了，没有产生任何改动。您可以直接打字告诉我。"

ORDER_BOUND = "已关联您的订单 {order}，可以直接问「查订单」「查物流」。"
CONSENT = "签收后我们会回访一次，听听您的感受；不想收到的话，任何时候回复「退订」就会停止。"
CONSENT_VERSION = "2026-11"
"""Raise it whenever ``CONSENT`` changes: it is stored with the time as what the customer agreed to."""
LINK_UNKNOWN = "这个订单链接无效或已过期，请从订单页面重新打开，或者发「转人工」请客服帮您查。"
LINK_OF_ANOTHER = (
    "这个订单链接已在另一个账号上使用过了。为保护订单信息，这里不能再打开，需要帮助请发「转人工」。"
)

ORDER_STATUS = {
    OrderStatus.CREATED: "已下单，待付款",
    OrderStatus.PAID: "已付款，待发货",
    OrderStatus.SHIPPED: "已发货，运输中",
    OrderStatus.DELIVERED: "已签收",
    OrderStatus.RETURNED: "已退货",
    OrderStatus.REFUNDED: "已退款",
    OrderStatus.CANCELLED: "已取消",
}
ORDERS_INTRO = "查到您的订单："
ORDER_LINE = "· {order}（{items}）：{status}"
TRACKING_LINE = "· {order}：{carrier} {tracking_no}（{status}）"
TRACKING_PENDING = "· {order}：{status}，还没有快递单号"
REFUND_LINE = "· {order}：{status}"
REFUND_NONE = "您关联的订单里目前没有退款或退货记录。如果刚申请，请稍后再看，或者发「转人工」请客服核实。"

SURVEY_ASK = "您的订单 {order} 已签收，用着还满意吗？点一下分数，或者回复 1～5（5 分最满意）。"
SURVEY_REMINDER = "想再听听您对订单 {order} 的感受，点一下 1～5 分就好；不想再收到请回复「退订」。"
RATING_LABELS = {5: "非常满意", 4: "满意", 3: "一般", 2: "不满意", 1: "非常不满意"}
SURVEY_COMMENT = "谢谢您的 {rating} 分！还有什么想对我们说的吗？直接打字就好，没有的话点「没有了」。"
NO_COMMENT = "没有了"
SURVEY_THANKS = "收到，谢谢您的反馈，我们会认真看。"
SURVEY_UPDATED = "好的，已为您改成 {rating} 分。"
SURVEY_NOTED_ASK_RATING = "谢谢，已经记下了。再给个 1～5 的分数就好："
SURVEY_OVER = "这次回访已经结束了，谢谢您。还想说什么可以直接打字。"

OPTED_OUT = "已为您退订，不会再收到回访。有问题仍然可以随时在这里找我们；想恢复请回复「恢复订阅」。"
OPTED_IN = "已恢复，签收后我们会再请您评价。随时回复「退订」可以停止。"

TYPE_A_DIGIT = "（点按钮，或者回复数字）"
"""Added where buttons are shown by the channel's own means and the question does not say how to answer."""
HOW_TO_TYPE = ("回复", "数字", "1～5")
"""A question with one of these says it itself."""
