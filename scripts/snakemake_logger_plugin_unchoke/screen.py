"""Where the lines go: a live area below lines that stay, on a terminal; only lines that stay, elsewhere."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from unchoke.progress.lines import BAR, DIM, GOOD, STRONG, Line

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

_STYLES = {STRONG: "bold", DIM: "dim", GOOD: "green", BAR: "green", "": ""}


class Screen:
    """Writes lines to a stream, and on a terminal draws the last few of them anew."""

    def __init__(self, stream: TextIO, *, colours: bool) -> None:
        self._stream, self._colours = stream, colours
        self.is_live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._live: Live | None = None

    def write(self, lines: Sequence[Line]) -> None:
        """Write lines that stay, above what is drawn."""
        if self._live:
            for line in lines:
                self._live.console.print(_text(line), soft_wrap=True)
            return
        for line in lines:
            self._stream.write("".join(text for text, _ in line).rstrip() + "\n")
        self._stream.flush()

    def draw(self, lines: Sequence[Line]) -> None:
        """Show these lines in place of those drawn before; nothing where there is no terminal."""
        if not self.is_live:
            return
        from rich.console import Group  # 0.1 s, which a run in a pipe does without

        texts = [_text(line, one_line=True) for line in lines]
        live = self._live or self._start()
        live.update(Group(*texts), refresh=True)

    def erase(self) -> None:
        """Take what is drawn away, so that others can write to the terminal."""
        if self._live:
            self._live.stop()
            self._live = None

    def _start(self) -> "Live":
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream, no_color=not self._colours, highlight=False, markup=False, emoji=False)
        self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._live.start()
        return self._live


def _text(line: Line, *, one_line: bool = False) -> "Text":
    from rich.text import Text

    pieces = [(text, _STYLES[style]) for text, style in line]
    return Text.assemble(*pieces, no_wrap=one_line, overflow="ellipsis" if one_line else "fold")
