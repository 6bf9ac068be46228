"""The plan of a run: tasks, networks, targets, files, and what is left out; no Snakemake."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from labelled_files import photo
from taskrsa.errors import ConfigError, DataError, TaskrsaError
from taskrsa.plan import outputs
from taskrsa.plan.jobs import as_json
from taskrsa.plan.plan import Plan, make_plan

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/assets.schema.yaml").read_text())
TASKS = ["autoencoder", "edge2d", "segment2d", "curvature", "rgb2depth", "segmentsemantic"]
HEADER = ["name", "label", "type", "loader", "weights", "sha256", "layers", "size"]
HEADER += ["mean", "std", "channels", "task", "untrained", "arguments"]


def plan(values: dict | None = None, *, dry_run: bool = False, added=(), **keys) -> Plan:
    values = {"run": "mine"} | (values or {}) | keys
    return make_plan(values, added, ROOT / "config/assets.tsv", SCHEMA, dry_run)


def refused(*arguments, **keys) -> str:
    with pytest.raises(TaskrsaError) as error:
        plan(*arguments, **keys)
    return str(error.value)


def config(name: str) -> dict:
    return yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())


@pytest.fixture
def in_project(monkeypatch):
    """Run in the project's folder, where tables of networks are named from."""
    monkeypatch.chdir(ROOT)


@pytest.fixture
def bank(tmp_path):
    """Return a function that writes a table of networks: a dictionary of cells for each row."""

    def write(*rows: dict) -> str:
        lines = ["\t".join(HEADER)]
        lines += ["\t".join(row.get(column, "") for column in HEADER) for row in rows]
        (tmp_path / "bank.tsv").write_text("\n".join(lines) + "\n")
        return str(tmp_path / "bank.tsv")

    return write


def factory(name: str, type: str = "mine", **cells) -> dict:
    cells = {"mean": "0.5", "std": "0.5", "channels": "rgb"} | cells
    return {"name": name, "type": type, "loader": "mynets:make", **cells}


# --- tasks and their networks ---


def test_each_task_has_a_network_that_is_trained_here():
    found = plan(tasks=TASKS)
    assert list(found.bank.networks) == found.tasks == found.bank.trained == TASKS
    assert found.bank.layers == ("block1", "block2", "block3", "block4", "compressed")
    assert found.bank.types["edge2d"] == "2D"
    assert found.weights("edge2d") == "results/mine/bank/edge2d/weights.safetensors"
    assert list(found.bank.random) == [f"random_0{number}" for number in range(5)]
    assert found.steps_factor("edge2d") == 1
    assert found.have_quality


def test_tasks_that_the_source_cannot_label_are_left_out_with_the_reason(tmp_path):
    (tmp_path / "rgb").mkdir()
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"rgb/{name}.png")
    (tmp_path / "images.csv").write_text("id,split\na,train\nb,val\n")
    camera = {"width": 32, "height": 32, "fx": 30, "fy": 30, "cx": 16, "cy": 16}
    (tmp_path / "camera.json").write_text(json.dumps(camera | {"depth_unit_m": 0.001}))
    found = plan(source="rgbd", rgbd={"path": str(tmp_path)}, image_size=32)
    assert "edge2d" in found.tasks
    assert "rgb2depth" not in found.tasks
    line = next(line for line in outputs.notes(found) if "rgb2depth" in line)
    assert line.startswith("left out: rgb2depth: ")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tasks": ["edge2d", "edge3d", "reshade", "edge4d"]}, "config, tasks: no task named edge"),
        ({"training": {"steps_factor": {"edge4d": 2}}}, "config, training.steps_factor: no task"),
        ({"small": {"tasks": ["edge2d", "edge3d", "edge4d"]}}, "config, small.tasks: no task"),
        (
            {"small": {"tasks": ["edge2d", "edge3d", "class_1000"]}},
            "config, small.tasks: class_1000 has no map to decode; small models are for dense",
        ),
        ({"source": "imagenet"}, "config, source: there is no source 'imagenet'"),
        ({"stimuli": {"source": "imagenet"}}, "config, stimuli.source: there is no source 'imag"),
        ({"source": "rgbd"}, "config, rgbd.path: is not set; name the folder of images, or add"),
        ({"source": "rgbd", "rgbd": {"path": "$NO_SUCH_PLACE"}}, "config, rgbd: $NO_SUCH_PLACE"),
        ({"source": "rgbd", "rgbd": {"path": "absent"}}, "absent"),
        ({"stimuli": {"options": {"seeed": 1}}}, "config, stimuli.options.seeed: unknown key"),
        ({"stimuli": {"options": {"n_val": 0}}}, "config, stimuli.options.n_val: 0 should be"),
        ({"rsa": {"gram_cache": __file__}}, f"config, rsa.gram_cache: {__file__} is a file; "),
        ({"rsa": {"gram_cache": "$NO_SUCH_PLACE/x"}}, "config, rsa: $NO_SUCH_PLACE/x names an"),
        ({"assets": {"accept_licences": ["mine"]}}, "config, assets.accept_licences: no licence"),
        (
            {"source": "taskonomy", "tasks": "auto", "assets": {"accept_licences": ["taskonomy"]}}
            | {"taskonomy": {"domains": ["rgb"]}},
            "config, tasks: list the tasks that the fetched taskonomy.domains can label",
        ),
        (
            {"targets": {"t": {"kind": "network", "network": "edge9d"}}},
            "config, targets.t.network: no network named edge9d; there are autoencoder, ",
        ),
        (
            {"targets": {"t": {"kind": "network", "network": "edge2d", "same_task": "mine"}}},
            "config, targets.t.same_task: no network named mine",
        ),
        (
            {"targets": {"t": {"kind": "values", "path": "$NO_SUCH_PLACE"}}},
            "config, targets.t: $NO_SUCH_PLACE names an environment variable that is not set",
        ),
    ],
)
def test_what_cannot_be_planned_is_one_line(change, expected):
    assert refused(change).startswith(expected)


# --- tables of networks ---


def test_taskonomy_s_networks_are_fetched_and_compared_at_their_own_layers(in_project):
    found = plan(config("paper"), dry_run=True)
    assert len(found.bank.networks) == 20
    assert found.bank.layer == "compressed"
    assert found.tasks == list(found.bank.networks)
    name = found.weights("edge2d").rpartition("/")[2]
    assert name.startswith("edge_texture_encoder-be2d686a6a4d")
    assert not found.bank.trained
    assert not found.have_quality
    assert len(found.hashes) == 22  # the encoders, affinities and win rates
    # The photographs come without labels.
    assert not found.have_labels
    assert found.has == {
        *("types", "small models", "several seeds", "choices"),
        *("affinities", "published affinities"),
    }


def test_a_table_of_other_networks_needs_nothing_but_stimuli(bank):
    rows = factory("one"), factory("two"), factory("three", "other")
    found = plan(networks=bank(*rows), stimuli={"source": "folder"}, folder={"path": "photos"})
    assert list(found.bank.networks) == ["one", "two", "three"]
    assert found.bank.layers[0] == "depth1"
    assert found.bank.layer == "last"
    assert found.bank.random == {}
    assert found.tasks == found.small.tasks == []
    assert found.weights("one") == []
    assert list(found.variants) == ["centring"]
    assert found.has == {"types", "choices"}
    assert not any("/small/" in path or "tasks.csv" in path for path in outputs.everything(found))
    assert refused(networks=bank(*rows)).startswith("config, stimuli.source: is not set; name")


def test_networks_of_both_kinds_share_depths(bank):
    found = plan(
        networks=bank(
            {"name": "edges", "loader": "trained", "task": "edge2d"},
            {"name": "control", "loader": "random", "type": "untrained"},
            factory("mine"),
        ),
        source="simulated",
        n_random=2,
    )
    assert found.bank.at("depth4") == ["edges", "control", "mine"]
    assert found.bank.at("depth5") == ["mine"]
    assert "depth5" not in found.layers
    assert any("layer depth5: fewer than 3 networks" in line for line in outputs.notes(found))
    assert found.bank.trained == ["edges"]
    assert found.bank.untrained == ["control", "random_00", "random_01"]
    assert found.bank.random["random_00"].layers == (("", "auto"),)
    # One network of a task is too few to compare tasks by.
    assert found.small.tasks == []
    assert found.bank.untrained_of == {
        "edges": ["control", "random_00", "random_01"],
        "control": ["random_00", "random_01"],
        "mine": [],
    }
    assert found.bank.controls("depth4") == ["random_00", "random_01"]
    assert found.bank.controls("depth5") == []


def test_untrained_networks_are_found_by_loader_and_arguments(bank):
    def row(name, loader="torchvision:resnet18", **cells):
        plain = {"arguments": "{}", "mean": "0.5", "std": "0.5"}
        return {"name": name, "loader": loader} | plain | cells

    found = plan(
        networks=bank(
            row("one", arguments='{"weights": "IMAGENET1K_V1"}'),
            row("two", arguments='{"weights": null}'),
            row("three", arguments='{"weights": null}'),
            row("wide", arguments='{"weights": "DEFAULT", "width_per_group": 128}'),
            row("deep", loader="torchvision:resnet34", untrained="yes"),
            row("other", loader="onnx", weights="a.onnx", channels="rgb"),
            row("zero", loader="onnx", weights="b.onnx", channels="rgb", untrained="yes"),
        ),
        stimuli={"source": "simulated"},
        targets={"like_two": {"kind": "network", "network": "two"}},
    )
    of = {name: [] for name in ("wide", "deep", "other", "zero")}
    assert found.bank.untrained_of == {
        **{"one": ["two", "three"], "two": ["three"], "three": ["two"]},
        **of,
    }
    # The network that stands for the target is not among those it is compared with.
    target = found.targets["like_two"]
    assert target.untrained == {"one": ["three"], "three": [], **of}
    assert target.controls == []


def test_a_network_without_a_layer_is_left_out_there_alone(bank):
    rows = [factory(name) for name in ("one", "two", "three")]
    rows.append(factory("four", layers="depth1=conv1 last=fc"))
    found = plan(networks=bank(*rows), stimuli={"source": "simulated"})
    assert found.rdms_at("depth2") == [
        f"results/mine/rdms/bank/{name}.h5" for name in ("one", "two", "three")
    ]
    assert len(found.rdms_at("depth1")) == 4
    notes = outputs.notes(found)
    assert "left out: four at layer depth2: not among their layers" in notes
    rows.append(factory("five", layers="depth1=conv1"))
    line = refused(networks=bank(*rows), stimuli={"source": "simulated"})
    assert line.startswith("bank, row five, layers: lacks last, at which networks are ranked")


def test_a_file_of_rdms_is_compared_and_not_trained(bank, tmp_path):
    np.savez(tmp_path / "brain.npz", v1=np.arange(6.0), it=np.arange(6.0)[::-1])
    rows = [factory(name) for name in ("one", "two")]
    rows.append({"name": "brain", "loader": "rdms", "weights": str(tmp_path / "brain.npz")})
    target = {"kind": "classification", "path": "x", "finetune": "all"}
    found = plan(networks=bank(*rows), stimuli={"source": "simulated"}, targets={"mine": target})
    assert found.bank.with_features == ["one", "two"]
    assert found.bank.at("depth1") == ["one", "two", "brain"]
    assert found.bank.at("depth2") == ["one", "two"]
    assert found.weights("brain") == str(tmp_path / "brain.npz")
    mine = found.targets["mine"]
    assert mine.ranked == ["one", "two", "brain"]
    assert mine.finetuned() == ["one", "two", "random_small"]


def test_weights_at_an_address_are_fetched(bank):
    cells = {"weights": "https://there.org/net.pth", "sha256": "ab" * 32}
    found = plan(
        networks=bank(factory("one", **cells), factory("two")), stimuli={"source": "simulated"}
    )
    assert found.weights("one") == f"results/downloads/{'ab' * 6}-net.pth"
    assert found.fetching.wanted(f"{'ab' * 6}-net.pth").address == "https://there.org/net.pth"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([factory("random")] * 1, "bank, row random, name: is that of an untrained network"),
        ([factory("random_03")], "bank, row random_03, name: is that of an untrained network"),
        ([factory("one")], "config, networks: has one network; add others"),
        (
            [{"name": name, "loader": "trained", "task": "edge2d"} for name in ("a", "b")],
            "bank: edge2d is trained in two rows; remove one",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line(bank, rows, expected):
    assert refused(networks=bank(*rows), source="simulated").startswith(expected)


def test_encoders_of_another_size_do_not_go_with_taskonomy_s(in_project):
    line = refused(config("paper") | {"encoder": {"width": 32}}, dry_run=True)
    assert line.startswith("config, encoder: Taskonomy's encoders, such as autoencoder, have width")


# --- small models ---


def test_small_models_differ_in_one_factor_each():
    found = plan(config("smoke")).small
    assert found.by_seed == ["w4_s0", "w4_s1"]
    assert found.others == ["w2_s0", "w8_s0", *(f"w4_s0_p{p}" for p in (0, 25, 50, 100))]
    width = found.factors["width"]
    assert (width.tasks, width.values, width.default) == (["edge2d", "rgb2depth"], [2, 4, 8], 4)
    assert width.rdms[:3] == [
        "results/smoke/rdms/small_w2_s0/edge2d.h5",
        "results/smoke/rdms/small_w2_s0/rgb2depth.h5",
        "results/smoke/rdms/small_w4_s0/edge2d.h5",
    ]
    assert found.weights("edge2d", ["w4_s0", "w4_s0_p25"]) == [
        "results/smoke/small/edge2d/w4_s0/weights.safetensors",
        "results/smoke/small/edge2d/w4_s0/stage_25.safetensors",
    ]
    assert json.loads(found.rows("edge2d", ["w4_s1"])[0])["name"] == "edge2d_w4_s1"


def test_fewer_than_three_dense_tasks_have_no_small_models():
    found = plan(tasks=["edge2d", "curvature", "class_1000", "vanishing_point"])
    assert found.small.tasks == []
    assert "small models" not in found.has
    assert not found.have_claims
    assert any("small models of its tasks" in line for line in outputs.notes(found))


# --- data ---


def test_stimuli_have_labels_if_they_come_from_the_labelled_source():
    assert plan(tasks=TASKS).have_labels
    assert not plan(tasks=TASKS, stimuli={"source": "folder"}).have_labels
    found = plan(config("paper") | {"stimuli": {"n": 9, "options": None}}, dry_run=True)
    assert found.data.labelled_splits == ["train", "val", "stimuli"]


def test_data_that_are_fetched_are_known_by_their_lists(in_project):
    found = plan(config("paper"), dry_run=True)
    files = found.data.files("taskonomy")
    assert "results/downloads/taskonomy/hanson/depth_zbuffer.csv" in files
    assert found.data.options("taskonomy")["path"] == "results/downloads/taskonomy"
    assert {path.split("/")[3] for path in found.data.files("taskonomy", of_stimuli=True)} == {
        *("merom", "klickitat", "onaga", "leonardo", "marstons"),
    }
    assert found.targets["voc"].files() == [
        "results/downloads/voc2012.csv",
        "results/downloads/sbd.csv",
    ]
    assert found.targets["voc"].data().sbd == "results/downloads/sbd"


def test_licences_count_as_accepted_in_a_dry_run_that_says_so(in_project):
    assert (
        "planned as if the licences nyuv2, sbd, taskonomy, voc2012"
        in outputs.notes(plan(config("paper"), dry_run=True))[0]
    )
    found = plan(config("paper"))
    assert not found.fetching.is_accepted("voc2012")
    with pytest.raises(ConfigError, match=r"targets\.voc\.path: is not set.*add the licence voc"):
        found.targets["voc"].files()
    with pytest.raises(ConfigError, match="affinities: Taskonomy's published affinities are need"):
        found.required_affinities()
    with pytest.raises(ConfigError, match="licence voc2012, which is not accepted"):
        found.fetching.require_licence(found.fetching.assets["voc2012"])


def test_options_of_an_added_source_are_its_own_section(monkeypatch):
    from taskrsa.data import sources

    monkeypatch.setitem(sources.ADDED, "shapes", object())
    found = plan(tasks=TASKS, source="shapes", shapes={"n": 3}, added=["shapes"])
    expected = {"kind": "shapes", "n": 3, "image_size": 64}
    assert found.data.options("shapes") == expected
    assert found.data.modules("shapes") == []
    assert found.data.modules("rgbd") == ["data/rgbd"]
    assert found.added["shapes"] == {"n": 3}


def test_labelled_images_that_are_not_named_are_one_line(bank):
    rows = factory("one"), factory("two")
    found = plan(networks=bank(*rows), stimuli={"source": "simulated"})
    with pytest.raises(ConfigError, match="config, source: is not set"):
        found.data.options(found.data.source)


# --- targets ---


def test_a_target_is_ranked_by_its_small_models_and_then_fine_tuned():
    found = plan(config("smoke"))
    target = found.targets["outdoor"]
    assert target.rdms == [f"results/smoke/rdms/target_outdoor/s{seed}.h5" for seed in (0, 1)]
    assert target.layer == "compressed"
    assert json.loads(as_json(target.small_row(1)))["clip"] is False
    assert target.small_encoder == {"family": "small", "width": 4, "reduction": 4}
    assert target.finetuned()[-3:] == ["segmentsemantic", "random", "random_small"]
    assert target.encoder("random") == found.config.encoder
    assert target.encoder("random_small") == target.small_encoder
    assert target.encoder("edge2d") is None
    runs = target.runs("compressed")
    assert runs == ["results/smoke/targets/outdoor/finetuned/compressed/edge2d/s0/scores.csv"]
    assert len(target.runs("block4")) == len(target.finetuned())
    assert found.start("random") == []
    assert found.paper_target == "outdoor"
    assert found.same_task == "segmentsemantic"
    names = [Path(path).stem for path in target.tables()]
    assert set(names) == {
        *("ranking", "ranking_images", "images", "measures", "advice"),
        *("scores", "prediction", "choice", "taps"),
    }


def test_the_best_three_are_those_of_the_ranking(tmp_path):
    target = {"kind": "classification", "path": "x", "finetune": "top3"}
    found = plan(tasks=TASKS, targets={"mine": target}).targets["mine"]
    ranking = tmp_path / "ranking.csv"
    ranking.write_text("model,rs\n" + "".join(f"{task},0\n" for task in reversed(TASKS)))
    assert found.finetuned(ranking) == [*TASKS[:2:-1], "random", "random_small"]


def test_a_network_is_measured_by_what_the_measures_need(bank, tmp_path):
    rows = factory("one"), factory("two", untrained="yes")
    keys = {"networks": bank(*rows), "stimuli": {"source": "simulated"}}
    target = {"kind": "classification", "path": "x", "recipe": {"crop": 48}}
    target["head"] = {"input_scale": 0.5}

    def mine(**advice):
        return plan(**keys, targets={"mine": target | {"advice": advice}}).targets["mine"]

    found = mine()
    assert found.measures[:3] == ["probe", "knn", "logme"]
    assert {"rsa", "cka", "prior"} < set(found.measures)
    assert len(found.measures) == len(set(found.measures))
    assert found.measured_layers == ["tap"]
    assert found.side == 24
    folder = "results/mine/targets/mine"
    assert found.features("one") == [f"{folder}/features/one.h5"]
    assert found.measured("draws.h5") == [f"{folder}/draws/{name}.h5" for name in ("one", "two")]
    assert found.compared_rdms("one") == ([f"{folder}/rdms/one.h5"], found.rdms)
    assert found.compared_rdms("one", "bank_rdms") == ([], [])
    assert [row["untrained"] for row in found.advised.values()] == ["no", "yes"]
    quick = mine(also=["size"], all_layers=True, layer="last")
    assert quick.measures == ["probe", "knn", "logme", "size"]
    assert quick.compared_rdms("one") == ([], [])
    assert quick.measured_layers == [
        "last",
        "depth1",
        "depth2",
        "depth3",
        "depth4",
        "depth5",
        "tap",
    ]
    assert mine(measures=["rsa"], also=[]).features("one") == []


@pytest.mark.parametrize(
    ("advice", "expected"),
    [
        ({"measures": ["leep"]}, "measures: there is no measure leep; choose from "),
        ({"also": ["leep"]}, "also: there is no measure leep; choose from "),
        ({"layer": "block9"}, "layer: there is no layer block9; choose from tap, block1, "),
        ({"measures": []}, "measures: "),
        ({"measures": ["knn", "knn"]}, "measures: knn is listed twice"),
    ],
)
def test_advice_that_cannot_be_made_is_one_line(advice, expected):
    target = {"kind": "classification", "path": "x", "advice": advice}
    line = refused(tasks=TASKS, targets={"mine": target})
    assert line.startswith(f"config, targets.mine.advice.{expected}")


def test_advice_needs_a_measure_for_the_kind_of_the_target():
    target = {"kind": "values", "path": "x", "advice": {"measures": ["hscore"]}}
    line = refused(tasks=TASKS, targets={"mine": target})
    assert line.startswith(
        "config, targets.mine.advice.measures: none of hscore is for targets of kind values; add "
    )
    assert "hscore" not in line.partition("add ")[2]
    target["advice"] = {"measures": ["hscore", "knn"]}
    assert plan(tasks=TASKS, targets={"mine": target}).targets["mine"].measures[0] == "hscore"


def test_a_target_is_ranked_on_its_own_images_or_the_run_s(bank):
    keys = {"networks": bank(factory("one"), factory("two")), "stimuli": {"source": "simulated"}}
    keys["robustness"] = {"images": [50, 100, 300]}

    def mine(**target):
        target = {"kind": "classification", "path": "x"} | target
        return plan(**keys, targets={"mine": target}).targets["mine"]

    folder = "results/mine/targets/mine"
    on_own = [f"{folder}/rdms/{name}.h5" for name in ("one", "two")]
    small_on_own = [f"{folder}/small/s{seed}/rdms.h5" for seed in range(3)]
    on_bank = [f"results/mine/rdms/bank/{name}.h5" for name in ("one", "two")]
    small_on_bank = [f"results/mine/rdms/target_mine/s{seed}.h5" for seed in range(3)]

    own = mine()
    assert own.stimuli == ("own",)
    assert own.compared("own") == (on_own, small_on_own)
    assert own.rdms == small_on_own
    assert own.beside == ([], [])
    assert own.image_counts([9]) == [50, 100]
    assert mine(n_stimuli=20).image_counts([9]) == [20]
    assert f"{folder}/stimuli.csv" in own.tables()
    assert "rsa_bank" not in own.measures

    run = mine(stimuli="bank")
    assert run.stimuli == ("bank",)
    assert run.compared("bank") == (on_bank, small_on_bank)
    assert run.rdms == small_on_bank
    assert run.image_counts([9]) == [9]
    assert f"{folder}/stimuli.csv" not in run.tables()
    assert "rsa_bank" not in run.measures

    both = mine(stimuli="both")
    assert both.stimuli == ("own", "bank")
    assert both.beside == (on_bank, small_on_bank)
    assert both.compared_rdms("one") == (on_own[:1], small_on_own)
    assert both.compared_rdms("one", "bank_rdms") == (on_bank[:1], small_on_bank)
    assert {"rsa", "rsa_bank"} < set(both.measures)
    assert both.image_counts([9]) == [50, 100]


@pytest.mark.parametrize("name", ["demo", "smoke", "nyuv2", "paper"])
def test_the_paper_s_configurations_rank_on_the_run_s_stimuli(name):
    (target,) = config(name)["targets"].values()
    assert target["stimuli"] == "bank"


def rdm_row(path: Path, name: str = "brain", **arrays) -> dict:
    """Return a row of a table of networks whose RDMs are made up."""
    rng = np.random.default_rng(0)
    n = len(next(iter(arrays.values()))) if arrays else 4
    np.savez(path / f"{name}.npz", last=rng.random(n * (n - 1) // 2), **arrays)
    return {"name": name, "loader": "rdms", "weights": str(path / f"{name}.npz")}


def classified(folder: Path, n: int = 6) -> list[str]:
    """Write a CSV file of two classes, with images to train on and to score on; return the ids of
    the former."""
    names = [f"photo{at}" for at in range(n)]
    for name in (*names, "held", "also"):
        (folder / f"{name}.png").write_bytes(b"not opened by a plan")
    rows = [f"{name}.png,{'ab'[at % 2]},train" for at, name in enumerate(names)]
    rows += ["held.png,a,val", "also.png,b,val"]
    (folder / "labels.csv").write_text("\n".join(["image,label,split", *rows]) + "\n")
    return names


def test_rdms_of_other_images_are_left_out_of_a_ranking_on_own_images(bank, tmp_path):
    rows = [factory("one"), factory("two"), rdm_row(tmp_path)]
    target = {"kind": "classification", "path": "x"}
    keys = {"networks": bank(*rows), "stimuli": {"source": "simulated"}}
    found = plan(**keys, targets={"mine": target})
    mine = found.targets["mine"]
    assert mine.ranked == ["one", "two", "brain"]
    assert [Path(path).stem for path in mine.compared("own")[0]] == ["one", "two"]
    assert mine.compared_rdms("brain") == ([], [])
    line = "target mine, ranking on its own images: brain, whose RDMs are of other images"
    assert line in outputs.lacking(found)

    # Both: ranks are of the same networks; the measures compare whatever there is.
    both = plan(**keys, targets={"mine": target | {"stimuli": "both"}}).targets["mine"]
    assert [Path(path).stem for path in both.beside[0]] == ["one", "two"]
    assert both.compared_rdms("brain", "bank_rdms")[0] == ["results/mine/rdms/bank/brain.h5"]

    on_run = plan(**keys, targets={"mine": target | {"stimuli": "bank"}})
    names = [Path(path).stem for path in on_run.targets["mine"].compared("bank")[0]]
    assert names == ["one", "two", "brain"]
    assert not any("own images" in line for line in outputs.lacking(on_run))


def test_rdms_of_the_target_s_own_images_are_ranked_on_these(bank, tmp_path):
    names = classified(tmp_path)
    rows = [factory("one"), factory("two"), rdm_row(tmp_path, images=names[::-1])]
    target = {"kind": "classification", "path": str(tmp_path / "labels.csv")}
    keys = {"networks": bank(*rows), "stimuli": {"source": "simulated"}}

    def ranked(**more) -> list[str]:
        mine = plan(**keys, targets={"mine": target | more}).targets["mine"]
        return [Path(path).stem for path in mine.compared("own")[0]]

    assert ranked() == ["one", "two", "brain"]
    # Fewer of these images, or of the training images, are others.
    assert ranked(n_stimuli=4) == ranked(n_train=4) == ["one", "two"]


def test_a_bank_of_rdms_alone_is_ranked_on_the_run_s_stimuli(bank, tmp_path):
    rows = [rdm_row(tmp_path, name) for name in ("v1", "it")]
    keys = {"stimuli": {"source": "folder", "n": 4}, "folder": {"path": "photos"}}
    target = {"kind": "classification", "path": "x"}
    found = plan(networks=bank(*rows), targets={"mine": target}, **keys)
    assert found.targets["mine"].stimuli == ("bank",)
    assert any(
        line.startswith("target mine, ranking on its own images: of 2 networks, 0 can be shown")
        for line in outputs.lacking(found)
    )


def test_what_has_no_images_has_no_own_stimuli():
    target = {"kind": "network", "network": "edge2d"}
    mine = plan(tasks=TASKS, targets={"mine": target}).targets["mine"]
    assert mine.stimuli == ("bank",)
    line = refused(tasks=TASKS, targets={"mine": target | {"stimuli": "own"}})
    assert line == (
        "config, targets.mine: kind network has no images of its own; leave stimuli out"
    )


def test_a_race_has_rounds_that_the_table_before_decides(tmp_path):
    target = {"kind": "classification", "path": "x", "finetune": "race", "recipe": {"steps": 100}}
    found = plan(tasks=TASKS, targets={"mine": target | {"budget": 2}})
    mine, table = found.targets["mine"], tmp_path / "ranking.csv"
    table.write_text("model,rs\n" + "".join(f"{task},0\n" for task in reversed(TASKS)))
    # Six networks are too many for twice the cost of one.
    assert [one.entrants for one in mine.rounds] == [6, 3, 2, 1]
    assert mine.entrants(2, table) == TASKS[:2:-1]
    assert mine.finetuned(table) == [TASKS[-1]]
    names = [Path(path).stem for path in mine.tables()]
    assert names[-2:] == ["scores", "race"]
    assert not {"prediction", "choice"} & set(names)
    assert found.paper_target == ""
    assert mine.has == set()
    assert not any("race" in line for line in outputs.lacking(found))
    few = plan(tasks=TASKS, targets={"mine": target | {"budget": 1.2}})
    line = "target mine, race: the last 3 of 6 networks do not enter; a larger budget lets more in"
    assert line in outputs.lacking(few)
    assert few.targets["mine"].entrants(1, table) == TASKS[:2:-1]


def test_untrained_networks_have_nothing_to_probe():
    target = plan(tasks=TASKS, targets={"mine": {"kind": "values", "path": "x"}}).targets["mine"]
    assert target.head("edge2d").start == "probe"
    assert target.head("random").start == target.head("random_small").start == "random"
    assert plan(config("demo")).targets["outdoor"].head("edge2d").start == "random"


def test_files_of_rdms_cannot_race(bank, tmp_path):
    rdms = str(tmp_path / "brain.npz")
    np.savez(rdms, v1=np.arange(6.0), it=np.arange(6.0)[::-1])
    rows = [{"name": name, "loader": "rdms", "weights": rdms} for name in ("a", "b")]
    keys = {"stimuli": {"source": "folder", "n": 4}, "folder": {"path": "photos"}}
    target = {"kind": "values", "path": "x", "finetune": "race"}
    line = refused(networks=bank(*rows), targets={"mine": target}, **keys)
    assert line.startswith("config, targets.mine.finetune: no network has weights to race with")


def test_a_network_stands_for_a_target():
    target = {"kind": "network", "network": "edge2d"}
    found = plan(tasks=TASKS, targets={"mine": target})
    mine = found.targets["mine"]
    assert mine.rdms == ["results/mine/rdms/bank/edge2d.h5"]
    assert "edge2d" not in mine.ranked
    assert mine.finetuned() == []
    assert mine.files() == []
    assert [Path(path).stem for path in mine.tables()] == ["ranking", "ranking_images", "layers"]
    assert "results/mine/figures/mine/layers.png" in outputs.pictures(found)
    assert not [line for line in outputs.lacking(found) if "Similarity by layer" in line]
    assert found.paper_target == ""


def test_taps_are_of_encoders_of_this_project(bank):
    rows = factory("one"), factory("two")
    target = {"kind": "classification", "path": "x", "compare_taps": ["one"]}
    line = refused(networks=bank(*rows), stimuli={"source": "simulated"}, targets={"mine": target})
    assert line.startswith("config, targets.mine.compare_taps: one has other layers")


def test_a_path_that_is_not_there_is_one_line_when_it_is_needed():
    target = {"kind": "values", "path": "absent.csv"}
    found = plan(tasks=TASKS, targets={"mine": target})
    with pytest.raises(DataError, match=r"absent\.csv"):
        found.targets["mine"].files()


# --- what a run ends with ---


def test_the_smoke_run_makes_every_table_and_figure():
    from taskrsa.figures.registry import registered

    found = plan(config("smoke") | {"affinities": {"path": __file__}})
    made = outputs.everything(found)
    assert len(set(made)) == len(made)
    # The study needs three targets; layers are compared with rows of the table.
    others = {"study", "layers"}
    assert {Path(path).stem for path in outputs.pictures(found)} == {*registered()} - others
    for path in ("tables/table1.csv", "claims.csv", "report.html", "trees/labels_paper.nwk"):
        assert f"results/smoke/{path}" in made
    assert "results/smoke/figures/outdoor/ranking.png" in made
    assert outputs.lacking(found) == []
    judged = {Path(path).stem for path in outputs.claims_tables(found)}
    assert {"similarity", "table1", "ranking", "scores", "robustness_stage"} <= judged
    assert not {"quality", "tasks", "networks", "cost", "images"} & judged


def test_the_cheap_part_trains_no_small_model(in_project):
    made = outputs.cheap(plan(config("paper"), dry_run=True))
    names = {Path(path).name for path in made}
    assert {"figure4.png", "figure5.png", "figure6.png", "similarity.csv"} <= names
    assert {"compressed_paper.nwk", "compressed_average.nwk"} <= names


def test_two_networks_have_no_tree(bank):
    rows = factory("one"), factory("two")
    found = plan(networks=bank(*rows), stimuli={"source": "simulated"})
    assert outputs.trees(found) == []
    assert found.layers[-1] == "last"


def test_names_are_kept_out_of_what_jobs_get():
    """A new label or type of a figure makes no network again."""
    row = json.loads(as_json(plan(tasks=TASKS).bank.all["edge2d"]))
    assert "label" not in row


def test_a_study_needs_three_targets_on_which_all_networks_are_fine_tuned():
    one = {"kind": "segmentation", "source": "outdoor", "finetune": "all"}
    few = {"a": one, "b": one, "c": one | {"finetune": "top3"}}
    found = plan(config("smoke") | {"targets": few})
    assert not found.study
    assert not [path for path in outputs.everything(found) if "study" in path]
    assert not any("study" in line or "measure" in line for line in outputs.notes(found))
    found = plan(config("smoke") | {"targets": few | {"d": one}})
    assert found.study == ["a", "b", "d"]
    names = {Path(path).name for path in outputs.everything(found) if "study" in path}
    tables = {f"study_{name}.csv" for name in ("measures", "summary", "choice", "cost")}
    assert names == tables | {f"study.{end}" for end in ("png", "pdf", "csv")}
    # Git keeps these, the scores that they rest on, and no other picture.
    kept = {*outputs.kept_tables(found), *outputs.kept_pictures(found)}
    runs = {f"results/{found.config.run}/targets/{name}/runs.csv" for name in "abd"}
    assert kept == runs | {
        p for p in outputs.everything(found) if Path(p).name in {*tables, "study.png"}
    }


def test_git_keeps_neither_timings_nor_long_tables_and_the_pictures_of_the_paper():
    found = plan(config("demo"))
    kept = {Path(path).name for path in outputs.kept_tables(found)}
    assert kept >= {"similarity.csv", "scores.csv", "compressed_paper.nwk"}
    assert not kept & {"cost.csv", "images.csv", "stimuli.csv", "figure7.csv"}
    pictures = {Path(path).name for path in outputs.kept_pictures(found)}
    assert pictures >= {"figure4.png", "figure7.png"}
    assert not pictures & {"choice.png", "presets.png"}
    # The paper's claims are not judged by it.
    assert not [path for path in outputs.claims_tables(found) if "study" in path]


# --- paths ---


def photographs(folder: Path, *names: str) -> Path:
    for name in names:
        photo(folder / name, seed=len(name))
    return folder


def test_paths_may_begin_at_home_or_at_a_variable(tmp_path, bank, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    photographs(tmp_path / "photos", "1.png", "2.png")
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        photo(tmp_path / "kinds" / name, seed=len(name))
    (tmp_path / "net.pth").write_bytes(b"weights")
    monkeypatch.setenv("MY_PLACE", "~/kinds")
    bank(factory("a", weights="~/net.pth"), factory("b"))
    found = plan(
        networks="~/bank.tsv",
        stimuli={"source": "folder", "n": 4},
        folder={"path": "~/photos"},
        targets={"t": {"kind": "classification", "path": "$MY_PLACE"}},
        assets={"folder": "~/downloads", "local": ["~/copies"]},
        rsa={"gram_cache": "~/cache"},
    )
    assert found.weights("a") == str(tmp_path / "net.pth")
    assert found.data.files("folder") == [str(tmp_path / f"photos/{n}.png") for n in (1, 2)]
    assert len(found.targets["t"].files()) == 4
    assert found.fetching.folder == str(tmp_path / "downloads")
    assert found.fetching.settings["local"] == [str(tmp_path / "copies")]
    assert found.gram_cache == str(tmp_path / "cache")


def test_braces_in_a_path_are_one_line(tmp_path, bank):
    table = bank(factory("a"), factory("b"))
    (tmp_path / "{a}.pkl").write_bytes(b"numbers")
    keys = {"networks": table, "stimuli": {"source": "folder", "n": 4}}
    for change, where in (
        ({"folder": {"path": "my {photos}"}}, "config, folder: my {photos}"),
        ({"folder": {"path": "p"}, "assets": {"folder": "{x"}}, "config, assets: {x"),
        ({"folder": {"path": "p"}, "networks": "my}.tsv"}, "config, networks: my}.tsv"),
        (
            {"folder": {"path": "p"}, "affinities": {"path": str(tmp_path / "{a}.pkl")}},
            f"config, affinities.path: {tmp_path}/{{a}}.pkl",
        ),
        (
            {"targets": {"t": {"kind": "values", "path": "{t}.csv"}}},
            "config, targets.t: {t}.csv",
        ),
    ):
        with pytest.raises(ConfigError) as error:
            plan(**keys | change).data.files("folder")
        assert str(error.value).startswith(
            f"{where} has braces, which Snakemake takes for wildcards;"
        )


def test_braces_in_the_name_of_a_file_are_one_line(tmp_path, bank):
    (tmp_path / "{net}.pth").write_bytes(b"weights")
    table = bank(factory("a", weights=str(tmp_path / "{net}.pth")), factory("b"))
    for name in ("kinds/a/{1}.png", "kinds/a/2.png", "kinds/b/1.png", "kinds/b/2.png"):
        photo(tmp_path / name)
    found = plan(
        networks=table,
        stimuli={"source": "folder", "n": 4},
        folder={"path": str(tmp_path / "kinds")},
        targets={"t": {"kind": "classification", "path": str(tmp_path / "kinds")}},
    )
    for ask, where in (
        (lambda: found.weights("a"), "bank, row a, weights: "),
        (lambda: found.data.files("folder"), "source folder: "),
        (found.targets["t"].files, "labelled images: "),
    ):
        with pytest.raises(ConfigError) as error:
            ask()
        assert str(error.value).startswith(where)
        assert "has braces, which Snakemake takes for wildcards; rename it" in str(error.value)


# --- files of RDMs alone ---


@pytest.fixture
def given(bank, tmp_path, monkeypatch):
    """A table of three tasks' RDMs of 12 conditions, and one of similarities to them."""
    monkeypatch.setenv("HERE", str(tmp_path))
    rng = np.random.default_rng(0)
    tasks = ["edge2d", "curvature", "rgb2depth"]
    np.savez(tmp_path / "rdms.npz", rdms=rng.uniform(size=(3, 66)), tasks=tasks)
    np.savez(tmp_path / "similar.npz", tasks=tasks, z=rng.uniform(size=(5, 3)))
    cells = {"loader": "rdms", "weights": "$HERE/rdms.npz"}
    rows = [{"name": t, "task": t, "layers": f"compressed={t}"} | cells for t in tasks]
    return {"networks": bank(*rows), "layers": ["compressed"]}


def test_files_of_rdms_alone_need_no_images(given, tmp_path):
    found = plan(given)
    assert (found.data.stimuli, found.data.n_stimuli) == ("", 12)
    assert found.data.given == (str(tmp_path / "rdms.npz"),)
    assert found.image_counts == [12]
    assert found.task_networks == ["edge2d", "curvature", "rgb2depth"]
    assert found.tasks == []
    assert found.bank.types["edge2d"] == "2D"
    assert "results/mine/tables/robustness_images.csv" in outputs.everything(found)
    assert plan(given, stimuli={"n": 12}).data.n_stimuli == 12
    assert "holds RDMs of 12 conditions" in refused(given, stimuli={"n": 500})
    folder = tmp_path / "flowers/tulip"
    folder.mkdir(parents=True)
    labelled = {"kind": "classification", "path": str(folder.parent)}
    said = refused(given, targets={"flowers": labelled})
    assert "stimuli.source: is not set; the small models of target flowers" in said
    # Controls are shown images, too.
    assert "stimuli.source: is not set" in refused(given, n_random=2)


def test_win_rates_and_given_matrices_are_judged_where_published_affinities_are(given, tmp_path):
    for name in ("a.pkl", "w.pkl", "m.csv"):
        (tmp_path / name).touch()
    affinities = {
        "use": "published",
        "path": "$HERE/a.pkl",
        "win_rates": "$HERE/w.pkl",
        "matrices": {"path": "$HERE/m.csv"},
    }
    found = plan(given, affinities=affinities)
    assert found.have_selection
    assert found.truths == ["affinity", "win_rates"]
    assert found.matrices == [str(tmp_path / "m.csv")]
    assert "Taskonomy's win rates" in found.hashes
    assert plan(given, affinities=affinities | {"win_rates": None}).truths == ["affinity"]
    measured = plan(given, affinities=affinities | {"use": "measured"})
    assert (measured.have_selection, measured.win_rates) == (False, None)


def test_a_target_of_given_similarities_is_ranked_without_training(given, tmp_path):
    voc = {"kind": "similarities", "path": "$HERE/similar.npz", "arrays": ["z"]}
    found = plan(given, targets={"voc": voc})
    target = found.targets["voc"]
    assert (target.is_labelled, target.is_given, target.rdms) == (False, True, [])
    assert target.files() == [str(tmp_path / "similar.npz")]
    assert target.tables() == ["results/mine/targets/voc/ranking.csv"]
    assert found.paper_target == ""
    scored = plan(given, targets={"voc": voc | {"scores": "voc2012"}})
    assert [Path(path).stem for path in scored.targets["voc"].tables()] == [
        *("ranking", "scores", "prediction", "choice"),
    ]
    assert scored.paper_target == "voc"
    assert scored.targets["voc"].has == {"fine-tuning"}
    gone = plan(given, targets={"voc": voc | {"path": "$HERE/gone.npz"}}).targets["voc"]
    with pytest.raises(DataError, match="targets.voc.path: there is no file"):
        gone.files()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"arrays": []}, "kind similarities needs arrays"),
        ({"path": None}, "kind similarities needs path, an .npz file"),
        ({"finetune": "all"}, "a target of kind similarities has no labels"),
        ({"source": "voc2012"}, "similarities are read from path; leave source out"),
        ({"kind": "classification"}, "arrays and scores are for kind similarities"),
    ],
)
def test_keys_of_given_similarities_that_cannot_be(given, keys, said):
    voc = {"kind": "similarities", "path": "$HERE/similar.npz", "arrays": ["z"]}
    assert said in refused(given, targets={"voc": voc | keys})
