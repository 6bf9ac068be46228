import numpy as np
import pytest
from made_rdms import IMAGES, LAYERS, features, write
from taskrsa.errors import DataError, RepresentationError
from taskrsa.io.files import digest_of
from taskrsa.rsa.rdm import compute_rdm
from taskrsa.rsa.rdm_file import Origin, layers_of, read_rdms, write_rdms


def test_round_trip(tmp_path):
    path = write(tmp_path / "edges.h5", dead=[2])
    rdms = read_rdms(path)
    expected = compute_rdm(features(0)).dissimilarities.astype(np.float32)
    np.testing.assert_array_equal(rdms.dissimilarities[0], expected)
    assert rdms.dissimilarities.dtype == np.float32
    assert (rdms.layers, rdms.model, rdms.task) == (tuple(LAYERS), "edges", "edge2d")
    assert rdms.conditions == tuple(IMAGES)
    assert rdms.stimuli_digest == digest_of(IMAGES)
    assert rdms.centre is True
    assert rdms.dropped == ((), (2,))
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
    a, b = write(tmp_path / "a.h5"), write(tmp_path / "b.h5")
    assert a.read_bytes() == b.read_bytes()


def test_names_beyond_ascii(tmp_path):
    images = [f"küche_{i}" for i in range(8)]
    assert read_rdms(write(tmp_path / "a.h5", images=images)).conditions == tuple(images)


def test_failed_write_leaves_the_old_file(tmp_path):
    path = write(tmp_path / "a.h5")
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write(path, task=object())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_entry_may_lack_with_its_image_only(tmp_path):
    values = np.ones((2, 28))
    origin = Origin("m", "t", IMAGES, "d", centre=True)
    path = tmp_path / "a.h5"
    values[1, 3] = np.nan
    with pytest.raises(RepresentationError, match=r"compressed of m: .* images 0 and 4 is nan"):
        write_rdms(path, values, LAYERS, origin)
    assert not path.exists()


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


def test_layers(tmp_path):
    assert layers_of(write(tmp_path / "a.h5")) == LAYERS
    with pytest.raises(DataError, match=r"gone\.h5: no such RDM file"):
        layers_of(tmp_path / "gone.h5")


def test_hdf5_of_something_else(tmp_path):
    import h5py

    path = tmp_path / "c.h5"
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros(3)
    with pytest.raises(DataError, match=r"c\.h5: not a whole RDM file"):
        read_rdms(path)
