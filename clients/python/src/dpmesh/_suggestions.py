"""What to do about a parameter that there is not."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import ParamSpec

P = ParamSpec("P")


def names_checked(init: Callable[P, None]) -> Callable[P, None]:
    """Lets a constructor say of a wrong parameter what takes its place."""
    known = inspect.signature(init).parameters

    @functools.wraps(init)
    def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        for name in kwargs:
            if name not in known:
                raise TypeError(unknown_parameter(name, known))
        init(*args, **kwargs)

    return checked


def unknown_parameter(name: str, known: Iterable[str]) -> str:
    """What is wrong with this name, and what takes its place."""
    parameters = {word: whole for whole in known for word in (*whole.split("_"), whole) if whole != "self"}
    wanted = name.lower().replace("-", "_")
    near = get_close_matches(wanted, parameters, 1)
    invalid = f"Invalid parameter {name!r} of DPMesh"
    return f"{invalid}; did you mean {parameters[near[0]]}?" if near else f"{invalid}; help(DPMesh.__init__) lists all"
