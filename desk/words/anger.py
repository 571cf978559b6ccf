"""The reviewed list of words that show an angry customer, and of the threats that come with them.

Read before and without the understander. A word counts only where it is the speaker's own: not in a
question (是假货吗), not denied (不坑), not feared (怕被骗), not about others (邮政也可以投诉) and not in the name
of goods (垃圾袋). Loudness alone is not anger.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from desk.words.folding import Clause, clauses, fold

_THEY = r"(?:人|钱|我们?|咱|消费者|顾客|客户|买家|老百姓)"

# Abuse is anger in any sentence, so nothing around it takes it back.
_ABUSE = re.compile(
    r"傻[逼比笔币b叉x缺屌吊狗]|煞笔|沙比|脑残|智障|弱智(?!儿童)|(?<!大)白痴(?!都会|也会)|蠢货|猪脑子?|脑子(?:有病|进水|有坑|坏了)"
    r"|(?<![a-z0-9])(?:sb|tmd|nmd|nmsl|cnm|wcnm|rnm|qnmd|mlgb|wtf|fuck(?:ing)?|shit)(?![a-z0-9])"
    r"|^妈的|(?<![给送帮是])[你他]妈的|[我你们真又还都这]他[妈吗](?!妈|的)|真妈的|尼玛|特么(?=的|什么|烦|坑)|去你[妈大]|你大爷的|^你妹的?$"
    r"|^我?操(?:了|啊)?$|操你|操蛋|草你|草泥马|日你|干你娘"
    r"|^(?:你们?|给我|都|快|赶紧|立刻|马上|全都)*+滚(?:蛋|开|吧|出去|远点|一边去|粗|犊子|回去)?[了吧啊]?$|给我滚(?![筒轮珠])|滚蛋|滚犊子|滚一边"
    r"|王八蛋|混蛋|混账|畜[生牲]|人渣|贱[人货]|犯贱|太贱|婊|神经病(?!药|医院|痛|变|患)"
    r"|你们?(?:这|这个|这群|是|就是|个)?(?:狗东西|废物)|狗屁|狗日的|(?:你们?|纯属|简直|尽|净|放你妈?的?)(?:是|在)?放?屁(?=$|话)"
    r"|你们?(?:是不是|真是?|都|脑子)?有毛?病[啊吧吗呀]?$|(?<![皮洗])去死(?![皮角细海])|不得好死|断子绝孙|吃屎|吃干饭"
    r"|(?:太|真|真是|简直|要点|能不能要点|还|好|够|真的?)?不?要不?要脸|不要脸|要点脸|无耻|没脸没皮|厚脸皮"
    r"|当我(?:们|是|好)*(?:傻|猴|冤大头|白痴|三岁)|把我(?:们)?当(?:傻|猴|冤大头|白痴)"
)

# What a question, a denial, a fear or another's story takes back.
_ACCUSATION = re.compile(
    r"(?<![厨湿干倒扔丢装放捡有收清余活筑物环])(?:垃圾|拉圾|垃级)"
    r"(?![桶袋分箱篓铲盘食粉处车堆站场短邮架钳斗筐筒收夹清压回盒篮托扔里房篓笼])|^[真太什么好]*辣鸡$|真辣鸡|辣鸡(?=店|商家|快递|客服)"
    rf"|骗子(?!酒馆|游戏)|[欺诓]骗(?:{_THEY})?|骗{_THEY}|[被受]骗|行骗|(?<![防信])诈骗(?!电话|短信|分子|犯|案)|欺诈|骗来骗去|被你们?骗|又骗|^骗$"
    rf"|坑(?:{_THEY}|爹|货|死|娘)|[太真好很巨超够]坑(?![洼坑])|坑(?:的很|得很|死了)|被坑|坑了我?$|^坑[啊了]*$"
    r"|(?<![空煤天燃氧])气死(?:人|我|了|个人)?|(?<!空)气炸(?!锅)|气疯|(?:[太真好很]|超级?)气人|^气人|气人$|气愤|(?<![空煤天燃氧])气得(?=我|人|不|要|想|发|吐|头|肝|心)"
    r"|(?:[很真好太超我]|特别|非常|令人|让人|有点|一肚子)火大(?![小一点])|^火大|恼火|窝火|(?<!水)冒火(?!花)|愤怒(?!的小鸟)|抓狂"
    r"|(?:[我很太超好真]|非常|特别|真的|让人|令人|已经|快要?)生气|发飙|要发火|火冒三丈|忍无可忍|忍不了|忍很久|别逼我"
    r"|忽悠|糊弄|敷衍|耍(?:我|猴|赖|流氓|无赖)|玩我(?!们家)|玩弄|坑蒙拐骗|挂羊头|推卸|推诿|踢皮球|推来推去|扯皮"
    r"|什么破|什么狗屁|什么垃圾玩意|什么鬼(?=客服|东西|玩意|快递|服务|质量|店)|什么态度|什么素质|搞什么(?:鬼|飞机|毛线|名堂|东西)|干什么吃的|干嘛吃的"
    r"|(?:你们?|到底)(?:到底)?[想要]干(?:嘛|什么|啥)$|别再?(?:墨迹|磨叽|磨蹭|废话|逼逼|啰嗦|扯淡)|在别墨迹|扯淡"
    r"|(?<!网络)(?<!信号)(?<!记性)(?<!视力)(?<!睡眠)(?<!肤质)(?<!皮肤)(?<!体质)(?<!身体)(?<!网)(?<!手艺)(?:太差(?![别异不多价距])|极差(?!别)|真差(?!别|不多))劲?"
    r"|差劲|差到(?=极|家|爆|不行|没)|差得要死|差死了|(?<![煮炖泡熬焖])(?<![煮炖泡熬焖][得的])[太真]烂(?!熟|漫)|烂透|烂货|烂店|破店|破东西|破玩意|破烂货"
    r"|(?:[太真好很够超]|特别|真是|令人|让人|简直|觉得|人)恶心|恶心(?=死|人|透|到我|的店|商家|店家|嘴脸)|^恶心$"
    r"|(?<![默静])无语(?![言音法文气序种境伦])"
    rf"|欺负(?:{_THEY}|老实人|新人|老人)|店大欺客|欺人太甚|没人管|没人(?:理我|处理|负责)|不管不问|不闻不问|爱[理搭]不理|不负责任|不作为"
    r"|[卖发]假货|(?:全|都|就|根本|明明|这|你们|绝对|肯定|果然|居然|竟然)是假货|[买收]到(?:的是|了)?假货|^假货|假冒伪劣|冒牌货|以次充好"
    r"|黑店|黑商|奸商|无良|黑心|没良心|良心(?:被狗|喂狗|不会痛|坏|何在)|缺德|流氓(?!兔|软件)|强盗(?!游戏|船)|霸王条款|丧尽天良"
    r"|烦死|烦透|受够|闹心|真[恶可]恶?恨|(?:太|真|很|实在|有点|也太)过分|过分了|欺人|太?离谱[了啊]?$|离了?个?大谱|真离谱"
    r"|^(?:我|真|真的|真是|也是|算是|彻底){0,4}服了(?:你们?|你家)?[啊吧]?$|服了你们?|醉了$"
    r"|(?:态度|服务|素质)(?:实在|真的?|真是|简直)?(?:极其?|真|这么|那么|非常|特别|超级?|十分|好|太过)(?:差|烂|恶劣|垃圾)|态度恶劣|恶劣|失望(?:透顶|至极)|太失望|后悔死|太让人失望"
)
# 什么东西 and 什么玩意 ask in one sentence and shout in the next.
_EXCLAIMED = re.compile(
    r"^(?:真是?|都是|这都是?|卖的|发的|寄的|给我|你们|都|全是|寄来|发来)*+(?:什么东西|什么玩意儿?)[啊呀嘛]?$|(?<!是)什么玩意"
)

_DENIED = re.compile(
    r"(?:不是|不会|不算|没有|没在|没|不|并非|不至于|不觉得|别|不要|不再|不能|从不|无|未|不能说|谈不上|算不上)"
    r"(?:很|太|算|那么|这么|是|觉得|说|在|有|再|被|特别|非常|人|卖|发|真的?){0,2}$"
)
# 不 is no denial here: it accuses.
_RHETORICAL = re.compile(
    r"(?:这|岂|可)不(?![会太算])|难道|不(?:就)?是(?:在)?(?:骗|坑|忽悠|欺负|敷衍|耍).{0,20}[吗嘛么]$|凭什么|为什么"
)
_IMPERATIVE = re.compile(r"(?:别|不要|少)(?:再|在|想|来|总|老|一直)*$")
_STOP_IT = ("忽悠", "糊弄", "敷衍", "玩弄", "耍")
_FEARED = re.compile(
    r"怕|担心|会不会|以免|免得|防止|防|谨防|小心|避免|有没有|是不是|是否|别家|别的店|其他店|其他家|上一家|上家|别人|隔壁"
    r"|辨别|鉴别|区分|分辨|识别|看出|如果|要是|万一|假如|电视|新闻|孕|头晕|反胃|晕车|呕|症状|副作用|胃"
)
_ASKED = re.compile(r"(?:吗|么|没有|是不)$|(?:不|没|会|是(?!吧)).{0,10}吧$")


def anger_words(text: str) -> tuple[str, ...]:
    """Returns the words, folded, that show the speaker's anger, each once, in order of appearance."""
    return _collect(text, _angry_in)


def threat_words(text: str) -> tuple[str, ...]:
    """Returns the words, folded, with which the speaker threatens or wants to complain, in order.

    投诉, 12315, 差评, 曝光 and the like count only as the speaker's own doing or wish.
    """
    return _collect(text, _threats_in)


def complaint_words(text: str) -> tuple[str, ...]:
    """Returns those of the threat words that are said outright, not made to depend on anything.

    我要投诉 is said outright; 再不发货就投诉 is not yet.
    """
    return _collect(text, _outright_threats_in)


def _collect(text: str, read: Callable[[Clause], list[str]]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for clause in clauses(fold(text)):
        found.update(dict.fromkeys(read(clause)))
    return tuple(found)


def _angry_in(clause: Clause) -> list[str]:
    words = clause.words
    found = [(match.start(), match[0]) for match in _ABUSE.finditer(words)]
    rhetorical = _RHETORICAL.search(words) is not None
    doubted = not rhetorical and bool(_ASKED.search(words) or _FEARED.search(words))
    for match in _ACCUSATION.finditer(words):
        before = words[max(0, match.start() - 8) : match.start()]
        told_off = match[0].startswith(_STOP_IT) and _IMPERATIVE.search(before) is not None
        if told_off or rhetorical or not (doubted or _DENIED.search(before)):
            found.append((match.start(), match[0]))
    if not clause.marks.startswith("?"):
        found += [(match.start(), match[0]) for match in _EXCLAIMED.finditer(words)]
    return [word for _, word in sorted(found)]


# Words that threaten wherever the speaker is the one who acts.
_THREAT = re.compile(
    r"投诉|举报|起诉|律师函|打官司|法律途径|法院见|(?<!\d)12315(?!\d)|(?<=打)12345(?!\d)|(?<!\d)12345(?=投诉|举报|热线投诉|见)"
    r"|消协|消费者协会|消保委|市场监督|市场监管|市监局|黑猫(?=投诉|平台|上?见)|(?<=[上去找到])黑猫(?![警图贴玩色的])|维权"
    r"|(?<=[去找到向告打上])工商局?(?!银|登记|注册|业|执照)|工商局?(?=见|投诉|举报|介入)|曝光(?![时度补过不率灯机量])|报警(?![器灯声音功提系装])|差评(?!率)|告(?:死|到)?你们?(?!一声|说|了|诉|知)"
)
_NEGATED_THREAT = re.compile(
    r"(?:(?<!得)不|没|没有|别|未|无|不会|免)(?:想|是|会|要|打算|愿|愿意|敢|得|来|用|给|去|再|写|打|发|有|看到|被|向|跟|你们?|他们?|人家|任何|一个|过|留|了){0,4}$|(?:取消|撤销|撤回|删|删除|改|修改|消除)[了掉]?(?:那个|这个|的)?$"
)
_QUESTION_BEFORE = re.compile(
    r"会不会|有没有|是不是|要不要|该不该|可不可以|能不能|为什么|为啥|怎么(?!投诉|举报|这样)|也?可以|也能|能|是否|多少|哪些|什么|谁|如何"
)
_QUESTION_AFTER = re.compile(
    r"^.{0,8}(?:吗|么|没有|有用|多不多|多吧|是什么|什么意思|干嘛的|怎么处理|怎么办|率|的人)$|^.{0,2}多吗|^(?:率|较多|不多|比较多|有点多|挺多|里说?|说)"
)
_OTHERS_BEFORE = re.compile(
    r"有人|别人|人家|他们|她们|看到|看见|好多|很多|大家|其他|被|那些|条|评论|评价里|客户|买家|顾客|朋友|同事|老公|曾经|以前|上次|昨天"
    r"|帮[您你]|给[您]|我们会|为[您]|自动|机器|设备|温度|燃气|烟雾|漏电|一直|老是|总是|电池|电量|相机|镜头|过度|订单|单号|型号"
)
_WISH_BEFORE = re.compile(
    r"(?:我们?|俺|老子|本人)(?:现在|马上|立刻|今天|明天|真的?|一定|绝对|肯定|已经|只好|只能|这|也|还|都|直接|果断|必须|坚决){0,3}"
    r"(?:要|就要|想|想要|准备|打算|决定|就|去|会|得|必须|只能|选择|不得不|来){1,3}[^不没别]{0,5}$"
    r"|^(?:我们?|俺)(?:已经|刚刚?|都|这就)?$|^(?:就|现在|必须|坚决|准备|马上|直接|一定|只能|肯定|立刻|想|要){1,3}(?:去|打|找|向|上|给|跟){0,2}$"
    r"|(?:必须|坚决|不得不|准备|马上就?|直接|等着|小心|果断|强烈|一定|只能|就|去|要|打|找|向|上|跟|拨打|信不信我?){1,3}(?:给)?$"
)
# A bad review is the speaker's own only when it is given, and a courier's alarm is not a call to the police.
_GIVEN = re.compile(
    r"(?:给|打|写|留|送|等着|等|收|吃|必须|直接|严重|绝对|果断|强烈|坚决|准备|要|去|小心|信不信我|赏|就|只能)"
    r"(?:你们?|你家|个|一个|一条|了|上|店|贵店|店铺|商家|卖家|收|吃|我|的|到|大大的|超级|您|追加|五星){0,3}$|^(?:超级|大大的|极度|一个|大)?$"
)
# What is to become of a review that is there already.
_REVIEW_UNDONE = re.compile(
    r"^(?:要|想|到底|应该|该)?(?:怎么|怎样|如何|咋|可以|可不可以|能不能|能否|能|哪里|在哪里?)(?:才能|才|能|可以|去)?(?:样)?(?:删|改|修改|撤|取消|消除|消掉|去掉|隐藏)"
    r"|^(?:删|改|撤|消)(?:除|改|销|回)?(?:不了|不掉|不得|得了|得掉)"
)
_ABOUT_YOU = re.compile(
    r"^(?:到)?(?:你们?|你家|贵店|商家|客服|卖家|店铺|店家|这家|这个店|无良|垃圾|骗子|假货|$|见|热线|处理|了|吧|啊|伺候|警告|渠道|电话|入口|走起)"
)
_CONDITION = re.compile(
    r"再不|不然|否则|要是|如果|的话|信不信|万一|不.{1,8}就|别逼|要不|小心|再这样|还不.{0,8}就|等.{1,8}再|(?:今天|明天|还)不|没.{1,8}就"
)
_HOW = re.compile(r"^(?:请问)?我?[要想该]?(?:怎么|如何|咋|怎样|[在去]?哪里?|在哪儿)(?:可以|能|才能)?$")
_THIRD = re.compile(
    r"^(?:一下|给|到)?(?:快递|邮政|顺丰|圆通|中通|韵达|申通|百世|极兔|ems|物流|菜鸟|驿站|平台|他|她|别)"
)


def _threats_in(clause: Clause) -> list[str]:
    return [match[0] for match in _THREAT.finditer(clause.words) if _is_own(clause.words, match)]


def _is_own(words: str, match: re.Match[str]) -> bool:
    before, after = words[max(0, match.start() - 16) : match.start()], words[match.end() : match.end() + 16]
    if _NEGATED_THREAT.search(before) or _OTHERS_BEFORE.search(before):
        return False
    if match[0] == "差评":
        return bool(_GIVEN.search(before)) and not (_asks(before, after) or _REVIEW_UNDONE.search(after))
    if _HOW.search(before):
        return bool(_ABOUT_YOU.search(after))
    if _WISH_BEFORE.search(before):
        return not _QUESTION_AFTER.search(after)
    if match[0] in ("曝光", "报警") and before:
        return match[0] == "曝光" and after.startswith("你")
    if _asks(before, after) or _THIRD.search(after):
        return False
    return bool(_ABOUT_YOU.search(after))


def _asks(before: str, after: str) -> bool:
    return bool(_QUESTION_BEFORE.search(before) or _QUESTION_AFTER.search(after))


def _outright_threats_in(clause: Clause) -> list[str]:
    return [] if _CONDITION.search(clause.words) else _threats_in(clause)
