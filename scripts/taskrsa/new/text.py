"""The files that a new run starts from, as text: the table of networks and the configuration."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import yaml

from taskrsa.errors import ConfigError
from taskrsa.networks.table import COLUMNS, OPTIONAL
from taskrsa.new.networks import Proposal
from taskrsa.targets.config import TargetConfig

# A first answer within minutes: three small models would only narrow its interval.
SMALL = {"seeds": [0, 1]}
RSA = {"bootstraps": 500, "permutations": 500}
COUNTS = (10, 20, 50, 100)  # of images to rank from
FINETUNE = {
    "none": "nothing is fine-tuned",
    "top3": "the first three of the advice are",
    "all": "every network is, which takes longest",
    "race": "all start, and the better half goes on until one is left",
}
_WIDTH = 96


@dataclass(frozen=True)
class Settings:
    """What a configuration says.

    Attributes
    ----------
    command : that runs it
    stimuli : a folder, a glob or a list of photographs
    n : of the stimuli that are shown
    side : of the images, pixels
    data : keys of the target that its data need
    are_own : whether the stimuli are images of the target
    """

    command: str
    run: str
    networks: str
    stimuli: str
    n: int
    side: int
    target: str
    data: Mapping[str, Any]
    are_own: bool = False


def table_text(rows: Sequence[Proposal]) -> str:
    """Return a table of networks; what is in doubt stands in a comment above its row.

    ConfigError if a cell holds a tab or a line break, which no table can.
    """
    columns = [*COLUMNS, *(name for name in OPTIONAL if any(row.cells.get(name) for row in rows))]
    lines = ["# config/README.md describes the columns", "\t".join(columns)]
    for row in rows:
        cells = [row.cells.get(column, "") for column in columns]
        for column, cell in zip(columns, cells, strict=True):
            if "\t" in cell or len(cell.splitlines()) > 1:
                raise ConfigError(
                    f"--networks: {column} of {row.name}, {cell!r}, holds a tab or a line break, "
                    "which a table cannot; rename it"
                )
        lines += [f"# {row.name}: {doubt}" for doubt in row.doubts]
        lines.append("\t".join(cells))
    return "".join(f"{line}\n" for line in lines)


def config_text(of: Settings) -> str:
    """Return the configuration, as YAML with comments."""
    name = _yaml({of.target: {}}, indent=2).replace("{}", "").rstrip()
    choices = get_args(TargetConfig.model_fields["finetune"].annotation)
    described = "; ".join(f"{choice}: {FINETUNE[choice]}" for choice in choices)
    of_target = [
        _comment(
            "The images that networks are ranked on: the stimuli above, which are the target's "
            "own.",
            indent=4,
        ),
        _yaml({"stimuli": "bank"}, indent=4),
    ] * of.are_own
    parts = [
        _comment("Keys that are left out have the defaults in workflow/schemas/config.schema.yaml; "
                 "config/README.md explains them. Paths are from the folder that Snakemake is "
                 "started in:"),
        f"#\n#   {of.command}\n",
        _yaml({"run": of.run}),
        "\n",
        _yaml({"networks": of.networks}),
        "\n",
        _comment("What the networks are shown for RSA: photographs of the domain, which need no "
                 "labels. More of them distinguish networks better."),
        _yaml({"stimuli": {"source": "folder", "n": of.n}, "folder": {"path": of.stimuli}}),
        "\n",
        _comment("Side of the stimuli and of the target's images, pixels. Networks resize them to "
                 "their own size."),
        _yaml({"image_size": of.side}),
        "\n",
        f"targets:\n{name}\n",
        _yaml(of.data, indent=4),
        *of_target,
        _comment(f"{described}. cost.csv of the first run says how long this takes.", indent=4),
        _yaml({"finetune": "none"}, indent=4),
        _comment("The small models that RSA compares the networks with. Where their scores are "
                 "near chance, give them a recipe with more steps than 300.", indent=4),
        _yaml({"small": SMALL}, indent=4),
        "\n",
        _yaml({"robustness": {"images": [n for n in COUNTS if n <= of.n] or [of.n]}, "rsa": RSA}),
    ]  # fmt: skip
    return "".join(parts)


def _yaml(values: Mapping[str, Any], indent: int = 0) -> str:
    """Return a line for each key, with its value in one line."""
    lines = []
    for key, value in values.items():
        text = yaml.safe_dump(
            {key: value}, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10_000
        )
        lines.append(" " * indent + text.strip()[1:-1] + "\n")
    return "".join(lines)


def _comment(text: str, indent: int = 0) -> str:
    start = " " * indent + "# "
    return textwrap.fill(
        text, _WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False,
        break_on_hyphens=False,
    ) + "\n"  # fmt: skip
