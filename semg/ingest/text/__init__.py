"""Text datagrams (v1): decoding, separation of boots, reordering."""
