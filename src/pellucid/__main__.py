"""`python -m pellucid` runs the same command line as `pellucid`."""

import sys

from pellucid.app.cli import program

sys.exit(program())
