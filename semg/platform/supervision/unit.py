"""One supervised process: start, monitoring, restart after a crash, stop."""

from __future__ import annotations

import http.client
import logging
import signal
import ssl
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from urllib.parse import urlsplit

from semg.errors import PlatformError
from semg.platform.installation.state import UnitState, UnitStatus, create_time

logger = logging.getLogger(__name__)

HEALTHY_AFTER_S = 60.0
PROBE_STARTING_S = 0.2
PROBE_READY_S = 2.0
STUCK_AFTER_S = 3.0


class Unit:
    """A service or an embedded server under supervision.

    ``step`` never blocks: starting (which first ends what an earlier process left) and looking whether it is
    ready happen on ``workers``. All methods belong to the supervisor's thread.

    Parameters
    ----------
    launch
        Starts the process; raises PlatformError or OSError if it cannot.
    probe
        Returns whether it is ready.
    clean
        Ends what the process left behind.
    stuck
        Returns whether a process that has been unready for ``STUCK_AFTER_S`` must be ended; by default none is.
    delay_s, delay_max_s
        Pause before the first restart and the longest pause; it doubles from crash to crash, and begins anew
        once the process was ready for a minute.
    """

    def __init__(
        self,
        name: str,
        launch: Callable[[], subprocess.Popen[bytes]],
        probe: Callable[[], bool],
        clean: Callable[[], None],
        workers: ThreadPoolExecutor,
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace_s: float = 10.0,
        delay_s: float = 0.5,
        delay_max_s: float = 30.0,
        stuck: Callable[[], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.failure: Exception | None = None
        self._launch, self._probe, self._clean = launch, probe, clean
        self._stuck, self._unready_at = stuck, 0.0
        self._workers, self._clock = workers, clock
        self._stop_signal, self._grace_s = stop_signal, grace_s
        self._delay_s, self._delay_max_s, self._delay = delay_s, delay_max_s, delay_s
        self._state: UnitState = "stopped"
        self._since = self._started_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._create_time: float | None = None
        self._launching: Future[subprocess.Popen[bytes]] | None = None
        self._probing: Future[bool] | None = None
        self._probe_at = self._retry_at = self._ready_at = 0.0
        self._was_ready = False
        self._restarts = self._exits_unready = 0
        self._last_exit = ""

    @property
    def state(self) -> UnitState:
        """The state, in the words of ``UnitStatus``."""
        return self._state

    def status(self) -> UnitStatus:
        """Return the published status."""
        return UnitStatus(
            name=self.name,
            state=self._state,
            pid=self._process.pid if self._process else None,
            create_time=self._create_time,
            started_at=self._started_at or None,
            since=self._since,
            restarts=self._restarts,
            exits_unready=self._exits_unready,
            last_exit=self._last_exit,
            error=str(self.failure or ""),
        )

    def start(self) -> None:
        """Start now, without a pause, unless it runs already."""
        if self._state in ("stopped", "waiting"):
            self._delay = self._delay_s
            self._begin()

    def step(self) -> None:
        """Process the events since the last call, and take due actions."""
        if self._launching is not None:
            if self._launching.done():
                self._launched(self._launching)
        elif self._process is not None:
            code = self._process.poll()
            if code is not None:
                self._ended(describe_exit(code))
            else:
                self._check()
        elif self._state == "waiting" and self._clock() >= self._retry_at:
            self._begin()

    def stop(self) -> None:
        """Stop the process and its leftovers; blocks for little more than the grace period."""
        if self._launching is not None:
            try:
                self._process = self._launching.result()
            except Exception as exc:  # whatever it was, the start is over; what it left is cleaned below
                logger.warning("%s did not start before it was stopped: %s", self.name, exc)
            self._launching = None
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(self._stop_signal)
            try:
                process.wait(self._grace_s)
            except subprocess.TimeoutExpired:
                logger.warning("%s (pid %d) did not stop within %.0f s: killed", self.name, process.pid, self._grace_s)
                process.kill()
                process.wait()
        self._clean()
        self._enter("stopped")
        logger.info("%s stopped", self.name)

    def _begin(self) -> None:
        self._enter("launching")
        self._launching = self._workers.submit(self._launch)

    def _launched(self, launching: Future[subprocess.Popen[bytes]]) -> None:
        self._launching = None
        try:
            self._process = launching.result()
        except (PlatformError, OSError) as exc:
            self.failure = exc
            self._ended(str(exc))
            return
        self.failure = None
        self._create_time = create_time(self._process.pid)
        self._started_at = time.time()
        self._was_ready = False
        self._probing, self._probe_at = None, 0.0
        self._enter("starting")
        logger.info("%s started, pid %d", self.name, self._process.pid)

    def _check(self) -> None:
        now = self._clock()
        if self._probing is None:
            if now >= self._probe_at:
                self._probing = self._workers.submit(self._probe)
            return
        if not self._probing.done():
            return
        ready, self._probing = self._probing.result(), None
        self._probe_at = now + (PROBE_READY_S if ready else PROBE_STARTING_S)
        if ready and self._state != "ready":
            self._was_ready, self._ready_at = True, now
            self._exits_unready = 0
            self._enter("ready")
            logger.info("%s is ready", self.name)
        elif not ready and self._state == "ready":
            self._unready_at = now
            self._enter("unready")
            logger.warning("%s does not answer", self.name)
        elif not ready and self._state == "unready" and now - self._unready_at >= STUCK_AFTER_S:
            self._end_stuck()

    def _end_stuck(self) -> None:
        """End a process that only a new one can replace; what follows is what follows its end by itself."""
        if self._stuck is not None and self._process is not None and self._stuck():
            logger.error("%s runs but does not work any more; it is started again", self.name)
            self._process.send_signal(self._stop_signal)
            self._unready_at = self._clock()

    def _ended(self, how: str) -> None:
        now = self._clock()
        if self._was_ready and now - self._ready_at >= HEALTHY_AFTER_S:
            self._delay = self._delay_s
        if not self._was_ready:
            self._exits_unready += 1
        self._process = self._probing = None
        self._was_ready = False
        self._restarts += 1
        self._last_exit = how
        self._retry_at = now + self._delay
        logger.error("%s ended (%s); starts again in %.1f s", self.name, how, self._delay)
        self._delay = min(self._delay_max_s, 2 * self._delay)
        self._enter("waiting")

    def _enter(self, state: UnitState) -> None:
        self._state, self._since = state, time.time()


def describe_exit(code: int) -> str:
    """Return an exit code in words."""
    if code >= 0:
        return f"exit {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def url_answers(url: str, timeout_s: float = 3.0) -> bool:
    """Return whether an address on this machine answers 200.

    A certificate is not checked: it belongs to the public name, and the connection does not leave the machine.
    """
    address = urlsplit(url)
    connection: http.client.HTTPConnection
    if address.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, timeout=timeout_s, context=context
        )
    else:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout_s)
    try:
        connection.request("GET", address.path or "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
