"""What pages show of a webcam's recorder."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecorderState:
    """State of a recorder.

    Attributes
    ----------
    sends
        Whether frames arrive.
    session_id
        The session that they are written for, or None.
    rate_hz
        Recent frame rate of the camera.
    dropped
        Frames of this connection that could not be encoded in time.
    problem
        Why frames are not written although they should be; otherwise empty.
    """

    sends: bool
    session_id: int | None
    rate_hz: float
    frames: int
    dropped: int
    problem: str
