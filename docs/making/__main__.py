"""python -m docs.making OUT: write every page into OUT, from nothing."""

import sys
from pathlib import Path

from docs.making.site import write

if __name__ == "__main__":
    write(Path(sys.argv[1]))
