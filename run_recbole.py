"""One run of one model: ``python run_recbole.py --model=TinyNewsRec --dataset=demo``."""

import sys

from recbole_tinynews.quick_start import main

if __name__ == "__main__":
    sys.exit(main())
