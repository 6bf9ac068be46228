import pandas as pd
import presets as entry
from made_rdms import write
from taskrsa.rsa.presets import PRESETS, variants_of


def test_variants_differ_from_the_run_s_own_choices():
    for preset in PRESETS.values():
        own = {key: preset[key] for key in ("centre", "clip", "group_norm")}
        variants = variants_of(preset)
        assert all(variant != own for variant in variants.values())
        assert {k for k in own if variants["centring"][k] != own[k]} == {"centre"}
        assert {k for k in own if variants["group norm"][k] != own[k]} == {"group_norm"}
    # Together, centring and clipping are what the two presets differ in.
    other = variants_of(PRESETS["paper"])["centring and clipping"]
    assert other == {k: PRESETS["recommended"][k] for k in other}


def test_choices_that_fewer_than_three_networks_have_are_left_out(tmp_path):
    rdms = [write(tmp_path / f"{name}.h5", name, seed) for seed, name in enumerate("abcd")]
    made = []
    for seed, name in enumerate("abcd"):
        layers = ["centring", "clipping" if name in "ab" else "other"]
        made.append(write(tmp_path / f"{name}_variants.h5", name, 10 + seed, layers=layers))
    choices = {"centre": True, "clip": True, "group_norm": False}
    variants = {"centring": choices | {"centre": False}, "clipping": choices | {"clip": False}}
    table = tmp_path / "presets.csv"
    entry.main([*map(str, rdms)], [*map(str, made)], choices, variants, str(table), "block1")
    (row,) = pd.read_csv(table).to_dict("records")
    assert (row["choice"], row["layer"]) == ("centring", "block1")
    assert row["change"] == "centre: True -> False"
