"""Vision and sound encoders by name."""
