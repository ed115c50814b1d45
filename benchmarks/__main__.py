"""Run the benchmarks one after another: `python -m benchmarks [--quick | --full]`.

Each prints a table and writes JSON into benchmarks/out. Times are ratios within one run:
the absolute figures of a shared machine mean little.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

QUICK = (
    ("benchmarks.shapes", "--quick"),
    ("benchmarks.block_memory", "--side", "6000"),
    ("benchmarks.run_speed", "--side", "4096"),
    ("benchmarks.start_up",),
)
FULL = (
    ("benchmarks.shapes", "--full"),
    ("benchmarks.block_memory", "--side", "16000"),
    ("benchmarks.run_speed", "--side", "8192"),
    ("benchmarks.start_up",),
    ("benchmarks.real_pictures",),
)


def main() -> int:
    """Run them all; the exit code counts those that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a few minutes (default)")
    size.add_argument("--full", action="store_true", help="everything")
    chosen = FULL if parser.parse_args().full else QUICK
    failed = 0
    for module, *options in chosen:
        print(f"\n== {module} {' '.join(options)}", flush=True)
        failed += subprocess.call([sys.executable, "-m", module, *options]) != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
