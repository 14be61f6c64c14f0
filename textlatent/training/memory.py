"""A CPU's memory in a long run: keep what is freed, forget what was made ready for shapes that do not come back."""

import ctypes
import os
import platform

_CAPACITIES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
_SHAPES = 128

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # malloc.h


def keep_freed_memory() -> bool:
    """Whether glibc was told to keep freed memory for the next allocation instead of returning it to the system.

    A training step allocates and frees the same tensors again and again. Above 128 KiB glibc takes each from the system
    and returns it at once, so that every page of it faults when it is first touched.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL("libc.so.6")
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 * 2**20))
    return all(libc.mallopt(name, value) == 1 for name, value in settings)


def forget_old_shapes() -> None:
    """Bound oneDNN's and ideep's caches of what they made ready for a shape, 1,024 entries each unless they are told.

    A step's sentences have lengths of their own, so nearly every shape is met once, and a bf16 run grew by 8 MB a step
    to 4.7 GB; a step itself needs fewer than 128. Whoever sets these variables is not overruled. It must come before
    the first product, at which they are read.
    """
    for name in _CAPACITIES:
        os.environ.setdefault(name, str(_SHAPES))
