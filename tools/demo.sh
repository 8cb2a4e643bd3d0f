#!/usr/bin/env bash
# From a folder of videos to a trained encoder and a report, in one command.
#   ./tools/demo.sh              makes a small world of videos first, then does the same with it
#   ./tools/demo.sh DIR [OUT]    uses your own folder DIR; results go to OUT (default: demo/NAME-OF-DIR)
# Call it again after a stop: every stage goes on where it was. Sets itself up in .venv (see setup.sh);
# PIP_ARGS goes to pip, STEPS is the number of training steps (default: the recipe's).
set -euo pipefail

case "${1:-}" in
    -h | --help)
        sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
esac
# shellcheck source=tools/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
if (($# > 2)); then
    echo "demo.sh: $# arguments, it takes DIR and OUT at most; see ./tools/demo.sh --help" >&2
    exit 2
fi
if (($# > 0)) && [[ ! -d "$1" ]]; then
    printf 'demo.sh: %s: no such folder; name a folder of videos, or nothing to make a world\n' "$1" >&2
    exit 2
fi

began=$SECONDS
set_up
PATH="$AVSSL_VENV/bin:$PATH"

if (($# > 0)); then
    source="$(cd -- "$1" && pwd -P)"
    out="${2:-$AVSSL_ROOT/demo/${source##*/}}"
else
    out="$AVSSL_ROOT/demo/world"
    source="$out/videos"
fi
mkdir -p -- "$out"
out="$(cd -- "$out" && pwd -P)"

say() {
    printf '\n== %s\n' "$*"
}
if (($# == 0)); then
    say "A world of videos with sound (1 of 3)"
    python "$AVSSL_ROOT/tools/make_world.py" "$source" --train 60 --validation 24 --test 12 --short-side 128
fi
say "Prepare: re-encode, measure, quarantine what is broken (2 of 3)"
avssl prepare "$source" "$out/prepared" --gop 1 --short-side-px 128
say "Train Shuffle and Learn, the small recipe, and write its report (3 of 3)"
avssl train shuffle-and-learn --data "$out/prepared" --out "$out/run" --recipe small ${STEPS:+--steps "$STEPS"}

took=$((SECONDS - began))
cat <<DONE

Done in $((took / 60)) min $((took % 60)) s.
  report    $out/run/report.html   (open it in a browser)
  encoder   $out/run/vision_encoder.safetensors
  data      $out/prepared   (catalog.parquet, quarantine.jsonl)
  curves    $AVSSL_VENV/bin/tensorboard --logdir "$out/run"
  python    avssl.load_encoder("$out/run", stream="vision")
DONE
