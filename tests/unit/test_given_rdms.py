"""RDMs that were made elsewhere: the files that are read, their order, and what is refused."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import h5py
import numpy as np
import pytest
from scipy.spatial.distance import squareform
from taskrsa.errors import DataError
from taskrsa.rsa.given_rdms import read_given
from taskrsa.rsa.rdm_file import Origin, write_rdms

N = 7
P = N * (N - 1) // 2
IMAGES = [f"photo_{number}" for number in range(N)]
RDMS = np.random.default_rng(0).random((3, P)).astype(np.float32)


def saved(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)
    return path


def test_stacked_rdms_with_names_condensed_or_square(tmp_path):
    names = ["v1", "v4", "it"]
    path = saved(tmp_path / "a.npz", rdms=RDMS, regions=names)
    given = read_given(path)
    assert given.names == ("v1", "v4", "it")
    assert given.conditions is None
    assert given.n == N
    np.testing.assert_array_equal(given.rdms, RDMS)
    squares = np.array([squareform(rdm) for rdm in RDMS])
    path = saved(tmp_path / "b.npz", dissimilarities=squares, images=IMAGES)
    given = read_given(path)
    assert given.names == ("0", "1", "2")
    assert given.conditions == tuple(IMAGES)
    np.testing.assert_array_equal(given.rdms, RDMS)


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_one_array_for_each_rdm(tmp_path, suffix):
    arrays = {"v1": RDMS[0], "it": squareform(RDMS[1]), "noise_ceiling": np.array([0.3, 0.4])}
    path = tmp_path / f"a.{suffix}"
    if suffix == "npz":
        saved(path, **arrays, conditions=IMAGES)
    else:
        with h5py.File(path, "w") as file:
            file.update(arrays)
            file["conditions"] = IMAGES
    given = read_given(path)
    assert set(given.names) == {"v1", "it"}
    assert given.conditions == tuple(IMAGES)
    np.testing.assert_array_equal(given.rdms[given.names.index("it")], RDMS[1])


def test_files_of_rsatoolbox(tmp_path):
    rsatoolbox = pytest.importorskip("rsatoolbox")
    rdms = rsatoolbox.rdm.RDMs(
        RDMS,
        dissimilarity_measure="crossnobis",
        rdm_descriptors={"roi": ["v1", "v4", "it"], "subject": ["a", "a", "a"]},
        pattern_descriptors={"stimulus": IMAGES},
    )
    rdms.save(str(tmp_path / "a.h5"), file_type="hdf5")
    given = read_given(tmp_path / "a.h5")
    assert given.names == ("v1", "v4", "it")
    assert given.conditions == tuple(IMAGES)
    np.testing.assert_array_equal(given.rdms, RDMS)
    rsatoolbox.rdm.RDMs(RDMS[:1]).save(str(tmp_path / "b.h5"), file_type="hdf5")
    given = read_given(tmp_path / "b.h5")
    assert (given.names, given.conditions) == (("0",), None)


def test_files_of_this_project(tmp_path):
    layers, rdms = ["early", "late"], RDMS[:2].copy()
    first, second = np.triu_indices(N, 1)
    rdms[1][(first == 2) | (second == 2)] = np.nan
    write_rdms(tmp_path / "a.h5", rdms, layers, Origin("m", "t", IMAGES, "d", centre=False))
    given = read_given(tmp_path / "a.h5")
    assert given.names == ("early", "late")
    assert given.conditions == tuple(IMAGES)
    np.testing.assert_array_equal(given.rdms, rdms)


def test_conditions_are_put_in_the_order_of_the_stimuli(tmp_path):
    order = [3, 0, 6, 1, 5, 2, 4]
    shuffled = squareform(squareform(RDMS[0])[np.ix_(order, order)])
    names = [IMAGES[row] for row in order]
    given = read_given(saved(tmp_path / "a.npz", it=shuffled, images=names))
    np.testing.assert_array_equal(given.of(IMAGES, "a.npz"), RDMS[:1])
    np.testing.assert_array_equal(given.of(names, "a.npz"), given.rdms)
    with pytest.raises(DataError, match=r"a.npz: its conditions \(photo_3, .*it lacks other_0, "):
        given.of([f"other_{number}" for number in range(N)], "a.npz")
    with pytest.raises(DataError, match="a.npz: holds RDMs of 7 conditions, .* has 6 stimuli"):
        given.of(IMAGES[:-1], "a.npz")


SQUARE = squareform(RDMS[0])


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"rdms": RDMS[:, :-1]}, r"rdms.*: 0: has shape \(20,\), which is neither a square RDM"),
        ({"a": np.zeros(P)}, "a: all dissimilarities are the same"),
        ({"a": SQUARE + np.triu(np.ones((N, N)), 1)}, "a: is not symmetric"),
        ({"a": RDMS[0], "b": RDMS[0][:10]}, "holds RDMs of 5 and of 7 conditions"),
        ({"a": np.ones((2, 5))}, "holds no RDMs"),
        ({"rdms": RDMS, "names": ["a", "b", "b"]}, "names has b twice"),
        ({"a": RDMS[0], "images": ["x"] * N}, "images has x twice"),
        ({"a": np.array([{}, 1], dtype=object)}, "cannot be read .*allow_pickle"),
    ],
)
def test_what_is_refused_is_one_line(tmp_path, arrays, words):
    path = saved(tmp_path / "rdms.npz", **arrays)
    with pytest.raises(DataError, match=words) as caught:
        read_given(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    for content in (b"", b"text", b"PK\x03\x04cut short"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is not an HDF5 or .npz file of RDMs"):
            read_given(path)
    with ZipFile(path, "w") as archive:  # as torch.save writes
        archive.writestr("archive/data.pkl", b"weights")
    with pytest.raises(DataError, match="holds no RDMs"):
        read_given(path)
    whole = saved(path, rdms=RDMS).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="a.npz: "):
        read_given(path)


def test_real_brains_and_real_networks(real_data):
    brains = read_given(real_data / "objects92/rdms.npz")
    assert {"monkey_it", "human_it"} <= set(brains.names)
    assert brains.n == 92
    human, monkey = (brains.rdms[brains.names.index(f"{who}_it")] for who in ("human", "monkey"))
    assert np.corrcoef(human, monkey)[0, 1] == pytest.approx(0.491, abs=5e-4)
    bank = read_given(real_data / "taskonomy_bank/rdms_a.npz")
    assert (len(bank.names), bank.n) == (20, 200)
    assert "rgb2sfnorm" in bank.names
