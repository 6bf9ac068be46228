"""Set the rounds of a race below each other, and the winner's score beside the ranking."""

from taskrsa.analysis.outcomes import score_rows
from taskrsa.entry import run
from taskrsa.io.files import read_table, write_table
from taskrsa.transferability.race import Round
from taskrsa.transferability.race_table import race_rows


def main(
    ranking: str,
    runs: str,
    decisions: list[str],
    curve: str,
    rounds: list,
    networks: dict,
    table: str,
    scores: str,
) -> None:
    """`runs` are those of the winner, whose learning curve is `curve`, and of small models;
    `decisions` the tables of all rounds in which some were dropped; `networks` maps names to label
    and type."""
    reached = read_table(runs)
    winner = reached.loc[reached["model"].isin(list(networks)), ["model", "trained", "metric"]]
    winner = winner.assign(score=read_table(curve).iloc[-1, -1])
    tables = [read_table(path) for path in decisions]
    write_table(race_rows(tables, winner, [Round(**one) for one in rounds], networks), table)
    write_table(score_rows(reached, read_table(ranking)), scores)


if __name__ == "__main__":
    run(main)
