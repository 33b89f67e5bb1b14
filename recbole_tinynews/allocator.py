"""The C library's allocator."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of malloc.h


def keep_freed_memory() -> None:
    """Let glibc keep what arrays free, for the arrays to come, as long as the process lives.

    Otherwise it asks the system for each array above 32 MB anew, and every page of it faults: a product of 16,384
    tokens with a layer's weights then takes three times as long. Other C libraries stay as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and mallopt(_MMAP_THRESHOLD, 2**30):  # old versions refuse
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
