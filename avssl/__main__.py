"""`python -m avssl` is the command `avssl`."""

import sys

from avssl.cli import main

sys.exit(main())
