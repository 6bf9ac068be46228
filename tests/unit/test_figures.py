"""All figures: nothing overlaps or is cut off at any size, and bytes are reproducible."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import taskrsa
from figure_tables import (
    ALL,
    BANKS,
    FEW,
    FOUR,
    LONG,
    USERS,
    assert_clear,
    assert_page,
    draw,
    drawn,
    legend_texts,
    message,
    notes_of,
    tables_of,
    words_of,
)
from taskrsa.errors import DataError
from taskrsa.figures import style
from taskrsa.figures.files import save_data, save_figure
from taskrsa.figures.registry import registered
from taskrsa.io.files import read_table
from taskrsa.tasks.dictionary import TYPE_COLOURS

# The figures that one function draws alike are tested once.
NAMES = [name for name in registered() if name not in ("figure6_published", "robustness_stage")]
# Those that draw the networks of the bank, and whose key therefore says what types they are.
NOT_EXTREME = ("figure4", "figure5", "figure6", "label_agreement", "figureS3", "quality")
OF_NETWORKS = [name for name in NAMES if name not in ("type_separation", "presets", "study")]


@pytest.mark.parametrize("bank", ["20", "9", "4"])
@pytest.mark.parametrize("name", NAMES)
def test_texts_are_on_the_page_apart_and_readable(name, bank):
    assert_page(draw(name, BANKS[bank]))


@pytest.mark.parametrize("name", [name for name in OF_NETWORKS if name not in NOT_EXTREME])
def test_extreme_values_leave_texts_readable(name):
    assert_page(draw(name, ALL, extreme=True))


@pytest.mark.parametrize("name", OF_NETWORKS)
def test_networks_of_a_user_are_drawn(name):
    figure = draw(name, USERS)
    assert_clear(figure)
    assert figure.get_size_inches()[1] < 9.5
    shown = " ".join(words_of(figure))
    # Others draw tasks, of which the user's networks are none, or some of the networks.
    if name in ("figure4", "figure5", "figure6", "figureS3", "affinity", "ranking", "scores"):
        assert "CLIP" in shown
        assert style.shorten(LONG) in shown
        assert "$5 & $6" in shown
        assert "$\\frac{a" in shown


@pytest.mark.parametrize("name", OF_NETWORKS)
def test_networks_without_types_are_drawn_without_a_key_of_types(name):
    names = [f"network_{i}" for i in range(5)]
    untyped = pd.DataFrame({"name": names, "label": names, "type": np.nan})
    figure = draw(name, names, networks=untyped)
    assert_page(figure)
    assert not {"2D", "3D", "geometric", "semantic", "", "nan"} & {*legend_texts(figure)}


@pytest.mark.parametrize("name", OF_NETWORKS)
def test_the_key_names_the_types_that_are_drawn(name):
    figure = draw(name, [ALL[0], ALL[1], ALL[17], ALL[18]])
    shown = [text for text in legend_texts(figure) if text in TYPE_COLOURS]
    # Small models and pairs of one type may be of some of the types only.
    assert shown in (["2D", "semantic"], ["2D"])


def test_overlaps_and_cut_texts_are_found():
    figure = draw("figure4", FEW)
    assert_clear(figure)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    figure.axes[0].set_yticks(np.arange(9) / 9 + 0.5, names)
    with pytest.raises(AssertionError):
        assert_clear(figure)
    figure = draw("figure4", FEW)
    figure.text(0.98, 0.5, "beyond the edge")
    with pytest.raises(AssertionError, match="beyond"):
        assert_clear(figure)


# --- Reproducibility ---


@pytest.mark.parametrize("name", ["figure4", "figure7", "selection", "scores"])
def test_the_same_tables_give_the_same_bytes(name, tmp_path):
    for again in "ab":
        save_figure(draw(name, FOUR), tmp_path / f"{again}.pdf", tmp_path / f"{again}.png")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pdf", "a.png", "b.pdf", "b.png"]


def test_bytes_do_not_depend_on_the_process(tmp_path):
    code = (
        "import sys; import figure_tables as t; from taskrsa.figures.files import save_figure; "
        "save_figure(t.draw('scores', t.FEW), sys.argv[1], sys.argv[2])"
    )
    folders = Path(taskrsa.__file__).parents[1], Path(__file__).parents[1]
    digests = set()
    for seed in ("1", "2"):
        pdf, png = tmp_path / f"{seed}.pdf", tmp_path / f"{seed}.png"
        path = os.pathsep.join(map(str, folders))
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path}
        subprocess.run([sys.executable, "-c", code, pdf, png], check=True, env=env)
        digests.add(hashlib.sha256(pdf.read_bytes() + png.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_drawing_leaves_the_users_settings_alone():
    before = dict(matplotlib.rcParams)
    draw("figure4", FOUR)
    assert dict(matplotlib.rcParams) == before


def test_a_users_settings_do_not_reach_the_figures(tmp_path):
    save_figure(draw("figure6", FOUR), tmp_path / "a.pdf", tmp_path / "a.png")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "lines.linewidth": 9}):
        save_figure(draw("figure6", FOUR), tmp_path / "b.pdf", tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


# --- What tables lack is named ---

NEEDED = {
    "figure4": {"similarity": "layer model_a rs", "tree": "leaf distance"},
    "figure5": {"similarity": "layer model_b rs"},
    "type_separation": {"separation": "layer control within p"},
    "label_agreement": {"agreement": "layer spearman p", "similarity": "layer rs"},
    "figure6": {"agreement": "affinities similarity pearson", "transfer": "model_a rs"},
    "figure7": {"rankings": "model other rs_small rs_bank small_low bank_high"},
    "figureS1": {"rankings": "model rs_bank small_high", "agreement": "task own_task spearman"},
    "figureS3": {"pairs": "model_a rs_small rs_bank", "agreement": "seeds pearson"},
    "selection": {"selection": "affinities method label target spearman top3 top5_high"},
    "affinity": {"affinity": "source target affinity"},
    "ranking": {"ranking": "model rs ci_low stars"},
    "scores": {"scores": "model label rs rs_high score score_sd metric", "prediction": "ranking"},
    "choice": {"choice": "statistic model value high", "scores": "metric"},
    "robustness_images": {"robustness": "value task draw reference spearman"},
    "robustness_seed": {"robustness": "task draw spearman"},
    "presets": {"presets": "choice layer mean_abs_change max_abs_change spearman"},
    "quality": {"quality": "model error_removed"},
    "learning_curves": {"quality": "model constant_loss"},
}
COLUMNS = [
    (name, table, column)
    for name, tables in NEEDED.items()
    for table, columns in tables.items()
    for column in columns.split()
]


@pytest.mark.parametrize(("name", "table", "column"), COLUMNS)
def test_a_missing_column_is_named(name, table, column):
    wrong = tables_of(name, FEW)[table].drop(columns=column)
    with pytest.raises(DataError) as error:
        draw(name, FEW, **{table: wrong})
    assert f"no column {column}" in message(error)


@pytest.mark.parametrize("name", [name for name in NEEDED if name != "learning_curves"])
def test_an_empty_table_is_refused(name):
    table = next(iter(NEEDED[name]))
    with pytest.raises(DataError, match=r"no rows|no layer|0 rows"):
        draw(name, FEW, **{table: tables_of(name, FEW)[table].iloc[:0]})


@pytest.mark.parametrize(
    ("name", "table", "column"),
    [
        ("figure5", "similarity", "rs"),
        ("type_separation", "separation", "within"),
        ("figure7", "rankings", "rs_small"),
        ("figureS3", "pairs", "rs_bank"),
        ("affinity", "affinity", "affinity"),
        ("ranking", "ranking", "rs"),
        ("scores", "scores", "rs"),
        ("choice", "choice", "value"),
        ("robustness_images", "robustness", "spearman"),
        ("quality", "quality", "error_removed"),
    ],
)
def test_a_missing_value_is_named(name, table, column):
    wrong = tables_of(name, FEW)[table].copy()
    wrong.loc[wrong.index[3], column] = np.nan
    with pytest.raises(DataError) as error:
        draw(name, FEW, **{table: wrong})
    assert f"no value of {column} at" in message(error)


@pytest.mark.parametrize(
    ("name", "table", "what"),
    [
        ("ranking", "ranking", "two rows of model"),
        ("scores", "scores", "two rows of model"),
        ("choice", "choice", "two rows of statistic"),
        ("affinity", "affinity", "two rows of source .*, target"),
        ("figure7", "rankings", "two rows of model .*, other"),
        ("figure4", "tree", "do not make a tree"),
    ],
)
def test_two_rows_of_one_thing_are_refused(name, table, what):
    rows = tables_of(name, FEW)[table]
    with pytest.raises(DataError, match=what):
        draw(name, FEW, **{table: pd.concat([rows, rows.iloc[:1]], ignore_index=True)})


# --- Files ---


def test_the_pdf_embeds_its_fonts_as_text(tmp_path):
    save_figure(draw("figure6", FOUR), tmp_path / "a.pdf", tmp_path / "a.png")
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/CIDFontType2" in pdf  # Type 42; Type 3 would say /Type3
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf


def test_numbers_survive_the_csv(tmp_path):
    table = drawn("figure5", FEW).numbers
    save_data(table, tmp_path / "new" / "figure5.csv")
    again = read_table(tmp_path / "new" / "figure5.csv")
    pd.testing.assert_frame_equal(again, table, rtol=1e-5, check_dtype=False)
    draw("figure5", FEW, similarity=again)  # and the figure can be drawn from it
    save_data(again, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "new/figure5.csv").read_bytes()


def test_a_table_without_rows_is_not_written():
    with pytest.raises(DataError, match="no numbers"):
        save_data(pd.DataFrame({"rs": []}), "unused.csv")


def test_names_that_look_like_numbers_or_nothing_stay_names(tmp_path):
    path = tmp_path / "ranking.csv"
    path.write_text("model,rs,ci_low,ci_high,stars\n007,0.5,,,\nnone,0.25,0.2,0.3,*\n")
    table = read_table(path)
    assert list(table["model"]) == ["007", "none"]
    assert table["ci_low"].isna().tolist() == [True, False]
    networks = pd.DataFrame({"name": ["007", "none"], "label": ["Bond", "none"], "type": ""})
    figure = draw("ranking", FOUR, ranking=table, networks=networks)
    assert {"Bond", "none"} <= {*words_of(figure)}


def test_axes_of_similarity_are_written_as_formulae():
    figure = draw("ranking", FEW)
    assert figure.axes[0].xaxis.label.get_parse_math()
    assert not any(text.get_parse_math() for text in figure.axes[0].get_yticklabels())
    assert "95 % interval" in legend_texts(figure)
    assert any("q < .05" in note for note in notes_of(figure))
