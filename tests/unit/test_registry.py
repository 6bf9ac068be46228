"""The registry of figures: read without Matplotlib, and in accord with what modules hold."""

import inspect
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
from taskrsa.figures import registry
from taskrsa.figures.registry import Registration, left_out, registered, wanted
from taskrsa.plan.code import files_of

SETTINGS = {
    "layer": "compressed",
    "linkage": "paper",
    "layers": ["block4", "compressed"],
    "compare": "spearman",
    "affinities": "measured",
    "figure7": ["keypoint2d"],
    "trained": ["autoencoder", "denoise"],
}


@pytest.mark.parametrize("name", registered())
def test_functions_take_what_is_registered(name):
    known = registered()[name]
    function = getattr(import_module(known.module), known.function)
    given = {*known.tables, *known.settings, *known.constants}
    assert given == {*inspect.signature(function).parameters}


def test_reading_it_imports_no_drawing_and_takes_no_time():
    code = (
        "import sys; from taskrsa.figures.registry import registered; registered(); "
        "print({'matplotlib', 'pandas', 'numpy', 'scipy'} & {*sys.modules})"
    )
    scripts = Path(registry.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=scripts, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
    registered.cache_clear()
    began = time.perf_counter()
    registered()
    assert time.perf_counter() - began < 2  # 0.1 s on one core


def test_figures_stand_in_their_order():
    names = list(registered())
    assert names[:2] == ["figure4", "figure5"]
    assert names.index("figure6") < names.index("figure6_published") < names.index("figure7")
    assert names[-1] == "learning_curves"


def test_files_of_a_figure():
    figure4 = registered()["figure4"]
    assert figure4.inputs("results/a", SETTINGS) == {
        "similarity": "results/a/similarity/compressed.csv",
        "tree": "results/a/trees/compressed_paper.csv",
        "networks": "results/a/tables/networks.csv",
    }
    assert figure4.outputs("results/a") == {
        "pdf": "results/a/figures/figure4.pdf",
        "png": "results/a/figures/figure4.png",
        "csv": "results/a/figures/figure4.csv",
        "texts": [],
    }
    taken = {"layer": "compressed", "linkage": "paper", "compare": "spearman"}
    assert figure4.arguments(SETTINGS) == taken
    assert registered()["figure6"].outputs("results/a")["texts"] == [
        "results/a/figures/figure6_ours.nwk",
        "results/a/figures/figure6_transfer.nwk",
    ]


def test_a_figure_is_stale_when_its_own_code_changes_and_not_anothers():
    scripts = Path(registry.__file__).parents[2]
    for one in registered().values():
        files = {path.name for path in files_of(scripts, "figure", [one.code])}
        others = {f"{other.code.rpartition('/')[2]}.py" for other in registered().values()}
        assert files & others == {f"{one.code.rpartition('/')[2]}.py"}
        assert {"figure.py", "registry.py", "style.py", "sheet.py", "errors.py"} <= files


def test_a_setting_of_several_values_stands_for_several_files():
    curves = registered()["learning_curves"].inputs("results/a", SETTINGS)["curves"]
    wanted = [f"results/a/bank/{name}/learning_curve.csv" for name in ("autoencoder", "denoise")]
    assert curves == wanted


def test_figures_of_a_target_leave_it_open():
    ranking = registered()["ranking"]
    assert ranking.per_target
    assert not registered()["figure4"].per_target
    assert (
        ranking.inputs("results/a", SETTINGS)["ranking"] == "results/a/targets/{target}/ranking.csv"
    )
    assert ranking.outputs("results/a")["png"] == "results/a/figures/{target}/ranking.png"


def test_a_run_has_the_figures_whose_needs_it_meets():
    assert [one.name for one in wanted(set())] == ["figure4", "figure5"]
    some = {one.name for one in wanted({"affinities", "measured affinities", "types"})}
    assert {"figure6", "type_separation", "affinity"} <= some
    assert "figure6_published" not in some
    everything = wanted({*registry.NEEDS})
    assert {one.name for one in everything} == {
        name for name, one in registered().items() if not one.per_target
    }
    assert [one.name for one in wanted(set(), per_target=True)] == ["ranking"]
    of_target = [one.name for one in wanted({"fine-tuning"}, per_target=True)]
    assert of_target == ["ranking", "scores", "choice"]
    assert [one.name for one in wanted({"row"}, per_target=True)] == ["ranking", "layers"]


def test_what_is_left_out_is_said_once_for_each_need():
    lines = left_out({*registry.NEEDS} - {"labels", "trained networks"})
    assert lines == [
        "Labels against networks: needs labels of the stimuli",
        "What the bank learnt, Learning curves: needs networks that are trained here",
    ]
    assert not left_out({*registry.NEEDS})
    assert len(left_out({"row"}, per_target=True)) == 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"needs": ("luck",)}, "luck"),
        ({"settings": ("mood",)}, "mood"),
        ({"tables": {"table": "tables/{depth}.csv"}}, "depth"),
    ],
)
def test_what_no_run_knows_is_refused(change, what):
    values = dict.fromkeys(("title", "caption", "alt", "category", "module", "function"), "")
    values |= {"name": "figure9", "order": 1, "tables": {}}
    with pytest.raises(ValueError, match=f"figure9: unknown {what}"):
        Registration(**values | change)


def test_two_figures_of_one_name_are_refused(tmp_path, monkeypatch):
    text = "\n".join(
        f"@figure(name='a', title='', caption='', alt='', category='', order={k}, tables={{}})\n"
        f"def figure_{k}():\n    pass\n"
        for k in range(2)
    )
    (tmp_path / "module.py").write_text(text)
    monkeypatch.setattr(registry, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="one name"):
        registered.__wrapped__()
