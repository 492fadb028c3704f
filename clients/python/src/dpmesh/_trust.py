"""Whether other users of the machine could have put something in the place of a program."""

from __future__ import annotations

import os
import stat
from pathlib import Path

#: Links on the way, at most, as for Linux.
_MOST_LINKS = 40
#: To pass through a folder one need not be allowed to list it. A link is no folder.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def is_trusted(path: str) -> bool:
    """Do all folders and links on the way to this program, and itself, belong to this user or root, who alone can change them?

    Each is looked at once, by its descriptor, from the root on: where nobody else can change the one above, it stays what it is.
    """
    if not hasattr(os, "getuid"):
        return True
    try:
        return _walk([*Path(path).absolute().parts[1:]])
    except OSError:
        return False


def _walk(names: list[str]) -> bool:
    above = [os.open(os.sep, _FOLDER)]
    links = 0
    try:
        while names:
            if not _is_ours(os.fstat(above[-1])):
                return False
            name = names.pop(0)
            status = os.stat(name, dir_fd=above[-1], follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                links += 1
                if links > _MOST_LINKS or not _has_our_owner(status):
                    return False
                target = Path(os.readlink(name, dir_fd=above[-1]))
                names[:0] = target.parts[1:] if target.is_absolute() else target.parts
                if target.is_absolute():
                    above.append(os.open(os.sep, _FOLDER))
            elif names or stat.S_ISDIR(status.st_mode):
                above.append(os.open(name, _FOLDER, dir_fd=above[-1]))
            else:
                return _is_ours(status)
        return False
    finally:
        for folder in above:
            os.close(folder)


def _has_our_owner(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.getuid())


def _is_ours(status: os.stat_result) -> bool:
    """In a folder such as /tmp others can add something, but not replace what is not theirs."""
    others = stat.S_IWOTH | (0 if status.st_gid in (0, os.getgid()) else stat.S_IWGRP)
    is_shared = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    return _has_our_owner(status) and (bool(is_shared) or not status.st_mode & others)
