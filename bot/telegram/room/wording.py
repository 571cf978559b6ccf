"""What staff read in the group. Short, in Chinese, and never more than needed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from desk.values import Author, CaseReason, CaseState, Delivery, OrderStatus, Priority

# Buttons, and what may be typed instead.
TAKE = "接单"
CLOSE = "结案"
HAND_OVER = "转交"
NOTE = "备注"
BACK = "返回"

# The card.
MARK: Mapping[Priority, str] = {Priority.URGENT: "🔴", Priority.HIGH: "🟠", Priority.NORMAL: "🔵"}
CLOSED_MARK = "✅"
PRIORITY: Mapping[Priority, str] = {
    Priority.URGENT: "紧急",
    Priority.HIGH: "优先",
    Priority.NORMAL: "普通",
}
STATE: Mapping[CaseState, str] = {
    CaseState.WAITING: "等待接单（{at} 起）",
    CaseState.WITH_PERSON: "{name} 处理中（{at} 接单）",
    CaseState.CLOSED: "已结案（{at}，{name}）",
}
CLOSED_UNTAKEN = "已结案（{at}）"
REASON: Mapping[CaseReason, str] = {
    CaseReason.ASKED_FOR_PERSON: "要求人工",
    CaseReason.LOW_RATING: "评分低",
    CaseReason.ANGER: "客户生气",
    CaseReason.ACCEPTED_OFFER: "接受转人工",
    CaseReason.NOT_HELPED: "问题没解决",
}
CHANNEL: Mapping[str, str] = {"telegram": "Telegram", "webchat": "网页"}
STATUS: Mapping[OrderStatus, str] = {
    OrderStatus.CREATED: "已下单",
    OrderStatus.PAID: "已付款",
    OrderStatus.SHIPPED: "已发货",
    OrderStatus.DELIVERED: "已签收",
    OrderStatus.RETURNED: "已退货",
    OrderStatus.REFUNDED: "已退款",
    OrderStatus.CANCELLED: "已取消",
}
NAMELESS = "客户"
WHO = "👤 {name} · {channel}"
UNREACHABLE_MARK = " · ⚠️ 已停用机器人"
WHY = "❗ {reason}"
EVIDENCE = "：“{evidence}”"
VALUE = "💰 累计消费 {spent}，{count} 单"
MORE_ORDERS = "{count}+"
NO_ORDERS = "💰 还没有订单"
ORDER = "📦 {number} {status} {amount}：{items}"
ITEM = "{name}×{quantity}"
MORE_ITEMS = " 等 {count} 种"
LINES = "💬 最近的对话"
LINE = "{at} {who}：{text}"
NOTES = "📝 备注 {count} 条（在控制台看）"
CONSOLE = "在控制台打开"
AUTHOR: Mapping[Author, str] = {
    Author.CUSTOMER: "客户",
    Author.BOT: "机器人",
    Author.STAFF: "客服",
    Author.SYSTEM: "系统",
}
LAST_REPLY = "最近回复 {at} {delivery}"
DELIVERY: Mapping[Delivery, str] = {
    Delivery.QUEUED: "发送中",
    Delivery.SENDING: "发送中",
    Delivery.SENT: "已送达",
    Delivery.WITHHELD: "没有发出",
    Delivery.UNCERTAIN: "不确定是否送达",
    Delivery.UNREACHABLE: "未送达：客户停用了机器人",
    Delivery.DEAD: "未送达：渠道拒收",
}
ATTACHMENT: Mapping[str, str] = {
    "photo": "[图片]",
    "video": "[视频]",
    "voice": "[语音]",
    "audio": "[音频]",
    "document": "[文件]",
    "sticker": "[贴纸]",
    "location": "[位置]",
    "contact_card": "[名片]",
    "other": "[附件]",
}

# Lines of the talk.
SAYS = "{who}："
FROM_CONSOLE = "{name}（控制台）"
EDITED = "✏️ {who}改为："
SEE_CONSOLE = "…（全文见控制台）"
NOT_COPIED = "{what}（无法转发，请在控制台查看）"

# Repeats.
STILL_WAITING = "⏰ {number} 已等待 {waited}，还没有人接单"
WAITING_MORE = "⏳ 另有 {count} 位客户等待，卡片会陆续补上；全部工单以控制台为准"
WAITING_ALL = "⏳ 还有 {count} 位客户等待，最久的是 {number}（{waited}）；全部工单以控制台为准"
MINUTES = "{count} 分钟"
HOURS = "{count} 小时"

ASK_NOTE = "，请回复这条消息，写下 {number} 的备注（客户看不到）"
_ASKED_NOTE = re.compile(".*" + re.escape(ASK_NOTE).replace(r"\{number\}", r"(HY-[0-9]{1,18})"))
NOTE_PLACEHOLDER = "内部备注"

# Sentences to staff, by code.
SAY: Mapping[str, str] = {
    "taken": "{number} 已由{holder}接单，请联系{holder}或请组长处理。",
    "not_allowed": "{number} 在{holder}手里，你没有权限改动。",
    "closed": "{number} 已经结案了，没有发给客户。",
    "closed_already": "{number} 已经结案了。",
    "no_open_case": "这位客户现在没有进行中的工单，刚才的话没有发给客户。",
    "no_case": "没有找到这个工单，请在控制台查看。",
    "no_media": "这位客户用的是网页聊天，收不到图片和文件，请改用文字说明。",
    "too_long": "太长了：一条最多 4000 字，没有发给客户，请分几条发。",
    "empty": "没有可以发给客户的内容，请写成文字。",
    "unlinked": "还不认识你：请在控制台生成绑定码，再发 /link 绑定码，就能在这里接待客户了。",
    "anonymous": "匿名管理员没法识别是谁，请先关闭匿名再接待客户。",
    "linked": "绑定成功，{person}，你可以在客服群里接待客户了。",
    "link_wrong": "绑定码不对或已经过期，请在控制台重新生成。",
    "link_too_fast": "试错太多次了，请一小时后再试。",
    "link_how": "请这样发送：/link 绑定码（绑定码在控制台生成）。",
    "where": "请在客户的话题里使用，或回复那张工单卡片。",
    "unknown_command": "没有这个命令，也没有发给客户。可以用：/take 接单、/close 原因、/assign 名字、/note 备注。",
    "assign_how": "请写上同事的名字或登录名：/assign 名字。",
    "no_colleague": "没有找到这位同事，可以用“转交”按钮从名单里选。",
    "note_how": "请写上内容：/note 备注内容。",
    "undelivered": "⚠️ 未送达：客户停用了机器人。",
    "refused": "⚠️ 未送达：渠道不接受这条消息。",
    "withheld": "⚠️ 这条没有发出。",
    "uncertain": "❓ 不确定客户有没有收到，请留意回复。",
    "blocked": "⚠️ 客户停用了机器人，现在发的消息送不到。",
    "back": "客户回来了，可以继续回复。",
    "edit_late": "改动没有发给客户：{number} 已经结案。",
}

# Answers to taps; at most 200 characters.
TAP: Mapping[str, str] = {
    **SAY,
    "heard": "",
    "took": "接单成功",
    "closed_now": "已结案",
    "handed_over": "已转交给{holder}",
    "unlinked": "请先绑定：在控制台生成绑定码，再发 /link 绑定码",
    "taken": "{number} 已由{holder}接单",
    "stale": "这张卡片已经失效，请看最新的卡片或控制台",
    "forged": "这个按钮不能用",
    "choose": "选一位同事",
    "nobody": "还没有别的同事绑定 Telegram",
    "ask_note": "请回复下面那条消息",
    "back_now": "好的",
}

SILENT_TAPS = frozenset({"heard", "took", "closed_now", "handed_over", "choose", "ask_note", "back_now"})
"""Answers that pass by; all others stay until the person who tapped has seen them."""

# Status for operators.
STATUS_OK = "ok"
STATUS_REMOVED = "the bot is not in the staff group"
STATUS_NO_CHAT = "the staff group was not found"
STATUS_NO_TOPICS = "the bot may not manage topics in the staff group"
STATUS_NO_WRITING = "the bot may not write in the staff group"


def asked_for_note(text: str) -> str | None:
    """The number of the case that a line asks a note for, or None when it asks for none."""
    found = _ASKED_NOTE.fullmatch(text)
    return None if found is None else found[1]
