#!/usr/bin/env bash
# From a folder of videos to a trained encoder and a report, in one command.
#   ./tools/demo.sh              makes a small world of videos first, then does the same with it
#   ./tools/demo.sh DIR [OUT]    uses your own folder DIR; results go to OUT (default: demo/NAME-OF-DIR)
# With the world, whose joints are known, it also asks what the encoder is worth for finding them, draws
# what a network that was trained on them answers, and trains a second pair of encoders, for pictures and
# sound, on a world of things that sound, to draw where it hears them. Call it again after a stop: every
# stage goes on where it was. Sets itself up in .venv (see setup.sh); PIP_ARGS goes to pip, STEPS is the number of
# training steps (default: the recipes').
set -euo pipefail

case "${1:-}" in
    -h | --help)
        sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
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
num_stages=$(($# == 0 ? 9 : 2))
stage=0
next() {
    stage=$((stage + 1))
    say "$* ($stage of $num_stages)"
}
if (($# == 0)); then
    next "A world of videos with sound"
    python "$AVSSL_ROOT/tools/make_world.py" "$source" --train 60 --validation 24 --test 12 --short-side 128
fi
next "Prepare: re-encode, measure, quarantine what is broken"
avssl prepare "$source" "$out/prepared" --gop 1 --short-side-px 128
next "Train Shuffle and Learn, the small recipe, and write its report"
avssl train shuffle-and-learn --data "$out/prepared" --out "$out/run" --recipe small \
    --vision small-bn ${STEPS:+--steps "$STEPS"}

if (($# == 0)); then
    next "What is it worth? Joints from 50 labelled pictures, beside random weights and no network at all"
    if [[ ! -f "$out/labelled/catalog.parquet" ]]; then
        python "$AVSSL_ROOT/datasets/coco/make_catalog.py" "$source"/truth/coco_*.json "$out/labelled" --images "$source"
    fi
    avssl pose curve --data "$out/labelled" --out "$out/pose" --init random= "shuffle-and-learn=$out/run" \
        --labels 50 --seeds 2 --lr 4e-3 --tune full frozen --workers 2 ${STEPS:+--steps "$STEPS"}
    next "Joints from all labels, drawn into a video that nothing was trained on"
    avssl train keypoints --data "$out/labelled" --out "$out/keypoints" --init "$out/run" ${STEPS:+--steps "$STEPS"}
    avssl eval pose "$out/keypoints" --data "$out/labelled"
    video="$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["images"][0]["video"])' \
        "$source/truth/coco_test.json")"
    avssl pose predict "$out/keypoints" "$source/$video" -o "$out/pose_overlay.mp4"

    next "A world of things that sound, seen from near"
    python "$AVSSL_ROOT/tools/make_world.py" "$out/sounding" --theme sounds --train 600 --validation 24 --test 30 \
        --seed 5 --duration 2 --fps 15 --short-side 96
    avssl prepare "$out/sounding" "$out/heard" --gop 1 --short-side-px 96
    next "Train audio-visual contrast: which sound of the batch belongs to this picture?"
    avssl train audio-visual-contrast --data "$out/heard" --out "$out/hears" --recipe small --steps "${STEPS:-600}"
    next "Where does it sound? Beside every trivial guess, and drawn into a video"
    avssl eval localization "$out/hears" --data "$out/heard"
    avssl localize "$out/hears" "$out/sounding/test/test_00001.mp4" -o "$out/sound_overlay.mp4"

    next "One report about all of it"
    avssl report "$out/run" "$out/keypoints" "$out/hears" -o "$out/report.html" \
        --add "$out/pose/curve.json" "$out/pose_overlay.mp4" "$out/sound_overlay.mp4"
fi

took=$((SECONDS - began))
cat <<DONE

Done in $((took / 60)) min $((took % 60)) s.
  report    $out/run/report.html   (open it in a browser)
  encoder   $out/run/vision_encoder.safetensors
  data      $out/prepared   (catalog.parquet, quarantine.jsonl)
  curves    $AVSSL_VENV/bin/tensorboard --logdir "$out/run"
  python    avssl.load_encoder("$out/run", stream="vision")
DONE
if (($# == 0)); then
    cat <<DONE
  all       $out/report.html   (every run, its evaluations, the videos)
  joints    $out/pose/curve.md, $out/keypoints/report.html (answers drawn), $out/pose_overlay.mp4
  sound     $out/hears/report.html, $out/hears/localization_test.md, $out/sound_overlay.mp4
DONE
fi
