"""What a notebook can show."""

from __future__ import annotations

import html
import sys
from pathlib import Path
from typing import Any


def in_notebook() -> bool:
    """Does this run in a notebook's kernel?"""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class Report(type(Path())):  # type: ignore[misc]
    """The path of a report, which a notebook shows as the page itself."""

    def _repr_html_(self) -> str:
        # A frame, as the page has styles of its own; without the rights of the notebook, as its run may be anybody's.
        page = html.escape(self.read_text("utf-8"))
        rights = "allow-scripts allow-downloads"
        return f'<iframe sandbox="{rights}" srcdoc="{page}" width="100%" height="800" style="border: 0"></iframe>'


class Picture(type(Path())):  # type: ignore[misc]
    """The path of a picture, which a notebook shows."""

    def _repr_png_(self) -> bytes:
        png: bytes = self.read_bytes()
        return png


class ProgressCell:
    """A bar with a text below the cell that runs."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html: Any = HTML
        self._handle: Any = display(HTML(""), display_id=True)

    def show(self, share: float, text: str) -> None:
        """Shows the bar, filled to this share, and the text."""
        bar = f'<progress value="{share:.3f}" max="1"></progress>'
        self._handle.update(self._html(f"<div>{bar} <code>{html.escape(text)}</code></div>"))
