"""`avssl eval table RESULT.json… [-o FILE.json]`: one table over tasks; see `over_tasks`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from avssl.errors import InputError
from avssl.files import write_json, write_text
from avssl.run.over_tasks import as_json, as_markdown, over_tasks
from avssl.run.results import Result, read_results, results_in

MODERN_REF = "timm:vit_small_patch14_dinov2.lvd142m"


def command(arguments: Sequence[str]) -> int:
    """`avssl eval table`.

    Raises:
        InputError: a file is no result of an evaluator.
    """
    parser = argparse.ArgumentParser(
        prog="avssl eval table",
        description="One table over tasks: each result's main metric beside fresh weights, trivial "
        "rows, ImageNet's and supervised ones, and the mean share of the way from fresh weights to "
        "ImageNet's. Results of runs that differ in their seed alone are seeds of one network.",
    )
    parser.add_argument("results", nargs="+", metavar="RESULT", help="result file, or run folder")
    parser.add_argument(
        "--row", nargs="+", default=[], metavar="NAME=FILE.json",
        help="a further encoder's result of a task: its network is shown as row NAME, as in "
        "dinov2=FILE.json",
    )  # fmt: skip
    parser.add_argument("-o", "--out", metavar="FILE.json", help="also write this and FILE.md")
    options = parser.parse_args(list(arguments))
    if options.out and Path(options.out).suffix != ".json":
        raise InputError(f"-o {options.out}: must end in .json; the table lies beside it as .md")
    found: list[Result] = []
    for text in options.results:
        found += results_in(text) if Path(text).is_dir() else read_results(text)
    others: dict[str, list[Result]] = {}
    for text in options.row:
        name, equals, file = text.partition("=")
        if not equals or not name:
            raise InputError(f"--row {text!r}: write NAME=FILE.json")
        others.setdefault(name, []).extend(read_results(file))
    tables = over_tasks(found, others=others, missing=why_no_modern())
    if not tables:
        raise InputError(f"{options.results[0]}: no result of a downstream task in it")
    shown = as_markdown(tables)
    print(shown)
    if options.out:
        out = Path(options.out)
        write_text(out.with_suffix(".md"), shown)
        write_json(out, as_json(tables))
        print(f"{out}, {out.with_suffix('.md')}")
    return 0


def why_no_modern() -> str:
    """Gives why there is no row of a modern self-supervised network, where nobody measured one."""
    from avssl.model.published import published_weights

    name = MODERN_REF.removeprefix("timm:")
    try:
        published_weights(name)
    except InputError as error:
        return str(error)
    return f"its weights can be had: evaluate {MODERN_REF} too and give the result with --row"
