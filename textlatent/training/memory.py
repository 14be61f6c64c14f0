"""Keep freed memory: on a CPU, giving it back to the system and asking again costs more than many operations."""

import ctypes
import platform

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
