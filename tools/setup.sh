# Sourced by test.sh and demo.sh: makes .venv from pyproject.toml and constraints.txt, once.
# Needs only Python 3.11 or newer and the package index. PIP_ARGS goes to every pip install.
# shellcheck shell=bash

AVSSL_ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
AVSSL_VENV="$AVSSL_ROOT/.venv"

fail() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 1
}

# Prints the first Python that will do; 3.11 comes first since constraints.txt was made with it.
find_python() {
    local name version seen=""
    for name in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3 python; do
        # Some version managers leave names on the PATH that do not run: so each one is tried.
        version="$("$name" -c '
import sys
from importlib.util import find_spec
able = find_spec("venv") and (find_spec("ensurepip") or find_spec("pip"))
print("%d.%d" % sys.version_info[:2] + ("" if able else " (without venv and pip)"))
sys.exit(sys.version_info < (3, 11) or not able)' 2>/dev/null)" && {
            command -v -- "$name"
            return
        }
        if [[ -n "$version" && "$seen" != *"$version"* ]]; then
            seen+="${seen:+, }$version"
        fi
    done
    fail "needs Python 3.11 or newer with venv (Debian: apt install python3-venv), found: ${seen:-none}; name another: PYTHON=/path/to/python3.11 $0"
}

# What the installation was made from; it is repeated when any of this changes.
setup_stamp() {
    "$AVSSL_VENV/bin/python" - "$AVSSL_ROOT" <<'PYTHON'
import hashlib, pathlib, sys

root = pathlib.Path(sys.argv[1])
digest = hashlib.sha256(f"{sys.version} {root}".encode())
for name in ("pyproject.toml", "constraints.txt"):
    digest.update((root / name).read_bytes())
print(digest.hexdigest())
PYTHON
}

set_up() {
    local stamp_file="$AVSSL_VENV/avssl-installed" python
    # The scripts of a moved or copied environment point to the old place, so it is made anew.
    if ! grep -qsF -- "$AVSSL_VENV/bin/python" "$AVSSL_VENV/bin/pip" ||
        ! "$AVSSL_VENV/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python="$(find_python)" || exit 1
        printf 'Making %s with %s\n' "$AVSSL_VENV" "$("$python" --version)"
        if "$python" -c 'import ensurepip' 2>/dev/null; then
            "$python" -m venv --clear "$AVSSL_VENV"
        else
            "$python" -m venv --clear --without-pip "$AVSSL_VENV"
            # shellcheck disable=SC2086  # PIP_ARGS holds several words
            "$python" -m pip --python "$AVSSL_VENV/bin/python" install --quiet ${PIP_ARGS:-} pip
        fi
    fi
    if [[ ! -f "$stamp_file" || "$(cat -- "$stamp_file")" != "$(setup_stamp)" ]]; then
        echo "Installing avssl and what it needs (once; several minutes, about 6 GB)"
        # shellcheck disable=SC2086  # PIP_ARGS holds several words
        (cd -- "$AVSSL_ROOT" && "$AVSSL_VENV/bin/python" -m pip install --quiet \
            --disable-pip-version-check ${PIP_ARGS:-} -c constraints.txt -e '.[dev]')
        setup_stamp >"$stamp_file"
    fi
}

# Prints PATH without the programs named, though other programs of the same folders stay:
# path_without SCRATCH NAME…  (folders of links are made below SCRATCH).
path_without() {
    local scratch="$1" folder name kept result="" number=0
    shift
    local -a folders
    IFS=: read -r -a folders <<<"$PATH"
    for folder in "${folders[@]}"; do
        kept="$folder"
        for name in "$@"; do
            if [[ -x "$folder/$name" ]]; then
                kept="$scratch/path$number"
            fi
        done
        if [[ "$kept" != "$folder" ]]; then
            number=$((number + 1))
            mkdir -p -- "$kept"
            ln -sf -- "$folder"/* "$kept/"
            for name in "$@"; do
                rm -f -- "$kept/$name"
            done
        fi
        result+="${result:+:}$kept"
    done
    printf '%s\n' "$result"
}
