"""Webcam videos of sessions: when each frame was taken, and the files.

``log`` what is written down while frames come · ``clock`` frames on the server's clock · ``writer`` one connection's
file · ``recording`` frames to files while a session runs · ``finishing`` one MP4 a session · ``files`` where they lie.
"""
