import numpy as np
import pytest
from taskrsa.errors import DataError, RepresentationError
from taskrsa.io.files import digest_of
from taskrsa.rsa.rdm import compute_rdm
from taskrsa.rsa.rdm_file import read_rdms, stack_rdms, write_rdms

IMAGES = [f"point_{i}" for i in range(8)]
LAYERS = ["block1", "compressed"]


def features(seed, n=8, dead=()):
    values = np.random.default_rng(seed).standard_normal((n, 50)).astype(np.float32)
    values[list(dead)] = 0
    return values


def write(path, model="edges", seed=0, dead=(), images=IMAGES, **changes):
    results = [
        compute_rdm(features(seed, len(images)), constant="drop"),
        compute_rdm(features(seed + 100, len(images), dead), constant="drop"),
    ]
    arguments = {
        "model": model,
        "task": "edge2d",
        "conditions": images,
        "stimuli_digest": digest_of(images),
        "centre": True,
        "dropped": [result.dropped for result in results],
    } | changes
    write_rdms(path, np.array([r.dissimilarities for r in results]), LAYERS, **arguments)
    return path


def test_round_trip(tmp_path):
    path = write(tmp_path / "edges.h5", dead=[2], extra={"seed": 3, "weights": "a.pth", "lr": 0.5})
    rdms = read_rdms(path)
    expected = compute_rdm(features(0)).dissimilarities.astype(np.float32)
    np.testing.assert_array_equal(rdms.dissimilarities[0], expected)
    assert rdms.dissimilarities.dtype == np.float32
    assert (rdms.layers, rdms.model, rdms.task) == (tuple(LAYERS), "edges", "edge2d")
    assert rdms.conditions == tuple(IMAGES)
    assert rdms.stimuli_digest == digest_of(IMAGES)
    assert rdms.centre is True
    assert rdms.dropped == ((), (2,))
    assert rdms.extra == {"seed": 3, "weights": "a.pth", "lr": 0.5}
    one = read_rdms(path, ["compressed"])
    assert (one.layers, one.dropped) == (("compressed",), ((2,),))
    np.testing.assert_array_equal(one.dissimilarities, rdms.dissimilarities[1:])


def test_rsatoolbox_opens_it_and_agrees(tmp_path):
    rsatoolbox = pytest.importorskip("rsatoolbox")
    path = write(tmp_path / "edges.h5")
    loaded = rsatoolbox.rdm.load_rdm(str(path))
    data = features(0).astype(np.float64)
    dataset = rsatoolbox.data.Dataset(data - data.mean(axis=0), obs_descriptors={"image": IMAGES})
    expected = rsatoolbox.rdm.calc_rdm(dataset, method="correlation", descriptor="image")
    block1 = loaded.subset("layer", "block1")
    np.testing.assert_allclose(block1.dissimilarities, expected.dissimilarities, atol=1e-6)
    assert list(loaded.pattern_descriptors["image"]) == IMAGES
    assert list(expected.pattern_descriptors["image"]) == IMAGES
    assert list(loaded.rdm_descriptors["layer"]) == LAYERS
    assert list(loaded.rdm_descriptors["model"]) == ["edges", "edges"]
    assert list(loaded.rdm_descriptors["task"]) == ["edge2d", "edge2d"]
    assert list(loaded.rdm_descriptors["n_dropped"]) == [0, 0]
    assert loaded.descriptors["stimuli_digest"] == digest_of(IMAGES)
    assert loaded.descriptors["centre"]
    assert loaded.descriptors["n_dropped"] == 0
    assert loaded.dissimilarity_measure == "correlation"
    half = loaded.subset_pattern("image", IMAGES[:4])
    np.testing.assert_array_equal(half.get_matrices()[0], loaded.get_matrices()[0][:4, :4])
    both = rsatoolbox.rdm.concat(
        loaded, rsatoolbox.rdm.load_rdm(str(write(tmp_path / "b.h5", "depth", 1)))
    )
    assert both.n_rdm == 4


def test_bytes_are_deterministic(tmp_path):
    a = write(tmp_path / "a.h5", extra={"z": 1, "a": "x"})
    b = write(tmp_path / "b.h5", extra={"a": "x", "z": 1})
    assert a.read_bytes() == b.read_bytes()


def test_names_beyond_ascii(tmp_path):
    images = [f"küche_{i}" for i in range(8)]
    assert read_rdms(write(tmp_path / "a.h5", images=images)).conditions == tuple(images)


def test_failed_write_leaves_the_old_file(tmp_path):
    path = write(tmp_path / "a.h5")
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write(path, extra={"bad": object()})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_write_refuses(tmp_path):
    values = np.ones((2, 28))
    keywords = {
        "model": "m", "task": "t", "conditions": IMAGES, "stimuli_digest": "d", "centre": True,
    }  # fmt: skip
    path = tmp_path / "a.h5"
    with pytest.raises(RepresentationError, match="for 3 layers"):
        write_rdms(path, values, ["a", "b", "c"], **keywords)
    with pytest.raises(RepresentationError, match="layer a is given twice"):
        write_rdms(path, values, ["a", "a"], **keywords)
    with pytest.raises(RepresentationError, match="image x is given twice"):
        write_rdms(path, values, LAYERS, **keywords | {"conditions": ["x", "x", *"abcdef"]})
    with pytest.raises(RepresentationError, match="8 images but 7 image ids"):
        write_rdms(path, values, LAYERS, **keywords | {"conditions": IMAGES[:7]})
    with pytest.raises(RepresentationError, match="descriptor model"):
        write_rdms(path, values, LAYERS, **keywords, extra={"model": "x"})
    with pytest.raises(RepresentationError, match="dropped for m are not those"):
        write_rdms(path, values, LAYERS, **keywords, dropped=[[], [1]])
    values[1, 3] = np.nan
    with pytest.raises(RepresentationError, match=r"compressed of m: .* images 0 and 4 is nan"):
        write_rdms(path, values, LAYERS, **keywords)
    assert not path.exists()


def test_stack(tmp_path):
    paths = [write(tmp_path / f"{m}.h5", m, seed) for seed, m in enumerate(["a", "b", "c"])]
    stack = stack_rdms(paths, "block1")
    assert stack.models == ("a", "b", "c")
    assert stack.tasks == ("edge2d",) * 3
    assert stack.rdms.shape == (3, 28)
    for seed, row in enumerate(stack.rdms):
        expected = compute_rdm(features(seed)).dissimilarities
        np.testing.assert_allclose(row, expected, atol=1e-7)
    assert stack.conditions == tuple(IMAGES)
    assert (stack.n_images, stack.n_dropped, stack.centre) == (8, 0, True)
    np.testing.assert_array_equal(stack.kept_images, range(8))


def test_image_dropped_once_is_dropped_everywhere(tmp_path):
    paths = [
        write(tmp_path / "a.h5", "a", 0, dead=[1]),
        write(tmp_path / "b.h5", "b", 1, dead=[6]),
        write(tmp_path / "c.h5", "c", 2),
    ]
    stack = stack_rdms(paths, "compressed")
    assert stack.n_dropped == 2
    np.testing.assert_array_equal(stack.kept_images, [0, 2, 3, 4, 5, 7])
    assert stack.conditions == tuple(IMAGES[i] for i in (0, 2, 3, 4, 5, 7))
    kept = stack.kept_images
    square = compute_rdm(features(102)).square()[np.ix_(kept, kept)]
    np.testing.assert_allclose(stack.rdms[2], square[np.triu_indices(6, 1)], atol=1e-7)
    assert np.isfinite(stack.rdms).all()
    assert stack_rdms(paths, "block1").n_dropped == 0


def test_too_few_images_in_common(tmp_path):
    paths = [
        write(tmp_path / "a.h5", "a", dead=[0, 1, 2, 3, 4]),
        write(tmp_path / "b.h5", "b", dead=[6]),
    ]
    with pytest.raises(RepresentationError, match=r"only 2 of 8 .*drops most \(a\)"):
        stack_rdms(paths, "compressed")


def test_stack_refuses(tmp_path):
    a = write(tmp_path / "a.h5", "a")
    other = write(tmp_path / "other.h5", "b", images=[f"x{i}" for i in range(8)])
    with pytest.raises(RepresentationError, match=r"a\.h5 and .*other\.h5 come from different"):
        stack_rdms([a, other], "block1")
    with pytest.raises(RepresentationError, match=r"a\.h5 and .*copy\.h5 are both of model a"):
        stack_rdms([a, write(tmp_path / "copy.h5", "a")], "block1")
    with pytest.raises(RepresentationError, match=r"a\.h5 was made with centring and .*raw\.h5"):
        stack_rdms([a, write(tmp_path / "raw.h5", "c", centre=False)], "block1")
    with pytest.raises(RepresentationError, match=r"a\.h5: no layer block9; it has block1, comp"):
        stack_rdms([a], "block9")
    with pytest.raises(DataError, match="no RDM files"):
        stack_rdms([], "block1")


def test_damaged_files(tmp_path):
    with pytest.raises(DataError, match=r"gone\.h5: no such RDM file"):
        read_rdms(tmp_path / "gone.h5")
    whole = write(tmp_path / "a.h5").read_bytes()
    path = tmp_path / "b.h5"
    for size in np.linspace(0, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"b\.h5: not a whole RDM file") as error:
            read_rdms(path)
        assert "\n" not in str(error.value)


def test_hdf5_of_something_else(tmp_path):
    import h5py

    path = tmp_path / "c.h5"
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros(3)
    with pytest.raises(DataError, match=r"c\.h5: not a whole RDM file"):
        read_rdms(path)
