"""`python -m lib.bench` lists the benchmarks; `python -m lib.bench NAME` runs one."""

import sys

from lib.bench.registry import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
