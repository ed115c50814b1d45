"""What the project is called, where it lives and which version this is, for other tools.

    python tools/project.py              # name, version, addresses
    python tools/project.py --strict     # the same; exit code 1 while addresses are placeholders

Needs the standard library alone. Everything comes from pyproject.toml and the last tag.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

PLACEHOLDER = "example.org"
"""The host that addresses name as long as the project has none."""


def pyproject(root: Path = ROOT) -> dict[str, Any]:
    """pyproject.toml as it stands."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def urls(root: Path = ROOT) -> dict[str, str]:
    """Name, such as `Issues`, -> address; `Email` is that of the authors."""
    told = pyproject(root)["project"]
    addresses: dict[str, str] = dict(told["urls"])
    for author in told.get("authors", ())[:1]:
        addresses["Email"] = author["email"]
    return addresses


def placeholders(root: Path = ROOT) -> list[str]:
    """Names of the addresses that are still placeholders."""
    return [name for name, address in urls(root).items() if PLACEHOLDER in address]


def following(root: Path = ROOT, commits: int = 0) -> str:
    """What comes next, `commits` after the last tag, such as 0.2.0.dev5."""
    return f"{pyproject(root)['tool']['snet4']['next']}.dev{commits}"


def version(root: Path = ROOT) -> str:
    """The tag's version where this is a tagged commit without changes, else what comes next.

    An sdist has no tags, and says its version in PKG-INFO. Never fails for the lack of git.
    """
    information = root / "PKG-INFO"
    if information.is_file():
        found = re.search(r"^Version: (\S+)$", information.read_text("utf-8"), re.MULTILINE)
        if found:
            return found[1]
    # A copy inside of another project's checkout is not asked for its tags.
    told = _TAGGED.fullmatch(_described(root)) if (root / ".git").exists() else None
    if told is None:
        return following(root)
    tag, commits, changed = told.groups()
    return tag if commits == "0" and not changed else following(root, int(commits))


_TAGGED = re.compile(r"v(\d+(?:\.\d+)*(?:(?:a|b|rc)\d+)?)-(\d+)-g[0-9a-f]+(-dirty)?")


def _described(root: Path) -> str:
    words = ["git", "describe", "--tags", "--long", "--dirty", "--match", "v[0-9]*"]
    try:
        done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    except OSError:  # no git here
        return ""
    return done.stdout.strip()


def filled(text: str, root: Path = ROOT, **more: str) -> str:
    """`text` with @VERSION@, @ISSUES@, @HOMEPAGE@ and so on replaced, and the names in `more`."""
    values = {name.upper(): address for name, address in urls(root).items()}
    values["VERSION"] = version(root)
    values |= more
    return re.sub(r"@([A-Z]+)@", lambda found: values[found[1]], text)


def __getattr__(name: str) -> str:
    """VERSION, which setuptools asks for when it builds (`[tool.setuptools.dynamic]`)."""
    if name != "VERSION":
        raise AttributeError(name)
    return version()


def main() -> int:
    """Print what is known; 1 if `--strict` and an address is a placeholder."""
    print(f"snet4 {version()}")
    for name, address in urls().items():
        print(f"{name}: {address}")
    missing = placeholders()
    if missing:
        print(
            f"Placeholders: {', '.join(missing)}; write the true addresses into "
            "[project] and [project.urls] of pyproject.toml.",
            file=sys.stderr,
        )
    return int(bool(missing) and "--strict" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
