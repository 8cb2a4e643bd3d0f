"""Frames, patches, colour and sound; every random function takes rng."""
