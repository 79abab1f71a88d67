"""Writes formulas as MathML, which browsers draw without a script or a font from elsewhere."""

from __future__ import annotations

import html
import re
from typing import Any
from xml.etree import ElementTree as ET

from latex2mathml.converter import convert

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
ET.register_namespace("", NAMESPACE)
FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)
CELL = re.compile(r"<td[^>]*>[^<]*</td>")
MENDED = {"~": ("mo", "\u223c"), "\u221e": ("mi", "\u221e"), "\u29f5": ("mo", "\u2216")}
"""The right tags where the converter is wrong, and a usual sign for `\\setminus`."""
CAPITALS = set("ΓΔΘΛΞΠΣΥΦΨΩ")  # upright, as in TeX
BREAKS, OPENING, CLOSING = set("=+\u2212\u2248"), set("([{"), set(")]}")
SCRIPTS = ("msub", "msup", "msubsup", "munder", "mover", "munderover")


def on_page_content(content: str, **_: Any) -> str:
    """Replaces every formula by MathML, and lets long names in tables break at their colons.

    Raises:
        ValueError: a formula has a command that the converter does not know.
    """
    content = CELL.sub(lambda match: re.sub(r"(?<=\w:)(?=\w)", "<wbr>", match[0]), content)
    return FORMULA.sub(lambda match: mathml(html.unescape(match["latex"]), match["tag"]), content)


def mathml(latex: str, tag: str) -> str:
    """One formula: inline if the tag is `span`, displayed if it is `div`."""
    math = ET.fromstring(convert(latex, display="block" if tag == "div" else "inline"))
    for element in math.iter():
        if element.text in MENDED:
            name, element.text = MENDED[element.text]
            element.tag = f"{{{NAMESPACE}}}{name}"
        if element.text in CAPITALS:
            element.set("mathvariant", "normal")
    for row in list(math.iter(f"{{{NAMESPACE}}}mrow")):
        space_functions(row)
    parts = in_parts(math) if tag == "div" else [math]
    # A narrow page breaks the line between two parts only.
    text = "<wbr>".join(ET.tostring(part, encoding="unicode") for part in parts)
    if "\\" in text:
        raise ValueError(f"a formula has a command that cannot be converted: {latex}")
    return f'<{tag} class="formula">{text}</{tag}>'


def in_parts(math: ET.Element) -> list[ET.Element]:
    """A displayed formula in parts.

    A part begins at each relation, each sum outside of brackets, and each definition.
    """
    parts, depth, before = [_part()], 0, None
    for child in list(math[0]):
        text = child.text if kind(child) == "mo" else None
        depth += (text in OPENING) - (text in CLOSING)
        if depth == 0 and before is not None and is_quad(before):
            parts.append(_part())
        elif text in BREAKS and depth == 0 and before is not None and kind(before) != "mo":
            parts.append(_part())
            child.set("form", "infix")
        parts[-1][0].append(child)
        before = child if text not in CLOSING else parts[-1]
    return parts


def is_quad(element: ET.Element) -> bool:
    """Whether the element is the space between a formula and a definition."""
    return kind(element) == "mspace" and element.get("width") in ("1em", "2em")


def _part() -> ET.Element:
    part = ET.Element(f"{{{NAMESPACE}}}math", displaystyle="true")
    ET.SubElement(part, f"{{{NAMESPACE}}}mrow")
    return part


def space_functions(row: ET.Element) -> None:
    """Sets thin spaces around functions as TeX does: `K log c`, but `log(c)`."""
    before = None
    for child in list(row):
        if before is not None and needs_space(before, child):
            space = ET.Element(f"{{{NAMESPACE}}}mspace", width="0.1667em")
            row.insert(list(row).index(child), space)
        before = child
    for child in filter(is_function, row):
        name = child if len(child) == 0 else child[0]
        name.tag = f"{{{NAMESPACE}}}mi"  # an operator would bring spaces of its own


def needs_space(left: ET.Element, right: ET.Element) -> bool:
    """Whether one of the two is a function and the other an ordinary symbol."""
    if is_function(left):
        return kind(right) != "mo" or is_function(right)
    closes = kind(left) == "mo" and left.text in (")", "]")
    return is_function(right) and (kind(left) != "mo" or closes)


def is_function(element: ET.Element) -> bool:
    """Whether the element is a name of several letters, with or without scripts."""
    if kind(element) in SCRIPTS:
        return is_function(element[0])
    return (
        kind(element) in ("mi", "mo")
        and re.fullmatch("[A-Za-z]{2,}", element.text or "") is not None
    )


def kind(element: ET.Element) -> str:
    """The name of the element, without its namespace. A row of one element has its name."""
    name = element.tag.rpartition("}")[2]
    return kind(element[0]) if name == "mrow" and len(element) == 1 else name
