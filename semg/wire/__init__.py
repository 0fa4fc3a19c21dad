"""Every format that crosses a process border; ``docs/wire.md`` is its reference.

``udp`` datagrams · ``blocks`` sample blocks on the bus and in the journal · ``windows`` the binary body of
``POST /predict/windows`` · ``messages`` JSON on the bus and the WebSocket · ``http`` JSON bodies of the API ·
``tokens`` what a client shows to be let in ·
``plausible_times`` which times of samples are believed. Pure bytes-to-values code: no sockets, no store, no signals.
"""
