"""``python -m palmette``: the command line, also for ``torchrun -m palmette``."""

from __future__ import annotations

import sys

from palmette.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
