"""How the pages become a site: `make docs`. It opens from a disk and asks for nothing else."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from myst_parser.parsers.sphinx_ import MystParser

if TYPE_CHECKING:
    from docutils.nodes import document
    from sphinx.application import Sphinx

project = "snet4"
author = "The authors of snet4"
project_copyright = "2026 the snet4 authors"
try:
    release = metadata.version("snet4")
except metadata.PackageNotFoundError:
    release = "from source"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown", ".py": "percent"}
exclude_patterns = ["conf.py"]
myst_heading_anchors = 4
myst_enable_extensions: list[str] = []

html_theme = "furo"
html_title = f"snet4 {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
highlight_language = "text"
html_use_index = False
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}
# Search results with lines of the pages would fetch them, which browsers refuse from a disk.
html_show_search_summary = False


class PercentParser(MystParser):
    """Reads a notebook as text: a page of its prose and its code, which is not run here."""

    supported = ("percent",)

    def parse(self, inputstring: str, document: document) -> None:
        super().parse(as_markdown(inputstring), document)


def as_markdown(notebook: str) -> str:
    """Cells of a notebook in jupytext's percent format as Markdown.

    >>> as_markdown("# %% [markdown]\\n# # Title\\n#\\n# Text.\\n\\n# %%\\nx = 1\\n")
    '# Title\\n\\nText.\\n\\n```python\\nx = 1\\n```\\n'
    """
    pages = []
    for cell in ("\n" + notebook).split("\n# %%")[1:]:
        kind, _, text = cell.partition("\n")
        text = text.strip("\n")
        if kind.strip() == "[markdown]":
            pages.append(
                "\n".join(line.removeprefix("#").removeprefix(" ") for line in text.split("\n"))
            )
        else:
            pages.append(f"```python\n{text}\n```")
    return "\n\n".join(pages) + "\n"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_source_parser(PercentParser)
