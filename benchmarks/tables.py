"""Put the figures of benchmarks/out/*.json as tables into docs/how-it-works/performance.md.

    python -m benchmarks.tables

Everything below the marker is written anew, so every benchmark must have been run: `make
bench-full` and `benchmarks.speed.against_geoai`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.measured import OUT

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-it-works" / "performance.md"
MARKER = "<!-- written by python -m benchmarks.tables -->"

Row = list[object]


def table(head: Row, rows: list[Row]) -> Iterator[str]:
    yield "| " + " | ".join(map(str, head)) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(map(str, row)) + " |"


def run_speed(figures: dict[str, Any]) -> Iterator[str]:
    side = figures["side_px"]
    yield f"### A whole run against the bare forward pass, {side} x {side} pixels"
    yield ""
    rows: list[Row] = []
    for name, found in figures.items():
        if isinstance(found, dict) and "rounds" in found:
            engine = name.split()[0]
            times = [f"{one['forward_s']} / {one['run_s']}" for one in found["rounds"]]
            cpu = [one["cpu_ratio"] for one in found["rounds"]]
            rows.append(
                [f"{engine} {found['precision']}", ", ".join(times), found["median_ratio"],
                 found["best_over_best"], sorted(cpu)[len(cpu) // 2], found["mpix_per_s"]]
            )  # fmt: skip
    yield from table(
        ["engine", "forward / run, s, in turn", "ratio (median)", "best / best",
         "processor time", "MPix/s"], rows,
    )  # fmt: skip


def against_script(figures: dict[str, Any]) -> Iterator[str]:
    for part, side in (("fast", "side_px"), ("without_bf16", "small_px")):
        px = figures[side]
        without = ", processor's bf16 and AMX switched off" if part == "without_bf16" else ""
        yield f"### Against the plain script, {px} x {px} pixels{without}"
        yield ""
        rows: list[Row] = [
            [name, ", ".join(map(str, one["wall_s"])), one.get("times_faster", "1"),
             one.get("times_less_processor_time", "1"), one["peak_mib"], one["f1"],
             one.get("f1_against_script", "1")]
            for name, one in figures[part].items()
        ]  # fmt: skip
        yield from table(
            ["what", "wall, s", "times faster", "times less processor time", "peak MiB",
             "F1 against truth", "against the script"], rows,
        )  # fmt: skip
        yield ""


def engines(figures: dict[str, Any]) -> Iterator[str]:
    yield f"### Engines and precisions on one scene of {figures['side_px']} pixels"
    yield ""
    rows: list[Row] = [
        [name, one["footprints"], one["f1_against_torch_fp32"], one["f1"],
         "yes" if one["same_bytes_for_any_batch"] else "NO"]
        for name, one in figures.items()
        if isinstance(one, dict)
    ]  # fmt: skip
    yield from table(
        ["engine", "footprints", "F1 against torch fp32", "F1 against truth",
         "same bytes for any batch and memory"], rows,
    )  # fmt: skip


def memory(figures: dict[str, Any]) -> Iterator[str]:
    yield "### Peak memory (VmHWM of the process)"
    yield ""
    rows: list[Row] = [
        [one["side_px"], one["format"], one["limit"] or "none", one["peak_mib"],
         one["layer_mib"], one["wall_s"]]
        for one in figures["sizes"]
    ]  # fmt: skip
    yield from table(["side, px", "format", "--memory", "peak MiB", "layer MiB", "wall s"], rows)
    yield ""
    yield f"Growth from the smallest to the largest: {figures['growth']}."


def start_up(figures: dict[str, Any]) -> Iterator[str]:
    yield "### Start-up"
    yield ""
    yield from table(
        ["what", "figure"],
        [
            ["`snet4 --help` / `python -c 'import click'`", figures["help_over_click"]],
            ["one chip of 900 x 900, cold start to layer", f"{figures['chip_s']} s"],
            ["the same / `python -c 'import torch'`", figures["chip_over_import_torch"]],
        ],
    )


def chips(figures: dict[str, Any]) -> Iterator[str]:
    yield f"### {figures['chips']} chips of 900 x 900 pixels in one process"
    yield ""
    yield from table(list(figures), [list(figures.values())])


def writers(figures: dict[str, Any]) -> Iterator[str]:
    yield f"### Writing {figures['count']} footprints"
    yield ""
    rows: list[Row] = [
        [name, one["per_s"], one["peak_mib"], one["layer_mib"]]
        for name, one in figures["formats"].items()
    ]
    yield from table(["format", "footprints/s", "peak MiB", "layer MiB"], rows)


def against_geoai(figures: dict[str, Any]) -> Iterator[str]:
    yield f"### Against geoai-py {figures['version']}, {figures['side_px']} pixels, same weights"
    yield ""
    rows: list[Row] = [
        [name, ", ".join(map(str, one["wall_s"])), one["peak_mib"], one["f1"],
         one.get("times_faster", "")]
        for name, one in figures["ways"].items()
    ]  # fmt: skip
    yield from table(["what", "wall, s", "peak MiB", "F1 against truth", "times faster"], rows)


SECTIONS: dict[str, Callable[[dict[str, Any]], Iterator[str]]] = {
    "run_speed": run_speed,
    "against_script": against_script,
    "against_geoai": against_geoai,
    "engines": engines,
    "memory": memory,
    "memory_formats": memory,
    "start_up": start_up,
    "chips": chips,
    "writers": writers,
}


def main() -> None:
    missing = [name for name in SECTIONS if not (OUT / f"{name}.json").exists()]
    if missing:
        # The page would lose their tables, which took hours.
        raise SystemExit(
            f"{OUT} has no figures of {', '.join(missing)}; run these benchmarks first."
        )
    kept, _, _ = PAGE.read_text(encoding="utf-8").partition(MARKER)
    lines = [MARKER, ""]
    machines: dict[str, list[str]] = {}
    for name, section in SECTIONS.items():
        found = json.loads((OUT / f"{name}.json").read_text())
        load = found["machine"].pop("load_before")
        machines.setdefault(json.dumps(found["machine"]), []).append(f"{name} {load[0]}")
        lines += [*section(found["figures"]), ""]
    for machine, names in machines.items():
        said = json.loads(machine)
        lines += [
            f"Machine: {said['processors']} processors of {said['processor']} "
            f"({', '.join(said['has'])}), {said['memory_gib']} GiB, {said['system']}; "
            + ", ".join(f"{name} {version}" for name, version in said["libraries"].items())
            + f". Load average at the end of each benchmark: {', '.join(names)}.",
            "",
        ]
    PAGE.write_text(kept + "\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
