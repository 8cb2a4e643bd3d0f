"""Errors that a person can act on: one line with the value, the rule and the way out."""


class AvsslError(Exception):
    """The work failed (exit code 1). The message is one line for a person."""

    exit_code = 1


class InputError(AvsslError):
    """The command line or its input is wrong (exit code 2): value, rule and way out in one line."""

    exit_code = 2


class MediaError(InputError):
    """A media file cannot be read as asked; the message names the file and the reason."""


class MissingPartError(InputError):
    """An optional part (a back end, an extra) does not work here; the message has the remedy."""
