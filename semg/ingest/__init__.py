"""From datagrams to stored samples; the logic of ``udpserver``.

``text.decoder`` text datagrams to samples · ``text.text_stream`` ordering, gaps, duplicates and boots of one profile ·
``boards.datagrams`` binary datagrams: tags, replays, profiles · ``boards.board_stream`` their ordering and gaps ·
``streams.device_clock`` device clock to server clock · ``pipeline`` a batch of datagrams to blocks ·
``journal.publisher`` blocks to JetStream · ``journal.journal_writer`` JetStream to PostgreSQL · ``udp_socket`` the
socket, ``receiver`` reading it · ``server`` the tasks around it. Everything up to ``pipeline`` is free of I/O; time is
passed in.
"""
