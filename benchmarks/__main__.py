"""Run the benchmarks one after another: `python -m benchmarks [--quick | --full]`.

Each prints a table and writes JSON into benchmarks/out. Times are ratios within one run:
the absolute figures of a shared machine mean little.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

QUICK = (
    ("benchmarks.quality.shapes", "--quick"),
    ("benchmarks.memory.block_memory", "--side", "6000"),
    ("benchmarks.speed.run_speed", "--side", "4096"),
    ("benchmarks.speed.everything_else",),
    ("benchmarks.speed.reading", "--side", "1024", "--rounds", "1"),
    ("benchmarks.speed.against_script", "--side", "2048", "--small", "1024", "--rounds", "1"),
    ("benchmarks.speed.engines", "--side", "1800"),
    ("benchmarks.memory.memory", "--sides", "2048,4096"),
    ("benchmarks.speed.writers", "--count", "50000"),
    ("benchmarks.speed.chips", "--count", "50"),
    ("benchmarks.speed.start_up", "--rounds", "5"),
)
FULL = (
    ("benchmarks.quality.shapes", "--full"),
    ("benchmarks.memory.block_memory", "--side", "16000"),
    ("benchmarks.speed.run_speed", "--side", "8192", "--rounds", "3"),
    ("benchmarks.speed.everything_else", "--sides", "1024,4096,16384"),
    ("benchmarks.speed.reading",),
    ("benchmarks.speed.same_digests",),
    ("benchmarks.speed.against_script", "--side", "8192", "--small", "2048"),
    ("benchmarks.speed.engines", "--side", "4096"),
    ("benchmarks.memory.memory", "--sides", "4096,8192,16384,32768", "--memory", "800M"),
    (
        "benchmarks.memory.memory",
        "--sides",
        "4096,8192",
        "--formats",
        "gpkg,fgb,geojson,parquet,csv",
    ),
    ("benchmarks.speed.writers", "--count", "500000"),
    ("benchmarks.speed.chips", "--count", "1000"),
    ("benchmarks.speed.start_up",),
    ("benchmarks.quality.real_pictures",),
    ("benchmarks.quality.looks", "--places", "20"),
    ("benchmarks.quality.looks", "--told", "--places", "5"),
    ("benchmarks.quality.looks", "--leaned"),
    ("benchmarks.quality.looks", "--after", "--places", "5"),
    ("benchmarks.speed.against_geoai", "--side", "4096"),
)


def main() -> int:
    """Run them all; the exit code counts those that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a few minutes (default)")
    size.add_argument("--full", action="store_true", help="large pictures, and scores")
    chosen = FULL if parser.parse_args().full else QUICK
    failed = 0
    for module, *options in chosen:
        print(f"\n== {module} {' '.join(options)}", flush=True)
        failed += subprocess.call([sys.executable, "-m", module, *options]) != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
