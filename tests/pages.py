"""Write the tables and numbers of the pages from the tables in results/reference.

    make pages          (or: python tests/pages.py)

What stands between `<!-- begin NAME: WORDS -->` and `<!-- end -->` in a page is written by the
generator NAME (a function below with `@generator`) from WORDS, split as a shell splits them: paths
from the project's folder and what to take from them. A part that begins a new line is a block, any
other is part of its sentence. `tests/unit/test_pages.py` tests that the pages are what this writes.

In WORDS, a template such as '{cpu_s/60:.0f} min' is filled from a row's columns as by str.format;
a column may be multiplied or divided by another or by a whole number. A cell is empty where the row
lacks a value.
"""

from __future__ import annotations

import math
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from taskrsa.analysis.selection import WIN_RATES  # noqa: E402
from taskrsa.figures.registry import registered  # noqa: E402
from taskrsa.io.files import read_tables  # noqa: E402
from taskrsa.paper.claims import Run, judge_all  # noqa: E402
from taskrsa.paper.published import CLAIMS  # noqa: E402
from taskrsa.report.view import claim_digits, claim_ours  # noqa: E402
from taskrsa.targets.config import AdviceConfig  # noqa: E402
from taskrsa.text import MINUS, estimate, number, p_value  # noqa: E402
from taskrsa.transferability import TAP  # noqa: E402
from taskrsa.transferability.study import BASELINES, Method, regrets  # noqa: E402

_PART = re.compile(
    r"(?P<begin><!-- begin (?P<name>\w+)(?:: (?P<words>.*?))? -->)"
    r"(?P<content>(?:(?!<!-- begin ).)*?)(?P<end><!-- end -->)",
    re.DOTALL,
)
_PRODUCT = re.compile(r"(\w+)([*/])(\w+)")
_GENERATORS: dict[str, Callable[..., str]] = {}


def generator(function: Callable[..., str]) -> Callable[..., str]:
    """Register what writes parts of the function's name; it takes the words, returns the text."""
    _GENERATORS[function.__name__] = function
    return function


def pages() -> list[Path]:
    """Return all pages of the project."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("config/*.md"), *ROOT.glob("results/**/*.md")])


def written(text: str) -> str:
    """Return a page with every generated part written again.

    Raises
    ------
    ValueError
        If a part does not end, or its generator does not exist or cannot use its words.
    """

    def write(part: re.Match) -> str:
        if part["name"] not in _GENERATORS:
            raise ValueError(f"{part['begin']}: no such generator: {', '.join(_GENERATORS)}")
        try:
            content = _GENERATORS[part["name"]](*shlex.split(part["words"] or ""))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{part['begin']}: {error}") from error
        is_block = part["content"].startswith("\n")
        return part["begin"] + (f"\n{content}\n" if is_block else content) + part["end"]

    found, n = _PART.subn(write, text)
    if n != text.count("<!-- begin ") or n != text.count("<!-- end -->"):
        raise ValueError("a generated part lacks its beginning or its end")
    return found


# --- rows, templates, tables ---


class _Row(dict):
    """A row's values by column; products and quotients of columns, too."""

    def __missing__(self, key: str) -> float:
        match = _PRODUCT.fullmatch(key)
        if not match:
            raise KeyError(f"no column {key}; there are {', '.join(map(str, self))}")
        first, second = (float(x) if x.isdecimal() else self[x] for x in (match[1], match[3]))
        return first * second if match[2] == "*" else first / second


def _filled(template: str, row: Mapping) -> str:
    text = template.format_map(_Row(row))
    if re.search(r"\bnan\b", text):
        return ""
    return re.sub(r"(?<![\w-])-(?=\d)", MINUS, text)


def _rows(path: str, *conditions: str) -> list[dict]:
    """Return the rows of a CSV file that meet all conditions, `column=pattern`."""
    table = pd.read_csv(ROOT / path)
    for condition in conditions:
        column, _, pattern = condition.partition("=")
        table = table[[fnmatchcase(str(value), pattern) for value in table[column]]]
    if table.empty:
        raise ValueError(f"{path} has no row with {', '.join(conditions)}")
    return table.to_dict("records")


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


@generator
def value(path: str, *words: str) -> str:
    """Write one number: a file, conditions on columns that one row meets, a template."""
    *conditions, template = words
    rows = _rows(path, *conditions)
    if len(rows) > 1:
        raise ValueError(f"{path} has {len(rows)} rows with {', '.join(conditions)}")
    return _filled(template, rows[0])


@generator
def table(path: str, *words: str) -> str:
    """Write a table: a file, conditions on its columns, and `header=template` for each column."""
    columns = [word.partition("=")[::2] for word in words if "{" in word]
    rows = _rows(path, *(word for word in words if "{" not in word))
    cells = [[_filled(template, row) for _, template in columns] for row in rows]
    return _table([header for header, _ in columns], cells)


# --- the paper's claims ---

# What the README shows of the claims.
MAIN = (
    *(("C1", "separation"), ("C4", "spearman"), ("C5", "spearman")),
    *(("C7", "spearman"), ("C8", "top1"), ("C10", "prediction"), ("C11", "images")),
)
COST = "C12"  # timings, which no table of results holds


def _judged(*folders: str) -> list[tuple[tuple[str, str], list[dict]]]:
    """Return for each claim its key and what the runs say of it, one row per run."""
    runs = []
    for folder in folders:
        files = sorted((ROOT / folder).glob("*.csv"))
        runs.append(judge_all(Run(read_tables(files), jobs=None)))
    keys = [(claim.id, claim.key) for claim in CLAIMS]
    rows = zip(keys, zip(*runs, strict=True), strict=True)
    return [(key, list(found)) for key, found in rows if key[0] != COST]


def _published(row: Mapping) -> str:
    return number(row["published"], claim_digits(row["published"]))


def _header(words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Split words `title=folder` into titles and folders."""
    pairs = [word.partition("=")[::2] for word in words]
    return [title for title, _ in pairs], [folder for _, folder in pairs]


@generator
def results(*runs: str) -> str:
    """Write the main claims, published and as runs have them; a run is given as title=folder."""
    titles, folders = _header(runs)
    rows = [
        [found[0]["statement"], _published(found[0]), *map(claim_ours, found)]
        for key, found in _judged(*folders)
        if key in MAIN
    ]
    return _table(["claim", "published", *titles], rows)


@generator
def claims(*runs: str) -> str:
    """Write all claims with their verdicts; a run is given as title=folder."""
    titles, folders = _header(runs)
    header = ["", "claim", "published"]
    for title in titles:
        header += [title, "verdict"]
    rows = []
    for (claim, _), found in _judged(*folders):
        row = [claim, found[0]["statement"], _published(found[0])]
        for one in found:
            row += [claim_ours(one), one["verdict"]]
        rows.append(row)
    return _table(header, rows)


@generator
def separation(folder: str) -> str:
    """Write how similar networks are within and between types, layer by layer."""
    rows = [
        [
            row["layer"],
            *(number(row[column]) for column in ("within", "between")),
            p_value(row["p"]),
            number(row["random_mean"]),
        ]
        for row in _rows(f"{folder}/type_separation.csv", "control=none")
    ]
    return _table(["layer", "within a type", "between types", "p", "random-weight networks"], rows)


SENSITIVITY = {
    # what rankings are compared with: file, conditions
    "100 of the images": ("robustness_images", "value=100", "reference=all images"),
    "two sets of 200 different images": (
        *("robustness_images", "value=200", "reference=disjoint images"),
    ),
    "the other seeds": ("robustness_seed", "value=*-*"),
    "half the width": ("robustness_width", "value=8", "reference=default small model"),
    "twice the width": ("robustness_width", "value=32", "reference=default small model"),
    "half of the training": ("robustness_stage", "value=50", "reference=default small model"),
    "a fifth of the training": ("robustness_stage", "value=20", "reference=default small model"),
    "no training": ("robustness_stage", "value=0", "reference=default small model"),
}


@generator
def sensitivity(*runs: str) -> str:
    """Write how rankings from less or other data agree; a run is given as title=folder."""
    titles, folders = _header(runs)
    rows = []
    for what, (file, *conditions) in SENSITIVITY.items():
        draws = [_rows(f"{one}/{file}.csv", "task=mean", *conditions) for one in folders]
        means = [sum(row["spearman"] for row in some) / len(some) for some in draws]
        rows.append([what, *map(number, means)])
    return _table(["ranking from", *titles], rows)


@generator
def selection(*runs: str) -> str:
    """Write how well measures of similarity predict transfer; a run is given as title=folder."""
    titles, folders = _header(runs)
    tables = [
        {
            row["label"]: row
            for row in _rows(f"{folder}/selection.csv", "target=mean")
            if row["affinities"] != WIN_RATES
        }
        for folder in folders
    ]
    rows = []
    for label in tables[0]:
        row = [label]
        for found in tables:
            one = found[label]
            row.append(estimate(*(one[f"spearman{end}"] for end in ("", "_low", "_high"))))
            difference = [one[f"spearman_less_rsa{end}"] for end in ("", "_low", "_high")]
            row.append(estimate(*difference, digits=3))
        rows.append(row)
    header = ["measure"]
    for title in titles:
        header += [title, "difference"]
    return _table(header, rows)


# --- which measure chooses well ---

BEST = 5  # methods of any layer and combination that the page shows


@generator
def study(folder: str) -> str:
    """Write what measures of transfer are worth: the default advice, each measure at the tap, the
    best methods, what a choice on the other targets gives, and the baselines."""
    summary = {row["method"]: row for row in _rows(f"{folder}/study_summary.csv")}
    advice = AdviceConfig()
    default = Method(tuple(sorted(advice.measures)), advice.layer).name
    at_tap = [
        row
        for row in summary.values()
        if row["layer"] in (TAP, "") or pd.isna(row["layer"])
        if len(str(row["measures"]).split()) == 1 and row["method"] not in BASELINES
    ]
    others = [name for name in summary if name not in (*BASELINES, default)][:BEST]
    chosen = _rows(f"{folder}/study_choice.csv", "held_out=mean")
    shown = [summary[default] | {"label": f"the advice: {summary[default]['label']}"}]
    shown += sorted(at_tap, key=lambda row: row["regret"])
    shown += [summary[name] for name in others if summary[name] not in shown]
    shown += [row | {"label": f"the best on the other targets, {row['family']}"} for row in chosen]
    shown += [summary[name] for name in BASELINES if name in summary]
    header = ["by", "regret", "worst", "untrained first", "Spearman", "weighted tau"]
    return _table(header, [_study_row(row) for row in shown])


def _study_row(row: Mapping) -> list[str]:
    def with_ends(name: str) -> str:
        return estimate(row[name], row[f"{name}_low"], row[f"{name}_high"])

    statistics = [with_ends("regret"), number(row["regret_worst"]), number(row["untrained_first"])]
    return [row["label"], *statistics, with_ends("spearman"), with_ends("weighted_tau")]


@generator
def held_out(*targets: str) -> str:
    """Write what the first choices of the advice and of RSA lose on targets; each is given as
    title=beginning of the names of its tables."""
    rows, regret = [], []
    for title, beginning in zip(*_header(targets), strict=True):
        scores = "runs" if (ROOT / f"{beginning}runs.csv").exists() else "scores"
        runs = pd.read_csv(ROOT / f"{beginning}{scores}.csv")
        tables = [_rows(f"{beginning}{name}.csv") for name in ("advice", "ranking")]
        labels = {row["model"]: row["label"] for row in tables[0]}
        reached = runs[runs["model"].isin(list(labels))].groupby("model")["score"].mean()
        chance = runs["chance_score"].iloc[0]
        lost = pd.Series(regrets(reached.to_numpy(), chance), reached.index)
        first = [min(table, key=lambda row: row["rank"])["model"] for table in tables]
        regret.append([*lost[first], lost.mean()])
        advice, rsa, anyone = map(number, regret[-1])
        best = [labels[reached.idxmax()], number(reached.max()), number(chance)]
        choices = [labels[first[0]], advice, labels[first[1]], rsa, anyone]
        rows.append([title, str(len(lost)), *best, *choices])
    advice, rsa, anyone = map(number, pd.DataFrame(regret).mean())
    rows.append(["mean", *[""] * 5, advice, "", rsa, anyone])
    header = [
        "target",
        "networks",
        "the best",
        "its score",
        "chance",
        "the advice takes",
        "it loses",
    ]
    return _table([*header, "RSA takes", "it loses", "a random pick"], rows)


@generator
def layers(path: str) -> str:
    """Write similarity to a target layer by layer, a row a network, the best layer in bold."""
    table = pd.read_csv(ROOT / path)
    columns = sorted(set(table["layer"]), key=lambda name: (name == "last", name))
    rows = []
    for label, of_network in table.groupby("label", sort=False):  # most similar first
        values = of_network.set_index("layer")["rs"]
        cells = [number(values[layer]) if layer in values else "" for layer in columns]
        best = of_network.iloc[0]
        at = columns.index(best["layer"])
        cells[at] = f"**{cells[at]}**"
        shown = estimate(best["rs"], best["ci_low"], best["ci_high"])
        rows.append([label, *cells, shown, best["tied"]])
    return _table(["", *columns, "best layer, 95 %", "tied"], rows)


# --- what runs and their parts take ---


@generator
def runs(*files: str) -> str:
    """Write what whole runs take; each is given as title=file of tests/benchmarks/demo.py."""
    header = ["run", "time on 2 cores", "CPU time", "largest job", "disk"]
    templates = (
        "{wall_s/60:.0f} min",
        "{cpu_s/60:.0f} min",
        "{largest_mb/1000:.1f} GB",
        "{disk_mb/1000:.1f} GB",
    )
    rows = []
    for title, path in zip(*_header(files), strict=True):
        row = {"largest_mb": math.nan, "disk_mb": math.nan} | _rows(path)[0]
        rows.append([title, *(_filled(template, row) for template in templates)])
    filled = [at for at in range(len(header)) if any(row[at] for row in rows)]
    return _table([header[at] for at in filled], [[row[at] for at in filled] for row in rows])


@generator
def rdm(path: str) -> str:
    """Write how long tools take for an RDM of 500 images, by its number of features."""
    rows = _rows(path, "images=500")
    widths = sorted({row["features"] for row in rows})
    by_tool: dict[str, dict[int, dict]] = {}
    for row in rows:
        by_tool.setdefault(row["what"], {})[row["features"]] = row
    cells = [
        [
            tool,
            *(f"{_short(of[at]['cpu_ms'])} ms ({_short(of[at]['of_limit'])})" for at in widths),
            _largest([of[width]["error"] for width in widths]),
        ]
        for tool, of in by_tool.items()
    ]
    return _table(["RDM", *(f"{width:,} features" for width in widths), "error"], cells)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _largest(errors: list[float]) -> str:
    known = [error for error in errors if not math.isnan(error)]
    return f"{max(known):.0e}" if known else ""


SPEEDS = (
    # work, compared with, file, the row, template
    (
        "RDM of 500 images, 131,072 features",
        ("one matrix product, the limit", "rdm", "taskrsa", "{of_limit:.2f} of its time"),
        ("the authors' double loop", "rdm", "authors' double loop", "{taskrsa_is_faster:.0f}"),
        ("rsatoolbox", "rdm", "rsatoolbox", "{taskrsa_is_faster:.0f}"),
        ("SciPy's pdist", "rdm", "SciPy pdist", "{taskrsa_is_faster:.0f}"),
        ("Net2Brain's formula", "rdm", "Net2Brain's formula", "{taskrsa_is_faster:.1f}"),
        ("thingsvision's formula", "rdm", "thingsvision's formula", "{taskrsa_is_faster:.1f}"),
    ),
    (
        "forward pass of a published encoder, float32",
        ("eager PyTorch", "extraction", "forward, fused", "{speedup:.2f}"),
    ),
    (
        "500 photographs to all RDMs of a network",
        (
            "the bare forward pass",
            "extraction",
            "photographs to RDMs, 500 images",
            "{of_forward:.2f} of its time",
        ),
    ),
    (
        "RDMs of a network with other centring, from its cache",
        ("the whole job", "network", "from the cache, without centring", "{1/of_first:.0f}"),
    ),
    (
        "similarity matrix, 20 networks, 500 images",
        ("rsatoolbox's compare", "similarity", "rsatoolbox", "{cpu_ratio:.1f}"),
    ),
    (
        "exact bootstrap, 20 networks, 500 images",
        ("rsatoolbox's bootstrap", "bootstrap", "Spearman, rsatoolbox", "{cpu_ratio:.0f}"),
    ),
    (
        "label permutations, one target, 20 networks",
        ("a loop over SciPy's spearmanr", "permutations", "naive, SciPy", "{cpu_ratio:.0f}"),
    ),
)


@generator
def speeds(folder: str) -> str:
    """Write how fast the parts of a run are beside their peers."""
    rows = []
    for work, *peers in SPEEDS:
        for at, (peer, file, what, template) in enumerate(peers):
            only = ("features=131072",) if file == "rdm" else ()
            text = value(f"{folder}/{file}.csv", f"what={what}", *only, template)
            text = text if " of " in text else f"{text} times faster"
            rows.append([work if at == 0 else "", peer, text])
    return _table(["work", "compared with", ""], rows)


SCALE = {
    "wide in memory": "RDM of {images:,} images, block 4 (524,288 features)",
    "many images": "RDM of {images:,} images, compressed output (2,048 features)",
    "spilled": "RDM of {images:,} images, 262,144 features in a temporary file",
    "similarity of a hundred": "similarity of 100 networks, {images:,} images",
    "bootstrap of a hundred": "100 bootstraps of it",
    "permutations of a hundred": "100 permutations of its labels",
    "fifty targets": "rankings of 100 networks for 50 targets, 100 bootstraps",
    "similarity at 2000 images": "similarity of 100 networks, {images:,} images",
    "ranking many images": "similarity of 4 networks, {images:,} images",
}


@generator
def scale(path: str) -> str:
    """Write what single steps take at larger sizes."""
    rows = {row["case"]: row for row in _rows(path)}
    cells = [
        [
            title.format_map(rows[case]),
            _filled("{cpu_s:.3g} s", rows[case]),
            *(_megabytes(rows[case][column]) for column in ("input_mb", "peak_mb")),
        ]
        for case, title in SCALE.items()
    ]
    return _table(["what", "CPU time", "input", "peak memory"], cells)


@generator
def images(path: str, *counts: str) -> str:
    """Write one network's costs by the number of images, from the measured 500."""
    measured = {row["what"]: row for row in _rows(path)}
    forward = measured["forward alone, 500 images"]["cpu_s"]
    whole = measured["photographs to RDMs, 500 images"]
    rows = []
    for n in map(int, counts):
        times = n / 500
        rdm_mb = n * (n - 1) / 2 * 4 / 1e6
        rows.append(
            [
                f"{n:,}",
                _time(forward * times),
                _time(whole["rdms_cpu_s"] * times**2),
                _megabytes(whole["features_mb"] * times),
                _megabytes(n * 256 * 256 * 3 / 1e6),
                _megabytes(rdm_mb),
            ]
        )
    header = ["images", "forward pass", "RDMs of five layers", "features", "photographs", "one RDM"]
    return _table(header, rows)


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _megabytes(size: float) -> str:
    return f"{size / 1000:.1f} GB" if size >= 1000 else f"{size:.3g} MB"


# --- figures ---


@generator
def figures() -> str:
    """Write which figures there are, by their registry."""
    rows = []
    for one in registered().values():
        folder = "<target>/" if one.per_target else ""
        rows.append([f"`{folder}{one.name}`", one.title, one.alt.rstrip(".")])
    return _table(["in `figures/`", "title", "what it shows"], rows)


def main() -> None:
    for page in pages():
        text = page.read_text()
        try:
            new = written(text)
        except ValueError as error:
            sys.exit(f"error: {page.relative_to(ROOT)}: {error}")
        if new != text:
            page.write_text(new)
            print(f"written: {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
