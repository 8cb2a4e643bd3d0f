"""Reports the health of a folder of videos or of a prepared set: the same as `avssl check PATH`.

python tools/check_videos.py videos --json
"""

import sys

from avssl.cli import main

if __name__ == "__main__":
    sys.exit(main(["check", *sys.argv[1:]]))
