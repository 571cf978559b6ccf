"""What the word lists take customers to say, told in made-up sentences."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opencc import OpenCC

from desk.words import folding
from desk.words.anger import anger_words, complaint_words, threat_words
from desk.words.folding import Clause, clauses, fold
from desk.words.human_request import asks_for_person, declines_person
from desk.words.opt_out import asks_to_resume, asks_to_stop

ANY_TEXT = st.text(st.characters(exclude_categories=()))
LISTED_WORDS = st.sampled_from(
    (
        "人工",
        "转",
        "不",
        "要",
        "客服",
        "老板",
        "垃圾",
        "骗",
        "投诉",
        "差评",
        "吗",
        "再",
        "发",
        "退订",
        "。",
        " ",
        "\ud800",
    )
)
ANY_TALK = ANY_TEXT | st.lists(LISTED_WORDS).map("".join)

ASKS_FOR_PERSON = (
    "人工",
    "转人工",
    "真人",
    "客服",
    "人工客服",
    "人工服务",
    "老板",
    "店主",
    "找客服",
    "我要人工",
    "转接人工",
    "人工人工人工",
    "叫你们老板来",
    "有没有真人",
    "有没有人工",
    "真人在吗",
    "转人公",
    "专人工",
    "转人工客户",
    "人工课服",
    "转仁工",
    "rengong",
    "zhuanrengong",
    "ZRG",
    "轉人工",
    "真人客服",
    "轉接真人",
    "人工!!!",
    "亲 转人工",
    "麻烦帮我转一下人工 谢谢",
    "我不要机器人",
    "不想跟机器人说话",
    "转 人 工",
    "你好，我想问下怎么转人工",
    "能不能给我换个真人",
    "别废话转人工",
    "帮我转302号客服",
    "你们客服呢？",
    "客服在吗",
    "怎么联系客服",
    "我要找你们老板",
    "让你们店长联系我",
    "叫个人来",
    "换个人跟我说",
    "我要跟人说话",
    "人工客服在哪里",
    "怎么还不转人工",
    "为什么不能转人工",
    "不转人工我就投诉",
    "有人工吗",
    "有没有客服",
    "怎么没有客服啊",
    "不用了还是转人工吧",
    "我要和客服沟通",
    "让客服给我打电话",
    "申请人工介入",
    "人工处理一下",
    "人工😭😭",
    "[流泪]人工[流泪]",
    "求求了给我个人工吧",
    "訂單有問題，麻煩轉人工客服",
    "好的，那你帮我接一下人工",
    "我说了要人工",
    "直接人工",
    "人工？我想问一下订单",
    "别让机器人回复我",
    "请转售后客服",
    "接真人客服",
    "我想找人工问问退款",
    "人工呢",
    "talk to a human",
    "I want to speak to a real person",
    "听不懂人话吗 人工",
    "给我转人工服务",
    "你们老板呢",
    "请问如何联系卖家",
    "能转人工吗",
    "zhuan rengong",
    "转rengong",
    "給我找真人客服",
    "我只要人工",
    "跟真人聊",
    "让人工来",
    "叫人工",
    "我需要人工客服帮我处理",
    "你让真人跟我说",
    "转客服",
    "呼叫人工",
    "不想和机器人聊 给我人工",
    "有活人吗",
    "找个懂的人来",
    "质量有问题 人工",
    "人 工 客 服",
    "转人工转人工转人工",
    "客服客服",
    "转到人工",
    "切换人工",
    "人工啊啊啊啊",
    "我要转人工我的订单丢了",
    "我要找人",
    "找人",
    "我想找人",
    "帮我找个人",
    "帮我找人",
    "能不能找人啊",
    "现在有客服吗",
    "有人工吗",
    "晚上有人工吗我要转人工",
    "几点了转人工",
)

ASKS_FOR_NO_PERSON = (
    "麻烦请卖家早点发出来",
    "人工智能",
    "手工贴",
    "人工费多少",
    "人工安装多少钱",
    "是人工缝制的吗",
    "不用人工了",
    "不要人工",
    "不用转人工",
    "人工湖",
    "客服态度真好",
    "客服几点上班",
    "客服电话多少",
    "真人发吗",
    "这是真人实拍图吗",
    "是机器人还是真人",
    "老板大气",
    "昨天客服说今天发货",
    "人呢",
    "有人吗",
    "你是人工吗",
    "你是真人吗",
    "你是不是机器人",
    "人工客服几点上班",
    "人工客服电话多少",
    "需要人工安装吗",
    "安装要人工吗",
    "人工草坪多少钱一平",
    "人工皮的还是真皮的",
    "这个假发是真人发丝吗",
    "老板，这个多少钱",
    "老板今天能发货吗",
    "老板你好",
    "谢谢老板",
    "客服你好",
    "客服小姐姐人真好",
    "之前联系客服说可以退",
    "我昨天找客服退过了",
    "刚才客服跟我说已经发了",
    "你们客服态度不错",
    "扫地机器人多少钱",
    "我不要扫地机器人了",
    "机器人能陪孩子聊天吗",
    "算了不用转了",
    "不用了不找客服了",
    "别转人工了",
    "不需要人工客服",
    "人工就不用了",
    "人工合成的吗",
    "人工色素有没有",
    "纯人工采摘",
    "人工智能音箱怎么连",
    "手工还是人工的",
    "真人秀同款吗",
    "有真人图吗",
    "有真人试穿吗",
    "找人工搬上楼多少钱",
    "人工降雨",
    "有问题再找客服",
    "多少人工作",
    "我朋友是做人工客服的",
    "转账失败",
    "转发有优惠吗",
    "我要转寄到公司",
    "能换个颜色吗",
    "换人收货可以吗",
    "领导送礼用合适吗",
    "送老板的礼物",
    "适合老板用吗",
    "转卖给别人可以吗",
    "老板娘同款",
    "找个人安装多少钱",
    "需要找人安装吗",
    "是不是要联系客服审核",
    "客服中心在哪个城市",
    "要客服电话",
    "店主推荐哪款",
    "公积金怎么用",
    "我专人公司上班",
    "店家包邮吗",
    "机器人玩具还有吗",
    "是自动回复吗",
    "包装是人工包的吗",
    "需要转人工吗",
    "取消转人工",
    "给老板买的",
    "人工耳蜗能带吗",
    "真人大小的玩偶",
    "你现在才明白呀",
    "好评找客服返现吗",
    "找客服领优惠券是吗",
    "经理椅有现货吗",
    "换个人工的",
    "这款是机器做的还是人工做的",
    "机器人还是人工",
    "几点到几点有人工",
    "几点有人工客服",
    "晚上有客服吗",
    "晚上有没有人工",
    "请问你们晚上十点以后还有人工客服吗",
    "周末有人工吗",
    "周六周日有客服在线吗",
    "半夜有真人吗",
    "今天晚上有客服吗",
    "你们平时几点到几点有人工客服",
    "晚上9点有客服吗",
    "24小时有人工吗",
    "节假日有客服上班吗",
    "人工几点上班",
    "不用找人",
    "找人安装",
    "需要找人吗",
    "找人代收可以吗",
)

DECLINES_PERSON = (
    "不用人工了",
    "不用了不找客服了",
    "算了不用转了",
    "不要人工",
    "不用转人工",
    "别转人工了",
    "不需要人工客服",
    "人工就不用了",
    "取消转人工",
    "不用 人工",
    "不找客服了",
    "不转人工了",
    "別轉人工了",
    "算了，不用转了谢谢",
    "不用叫人了",
    "不想找客服了",
    "先不转人工",
    "取消排队",
)

DECLINES_NOTHING = (
    "你肯定不是真人",
    "人工智能",
    "不要人工色素的",
    "转人工",
    "不要机器人 转人工",
    "不用了还是转人工吧",
    "不要发货了",
    "好的",
    "",
    "不要客服电话",
    "不转人工我就投诉",
    "别转寄",
    "不用转人工了。算了还是转人工吧",
)

ANGRY = (
    "你们就是垃圾店",
    "骗子",
    "一群骗人的商家",
    "太坑人了吧",
    "坑爹啊",
    "真让人火大",
    "忽悠谁呢",
    "卖的什么东西！",
    "质量太差了",
    "服务真差劲",
    "恶心人",
    "我真无语",
    "滚",
    "你们滚吧",
    "傻逼客服",
    "妈的等了十天",
    "操",
    "tmd还不发货",
    "真sb",
    "不要脸",
    "欺负人是吧",
    "一直没人管",
    "敷衍我",
    "你们卖假货",
    "黑店",
    "奸商",
    "烦死了",
    "受够了你们",
    "別再忽悠我了",
    "這不是騙人嗎",
    "这不坑人吗",
    "你当我傻啊",
    "别墨迹了",
    "你们到底想干嘛",
    "气 死 我",
    "垃圾！！！",
    "态度太差",
    "离谱",
    "真服了",
    "拉圾快递",
    "被你们骗了",
    "发的都是什么破东西",
    "无良商家",
    "良心被狗吃了",
    "真是快气死我了",
    "你们少忽悠我",
    "难道不是坑人",
    "你们凭什么骗我",
    "卖的都是什么东西！",
)

CALM = (
    "人工智能",
    "手工贴",
    "邮政也可以投诉",
    "不用人工了",
    "垃圾桶多大",
    "有垃圾袋吗",
    "垃圾分类的",
    "厨房垃圾能装吗",
    "厨余垃圾处理器",
    "你们不坑",
    "质量不差",
    "没骗我",
    "不会骗我吧",
    "怎么操作",
    "滚筒洗衣机",
    "滚轮坏了能换吗",
    "体操服有吗",
    "骗子酒馆桌游有吗",
    "是假货吗",
    "不是假货吧",
    "吃了恶心吗",
    "孕吐恶心能吃吗",
    "今天发货吗！！！",
    "快点！！！！！",
    "好评！！！",
    "空气炸锅怎么用",
    "煤气死活打不着",
    "差不多就行",
    "差一件没发",
    "不差钱",
    "差价能退吗",
    "这是什么东西",
    "送的是什么东西呢",
    "什么东西好吃",
    "你生气了吗",
    "我不生气",
    "别生气",
    "愤怒的小鸟玩偶",
    "给我妈的礼物",
    "大妈的款式",
    "我妈妈的地址",
    "曹操公仔",
    "情操",
    "火大小能调吗",
    "大火大概几分钟",
    "去死皮的有吗",
    "废物利用",
    "诈骗电话好多",
    "防骗指南",
    "流氓兔",
    "怕被骗",
    "有坑洼吗",
    "无语音功能吗",
    "不是很差",
    "没有敷衍",
    "黑心棉吗",
    "不至于太差",
    "白痴都会用吗",
    "USB接口",
    "辣鸡翅",
    "香辣鸡",
    "打滚",
    "翻滚",
    "她的无语伦比",
    "黑店名叫什么",
    "上衣服了吗",
    "衣服了",
    "会不会很坑",
    "排骨炖得太烂了怎么办",
    "气人的事别提了吗",
    "收服了吗",
    "操作失误",
    "网太差了",
    "宝宝放屁多",
    "我老公他妈喜欢",
    "卖的什么东西?",
    "你们没有骗人",
    "会不会是黑店",
    "是不是假货",
    "不是奸商就好",
    "担心被坑",
    "别人家的店太坑",
)

THREATENS = (
    "我要投诉",
    "我要投诉你们",
    "投诉你们",
    "投诉",
    "打12315",
    "12315见",
    "我打12345了",
    "给你差评",
    "给你们一个差评",
    "差评",
    "等着收差评吧",
    "我要曝光你们",
    "曝光你们",
    "去消协告你们",
    "找工商局",
    "我要举报",
    "举报你们",
    "起诉你们",
    "我报警了",
    "报警",
    "我要报警",
    "去市场监督局告你",
    "黑猫投诉见",
    "上黑猫",
    "再不发货我就投诉",
    "不然我给差评了",
    "怎么投诉你们",
    "怎么投诉",
    "投訴",
    "我要給差評",
    "向消费者协会投诉",
    "我准备投诉",
    "我不得不投诉",
    "我们法院见",
    "我要打12315投诉",
    "信不信我给你差评",
    "我想投诉",
    "我要投诉快递",
    "投诉电话",
    "我要去投诉",
    "12315投诉你们",
    "我已经报警",
    "全网曝光你们",
    "曝光你们这家店",
    "在哪投诉你们",
    "我必须投诉你们",
    "给你差评怎么了",
    "直接差评不会删的",
)

THREATENS_NOT = (
    "邮政也可以投诉",
    "怎么投诉快递",
    "你们店差评多吗",
    "看到有差评说掉色",
    "没有差评吧",
    "会不会有差评",
    "有人投诉过吗",
    "我不会投诉的",
    "不想投诉",
    "我不会给差评",
    "别人投诉你们吗",
    "工商银行付款可以吗",
    "相机曝光怎么调",
    "曝光度",
    "报警器怎么装",
    "烟雾报警",
    "一直报警怎么办",
    "12345",
    "密码是12345",
    "订单12315678",
    "黑猫贴纸",
    "黑猫警长",
    "12315是什么",
    "差评率多少",
    "不给差评",
    "取消投诉",
    "被投诉了怎么办",
    "可以投诉吗",
    "投诉有用吗",
    "为什么有人给差评",
    "删差评",
    "不是来投诉的",
    "帮您投诉",
    "客户要投诉我",
    "撤销投诉",
    "差评返现吗",
    "能举报吗",
    "你们怕差评吗",
    "工商执照有吗",
    "低电量会报警吗",
    "有差评",
    "我没有投诉",
    "评论里差评挺多",
    "不打差评",
    "我不是要投诉",
    "朋友投诉过",
    "要不要投诉",
    "给好评还是差评",
    "告诉你们一声",
    "曝光不足怎么办",
    "车里报警了",
    "我家报警响了",
    "怎么举报快递员",
    "投诉快递有用吗",
    "我要投诉你们有用吗",
    "准备给差评吗",
    "差评怎么删",
    "差评怎么删除",
    "差评怎么改",
    "差评如何删除",
    "差评能撤吗",
    "差评可以改吗",
    "怎么删差评",
    "差评删不掉",
)

OUTRIGHT = (
    "我要投诉",
    "我要投诉你们",
    "给你差评",
    "打12315",
    "我要曝光你们",
)

CONDITIONAL = (
    "再不发货我就投诉",
    "不然我给差评了",
    "信不信我给你差评",
    "要是不退我就打12315",
    "今天不发我就投诉你们",
)

STOPS = (
    "你们好吵，退订",
    "退订",
    "td",
    "TD",
    "T",
    "t",
    "Ｔ",
    "退訂",
    "我要退订",
    "不要再发了",
    "别再给我发消息",
    "别再给我发短信了",
    "不要给我发回访了",
    "取消订阅",
    "不想再收到",
    "不想再收到你们的短信",
    "别再打扰我",
    "不要回访了",
    "停止推送",
    "回复TD",
    "回T",
    "T.",
    "T D",
    "怎么退订",
    "请别再发问卷了",
    "退订！",
    "不要再给我发了",
    "以后别给我发广告",
    "关闭回访",
    "unsubscribe",
    "帮我退订短信",
    "请不要再推送了",
    "谢谢，退订吧",
)

STOPS_NOT = (
    "昨天开的会员，可以退订吗",
    "退订单",
    "我要退订的那个订单",
    "能退订金吗",
    "不要再发错货了",
    "别发货了",
    "别再发顺丰了",
    "不要发韵达",
    "t恤有吗",
    "td多少钱",
    "订单t1234",
    "不要给我发破的",
    "给我发消息",
    "不想再收到坏的水果",
    "我没退订",
    "发货通知我",
    "退订酒店",
    "回访什么时候",
    "取消订单",
    "不要再发货了",
    "退货",
    "别忘了发短信通知我",
    "T 什么意思",
    "没收到短信",
    "尺码t和td",
    "退订货款",
    "不用发票",
    "",
)

RESUMES = (
    "恢复订阅",
    "重新订阅",
    "恢复回访",
    "我要恢复订阅",
    "请帮我重新开启推送",
    "取消退订",
    "订阅",
    "我想订阅",
    "继续给我发消息吧",
    "重新接收通知",
)

RESUMES_NOT = (
    "取消订阅",
    "不要恢复订阅",
    "t",
    "td",
    "TD",
    "订阅号是什么",
    "恢复库存了吗",
    "重新发货",
    "重新下单",
    "继续发货吧",
    "打开包装",
    "没有订阅",
    "开启快递柜",
    "继续",
)

# Long enough that anything quadratic would take minutes.
LONG_TEXTS = tuple(
    (piece * (100_000 // len(piece) + 1))[:100_000]
    for piece in (
        "转人不", "我要", "a", "你好请帮我", "不要再给我", "垃圾", "不是骗人", "没投诉吗", "滚", "人 工 ",
        "\u0316\u0301", "\ufdfa", "\ud800", "好。", "0",
    )
)  # fmt: skip


class TestFolding:
    """Texts that read the same become the same."""

    @pytest.mark.parametrize(
        ("text", "folded"),
        [
            ("轉人工服務", "转人工服务"),
            ("ＴＤ", "td"),
            ("投\u200b诉", "投诉"),
            ("人\u202e工\u2069", "人工"),
            ("人\x00工", "人工"),
            ("人\ud800工", "人工"),
            ("人\u3164工", "人工"),
            ("  在吗 \t\n　老板 ", "在吗 老板"),
            ("滚滚滚滚", "滚"),
            ("谢谢", "谢谢"),
            ("12000", "12000"),
            ("！！！", "!"),
            ("e\u0301\u0301", "e"),
            ("", ""),
        ],
    )
    def test_folds(self, text: str, folded: str) -> None:
        assert fold(text) == folded

    def test_traditional_characters_become_what_a_converter_makes_of_them(self) -> None:
        convert = OpenCC("t2s").convert
        assert convert(folding._TRADITIONAL) == folding._SIMPLIFIED
        assert len(set(folding._TRADITIONAL)) == len(folding._TRADITIONAL)

    def test_clauses_end_at_marks_and_single_characters_are_read_together(self) -> None:
        assert clauses(fold("你好，转 人 工！")) == (Clause("你好", ","), Clause("转人工", "!"))
        assert clauses("人 工作") == (Clause("人", " "), Clause("工作", ""))
        assert clauses("!?") == ()


class TestPersonRequest:
    """A person is one step away for whoever asks, and for nobody else."""

    @pytest.mark.parametrize("text", ASKS_FOR_PERSON)
    def test_asks(self, text: str) -> None:
        assert asks_for_person(text)
        assert not declines_person(text)

    @pytest.mark.parametrize("text", ASKS_FOR_NO_PERSON)
    def test_does_not_ask(self, text: str) -> None:
        assert asks_for_person(text) is None

    @pytest.mark.parametrize("text", DECLINES_PERSON)
    def test_declines(self, text: str) -> None:
        assert declines_person(text)

    @pytest.mark.parametrize("text", DECLINES_NOTHING)
    def test_does_not_decline(self, text: str) -> None:
        assert not declines_person(text)

    def test_evidence_is_the_customers_own_words(self) -> None:
        assert asks_for_person("你好，快递丢了，帮我轉人工！！") == "转人工"


class TestAnger:
    """Anger and threats are the speaker's own."""

    @pytest.mark.parametrize("text", ANGRY)
    def test_angry(self, text: str) -> None:
        assert anger_words(text)

    @pytest.mark.parametrize("text", CALM)
    def test_calm(self, text: str) -> None:
        assert anger_words(text) == ()
        assert threat_words(text) == ()

    @pytest.mark.parametrize("text", THREATENS)
    def test_threatens(self, text: str) -> None:
        assert threat_words(text)

    @pytest.mark.parametrize("text", THREATENS_NOT)
    def test_does_not_threaten(self, text: str) -> None:
        assert threat_words(text) == ()
        assert anger_words(text) == ()

    @pytest.mark.parametrize("text", OUTRIGHT)
    def test_complaint_said_outright(self, text: str) -> None:
        assert complaint_words(text) == threat_words(text) != ()

    @pytest.mark.parametrize("text", CONDITIONAL)
    def test_threat_that_depends_on_something_is_no_complaint_yet(self, text: str) -> None:
        assert threat_words(text)
        assert complaint_words(text) == ()

    def test_words_come_in_order_and_once(self) -> None:
        assert anger_words("骗子！太坑了，骗子，气死我了") == ("骗子", "太坑", "气死我")
        assert threat_words("我要投诉，我要打12315") == ("投诉", "12315")


class TestOptOut:
    """退订 is understood, and orders are left alone."""

    @pytest.mark.parametrize("text", STOPS)
    def test_stops(self, text: str) -> None:
        assert asks_to_stop(text)
        assert not asks_to_resume(text)

    @pytest.mark.parametrize("text", STOPS_NOT)
    def test_does_not_stop(self, text: str) -> None:
        assert not asks_to_stop(text)

    @pytest.mark.parametrize("text", RESUMES)
    def test_resumes(self, text: str) -> None:
        assert asks_to_resume(text)
        assert not asks_to_stop(text)

    @pytest.mark.parametrize("text", RESUMES_NOT)
    def test_does_not_resume(self, text: str) -> None:
        assert not asks_to_resume(text)


class TestAnyText:
    """Whatever comes in, the lists answer, and soon."""

    @given(ANY_TALK)
    def test_never_raises(self, text: str) -> None:
        folded = fold(text)
        folded.encode("utf-8")
        asked = asks_for_person(text)
        assert asked is None or asked
        assert not (asked and declines_person(text))
        assert set(complaint_words(text)) <= set(threat_words(text))
        assert all(anger_words(text))
        asks_to_stop(text)
        asks_to_resume(text)

    @pytest.mark.parametrize("text", LONG_TEXTS, ids=range(len(LONG_TEXTS)))
    def test_long_texts_take_time_in_proportion(self, text: str) -> None:
        started = time.process_time()
        asks_for_person(text)
        declines_person(text)
        anger_words(text)
        complaint_words(text)
        asks_to_stop(text)
        asks_to_resume(text)
        assert time.process_time() - started < 30
