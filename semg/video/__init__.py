"""Webcam videos of sessions: when each frame was taken, and the files.

``part_log`` times logged during recording · ``frame_clock`` frame times on the server's clock · ``writer`` one
connection's file · ``recording`` frames to files during a session · ``finishing`` one MP4 per session · ``files`` paths
and encryption.
"""
