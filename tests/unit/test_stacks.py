import numpy as np
import pytest
from made_rdms import features, stack_of, write
from taskrsa.errors import DataError, RepresentationError
from taskrsa.rsa.rdm import compute_rdm
from taskrsa.rsa.stacks import common_images, having_layer, load_stacks, stack_rdms


def test_stack(tmp_path):
    paths = [write(tmp_path / f"{m}.h5", m, seed) for seed, m in enumerate(["a", "b", "c"])]
    stack = stack_rdms(paths, "block1")
    assert stack.models == ("a", "b", "c")
    assert stack.rdms.shape == (3, 28)
    for seed, row in enumerate(stack.rdms):
        expected = compute_rdm(features(seed)).dissimilarities
        np.testing.assert_allclose(row, expected, atol=1e-7)
    assert (stack.n_images, stack.n_dropped, len(stack)) == (8, 0, 3)
    np.testing.assert_array_equal(stack.images, range(8))


def test_image_dropped_once_is_dropped_everywhere(tmp_path):
    paths = [
        write(tmp_path / "a.h5", "a", 0, dead=[1]),
        write(tmp_path / "b.h5", "b", 1, dead=[6]),
        write(tmp_path / "c.h5", "c", 2),
    ]
    stack = stack_rdms(paths, "compressed")
    assert stack.n_dropped == 2
    np.testing.assert_array_equal(stack.images, [0, 2, 3, 4, 5, 7])
    kept = stack.images
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


def test_networks_without_the_layer_are_named_in_one_line(tmp_path, capsys):
    both, only = write(tmp_path / "a.h5", "a"), write(tmp_path / "b.h5", "b")
    other = write(tmp_path / "other.h5", "c", layers=["block1", "last"])
    assert having_layer([both, other, only], "compressed") == [both, only]
    assert capsys.readouterr().out == "layer compressed: left out other, without that layer\n"
    assert having_layer([both, other], "block1") == [both, other]
    assert having_layer([both], "last") == []
    with pytest.raises(DataError, match=r"gone\.h5: no such RDM file"):
        having_layer([tmp_path / "gone.h5"], "last")


def test_bank_and_others_over_the_images_of_both(tmp_path):
    bank = [write(tmp_path / f"{m}.h5", m, seed) for seed, m in enumerate("ab")]
    small = write(tmp_path / "small.h5", "s", 2, dead=[3], layers=["block1", "last"])
    of_bank, of_small = load_stacks(bank, [small], "compressed", "last")
    assert (of_bank.models, of_small.models) == (("a", "b"), ("s",))
    assert of_bank.n_images == of_small.n_images == 7
    assert 3 not in of_bank.images
    whole = compute_rdm(features(100)).square()
    kept = np.delete(np.arange(8), 3)
    expected = whole[np.ix_(kept, kept)][np.triu_indices(7, 1)]
    np.testing.assert_allclose(of_bank.rdms[0], expected, atol=1e-6)
    same, _ = load_stacks(bank, bank, "block1")
    assert same.n_images == 8


def test_images_dropped_in_one_stack_are_dropped_in_all():
    values = np.random.default_rng(0).normal(size=(12, 30))
    values[3] = 0
    constant = stack_of("k", features={"k": values}, constant="drop")
    whole = stack_of("ab")
    first, second = common_images(whole, constant)
    assert first.rdms.shape == (2, 55)
    assert second.rdms.shape == (1, 55)
    keep = [number for number in range(12) if number != 3]
    expected = compute_rdm(values[keep]).dissimilarities
    np.testing.assert_allclose(second.rdms[0], expected, atol=1e-6)


def test_stacks_of_different_stimuli_are_refused():
    with pytest.raises(RepresentationError, match="were shown different stimuli"):
        common_images(stack_of("ab"), stack_of("cd", digest="others"))


def test_some_models_of_a_stack():
    stack = stack_of("abcd")
    some = stack.only(["d", "b"])
    assert some.models == ("d", "b")
    np.testing.assert_array_equal(some.rdms, stack.rdms[[3, 1]])
    with pytest.raises(RepresentationError, match="no RDM of z among a, b, c, d"):
        stack.only(["a", "z"])
