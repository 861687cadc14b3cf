"""`python -m pellucid` is `pellucid`."""

import sys

from pellucid.app.cli import main

sys.exit(main())
