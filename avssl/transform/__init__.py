"""Frames, patches, colour and sound as a network may see them."""
