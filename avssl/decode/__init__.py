"""Frames and sound at exact times from ordinary video files."""
