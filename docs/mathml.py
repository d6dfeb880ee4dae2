#!/usr/bin/env python3
"""An mdBook preprocessor: `$..$` and `$$..$$` become MathML, which browsers set without scripts or a network."""

import json
import re
import sys

from latex2mathml.converter import convert

# code is found first, so that it is left as it is
CODE = r"^```.*?^```|`[^`\n]+`"
MATHS = r"\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+(?:\n[^$\n]+)?)\$"
PART = re.compile(f"{CODE}|{MATHS}", re.DOTALL | re.MULTILINE)


def mathml(found):
    block, inline = found["block"], found["inline"]
    if not (block or inline):
        return found[0]
    tag = re.search(r"\\tag\{(.+?)\}", block or "")
    tex = re.sub(r"\\tag\{.+?\}", "", block or inline)
    # an indented or empty line would end the HTML for Markdown
    html = " ".join(convert(tex, display="block" if block else "inline").split())
    if not block:
        return html
    number = f'<span class="number">({tag[1]})</span>' if tag else ""
    return f'<div class="formula">{html}{number}</div>\n'


def chapters(items):
    for item in items:
        if "Chapter" in item:
            item["Chapter"]["content"] = PART.sub(mathml, item["Chapter"]["content"])
            chapters(item["Chapter"]["sub_items"])


if sys.argv[1:2] == ["supports"]:
    sys.exit(sys.argv[2] != "html")
_, book = json.load(sys.stdin)
chapters(book.get("items") or book["sections"])
json.dump(book, sys.stdout)
