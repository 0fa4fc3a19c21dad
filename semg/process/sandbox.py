"""Sandbox of a decoding process: before it reads its input it drops root, and every system call that it does not need.

Imports nothing of the project: programs that ``semg/process/confined.py`` starts load it by its path. The filter is an
allow-list in classic BPF (Linux, ``Documentation/userspace-api/seccomp_filter.rst``): memory, the files that are open,
time, and the end. Whatever runs in the process, machine code of an attacker too, can open, connect, start and signal
nothing, also where it frees one of its three file descriptors first.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from dataclasses import dataclass

UNCONFINED = 78
"""Exit status of a program that could not confine itself (``EX_CONFIG``); its output is the reason."""
_NOBODY = 65534
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM = 1
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_PROT_EXEC = 4

_SYSTEM_CALLS = {
    # open files: of the three only; a new one comes from a call that is not in this list
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "pwrite64": (18, 68), "lseek": (8, 62), "close": (3, 57), "fstat": (5, 80),
    # memory; mmap and mprotect have a condition
    "munmap": (11, 215), "mremap": (25, 216), "brk": (12, 214), "madvise": (28, 233),
    # signals to itself, locks, the processor
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128), "futex": (202, 98), "set_robust_list": (273, 99), "rseq": (334, 293),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "getpid": (39, 172), "gettid": (186, 178),
    # time, chance, the end
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "nanosleep": (35, 101),
    "gettimeofday": (96, 169), "times": (100, 153), "getrusage": (98, 165), "sysinfo": (99, 179),
    "getrandom": (318, 278), "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
"""Allowed: their numbers on x86_64 (``asm/unistd_64.h``) and on aarch64 (``asm-generic/unistd.h``)."""
_CONDITIONAL = {"mmap": (9, 222), "mprotect": (10, 226), "tgkill": (234, 131), "seccomp": (317, 277)}


@dataclass(frozen=True, slots=True)
class _Architecture:
    audit: int
    """``AUDIT_ARCH_…`` of ``linux/audit.h``."""
    column: int


_ARCHITECTURES = {"x86_64": _Architecture(0xC000003E, 0), "aarch64": _Architecture(0xC00000B7, 1)}
Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, constant."""


class UnconfinedError(Exception):
    """The system cannot confine a process; nothing may be decoded then."""


class _Filter(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_uint16), ("filter", ctypes.POINTER(_Filter)))


def enter() -> None:
    """Drop root, new privileges and system calls, in every thread and for good.

    On other systems than Linux only root is dropped; on an architecture of Linux without a filter here
    (neither x86_64 nor aarch64) there is no filter.

    Raises
    ------
    UnconfinedError
        The kernel refuses a step.
    """
    try:
        if os.geteuid() == 0:
            _give_up_root()
        if sys.platform == "linux":
            _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            if architecture := _ARCHITECTURES.get(platform.machine()):
                _install(filter_for(architecture, os.getpid()), _CONDITIONAL["seccomp"][architecture.column])
    except OSError as exc:
        raise UnconfinedError(f"expected a kernel that lets a process confine itself, got: {exc}") from exc


def filter_for(architecture: _Architecture, pid: int) -> list[Instruction]:
    """Return the filter of a process: allow the listed calls, answer the rest with EPERM.

    A call in the numbers of another architecture ends the process. Those of x32 are in nobody's list. Memory cannot be
    made executable any more, and a signal reaches only the process itself (``abort``).
    """
    column = architecture.column
    number = {name: numbers[column] for name, numbers in _CONDITIONAL.items()}
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture.audit),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    for numbers in _SYSTEM_CALLS.values():
        program += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _ALLOW)]
    refuse: Instruction = (_RETURN, 0, 0, _ERRNO | _EPERM)
    allow: Instruction = (_RETURN, 0, 0, _ALLOW)
    for name in ("mmap", "mprotect"):
        load_protection = (_LOAD, 0, 0, _argument_at(2))
        program += [(_EQUAL, 0, 4, number[name]), load_protection, (_ANY_BIT, 0, 1, _PROT_EXEC), refuse, allow]
    whom = (_LOAD, 0, 0, _argument_at(0))
    return [*program, (_EQUAL, 0, 3, number["tgkill"]), whom, (_EQUAL, 0, 1, pid), allow, refuse]


def _argument_at(index: int) -> int:
    """Return where the low half of an argument is; both architectures are little-endian."""
    return _ARGUMENTS_AT + 8 * index


def _give_up_root() -> None:
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _install(program: list[Instruction], seccomp: int) -> None:
    held = (_Filter * len(program))(*(_Filter(*one) for one in program))
    given = _Program(len(program), held)
    _call("syscall", seccomp, _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.addressof(given))


def _call(name: str, *arguments: int) -> None:
    """Call a function of the C library, each argument as a ``long``.

    Raises
    ------
    OSError
        It answered with an error, or with the number of a thread that did not take the filter.
    """
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    function.restype = ctypes.c_long
    found = function(*map(ctypes.c_long, arguments))
    if found != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name} gave {found}: {os.strerror(number)}")
