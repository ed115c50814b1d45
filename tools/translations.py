"""Keep the plugin's translations in step with its texts.

    python tools/translations.py            # update qgis_plugin/i18n/*.ts, compile to .qm
    python tools/translations.py --check    # exit 1 when a text lacks its translation

Texts are the literals inside `tr(...)`. Compiling needs Qt's lrelease (Debian:
qttools5-dev-tools); the compiled files are committed, so that building the plugin does not.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

PLUGIN = Path(__file__).resolve().parents[1] / "qgis_plugin"
CONTEXT = "snet4"


def texts() -> list[str]:
    """Every text that `tr` is called with, in order of file and line, each once."""
    found: dict[str, None] = {}
    for path in sorted(PLUGIN.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tr":
                (argument,) = node.args
                if not isinstance(argument, ast.Constant):
                    raise SystemExit(f"{path}:{node.lineno}: tr() takes a literal.")
                found[argument.value] = None
    return list(found)


def known(ts: Path) -> dict[str, str]:
    """Text -> translation, as far as the file has them."""
    if not ts.exists():
        return {}
    messages = ElementTree.parse(ts).getroot().iter("message")
    return {
        message.findtext("source", ""): message.findtext("translation", "") for message in messages
    }


def write(ts: Path, translations: dict[str, str]) -> None:
    """The file anew: texts that are gone are dropped, new ones stand there unfinished."""
    root = ElementTree.Element("TS", version="2.1", language=ts.stem.rpartition("_")[2])
    context = ElementTree.SubElement(root, "context")
    ElementTree.SubElement(context, "name").text = CONTEXT
    for text in texts():
        message = ElementTree.SubElement(context, "message")
        ElementTree.SubElement(message, "source").text = text
        translation = ElementTree.SubElement(message, "translation")
        translation.text = translations.get(text, "")
        if not translation.text:
            translation.set("type", "unfinished")
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    ts.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n', encoding="utf-8")


def lrelease() -> str | None:
    """Qt's compiler of translations, where there is one."""
    for name in ("lrelease", "lrelease-qt5", "/usr/lib/qt5/bin/lrelease", "pyside6-lrelease"):
        found = shutil.which(name)
        if found:
            return found
    return None


def main(arguments: list[str]) -> int:
    """Check, or update and compile."""
    missing = 0
    for ts in sorted((PLUGIN / "i18n").glob("*.ts")):
        translations = known(ts)
        lacking = [text for text in texts() if not translations.get(text)]
        missing += len(lacking)
        for text in lacking:
            print(f"{ts.name}: not translated: {text}", file=sys.stderr)
        if "--check" in arguments:
            continue
        write(ts, translations)
        compiler = lrelease()
        if compiler is None:
            print("lrelease is missing: apt-get install qttools5-dev-tools", file=sys.stderr)
            return 1
        subprocess.run([compiler, "-silent", str(ts)], check=True)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
