"""From datagrams to stored samples; the logic of ``udpserver``.

``decoder`` text datagrams to samples · ``tracker`` order, gaps, duplicates, boots of one profile · ``boards`` binary
datagrams: tags, replays, profiles · ``board_stream`` their order and gaps · ``clock`` device clock to server clock ·
``pipeline`` a batch of datagrams to blocks · ``journal`` blocks to JetStream · ``storing`` JetStream to PostgreSQL ·
``udp_socket`` the socket, ``receiver`` reading it ·
``server`` the tasks around it. Everything up to ``pipeline`` is free of I/O; time is passed in.
"""
