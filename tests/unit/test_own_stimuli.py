"""The images of a target that networks are shown for RSA: which, and how they are kept."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_rdms import write
from rank_networks import main as rank
from small_targets import halves
from target_scores import main as score
from target_stimuli import main
from taskrsa.data.images import centre_square
from taskrsa.data.pack import Pack
from taskrsa.errors import DataError
from taskrsa.targets.config import TargetData
from taskrsa.targets.prepare import read_layout, write_target
from taskrsa.targets.sets import ArraySet, open_sets, write_sets
from taskrsa.transferability.cells import choose_cells
from taskrsa.transferability.stimuli import choose_stimuli


def with_classes(counts: dict[str, int]) -> ArraySet:
    labels = np.repeat(np.arange(len(counts)), list(counts.values())).astype(np.uint8)
    images = np.random.default_rng(0).integers(0, 255, (len(labels), 16, 16, 3), dtype=np.uint8)
    ids = tuple(f"{at:03d}" for at in range(len(labels)))
    return ArraySet("train", "classification", tuple(counts), ids, images, labels)


def test_classes_are_shown_alike_and_the_advice_sees_the_same_images():
    train = with_classes({"many": 60, "some": 10, "few": 3})
    rows = choose_stimuli(train, 12, seed=1)
    assert list(rows) == sorted(set(rows))
    counts = np.bincount(train.labels[rows])
    assert counts[2] == 3
    assert set(counts[:2]) <= {4, 5}
    np.testing.assert_array_equal(rows, choose_stimuli(train, 12, seed=1))
    assert list(rows) != list(choose_stimuli(train, 12, seed=2))
    measured = choose_cells(train, 40, grid=1, cells=1, seed=1)
    assert set(rows) <= set(measured.images)
    assert len(choose_stimuli(train, 500, seed=1)) == 73


def test_too_few_images_are_one_line():
    with pytest.raises(DataError, match=r"^split train: 3 images are too few to rank networks on"):
        choose_stimuli(with_classes({"a": 2, "b": 1}), 10, seed=0)


@pytest.mark.parametrize("kind", ["classification", "regression", "values"])
def test_the_pack_holds_training_images_at_the_run_s_size(tmp_path, kind):
    train, val = halves(kind), halves(kind, seed=1, name="val")
    write_sets(tmp_path / "data.h5", [train, val])
    files = {name: str(tmp_path / f"stimuli.{end}") for name, end in
             (("pack", "h5"), ("table", "csv"))}  # fmt: skip
    main("mine", str(tmp_path / "data.h5"), n=5, side=8, seed=0, **files)
    with Pack(files["pack"]) as pack:
        assert len(pack) == 5
        rows = [train.ids.index(name) for name in pack.ids]
        assert rows == choose_stimuli(train, 5, seed=0).tolist()
        expected = [centre_square(train.image(row), 8) for row in rows]
        np.testing.assert_array_equal(pack.rgb(), expected)
        table = pd.read_csv(files["table"], dtype={"image": str})
        assert table["image"].tolist() == pack.ids
        assert table["path"].iloc[0] == f"mine/{pack.ids[0]}"
    # Fewer training images, as for fine-tuning.
    main("mine", str(tmp_path / "data.h5"), n=50, side=8, seed=0, n_train=6, **files)
    with Pack(files["pack"]) as pack:
        assert pack.ids == list(train.first(6).ids)


def test_images_of_a_segmentation_have_any_size(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for at in range(8):
        shape = (20 + 2 * at, 30)
        Image.fromarray(rng.integers(0, 255, (*shape, 3), dtype=np.uint8)).save(
            tmp_path / f"images/{at}.png"
        )
        Image.fromarray(rng.integers(0, 2, shape, dtype=np.uint8)).save(
            tmp_path / f"masks/{at}.png"
        )
    target = TargetData(kind="segmentation", path=str(tmp_path))
    write_target(target, read_layout(target, 0), tmp_path / "data.h5")
    main("mine", str(tmp_path / "data.h5"), n=4, side=16, seed=0,
         pack=str(tmp_path / "stimuli.h5"), table=str(tmp_path / "stimuli.csv"))  # fmt: skip
    train = open_sets(tmp_path / "data.h5")["train"]
    with Pack(tmp_path / "stimuli.h5") as pack:
        assert pack.rgb().shape == (4, 16, 16, 3)
        first = train.image(train.ids.index(pack.ids[0]))
        np.testing.assert_array_equal(pack.rgb()[0], centre_square(first, 16))


# --- both kinds of stimuli ---

NETWORKS = ["a", "b", "c", "d"]
OWN, RUN = [f"own_{at}" for at in range(10)], [f"run_{at}" for at in range(14)]
COMPARED = {"layer": "block1", "target_layer": "block1", "resamples": 20, "permutations": 19}


def rdms_over(folder, images) -> tuple[list[str], list[str]]:
    """Write RDMs of networks and of two small models over some images."""
    folder.mkdir()
    files = {}
    for place, name in enumerate([*NETWORKS, "s0", "s1"]):
        seed = place + 7 * len(images)
        files[name] = str(write(folder / f"{name}.h5", name, seed, images=images))
    return [files[name] for name in NETWORKS], [files["s0"], files["s1"]]


@pytest.fixture
def over(tmp_path) -> dict[str, tuple[list[str], list[str]]]:
    return {"own": rdms_over(tmp_path / "own", OWN), "run": rdms_over(tmp_path / "run", RUN)}


def ranking_of(folder, shown, beside=(None, None), sizes=(5,)) -> pd.DataFrame:
    files = {"table": str(folder / "ranking.csv"), "by_images": str(folder / "images.csv")}
    styles = {name: (name.upper(), "") for name in NETWORKS}
    rank(styles, shown[0], target=shown[1], sizes=list(sizes), seed=0, bank_beside=beside[0],
         target_beside=beside[1], **files, **COMPARED)  # fmt: skip
    return pd.read_csv(files["table"])


def test_what_the_run_s_stimuli_say_stands_beside(tmp_path, over):
    own, run = ranking_of(tmp_path, over["own"]), ranking_of(tmp_path, over["run"])
    both = ranking_of(tmp_path, over["own"], over["run"])
    pd.testing.assert_frame_equal(both[own.columns], own)
    beside = both.set_index("model")[["rs_bank", "rs_bank_low", "rs_bank_high", "rank_bank"]]
    expected = run.set_index("model").loc[beside.index, ["rs", "ci_low", "ci_high", "rank"]]
    np.testing.assert_array_equal(beside, expected)
    assert not np.allclose(both["rs"], both["rs_bank"])


def test_a_target_with_few_images_is_ranked_on_all_of_them(tmp_path, over):
    for sizes, made in (((5, 50), [5]), ((50, 100), [10])):
        ranking_of(tmp_path, over["own"], sizes=sizes)
        assert pd.read_csv(tmp_path / "images.csv")["n_images"].tolist() == made


def test_both_predictions_stand_below_each_other(tmp_path, over):
    ranking_of(tmp_path, over["own"])
    runs = pd.DataFrame(
        {"model": NETWORKS, "seed": 0, "tap": "block4", "trained": "whole network",
         "metric": "miou", "score": [0.3, 0.6, 0.5, 0.2], "chance_score": 0.1, "n_val": 9}
    )  # fmt: skip
    runs.to_csv(tmp_path / "runs.csv", index=False)
    files = {name: str(tmp_path / f"{name}.csv") for name in ("table", "prediction", "choice")}

    def predicted(shown, beside=(None, None), published=False) -> pd.DataFrame:
        score(str(tmp_path / "ranking.csv"), str(tmp_path / "runs.csv"), shown[0], shown[1],
              seed=0, bank_beside=beside[0], target_beside=beside[1], published=published,
              **files, **COMPARED)  # fmt: skip
        return pd.read_csv(files["prediction"])

    own, run = predicted(over["own"]), predicted(over["run"])
    both = predicted(over["own"], over["run"], published=True)
    names = both["ranking"].tolist()
    assert names[:2] == ["small model", "small model, the run's stimuli"]
    assert all(name.startswith("published") for name in names[2:])
    assert len(names) > 2
    pd.testing.assert_frame_equal(both[:1], own, check_dtype=False)
    values = [name for name in run.columns if name != "ranking"]
    second = both.loc[[1], values].reset_index(drop=True)
    pd.testing.assert_frame_equal(second, run[values], check_dtype=False)
