"""Pretext tasks: one file is one task; the registry is an explicit dict."""
