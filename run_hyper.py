"""Search for settings of a model: ``python run_hyper.py --help``."""

import sys

from recbole_tinynews.tuning.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
