"""What do the notebooks show? Each as it is committed: text, code, and the outputs that it holds."""

import base64
import html
import json
from pathlib import Path
from typing import Any

from docs.making.names import ROOT

NOTEBOOKS = ROOT / "notebooks"


def names() -> list[str]:
    """Of all notebooks."""
    return sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def write(out: Path) -> None:
    """A page a notebook below `out`, its pictures beside it."""
    folder = out / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names():
        cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        parts = [_cell(each, f"{name}_{i}", folder) for i, each in enumerate(cells)]
        (folder / f"{name}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _cell(cell: dict[str, Any], name: str, folder: Path) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source
    outputs = [_output(each, f"{name}_{i}", folder) for i, each in enumerate(cell["outputs"])]
    code = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
    return "\n\n".join([f"```python\n{code}\n```" if code.strip() else "", *outputs]).strip()


def _output(output: dict[str, Any], name: str, folder: Path) -> str:
    data = output.get("data", {"text/plain": output.get("text", "")})
    if "image/png" in data:
        (folder / f"{name}.png").write_bytes(base64.b64decode("".join(data["image/png"])))
        return f"![output of the cell above]({name}.png)"
    if "text/html" in data:
        return _raw("".join(data["text/html"]))
    return _raw(f"<pre>{html.escape(''.join(data.get('text/plain', '')))}</pre>")


def _raw(shown: str) -> str:
    return f'`````{{raw}} html\n<div class="output">\n{shown}\n</div>\n`````'
