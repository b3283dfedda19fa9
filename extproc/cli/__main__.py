"""`python -m extproc.cli` is the `holdpoint` command, for processes that start others of their own version."""

import sys

from extproc.cli import main

sys.exit(main())
