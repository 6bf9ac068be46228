"""Type separation of any table of networks."""

import pandas as pd
import pytest
from made_rdms import write
from taskrsa.errors import ConfigError
from type_separation import main

ALL = {"layers": ["block1", "compressed"], "clusters": 2, "permutations": 19, "seed": 0}


@pytest.fixture
def files(tmp_path):
    """Return five networks, one of them with other layers, and the RDM of the pixels."""
    bank = [write(tmp_path / f"{name}.h5", name, seed) for seed, name in enumerate("abcd")]
    bank.append(write(tmp_path / "e.h5", "e", 9, layers=["block1", "last"]))
    pixels = write(tmp_path / "pixels.h5", "pixels", 10, layers=["pixels", "none"])
    return {"bank": [str(path) for path in bank], "pixels": str(pixels)}


def rows(files, tmp_path, types, **flags):
    table = tmp_path / "table.csv"
    main(**ALL | files | flags, types=types, table=str(table))
    return pd.read_csv(table)


def test_types_are_the_users_own_and_controls_optional(files, tmp_path, capsys):
    types = {"a": "fish", "b": "fish", "c": "fowl", "d": "", "e": "fowl"}
    found = rows(files, tmp_path, types)
    assert list(found["layer"]) == ["block1", "block1", "compressed", "compressed"]
    assert list(found["control"]) == ["none", "pixels"] * 2
    assert list(found["n_models"]) == [4, 4, 3, 3]  # d has no type, e no such layer
    assert found["random_mean"].isna().all()
    assert capsys.readouterr().out == "layer compressed: left out e, without that layer\n"


def test_random_networks_and_labels_where_there_are_any(files, tmp_path):
    types = dict.fromkeys("abc", "fish") | dict.fromkeys("de", "fowl")
    random = [write(tmp_path / f"r{n}.h5", f"r{n}", 20 + n, layers=["block1", "x"]) for n in (0, 1)]
    labels = [
        write(tmp_path / f"l{name}.h5", name, 30 + n, layers=["labels", "x"])
        for n, name in enumerate("abde")
    ]
    flags = {"random": list(map(str, random)), "labels": list(map(str, labels))}
    found = rows(files, tmp_path, types, **flags)
    controls = found.groupby("layer", sort=False)["control"].apply(list).to_dict()
    assert controls == {
        "block1": ["none", "pixels", "random", "pixels+random"],
        "compressed": ["none", "pixels"],
        "labels": ["none", "pixels"],
    }


def test_a_layer_without_two_types_is_left_out(files, tmp_path, capsys):
    types = dict.fromkeys("abcd", "fish") | {"e": "fowl"}
    assert set(rows(files, tmp_path, types)["layer"]) == {"block1"}
    assert (
        "layer compressed: left out: no two types of networks to compare" in capsys.readouterr().out
    )


@pytest.mark.parametrize("types", [dict.fromkeys("abcde", "fish"), dict.fromkeys("abcde", "")])
def test_types_that_cannot_be_compared_are_one_line(files, tmp_path, types):
    with pytest.raises(ConfigError, match="networks of at least two types, at least two of them"):
        rows(files, tmp_path, types)
