"""Mistakes in a command line, each in one line: argparse prints its whole usage, tyro a box."""

import argparse
import contextlib
import difflib
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from avssl.errors import InputError

_KINDS = {"int": "a whole number", "float": "a number"}
_FRAME = re.compile(r"^[-─╭╰╮╯+]{3}.*$|^[│|]|[│|]$")  # a rule of the box, or its sides
_TYRO = (
    (r"Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)",
     r"\1 \2: must be a whole number"),
    (r"Error parsing (\S+): could not convert string to float: (.*)", r"\1 \2: must be a number"),
    (r"Error parsing (\S+): no type matching (.*) could be instantiated from \[(.*)\]\.",
     r"\1 \3: must be one of \2"),
    (r"Error parsing (\S+): Could not parse arguments \[(.*)\] into .*",
     r"\1 \2: must be as many values of the kind that --help shows"),
    (r"invalid choice (.*) for argument '(\S+)'\. Expected one of \((.*?),?\)\.",
     r"\2 \1: must be one of \3"),
    (r"Missing value for argument '(\S+)'\. Expected 1 values\.", r"\1: needs a value"),
    (r"Missing value for argument '(\S+)'\. Expected (\d+) values\.", r"\1: needs \2 values"),
)  # fmt: skip
"""What tyro says → what is said here."""


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """While active, what argparse refuses is raised as an `InputError`."""
    parser: Any = argparse.ArgumentParser
    before = parser.error
    parser.error = _refuse
    try:
        yield
    finally:
        parser.error = before


def _refuse(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    raise InputError(in_one_line(message, parser))


def in_one_line(message: str, parser: argparse.ArgumentParser) -> str:
    """Gives a message of argparse with value, rule and way out; any that is not known as it is."""
    more = f"`{parser.prog} --help` explains it"
    flags = [flag for action in parser._actions for flag in action.option_strings]
    if found := re.match(r"unrecognized arguments: (.*)", message, re.S):
        word = found[1].split(" ")[0].partition("=")[0]
        near = difflib.get_close_matches(word, flags, n=1)
        if not word.startswith("-"):
            return f"{word!r} is one word too many; {more}"
        return f"no flag {word}; " + (f"did you mean {near[0]}?" if near else more)
    if found := re.match(r"the following arguments are required: (.*)", message, re.S):
        return f"{found[1]} is needed; {more}".replace(
            " is ", " are " if "," in found[1] else " is "
        )
    if found := re.match(r"ambiguous option: (\S+) could match (.*)", message, re.S):
        return f"{found[1]}: may be any of {found[2]}; write it in full"
    found = re.match(r"argument ([^:]+): (.*)", message, re.S)
    if not found:
        return f"{message}; {more}"
    flag, problem = found[1].rpartition("/")[2], found[2]
    if wrong := re.match(r"invalid (int|float) value: (.*)", problem, re.S):
        return f"{flag} {wrong[2]}: must be {_KINDS[wrong[1]]}"
    if wrong := re.match(r"invalid choice: (.*?) \(choose from", problem, re.S):
        return f"{flag} {wrong[1]}: {_rule(_choices(parser, found[1]), wrong[1])}"
    if problem.startswith("expected"):
        return (
            f"{flag}: {problem.replace('expected', 'needs').replace('argument', 'value')}; {more}"
        )
    return f"{flag}: {problem}; {more}"


def _choices(parser: argparse.ArgumentParser, name: str) -> Sequence[str]:
    for action in parser._actions:
        names: Any = ("/".join(action.option_strings), action.metavar, action.dest)
        if action.choices is not None and name in names:
            return [str(choice) for choice in action.choices]
    return []


def _rule(choices: Sequence[str], value: str) -> str:
    near = difflib.get_close_matches(value.strip("'\""), choices, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"must be one of {', '.join(choices)}{hint}"


def of_box(box: str, program: str) -> str:
    """Folds tyro's framed message into one line: what is wrong, and the nearest flag."""
    raw = [line.strip() for line in box.strip().splitlines()]
    if len(raw) > 1 and not raw[1].strip("-"):  # plain frame: the title has a row of its own
        raw = raw[1:]
    lines = [_FRAME.sub("", _FRAME.sub("", line).strip()) for line in raw]
    wrong = " ".join(itertools.takewhile(bool, lines[1:])) or " ".join(lines)
    if wrong.startswith("Missing from"):
        return "--data DST and --out RUN are needed, the prepared data set and the run's folder"
    near = [lines[i + 1] for i, line in enumerate(lines[:-1]) if line.startswith("Perhaps")]
    more = f"did you mean {near[0].split(' ')[0]}?" if near else f"`{program} --help` lists them"
    if found := re.match(r"Unrecognized options: ([^\s,=]+)", wrong):
        what = "no flag" if found[1].startswith("-") else "one word too many:"
        return f"{what} {found[1]}; {more}"
    for said, better in _TYRO:
        if re.fullmatch(said, wrong):
            told = re.sub(said, better, wrong)
            return told.replace("{None}|INT", "None, a whole number").replace(
                "{None}|FLOAT", "None, a number"
            )
    return wrong
