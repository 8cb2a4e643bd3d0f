"""The command line: a thin skin. Each command is a function in the part that it belongs to.

Exit codes: 0 done, 1 the work failed, 2 the command line or its input is wrong (one clear line).
"""

import importlib
import itertools
import os
import sys
from collections.abc import Sequence

from avssl.errors import AvsslError, InputError
from avssl.files import check_target, watching_targets
from avssl.usage import errors_in_one_line

COMMANDS = {
    "prepare": ("avssl.prepare.command:prepare", "folder of videos → prepared data set"),
    "check": ("avssl.prepare.command:check", "health of a folder or of a prepared data set"),
    "train": ("avssl.run.command:train", "train a task on a prepared data set"),
    "resume": ("avssl.run.command:resume", "go on with a run that was stopped"),
    "eval": ("avssl.run.eval_command:command", "judge a trained network by the field's measures"),
    "localize": ("avssl.run.localize:command", "where in a video what is heard comes from"),
    "pose": ("avssl.run.pose:command", "joints of a video; how many labels are needed"),
    "audit": ("avssl.run.audit:command", "does a task on these videos give its answer away?"),
    "report": ("avssl.run.report_command:report", "one HTML file about one or more runs"),
    "export": ("avssl.run.export:command", "an encoder for timm, ONNX or a model hub's folder"),
    "tasks": ("avssl.run.command:tasks", "list the tasks"),
    "doctor": ("avssl.run.doctor:doctor", "what works on this machine and what would fix the rest"),
}
"""name → (module:function, one line of help); the function takes the arguments after the name."""
_TELLS_REPLACED = ("audit", "eval", "export", "localize", "pose", "report")
"""Commands that say which files of before they replaced; the others go on where they were."""
_OUT_IS_A_FILE = ("audit", "eval", "localize", "report")


def usage() -> str:
    """Gives the text of `avssl --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  avssl {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        ["usage: avssl COMMAND …", "", *lines, "", "`avssl COMMAND --help` explains a command."]
    )


def _check_out(command: str, words: Sequence[str]) -> None:
    """Refuses a file that cannot be written before anything is read: the work may take long."""
    ending = {"audit": ".json", "eval": ".json"}.get(command, "")
    for word, after in itertools.pairwise([*words, ""]):
        flag, equals, value = word.partition("=")
        if flag in ("-o", "--out") and (value or after):
            out = check_target(value if equals else after)
            if not out.name.endswith(ending):  # as FILE.md it would be the table's own name
                raise InputError(f"-o {out}: must end in {ending}; the table lies beside it as .md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        from avssl import __version__

        print(f"avssl {__version__}")
        return 0
    if words[0] not in COMMANDS:
        import difflib

        near = difflib.get_close_matches(words[0], COMMANDS, n=1)
        hint = f"did you mean `avssl {near[0]}`?" if near else f"one of: {', '.join(COMMANDS)}"
        print(f"avssl: no command {words[0]!r}; {hint}", file=sys.stderr)
        return 2
    module_name, function_name = COMMANDS[words[0]][0].split(":")
    try:
        if words[0] in _OUT_IS_A_FILE:
            _check_out(words[0], words[1:])
        function = getattr(importlib.import_module(module_name), function_name)
        with errors_in_one_line(), watching_targets() as written:
            code = int(function(words[1:]) or 0)
        replaced = [str(path) for path, was_there in written.items() if was_there]
        if replaced and words[0] in _TELLS_REPLACED:
            print(f"replaced {', '.join(replaced)}", file=sys.stderr)
        return code
    except AvsslError as error:
        print(f"avssl {words[0]}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"avssl {words[0]}: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `avssl tasks | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
