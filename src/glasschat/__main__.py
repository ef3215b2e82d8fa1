"""Runs the command line for `python -m glasschat`."""

import sys

from glasschat.cli import main

if __name__ == "__main__":
    sys.exit(main())
