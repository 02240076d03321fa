"""`python -m qir` is the command `qir`."""

from __future__ import annotations

import sys

from qir.cli import main

sys.exit(main())
