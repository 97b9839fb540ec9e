"""A figure as SVG inside a page: only shapes and texts that are known, no style, script, link or address.

Matplotlib writes style attributes, which a page under a strict policy does not apply: they become attributes of their
own. Texts stay texts, so that they can be searched and are small. Ids get the figure's name in front: pages hold
several figures.
"""

import io
import re
import xml.etree.ElementTree as ET

import matplotlib

from probe.plots import Drawing
from probe.plots._style import in_style

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
DRAWN = {
    *("svg", "g", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan"),
    *("use", "defs", "clipPath"),
}
PLACED = {
    *("d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "ry", "width", "height", "points"),
    *("viewBox", "transform", "id", "href", "clip-path"),
}
STYLED = {
    *("fill", "stroke", "opacity", "text-anchor", "font-size", "font-family", "font-weight", "font-style"),
    *("dominant-baseline", "clip-rule", "fill-rule"),
}
FONT = "DejaVu Sans, Verdana, sans-serif"  # of nearly the same widths
WITHIN = re.compile(r"url\(#([\w-]+)\)")


def inline_svg(drawing: Drawing, name: str) -> str:
    """The figure as markup. A tag or attribute that is not known is left out, with what it holds."""
    out = io.BytesIO()
    with in_style(), matplotlib.rc_context({"svg.hashsalt": f"probe/{name}", "svg.fonttype": "none"}):
        drawing.figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return sanitised(out.getvalue(), name)


def sanitised(markup: bytes, name: str) -> str:
    """The same of SVG that lies in a file; `name` goes before every id."""
    root = _kept(ET.fromstring(markup), re.sub(r"\W", "-", name))
    if root is None:
        return ""
    for side in ("width", "height"):  # the page says how wide it is
        root.attrib.pop(side, None)
    root.set("aria-hidden", "true")  # its caption and table say what it shows
    return ET.tostring(root, encoding="unicode")


def _kept(old: ET.Element, name: str) -> ET.Element | None:
    tag = old.tag.removeprefix(SVG) if isinstance(old.tag, str) else ""
    if tag not in DRAWN:
        return None
    new = ET.Element(tag, _attributes(old, name))
    new.text = old.text if tag in ("text", "tspan") else None
    for child in old:
        kept = _kept(child, name)
        if kept is not None:
            kept.tail = child.tail if tag in ("text", "tspan") else None
            new.append(kept)
    return new


def _attributes(old: ET.Element, name: str) -> dict[str, str]:
    said = {"href" if key == HREF else key: value for key, value in old.attrib.items()}
    said |= dict(_declared(said.pop("style", "")))
    found = {}
    for key, value in said.items():
        value = WITHIN.sub(rf"url(#{name}-\1)", value)
        if key == "href":
            if value.startswith("#"):
                found[key] = f"#{name}-{value[1:]}"
        elif key == "id":
            found[key] = f"{name}-{value}"
        elif key in PLACED or key in STYLED or key.startswith("stroke-") or key.startswith("fill-"):
            found[key] = value
    return found


def _declared(style: str) -> list[tuple[str, str]]:
    """The declarations of a style attribute; `font` as its parts."""
    found = []
    for each in style.split(";"):
        key, _, value = (part.strip() for part in each.partition(":"))
        if key == "font":
            size = re.search(r"([\d.]+)px", value)
            found += [("font-size", size.group(1))] if size else []
            found += [("font-weight", "bold")] if re.match(r"(bold|700)\b", value) else []
            found.append(("font-family", FONT))
        elif key and value and not re.search(r"url\((?!#)|expression|@", value):
            found.append((key, value))
    return found
