"""Recognise the Windows Subsystem for Linux, where UDP from other devices needs a way in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

PAGE = "docs/windows.md"
_KERNEL = ("proc/sys/kernel/osrelease", "proc/version")
_WSLINFO_S = 3.0


def is_wsl(root: Path = Path("/")) -> bool:
    """Return whether the kernel is Microsoft's; ``root`` is where its files are looked for."""
    return any("microsoft" in _text(root / name).lower() for name in _KERNEL)


def networking_mode(command: str = "wslinfo") -> str:
    """Return WSL's mode of networking (``nat``, ``mirrored``, …); empty where it cannot be told."""
    found = shutil.which(command)
    if found is None:
        return ""
    try:
        told = subprocess.run(
            [found, "--networking-mode"], capture_output=True, text=True, timeout=_WSLINFO_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.strip().lower() if told.returncode == 0 else ""


def sentence(mode: str, udp_port: int) -> str:
    """Return how devices reach the UDP port under a mode of networking, in one line."""
    if mode == "mirrored":
        return (
            f"mirrored networking: devices send to Windows' address, port {udp_port}, once its firewall lets them in "
            f"({PAGE})"
        )
    known = {"nat": "NAT networking", "": "the mode of networking is not known"}.get(mode, f"{mode} networking")
    return f"{known}: devices on the network do not reach UDP port {udp_port} by themselves; see {PAGE}"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
