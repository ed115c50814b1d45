"""What the plugin says of itself; written once, in metadata.txt."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path


def version() -> str:
    """The plugin's version; a question mark where the file is missing."""
    metadata = ConfigParser()
    metadata.read(Path(__file__).resolve().with_name("metadata.txt"), encoding="utf-8")
    return metadata.get("general", "version", fallback="?")
