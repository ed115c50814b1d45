"""What the plugin site looks at, looked at here: run on the built folder.

    python tools/check_plugin.py build/plugins/snet4

Needs bandit, detect-secrets, flake8 and PyQt6 in the Python that runs it (`make check-plugin`
makes an environment for them). Any finding is a failure; so is a name of Qt that PyQt6
does not have, because QGIS 4 has only that one.
"""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LINE_LENGTH = 120


def bandit(folder: Path) -> Iterator[str]:
    """Findings of every severity."""
    report = _json("bandit", "-q", "-r", str(folder), "-f", "json")
    for finding in report["results"]:
        yield f"bandit {finding['test_id']}: {finding['filename']}:{finding['line_number']}"
    yield from (f"bandit cannot read {error['filename']}" for error in report["errors"])


def secrets(folder: Path) -> Iterator[str]:
    """Anything that looks like a password or a key."""
    # From inside: below a checkout, files elsewhere would be passed over in silence.
    report = _json("detect_secrets", "scan", "--all-files", ".", cwd=folder)
    for name, findings in report["results"].items():
        for finding in findings:
            yield f"detect-secrets {finding['type']}: {name}:{finding['line_number']}"


def flake8(folder: Path) -> Iterator[str]:
    """Findings with the site's line length."""
    done = subprocess.run(
        [sys.executable, "-m", "flake8", f"--max-line-length={LINE_LENGTH}", str(folder)],
        capture_output=True,
        text=True,
    )
    yield from (f"flake8 {line}" for line in done.stdout.splitlines())
    if done.returncode > 1 or done.stderr:
        yield f"flake8 failed: {done.stderr[:200]}"


def qt_names(folder: Path) -> Iterator[str]:
    """Names and enums of Qt that the plugin uses and PyQt6 lacks."""
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        classes = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis.PyQt."):
                module = importlib.import_module(node.module.replace("qgis.PyQt", "PyQt6"))
                for name in node.names:
                    if hasattr(module, name.name):
                        classes[name.asname or name.name] = getattr(module, name.name)
                    else:
                        yield f"PyQt6 has no {node.module}.{name.name}: {path}:{node.lineno}"
        for node in ast.walk(tree):
            chain = _chain(node)
            if chain and chain[0] in classes and not _has(classes[chain[0]], chain[1:]):
                yield f"PyQt6 has no {'.'.join(chain)}: {path}:{node.lineno}"


def used_enums(folder: Path) -> int:
    """How many enums of Qt are named; none would mean that the check looks at nothing."""
    count = 0
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            chain = _chain(node)
            count += bool(chain and chain[0].startswith("Q") and len(chain) == 3)
    return count


def _chain(node: ast.AST) -> list[str]:
    """["QProcess", "ProcessState", "NotRunning"] for that expression; [] for others."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) and names else []


def _has(holder: object, names: list[str]) -> bool:
    for name in names:
        if not hasattr(holder, name):
            return False
        holder = getattr(holder, name)
    return True


def _json(*module_and_arguments: str, cwd: Path | None = None) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", *module_and_arguments], capture_output=True, text=True, cwd=cwd
    )
    return json.loads(done.stdout)


def main(folder: Path) -> int:
    """Print every finding; 0 when there is none."""
    if not (folder / "metadata.txt").is_file() or not used_enums(folder):
        print(f"{folder} holds no built plugin; run: make plugin", file=sys.stderr)
        return 2
    findings = [
        finding for check in (bandit, secrets, flake8, qt_names) for finding in check(folder)
    ]
    for finding in findings:
        print(finding)
    enums = used_enums(folder)
    print(f"{len(findings)} findings of bandit, detect-secrets, flake8; {enums} Qt enums looked up")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
