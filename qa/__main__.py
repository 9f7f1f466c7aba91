"""`python -m qa`: the command line."""

import sys

from qa.cli.main import main
from qa.runtime.launched import end_of_processes

if __name__ == "__main__":
    status = main()
    end_of_processes(status)
    sys.exit(status)
