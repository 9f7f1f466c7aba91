"""`python -m qa`: the command line."""

import sys

from qa.commands import main

if __name__ == "__main__":
    sys.exit(main())
