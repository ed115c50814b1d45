"""The pages that are made from the code are those of the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("tool", ["draw_house.py", "make_reference.py"])
def test_what_is_made_from_the_code_is_fresh(tool: str) -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / tool, "--check"], check=False)
    assert done.returncode == 0, f"stale; run: python tools/{tool}"


def test_every_package_is_walked_through_in_the_page() -> None:
    page = (ROOT / "docs" / "how-it-works" / "architecture.md").read_text(encoding="utf-8")
    packages = [path.parent.name for path in (ROOT / "snet4core").glob("*/__init__.py")]
    assert len(packages) > 10
    for package in packages:
        assert f"`{package}/" in page or f"`{package}`" in page
