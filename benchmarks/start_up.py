"""How long a person waits before anything happens.

    python -m benchmarks.start_up

`snet4 --help` against `python -c "import click"`, in turn, the median of the ratios.
"""

from __future__ import annotations

import statistics
import sys

from benchmarks.measured import keep, measured

ROUNDS = 9


def main() -> None:
    bare = [sys.executable, "-c", "import click"]
    help_ = [sys.executable, "-c", "import sys; sys.argv = ['snet4', '--help']; "
             "from snet4_cli.main import main; main()"]  # fmt: skip
    ratios = [measured(help_).wall_s / measured(bare).wall_s for _ in range(ROUNDS)]
    ratio = statistics.median(ratios)
    print(f"snet4 --help / import click: {ratio:.2f} (median of {ROUNDS}, goal 2.5)")
    keep("start_up", {"help_over_click": round(ratio, 2), "rounds": ROUNDS})


if __name__ == "__main__":
    main()
