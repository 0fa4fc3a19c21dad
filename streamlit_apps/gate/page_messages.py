"""What a page's messages may hold: counted on the bytes, before anything is made of them.

A message of 1 MB can name half a million fields of two bytes, and every one would become an object, several times over.
"""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

ALLOWED = ("rerun_script", "stop_script", "file_urls_request", "app_heartbeat", "dataframe_chunk")
"""Kinds of messages that pages of this app send."""
MAX_MESSAGE_BYTES = 1 << 20
"""From a browser: a picture that was dropped or taken is in one; files come as uploads."""
MAX_WIDGETS, MAX_FIELDS, MAX_NUMBERS = 1000, 6000, 1000
"""States of widgets, fields at all depths, and (of the longest kind) numbers of one list, in a message."""
MAX_PARTS = 20_000
"""Brackets and commas of one text, which components send as JSON; a picture in base64 has none."""
MAX_DEPTH = 10
MAX_FILES = 20
"""Whose addresses a page asks for at once; fields of this app take one each."""
MAX_TEXT = 8192
"""Characters of what a browser says of its page: address, query, time zone."""
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_WIDGET = WidgetState.DESCRIPTOR


def parsed(data: bytes | None) -> BackMsg | None:
    """Return a page's message; None for what no page of this app sends.

    Streamlit does for every page what only its developer should ask for: empty the caches of all, install files.
    """
    if not data or not is_countable(data):
        return None
    try:
        message = BackMsg.FromString(data)
    except DecodeError:
        return None
    kind = message.WhichOneof("type")
    if kind == "backend_operation_request":
        kind = message.backend_operation_request.WhichOneof("payload")
    return message if kind in ALLOWED and _is_bounded(message) else None


def is_countable(data: bytes) -> bool:
    """Return whether the bytes of a message hold no more fields than a page of this app sends."""
    try:
        _Count(data).walk(0, len(data), BackMsg.DESCRIPTOR, 0)
    except _TooMuchError:
        return False
    return True


class _TooMuchError(Exception):
    """A message holds too much, or is none."""


class _Count:
    """Walks over the wire format, and stops where there is too much; nothing is kept of what it sees."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._fields = self._widgets = 0

    def walk(self, at: int, end: int, kind: Descriptor, depth: int) -> None:
        """Count the fields of a message between two offsets."""
        if depth > MAX_DEPTH:
            raise _TooMuchError
        if kind is _WIDGET:
            self._widgets += 1
            if self._widgets > MAX_WIDGETS:
                raise _TooMuchError
        known = kind.fields_by_number
        while at < end:
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise _TooMuchError
            tag, at = self._varint(at, end)
            if tag & 7 == _VARINT:
                _, at = self._varint(at, end)
            elif tag & 7 == _FIXED64:
                at += 8
            elif tag & 7 == _FIXED32:
                at += 4
            elif tag & 7 == _LENGTH:
                size, at = self._varint(at, end)
                if size > end - at:
                    raise _TooMuchError
                field = known.get(tag >> 3)
                if field is not None:
                    self._look_inside(at, size, field, depth)
                at += size
            else:
                raise _TooMuchError  # groups, which no message of Streamlit has
        if at != end:
            raise _TooMuchError

    def _look_inside(self, at: int, size: int, field: FieldDescriptor, depth: int) -> None:
        if field.message_type is not None:
            self.walk(at, at + size, field.message_type, depth + 1)
        elif field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
            if size > MAX_PARTS and sum(self._data.count(part, at, at + size) for part in b"[{,") > MAX_PARTS:
                raise _TooMuchError
        elif size > 8 * MAX_NUMBERS:
            raise _TooMuchError  # a list of numbers, which take up to eight bytes each

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while at < end and shift < 70:
            byte = self._data[at]
            value |= (byte & 127) << shift
            at += 1
            if byte < 128:
                return value, at
            shift += 7
        raise _TooMuchError


def _is_bounded(message: BackMsg) -> bool:
    """Return whether a message asks for no more work than a page of this app does."""
    if message.WhichOneof("type") == "rerun_script":
        rerun = message.rerun_script
        context = rerun.context_info
        texts = (rerun.query_string, rerun.page_name, rerun.page_script_hash, rerun.fragment_id)
        return max(map(len, (*texts, context.url, context.timezone, context.locale))) <= MAX_TEXT
    files = message.file_urls_request.file_names
    return len(files) <= MAX_FILES and all(len(name) <= MAX_TEXT for name in files)
