"""Names for the temporary files that stand for layers: nobody knows their paths, or finds them."""

from __future__ import annotations

import shlex
from typing import Any


class StandIns:
    """Temporary files, each with the name by which the user knows what is in it."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def add(self, path: str, name: str) -> None:
        """Call the file so from now on."""
        self._names[path] = name

    def in_text(self, text: str) -> str:
        """A sentence with the names in place of the paths."""
        for path, name in self._names.items():
            text = text.replace(path, name)
        return text

    def in_command(self, command: str) -> str:
        """A command line with the names, quoted where they have to be."""
        if not self._names:
            return command
        return shlex.join(self._names.get(word, word) for word in shlex.split(command))

    def in_facts(self, facts: Any) -> Any:
        """An event of the engine with the names, in whatever of its values a path stands."""
        if isinstance(facts, dict):
            return {
                key: self.in_command(value) if key == "command" else self.in_facts(value)
                for key, value in facts.items()
            }
        if isinstance(facts, list):
            return [self.in_facts(value) for value in facts]
        return self.in_text(facts) if isinstance(facts, str) else facts
