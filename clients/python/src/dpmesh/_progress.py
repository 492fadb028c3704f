"""Shows the progress of a run, in a notebook or on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ._command import Event
from ._notebook import ProgressCell, in_notebook

_WIDTH = 24
#: Begins the line again, on a terminal.
_CLEAR = "\r\x1b[K" if sys.stderr.isatty() else ""
#: Seconds between two pictures of the bar.
_PAUSE = 0.1

Show = Callable[[float, str], None]


@contextmanager
def progress(verbose: bool | None, most_epochs: int) -> Iterator[Callable[[Event], None]]:
    """Gives a function that shows an event. `verbose`: None for a notebook or a terminal only."""
    notebook = in_notebook()
    terminal = sys.stderr.isatty()
    if not (notebook or terminal if verbose is None else verbose):
        yield lambda event: None
    elif notebook:
        with _bar(most_epochs, ProgressCell().show) as on_event:
            yield on_event
    elif terminal:
        try:
            with _bar(most_epochs, _show_on_terminal) as on_event:
                yield on_event
        finally:
            print(file=sys.stderr)
    else:
        yield _print_changes


@contextmanager
def _bar(most_epochs: int, show: Show) -> Iterator[Callable[[Event], None]]:
    begin = time.monotonic()
    shown = 0.0
    last = (0.0, "")

    def on_event(event: Event) -> None:
        nonlocal shown, last
        if event["type"] == "log":
            print(f"{_CLEAR}{event['message']}", file=sys.stderr)
            return
        share, text = _described(event, most_epochs)
        now = time.monotonic()
        if text:
            last = share, text
        if text and (share == 1 or now - shown > _PAUSE):
            shown = now
            show(share, f"{text}  {now - begin:.1f} s")

    try:
        yield on_event
    except BaseException as error:
        share, text = last
        what = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        if text:
            show(share, f"{what}: {text}")
        raise


def _described(event: Event, most_epochs: int) -> tuple[float, str]:
    """How much is done at most, and in words; no words of an event that changes nothing."""
    kind = event["type"]
    if kind == "start":
        return 0, f"{event['rows']:,} rows × {event['dim']}"
    if kind == "encoder-epoch":
        return event["epoch"] / event["of"] * 0.999, f"encoder epoch {event['epoch']}/{event['of']}"
    if kind == "epoch":
        loss = event["loss"]
        rest = "" if loss is None else f"  loss {loss:.3g}"
        return event["epoch"] / most_epochs * 0.999, f"epoch {event['epoch']}  K {event['k']}{rest}"
    if kind == "end":
        return 1, f"{_ending(event)} in epoch {event['epoch']}  K {event['k']}"
    return 0, ""


def _ending(event: Event) -> str:
    return "settled" if event["reason"] == "settled" else "stopped"


def _show_on_terminal(share: float, text: str) -> None:
    full = round(share * _WIDTH)
    print(f"{_CLEAR}{'█' * full}{'░' * (_WIDTH - full)}  {text}", end="", file=sys.stderr, flush=True)


def _print_changes(event: dict[str, Any]) -> None:
    """A line for what a log should keep."""
    kind = event["type"]
    if kind == "start":
        print(f"{event['rows']:,} rows × {event['dim']}", file=sys.stderr)
    elif kind == "step" and event["changed"]:
        print(f"epoch {event['epoch']:3}  {event['kind']}  K {event['k']}", file=sys.stderr)
    elif kind == "log":
        print(event["message"], file=sys.stderr)
    elif kind == "end":
        print(f"epoch {event['epoch']:3}  {_ending(event)}  K {event['k']}", file=sys.stderr)
