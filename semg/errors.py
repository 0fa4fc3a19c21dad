"""The exceptions that services raise on purpose.

A message says what was expected, what arrived and what to do about it; it is fit to be shown to a researcher.
"""


class SemgError(Exception):
    """Root of every error that this project raises on purpose."""


class SettingsError(SemgError):
    """A setting is missing, contradicts another one, or names something that is not there."""


class StoreError(SemgError):
    """PostgreSQL refused or lost a statement."""


class StoreUnavailableError(StoreError):
    """PostgreSQL cannot be reached now; the same call may work later."""


class StoreBusyError(StoreUnavailableError):
    """A lock or a statement took longer than this transaction waits for it; the database itself is there."""


class NotFoundError(StoreError):
    """A row requested by its id does not exist."""


class ConflictError(StoreError):
    """A row would contradict another one (a name taken twice, a deleted parent)."""


class ConsentError(ConflictError):
    """A person has not agreed to this, or not any more.

    Parameters
    ----------
    user_id
        The person's profile, whose consent would have to be recorded.
    said
        What the person has not agreed to: "has not agreed to being filmed". The person's name is for pages only: this
        message is kept with jobs and in logs.
    """

    def __init__(self, user_id: int, said: str) -> None:
        super().__init__(f"profile {user_id} {said}: record the consent on the Profiles page first")
        self.user_id, self.said = user_id, said


class InvalidValueError(StoreError):
    """A value may not be stored.

    Parameters
    ----------
    field
        Name of the field, for a form or a 422.
    message
        What to do, naming the field in words, with what is allowed and what arrived.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class EncryptedFileError(SemgError):
    """An encrypted file cannot be read with this key, or was changed."""


class LoginError(SemgError):
    """Nobody is logged in; one sentence for every cause, so that it does not reveal which logins exist."""


class AccessError(SemgError):
    """The requesting account may not do this; the message says who may."""


class BusError(SemgError):
    """NATS or JetStream refused or lost a message."""


class WireError(SemgError):
    """Bytes that crossed a process border do not have the documented form.

    Parameters
    ----------
    reason
        Short stable word, used as the counter's name (``channel_count``, ``not_finite``, …).
    message
        What was expected and what arrived.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class RecordingError(SemgError):
    """A recording file cannot be read, or its content makes no sense."""


class VideoError(SemgError):
    """A video cannot be written or finished; the message is for the person who recorded it."""


class DecoderError(SemgError):
    """A file from outside could not be opened by the process that was to do it: it crashed, or took too much."""


class TrainingError(SemgError):
    """No classifier can be trained on a job's data; the message says why and what to do."""


class ArtifactError(SemgError):
    """Stored model bytes are damaged or of an unknown form."""


class PlatformError(SemgError):
    """A service or an embedded server could not be started or stopped."""
