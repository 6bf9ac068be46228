"""Compare races with fine-tuning all networks: what they choose, and what they take.

Run from anywhere, after the study and its races (`config/study_race.yaml`):

    .venv/bin/python tests/benchmarks/race.py --out race.csv

For each target: the network that won, the score that it lost against the best of the study (mean
over seeds) as a share of the range from chance to the best; the CPU seconds of the race and those
of fine-tuning every network once, with their start-up, from the logs of the jobs; and the same of
steps, without start-up. The last row holds the means, and the shares of the sums.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
from demo import TOOK
from rows import Row, show, write_rows

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from taskrsa.transferability.study import regrets  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--study", type=Path, default=ROOT / "results/study")
    parser.add_argument("--race", type=Path, default=ROOT / "results/study_race")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args()
    rows = [
        compared(options.study, path.parent)
        for path in sorted(options.race.glob("targets/*/race.csv"))
    ]
    if not rows:
        parser.error(f"{options.race} has no table of a race; run config/study_race.yaml first")
    write_rows(options.out, [*rows, mean(rows)])
    for row in [*rows, mean(rows)]:
        show(row)


def compared(study: Path, race: Path) -> Row:
    runs = pd.read_csv(study / "targets" / race.name / "runs.csv")
    networks = pd.read_csv(study / "tables/networks.csv")["name"]
    runs = runs[runs["model"].isin(networks)]
    reached = runs.groupby("model")["score"].mean()
    lost = pd.Series(regrets(reached.to_numpy(), runs["chance_score"].iloc[0]), reached.index)
    rounds = pd.read_csv(race / "race.csv")
    winner = rounds["model"].iloc[-1]
    logs = race.parents[1] / "logs"
    race_cpu_s = cpu_seconds(logs, f"race_leg_*_{race.name}.log", f"race_winner_*_{race.name}.log")
    all_cpu_s = cpu_seconds(study / "logs", f"finetune_*_{race.name}.log") / runs["seed"].nunique()
    steps = rounds["steps"].max() * len(reached)
    return {
        "target": race.name,
        "winner": winner,
        "best": reached.idxmax(),
        "regret": float(lost[winner]),
        "entrants": int((rounds["round"] == 1).sum()),
        "networks": len(reached),
        "race_cpu_s": race_cpu_s,
        "all_cpu_s": all_cpu_s,
        "of_all": race_cpu_s / all_cpu_s,
        "of_steps": float(rounds["cost"].sum() / steps),
    }


def cpu_seconds(logs: Path, *names: str) -> float:
    """Return the CPU seconds, start-up included, of the jobs with such logs."""
    found = {path for name in names for path in logs.glob(name)}
    times = [took for path in found for took in TOOK.findall(path.read_text(errors="replace"))]
    return sum(float(cpu) + float(start_up) for *_, cpu, start_up in times)


def mean(rows: list[Row]) -> Row:
    table = pd.DataFrame(rows)
    sums = table[["race_cpu_s", "all_cpu_s"]].sum()
    return {
        "target": "mean",
        "regret": float(table["regret"].mean()),
        "race_cpu_s": float(sums["race_cpu_s"] / len(rows)),
        "all_cpu_s": float(sums["all_cpu_s"] / len(rows)),
        "of_all": float(sums["race_cpu_s"] / sums["all_cpu_s"]),
        "of_steps": float(table["of_steps"].mean()),
    }


if __name__ == "__main__":
    main()
