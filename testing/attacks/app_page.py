"""A page of the app without a browser: Streamlit's protocol over the page's WebSocket, and uploads beside it."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, suppress
from typing import Any

import httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.state.session_state import STREAMLIT_INTERNAL_KEY_PREFIX
from streamlit.web.server.starlette.starlette_app_utils import generate_xsrf_token_string
from websockets.exceptions import ConnectionClosed

from testing.attacks.findings import NotTried
from testing.attacks.means import Entry
from testing.attacks.target import Target

PAGES = (
    "", "User_Management", "Gesture_Management", "Training_Data_Capture", "Kickoff_Training", "Training_Jobs_Status",
    "Realtime_Gesture_Recognition", "Sensor_Data_Review",
)  # fmt: skip
RUN_S = 90.0
MOST_HEARD = 64 << 20


class AppPage:
    """An open page.

    Parameters
    ----------
    name
        As it stands in the address; empty: the overview.
    session
        A session of Streamlit's that is named, to be resumed.

    Attributes
    ----------
    session_id
        Of the session that Streamlit gave the page.
    heard
        All that came, as bytes.
    """

    def __init__(self, target: Target, entry: Entry, name: str = "", query: str = "", session: str = "") -> None:
        self._target, self._entry, self._name, self._query = target, entry, name, query
        self._xsrf = generate_xsrf_token_string()
        self._states: dict[str, WidgetState] = {}
        self._elements: dict[tuple[int, ...], Element] = {}
        self.session_id, self.heard = "", b""
        self._session = session

    def __enter__(self) -> AppPage:
        """Return itself, drawn for the first time."""
        with ExitStack() as stack:
            opening = self._target.socket(self._entry, session=self._session, xsrf=self._xsrf)
            self._socket = stack.enter_context(opening)
            self.run()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *details: object) -> None:
        """Leave the page."""
        self._stack.close()

    def run(self, *pressed: WidgetState) -> float:
        """Let the page be drawn anew, with buttons that are pressed; return the seconds that it took.

        Raises
        ------
        NotTried
            It did not end in time, or the page was closed.
        """
        asked, begun = BackMsg(), time.monotonic()
        asked.rerun_script.page_name, asked.rerun_script.query_string = self._name, self._query
        asked.rerun_script.widget_states.widgets.extend([*self._states.values(), *pressed])
        self._socket.send(asked.SerializeToString())
        for message in self._messages(begun + RUN_S):
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self._elements.clear()
                self.session_id = message.new_session.initialize.session_id or self.session_id
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                self._elements[tuple(message.metadata.delta_path)] = message.delta.new_element
            elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                return time.monotonic() - begun
        raise NotTried(f"the page {self._name or 'Overview'} was not drawn within {RUN_S:g} s")

    def _messages(self, deadline: float) -> Any:
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                data = self._socket.recv(left_s)
            except TimeoutError:
                return
            except ConnectionClosed as exc:
                raise NotTried(f"the page {self._name or 'Overview'} was closed: {exc}") from exc
            if isinstance(data, bytes):
                self.heard = (self.heard + data)[-MOST_HEARD:]
                yield ForwardMsg.FromString(data)

    def all(self, kind: str) -> list[Any]:
        """Return the elements of a kind that are drawn."""
        return [getattr(one, kind) for one in self._elements.values() if one.WhichOneof("type") == kind]

    def find(self, kind: str, label: str) -> Any:
        """Return the element of a kind whose label begins so.

        Raises
        ------
        NotTried
            The page has none.
        """
        found = [one for one in self.all(kind) if one.label.replace("\\", "").startswith(label)]
        if not found:
            raise NotTried(f"the page {self._name} has no {kind} called {label!r}")
        return found[0]

    def choose(self, kind: str, label: str, **value: Any) -> None:
        """Set a widget's value, in the words of the protocol; the page is drawn anew with ``run``."""
        self.choose_id(self.find(kind, label).id, **value)

    def choose_id(self, number: str, **value: Any) -> None:
        """Set the value of the widget of an id."""
        state = WidgetState(id=number)
        for name, given in value.items():
            if isinstance(given, list):
                getattr(state, name).data.extend(given)
            else:
                setattr(state, name, given)
        self._states[state.id] = state

    def press(self, label: str) -> float:
        """Press a button; return the seconds until the page is drawn."""
        return self.run(WidgetState(id=self.find("button", label).id, trigger_value=True))

    def trigger(self, name: str, event: str, value: object) -> float:
        """Send what a component of our own sends from the browser; return the seconds until the page is drawn.

        Raises
        ------
        NotTried
            The page has no component of that name.
        """
        found = [one.id for one in self.all("bidi_component") if one.component_name.endswith(name)]
        if not found:
            raise NotTried(f"the page {self._name} has no component {name}")
        sent, events = (
            json.dumps([{"event": event, "value": value}]),
            f"{STREAMLIT_INTERNAL_KEY_PREFIX}_{found[0]}__events",
        )
        state = WidgetState(id=found[0], json_value="{}")  # without it, Streamlit shows the callback no events
        return self.run(state, WidgetState(id=events, json_trigger_value=sent))

    def log_out(self) -> None:
        """Press the button; the page is closed with that, or says so."""
        self._states.clear()
        with suppress(NotTried):
            self.press("Log out")

    @property
    def problems(self) -> str:
        """What the page says is wrong."""
        return " ".join([one.body for one in self.all("alert")] + [one.message for one in self.all("exception")])

    def upload_address(self, file_name: str) -> tuple[str, str]:
        """Return a file's number and where it is to be sent, as the page says."""
        asked = BackMsg()
        asked.file_urls_request.request_id = "request"
        asked.file_urls_request.file_names.append(file_name)
        asked.file_urls_request.session_id = self.session_id
        self._socket.send(asked.SerializeToString())
        for message in self._messages(time.monotonic() + RUN_S):
            if message.WhichOneof("type") == "file_urls_response" and message.file_urls_response.file_urls:
                (one,) = message.file_urls_response.file_urls
                return one.file_id, one.upload_url
        raise NotTried("no address for an upload came")

    def put(self, address: str, name: str, content: bytes, entry: Entry | None = None) -> httpx.Response:
        """Send a file to an address as the page does, or as another login."""
        shown, form = entry or self._entry, httpx.Request("PUT", "http://form", files={"file": (name, content)})
        return self._target.ask(
            "PUT",
            address,
            Entry(f"_streamlit_xsrf={self._xsrf}; {shown.cookie}", shown.binding),
            body=form.read(),
            origin=self._target.url,
            headers={"X-Xsrftoken": self._xsrf, "Content-Type": form.headers["content-type"]},
        )

    def give_file(self, label: str, name: str, content: bytes) -> None:
        """Send a file, and choose it in a field for files; the page is drawn anew with ``run``.

        Raises
        ------
        NotTried
            It was not taken.
        """
        file_id, address = self.upload_address(name)
        answer = self.put(address, name, content)
        if answer.status_code >= 300:
            raise NotTried(f"the upload was refused: status {answer.status_code}")
        state = WidgetState(id=self.find("file_uploader", label).id)
        one = state.file_uploader_state_value.uploaded_file_info.add()
        one.file_id, one.name, one.size = file_id, name, len(content)
        one.file_urls.file_id, one.file_urls.upload_url = file_id, address
        self._states[state.id] = state
