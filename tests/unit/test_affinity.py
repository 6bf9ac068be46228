import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_rdms import stack_of
from scipy.spatial.distance import squareform
from scipy.stats import pearsonr, spearmanr
from taskrsa.analysis.affinity import (
    affinity_matrix,
    agreement_rows,
    compare_similarity,
    published_agreement,
    read_affinity_pickle,
    transfer_similarity,
)
from taskrsa.analysis.separation import adjusted_rand_index, type_separation
from taskrsa.errors import DataError, RepresentationError
from taskrsa.rsa.clustering import average_linkage, cut
from taskrsa.tasks.dictionary import TASKS

PUBLISHED = [task.id for task in TASKS.values() if task.affinity_name]
SHA256 = "6b2d42a7281fe4eac2f5f32499f12c3da63292d4a5d8f04bf1b8b97d9687260c"


@pytest.fixture(scope="module")
def published():
    root = os.environ.get("TASKRSA_DATA")
    if root is None:
        pytest.skip("TASKRSA_DATA is unset: no published affinities")
    return read_affinity_pickle(Path(root) / "taskonomy" / "all_affinities.pkl", SHA256)


def save(path, content):
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_reads_float64_scalars(tmp_path, protocol):
    table = {"a__b": np.float64(0.1), "b__a": np.float64(-1e-300), "c": 0.25}
    path, digest = save(tmp_path / "a.pkl", pickle.dumps(table, protocol))
    if protocol < 3:  # Python 3 writes bytes so; the published file does not
        with pytest.raises(DataError, match="_codecs"):
            read_affinity_pickle(path, digest)
    else:
        assert read_affinity_pickle(path, digest) == {"a__b": 0.1, "b__a": -1e-300, "c": 0.25}


def test_reads_what_python_2_wrote(tmp_path):
    # {'a__b': numpy.float64(0.5)} by hand, protocol 2 with Python 2's byte strings.
    content = (
        b"\x80\x02}U\x04a__bcnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nU\x02f8K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbU\x08"
        + np.float64(0.5).tobytes()
        + b"\x86Rs."
    )
    assert read_affinity_pickle(*save(tmp_path / "a.pkl", content)) == {"a__b": 0.5}


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_code_in_the_pickle_is_not_run(tmp_path):
    victim = tmp_path / "made"
    content = pickle.dumps({"a__b": Malicious(victim)})
    with pytest.raises(DataError, match=r"a\.pkl: the pickle asks for .*\.mkdir"):
        read_affinity_pickle(*save(tmp_path / "a.pkl", content))
    assert not victim.exists()
    pickle.loads(content)  # it would have
    assert victim.exists()


@pytest.mark.parametrize(
    "value",
    [np.float32(1), np.array([1.0]), np.dtype("f8"), "text", [1.0], {"a": 1.0}, None, print, True],
)
def test_other_content_is_refused(tmp_path, value):
    content = pickle.dumps({"a__b": value})
    with pytest.raises(DataError, match=r"a\.pkl: ") as error:
        read_affinity_pickle(*save(tmp_path / "a.pkl", content))
    assert "\n" not in str(error.value)


def test_checksum_comes_first(tmp_path):
    victim = tmp_path / "made"
    path, found = save(tmp_path / "a.pkl", pickle.dumps(Malicious(victim)))
    with pytest.raises(DataError, match=rf"a\.pkl: expected SHA-256 {'0' * 64}, found {found}"):
        read_affinity_pickle(path, "0" * 64)
    assert not victim.exists()


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(DataError, match=r"gone\.pkl: cannot be read"):
        read_affinity_pickle(tmp_path / "gone.pkl", SHA256)
    whole = pickle.dumps({"a__b": np.float64(0.1)})
    for size in range(len(whole)):
        with pytest.raises(DataError, match=r"a\.pkl: not a pickle of numbers"):
            read_affinity_pickle(*save(tmp_path / "a.pkl", whole[:size]))


def test_published_table(published):
    assert len(published) == 814
    with_numpy = Path(os.environ["TASKRSA_DATA"]) / "taskonomy" / "all_affinities.pkl"
    with with_numpy.open("rb") as stream:  # its checksum was compared by the fixture
        assert published == pickle.load(stream, encoding="latin1")


def test_published_matrix(published):
    table = affinity_matrix(published, PUBLISHED)
    assert table.shape == (17, 17)
    assert list(table.index) == list(table.columns) == PUBLISHED
    assert (table.index.name, table.columns.name) == ("source", "target")
    assert table.loc["edge3d", "curvature"] == published["edge3d__curvature"]
    assert (
        table.loc["segmentsemantic", "vanishing_point"]
        == published["segmentsemantic_rb__vanishing_point_well_defined"]
    )
    assert table.loc["edge2d", "edge2d"] == published["edge2d__edge2d"]
    assert published["edge2d__edge2d"] != published["self__edge2d"]


@pytest.mark.parametrize(
    ("options", "within", "between", "ari"),
    [
        ({}, 0.60, -0.31, 1.00),
        ({"normalise": "log"}, 0.73, -0.36, 1.00),
        ({"normalise": "rank"}, 0.56, -0.30, 0.38),
        ({"normalise": "sum"}, 0.65, -0.07, 0.72),
        ({"normalise": "none"}, 0.75, 0.34, 0.79),
    ],
)
def test_published_tasks_cluster_by_type(published, options, within, between, ari):
    similarity = transfer_similarity(affinity_matrix(published, PUBLISHED), **options)
    types = [TASKS[task].type for task in PUBLISHED]
    found = type_separation(similarity, types, 499, seed=0)
    assert found["within"] == pytest.approx(within, abs=0.006)
    assert found["between"] == pytest.approx(between, abs=0.006)
    assert found["p"] == 1 / 500
    clusters = cut(average_linkage(similarity), 4)
    assert adjusted_rand_index(types, clusters) == pytest.approx(ari, abs=0.006)


def test_matrix_refuses():
    affinities = {f"{a}__{b}": 0.5 for a in ("edge2d", "edge3d") for b in ("edge2d", "edge3d")}
    assert affinity_matrix(affinities, ["edge3d", "edge2d"]).shape == (2, 2)
    with pytest.raises(DataError, match="affinity edge2d__segmentsemantic_rb is missing"):
        affinity_matrix(affinities, ["edge2d", "segmentsemantic"])
    with pytest.raises(DataError, match="task colorization has no published affinities"):
        affinity_matrix(affinities, ["edge2d", "colorization"])
    with pytest.raises(DataError, match="task edges has no published affinities"):
        affinity_matrix(affinities, ["edges"])
    with pytest.raises(DataError, match="edge2d__edge3d is not a finite number"):
        affinity_matrix(affinities | {"edge2d__edge3d": float("nan")}, ["edge2d", "edge3d"])


def some_affinities(m=7, seed=0):
    return np.random.default_rng(seed).uniform(0.01, 0.1, (m, m))


def test_transfer_similarity_equals_its_definition():
    values = some_affinities()
    found = transfer_similarity(values)
    for i in range(7):
        for j in range(i):
            a, b = [], []
            for target in set(range(7)) - {i, j}:
                column = np.delete(values[:, target], target)
                a.append((values[i, target] - column.mean()) / column.std())
                b.append((values[j, target] - column.mean()) / column.std())
            assert found[i, j] == pytest.approx(pearsonr(a, b).statistic)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 1)


@pytest.mark.parametrize("normalise", ["zscore", "log", "rank", "sum"])
def test_scale_of_a_target_does_not_matter(normalise):
    values = some_affinities()
    scaled = values * np.random.default_rng(1).uniform(0.1, 10, 7)
    np.testing.assert_allclose(
        transfer_similarity(scaled, normalise=normalise),
        transfer_similarity(values, normalise=normalise),
        atol=1e-10,
    )


def test_diagonal_does_not_matter():
    values = some_affinities()
    changed = values.copy()
    np.fill_diagonal(changed, -5)
    np.testing.assert_array_equal(transfer_similarity(changed), transfer_similarity(values))


def test_transfer_similarity_refuses():
    with pytest.raises(RepresentationError, match="at least 5"):
        transfer_similarity(some_affinities(4))
    values = some_affinities()
    values[:, 3] = 0.2
    with pytest.raises(RepresentationError, match="transfers to 3 alike"):
        transfer_similarity(values)
    values = some_affinities()
    values[2, 4] = 0
    with pytest.raises(RepresentationError, match="4 is not positive"):
        transfer_similarity(values, normalise="log")


def test_compare_similarity():
    rng = np.random.default_rng(0)
    a, b = (squareform(rng.uniform(size=21)) + np.eye(7) for _ in range(2))
    lower = np.tril_indices(7, -1)
    found = compare_similarity(a, b)
    assert found["pearson"] == pytest.approx(pearsonr(a[lower], b[lower]).statistic)
    assert found["spearman"] == pytest.approx(spearmanr(a[lower], b[lower]).statistic)
    np.fill_diagonal(b, 50)
    assert compare_similarity(a, b) == pytest.approx(found)
    with pytest.raises(RepresentationError, match="7 and 6 tasks"):
        compare_similarity(a, b[:6, :6])


def test_agreement_leaves_out_logarithms_of_affinities_that_have_none():
    stack = stack_of("abcdef")
    rng = np.random.default_rng(0)
    affinity = pd.DataFrame(rng.random((6, 6)) + 0.1, list("abcdef"), list("abcdef"))
    found = agreement_rows(stack, affinity, 10, 9, 0)
    assert [row["normalisation"] for row in found] == ["zscore", "log", "rank", "sum", "none"]
    affinity.loc["a", "b"] = -0.01
    found = agreement_rows(stack, affinity, 10, 9, 0)
    assert "log" not in {row["normalisation"] for row in found}
    assert len(found) == 4


def test_published_agreement():
    row = published_agreement()
    assert (row["pearson"], row["spearman"], row["n_tasks"]) == (0.62, 0.65, 17)
    assert row["affinities"] == row["similarity"] == "published"
