"""Turns a folder of videos into a prepared data set: the same as `avssl prepare SRC DST`.

python tools/prepare_videos.py videos prepared --short-side 256
"""

import sys

from avssl.cli import main

if __name__ == "__main__":
    sys.exit(main(["prepare", *sys.argv[1:]]))
