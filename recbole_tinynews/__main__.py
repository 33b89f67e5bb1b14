"""``python -m recbole_tinynews --model=NAME --dataset=NAME``: one run, from an installed package."""

import sys

from recbole_tinynews.quick_start import main

if __name__ == "__main__":
    sys.exit(main())
