"""Does the customer ask for a person, or take that wish back?

Read before and without the understander, so that a person is never more than one step away. In doubt
these rules say yes, except where the words are about goods (人工智能, 真人发), about what staff said or
when they work, or about whether a person is writing (那 is a question to answer, not a wish).
"""

from __future__ import annotations

import re

from desk.words.folding import clauses, fold

# Words for a person, with the usual slips of the keyboard. What follows 人工 in the names of goods,
# prices and materials, and 真人 in those of pictures and wigs, means something else.
_STRONG = (
    r"(?:(?:人工|人公(?![司交园里主益平布共积])|仁工|人供(?![应货养电暖水])|认工|任工|ren ?gong)"
    r"(?![资作时序厂艺程商业地具龄]|智|湖|费|成本|价|降|呼吸|授精|受孕|流产|草|合成|养|种|饲|培|钻|宝石|水晶|珍珠|皮|革|色素|香|甜|添"
    r"|泪|晶体|关节|心脏|骨|牙|耳蜗|缝|制|做|造|安装|装|拆|搬|组|拼|手|打|雕|绣|编|剥|挑|分拣|采|炒|包|贴|检|岛"
    r"|雪|林|自己|电话|热线|号码|微信|充|剪|洗|刷|喷|充气|台面|石|翻译|鱼|水草|电|上门|送|配送"
    r"|(?:客服|服务)(?:电话|热线|号码|微信))"
    r"|真人(?!发|头发|实|图|照|秀|模|版|cs|试|出镜|上身|大小|比例|手办|电影|漫|剧|拍|声|语音|穿|示范|演|评|测|买|效果"
    r"|佩戴|素材|视频|娃娃|玩偶|1)"
    r"|活人|zhen ?ren)"
    r"(?:客服|客户|课服|客符|服务员?|坐席|座席|窗口|通道|咨询|接待|专员|人员|小姐姐|小哥)?"
)
_CARE = (
    r"(?:客服|课服|客符|ke ?fu|售后人员|工作人员|接待员|客服专员|客户经理|卖家|商家)"
    r"(?!电话|热线|号码|微信|qq|联系方式|邮箱|中心|态度|说|讲|告诉|答应|让|审|确认|同意|几点|上班|工号)"
    r"(?:人员|小姐姐|小哥|专员|小姐|经理|主管|服务)?"
)
_OWNER = r"(?:老板娘?|店主|店长|掌柜的?|店家|负责人|经理|主管|领导|上级|管事的|能做主的人?)"

# Courtesies and helping verbs that may stand before or after the wish. Longer ones come first, and
# the repetition is possessive, so that reading stays linear.
_BEFORE = (
    r"(?:(?:你好|您好|哈喽|hello|hi|在吗|在不在|亲亲|亲爱的|亲|麻烦您|麻烦你们?|麻烦|拜托|求求你们?|求求|求"
    r"|请问|请帮|请给|请你|请您|请|帮我|帮忙|帮|给我|我说了|我说|都说了|说了|我们?|俺|你们?|您|想要|想|只要|就要|要|需要"
    r"|直接|马上|赶紧|赶快|快点|立刻|立即|尽快|快|现在|可不可以|可以|能不能|能否|能|是否可以|还是|那就|那么?|就"
    r"|好的|好吧|好|嗯+|哎|喂|谢谢|到底|必须|只|不行|算了|不要废话|别废话|听不懂|的|我的|到|先|再)"
    r")*+"
)
_AFTER = r"(?:谢谢你?|谢了|快点|赶紧|马上|好吗|行吗|好不好|行不行|可以吗|可不可以|一下|下|啊|呀|吧|呢|吗|嘛|么|哦|噢|喔|哈|了|啦|哎|诶|亲|拜托|急|在线|在)*+"
_GAP = (
    r"(?:接到|接|到|成|给|去|入|进|至|换|个|一个|一位|位|名|一名|一下|下|我|你们?|您|家的?|您?那?边?|的是|的|真正|在线|专属|售后"
    r"|售前|官方|店铺|店里|京东|淘宝|平台|贵店|其他|别的|另外|另一个|活的|懂的|女|男|号|\d{1,9}){0,5}?"
)

_WISHES = tuple(
    re.compile(pattern)
    for pattern in (
        # 转人工, wherever it stands, also with the wrong 转 or in pinyin.
        rf"(?:转|专|砖|转接|转到|轮到|zhuan ?){_GAP}(?:{_STRONG}|rg(?![a-z]))",
        rf"(?:^|[^出方不已是])(?:找|叫|喊|呼叫|联系|连接|连|接入|接|换成|换|切换|切|请|让|进|安排|派|求|呼|申请|咨询|来|给我){_GAP}{_STRONG}(?!的$|的吗)",
        rf"^{_BEFORE}(?:{_STRONG}){{1,9}}{_AFTER}$",
        rf"^{_BEFORE}{_STRONG}(?:在吗|在不在|在线吗|在哪里?|哪里|在哪儿|呢|人呢|怎么(?:转|找|联系|接|进|还不来|没人|不来|呼叫)|入口"
        r"|介入|处理(?!的|过)|回复(?!的)|解答|解决|接待|帮我?|来|出来|快来|接听|接一下|跟我|和我|核实|查一下|看一下|沟通|对接"
        r"|什么时候来|多久来|还要多久|要等多久|排队|滚出来|有没有|我要|我想|急|救命|改|退)",
        rf"(?:有没有|有无|难道没有|没有|有){_GAP}{_STRONG}(?:在线|在|可以|能|帮我?)?(?:吗|么|嘛|没有|没|不|啊|呀|呢|啦)*$",
        rf"(?:我|我就|我只|我们|就|只|的话|还是|给我|都|并|们)(?:想要|想|要|需要|只要){_GAP}{_STRONG}(?!吗|么|的)",
        rf"^{_BEFORE}(?:问|用|使用|走|选|点|按|打){_GAP}{_STRONG}{_AFTER}$",
        rf"(?:跟|和|与|同|对){_GAP}{_STRONG}(?:说|聊|谈|讲|沟通|对话|交流|对接|反馈)",
        # A person without the word for one.
        rf"^{_BEFORE}(?:找|叫|来|换|让|派)(?:个|一个|位)(?:活|真|懂的?|会说话的?|能解决(?:问题|事)?的?|管事的?|明白)?人"
        r"(?:来(?!装|安|修|取|拿|送|收|搬)|吧|跟我|和我|给我|帮我|处理|解决|说话|说|聊|回|服务|接待|出来|行不行|好吗|$)",
        rf"^{_BEFORE}找人{_AFTER}$",
        r"(?:我|想|要)(?:跟|和|与|同)(?:真的|活的|真正的)?(?:个|一个)?(?:真的?|活)?人(?:说话|聊|沟通|对话|谈|讲话)",
        # No machine.
        r"(?:不要|不想要?|不喜欢|不愿意?|不需要|别|别让|别用|别拿|讨厌|拒绝|受不了)(?:再|跟|和|与|同|让|用|对着|看|你们?|这个|什么|智能|这种){0,3}"
        r"(?:机器人|机器|自动回复|智能客服)(?:说|聊|谈|讲|对话|沟通|交流|打交道|回复|回答|回|客服|糊弄|来|服务|敷衍|应付|扯|废话|$)",
        r"^(?:你|你们|这|这个|这破|破|什么破)?机器人(?:走开|滚|闭嘴|下去|退下|解决不了|听不懂|没用|不行|太笨|真笨)",
        r"(?:退出|关掉|关闭|别发|别再|不要再?发?)(?:机器人客服|自动回复)",
        # Staff, where the shop is asked for them and not told about them.
        rf"(?:^|[^后再次完让过的是])(?:找|叫|喊|呼叫|转接|转到|转|接通|接入|接|换|切换){_GAP}{_CARE}"
        r"(?!了|过|有用|.{0,12}[吗么]$)",
        rf"(?:能|可以|可不可以|能否|帮我|给我).{{0,4}}(?:找|叫|喊|联系|转接|转到|转|接通|接入|接|换|切换){_GAP}{_CARE}",
        rf"^{_BEFORE}(?:怎么|如何|咋|怎样|哪里|去哪里?|在哪里?)(?:才能|能|可以|样)?(?:联系|找到?|转|接){_GAP}{_CARE}",
        rf"^{_BEFORE}(?:联系|连线|咨询|问|见){_GAP}{_CARE}{_AFTER}$",
        rf"(?:我|就|只|给我)(?:想要|想|要|需要)(?:联系|咨询|问)?{_GAP}{_CARE}{_AFTER}(?:$|帮|来|处理|介入|解决|给我|回)",
        rf"(?:我|想|要)(?:跟|和|与|同){_GAP}{_CARE}(?:沟通|聊|谈|反馈|对话)",
        rf"(?:让|叫|请){_GAP}{_CARE}(?:人员)?(?:来|出来|接|联系|处理|解决|回|给我|跟我|和我|打)",
        rf"^{_BEFORE}{_CARE}(?:在吗|在不在|在线吗|在么|在没|呢|人呢|在哪里?|怎么(?:联系|找|转|不回|不理|没人)|出来|快来|来一下|来人"
        r"|来个人|死哪|去哪|帮我处理|处理一下|介入|(?:都|也|又|一直)?(?:不理|没人理?|不回))",
        rf"(?:有没有{_GAP}{_CARE}(?:在线|在|可以)?|有{_GAP}{_CARE}(?:在线|在|可以)?(?:吗|么|嘛|没有|没))(?:啊|呀|呢)*$",
        rf"^{_BEFORE}(?:怎么|为什么|难道|你们|你家|连个?)?(?:都|就|也)?没有?{_GAP}{_CARE}(?:吗|么|嘛|啊|呀|的|呢)*$",
        # Those who decide.
        rf"(?:找|叫|喊|让|请|换|转|联系|见|把){_GAP}{_OWNER}"
        r"(?:来|出来|过来|叫来|叫出来|喊来|接|跟我|和我|给我(?:打|回|个说法|电话)|联系我|处理|解决|说话|聊|谈|吧|啊|谢谢|$)",
        rf"(?:我|想|要)(?:跟|和|与|同){_GAP}{_OWNER}(?:说|聊|谈|讲|沟通|对话)",
        rf"^{_BEFORE}{_OWNER}(?:在吗|在不在|在么|呢|人呢|在哪里?|出来|快来|来一下|死哪|去哪)",
        rf"^{_BEFORE}(?:怎么|如何|咋)(?:联系|找){_GAP}{_OWNER}",
    )
)

# These stand for the wish only when nothing else is said: in a longer text they are how one calls out.
_ALONE = re.compile(
    rf"^(?:{_BEFORE}(?:客服|课服|客符|人工客户|kefu|售后客服|在线客服|专属客服){{1,9}}{_AFTER}"
    rf"|(?:找|叫|麻烦|请|帮我|我要|要|我找)*+(?:{_OWNER}){{1,9}}(?:啊|呀|呢|吧|哦|谢谢)*+"
    r"|z ?rg|zhuan ?rg|zrgkf|rgkf|真人)$"
)
_ENGLISH = re.compile(
    r"\b(?:(?:talk|speak|chat|connect)(?: me)? (?:to|with) (?:a |an |the |your |some)?"
    r"(?:real |live |human )?(?:human|person|agent|someone|somebody|one|people|representative|manager|staff|operator)"
    r"|(?:want|need|get me|give me|transfer(?: me)? to) (?:a |an |the )?(?:real |live |human )?"
    r"(?:human|person|agent|representative|operator)"
    r"|(?:real|live) (?:person|human|agent)(?: please)?$|human (?:agent|service|please)"
    r"|^(?:human|agent|representative|operator|customer service)(?: please)?\W*$)"
)

_PERSON = rf"(?:{_STRONG}|{_CARE}|{_OWNER}(?=了|啦|来|$))"
_DECLINED = (
    re.compile(
        r"(?:不用|不要|不需要|无需|不必|用不着|没必要|别|甭|不想要?|不是要|先不|暂时不|不再|取消|撤销|撤回)"
        r"(?:再|给我|帮我|麻烦|先|你们?|您|急着|了不?|想|要|去|的){0,3}"
        rf"(?:转接|转到|转成|转|找|叫|接|换成|换|联系|喊|呼叫|请)?(?:个|到|成|去|下|一下|给){{0,2}}{_PERSON}"
    ),
    re.compile(
        rf"(?:^|[^还么啥何能可咋什])不(?:转接|转|找|叫|接|换|联系)(?:到|给|个)?{_PERSON}(?:了|啦|吧|$)"
    ),
    re.compile(rf"{_PERSON}(?:就|也|都|先|暂时){{0,2}}(?:不用|不要|不需要|不必|算了|不找|不转)"),
)
# The wish is taken back without naming a person again.
_WITHDRAWN = re.compile(
    rf"^(?:算了|那|就|好的?|行|哦|嗯|我|先|也|都|谢谢|不用了){{0,4}}"
    rf"(?:不用|不要|不需要|别|不必|不)(?:再|给我|帮我|麻烦|先){{0,2}}(?:转接?|找|叫)(?:人|谁)?(?:了|啦|吧|哈)+{_AFTER}$"
    r"|^(?:取消|撤销|撤回)(?:转接|排队)$"
)
_BARE_REFUSAL = re.compile(r"(不要|不用|别|无需|不需要|不想|不用再|不要再) +(?=\w)")

# Staff who are talked about, not asked for.
_LONG_AGO = re.compile(
    r"昨天|前天|上次|之前|以前|早上|上周|那天|当时|已经|问完|刚才|刚刚|刚[在找联问]|等你们|有问题|有事"
)
_STILL = re.compile(r"没|不|现在|怎么|又|还")
_REPORTED = re.compile(
    rf"^[^让叫请要想找换转喊]*(?:{_STRONG}|客服|老板|店主)(?:都|也|又|刚才?|已经|就|是|还|跟我|和我|给我){{0,2}}(?:说|讲|告诉|答应|承诺|回复我?说)"
)
_PROCESS = re.compile(
    r"是不是(?:要|需要|得|应该)|要不要|用不用|需不需要|^(?:还|也|都)?(?:需要|用|要|得)(?!我).{0,12}(?:吗|么)$"
    r"|还是(?:机器|真人|ai|人工的|智能|自动)|(?:机器|ai|机器人|自动)还是|^(?:你|您|你们)?(?:这|这里|那边)?(?:现在)?(?:是|不是)(?!要|想|说).{0,10}(?:吗|么|吧)?$"
)

_TIME = (
    r"(?:几点钟?|什么时间|哪个时间段?|时间段|晚上|今晚|夜里|夜间|半夜|深夜|凌晨|早上|早晨|早|上午|中午|下午|晚|白天|周末|双休日"
    r"|(?:周|星期|礼拜)[一二三四五六日天末]|节假日|假期|放假|春节|过年|国庆|元旦|五一|24小时|全天|每天|平时|工作日|明天|后天"
    r"|[0-9一二两三四五六七八九十]{1,3}点半?钟?)"
)
# When somebody is there is a question; that nobody is there now is none.
_HOURS = re.compile(
    rf"^(?:请问|你好|您好|亲|那么?|你们?|您|你家|店里|贵店|这里|这边|一般|今天|是|在)*+{_TIME}"
    rf"(?:{_TIME}|到|至|和|及|或|之后|以后|后|之前|以前|前|期间|的时候|时|也|还|都|是|会|就|才|能|一直|一般|的|了){{0,12}}"
    rf"(?:有没有|有){_GAP}(?:{_STRONG}|{_CARE})(?:在线|在岗|在|上班|值班|服务|接待|回复)?(?:吗|么|嘛|没有|没|不|啊|呀|呢|的){{0,3}}$"
)


def asks_for_person(text: str) -> str | None:
    """Returns the words, folded, in which the customer asks for a person, or None.

    A text that takes the wish back in one clause and utters it in another counts as asking.
    """
    folded = fold(text)
    joined = _BARE_REFUSAL.sub(r"\1", folded)
    stretches = [clause.words for clause in clauses(joined)]
    alone = _ALONE.match("".join(stretches))
    if alone:
        return alone[0]
    for words in stretches:
        found = _wish(words)
        if found is not None:
            return found
    english = _ENGLISH.search(folded)
    return english[0] if english else None


def declines_person(text: str) -> bool:
    """Returns whether the customer takes back the wish for a person, and does not utter it as well."""
    joined = _BARE_REFUSAL.sub(r"\1", fold(text))
    stretches = [clause.words for clause in clauses(joined)]
    taken_back = any(_declines(words) or _WITHDRAWN.search(words) for words in stretches)
    return taken_back and asks_for_person(text) is None


def _wish(words: str) -> str | None:
    if _declines(words) or any(talk.search(words) for talk in (_PROCESS, _REPORTED, _HOURS)):
        return None
    if _LONG_AGO.search(words) and not _STILL.search(words):
        return None
    for pattern in _WISHES:
        found = pattern.search(words)
        if found:
            return found[0]
    return None


def _declines(words: str) -> bool:
    return any(pattern.search(words) for pattern in _DECLINED)
