"""Choices of method that change the result, and two ways to make them.

`paper` does what the authors did. `recommended` is what today's practice would do: encoders see
what they were trained on, dissimilarities are plain correlation distances (subtracting the mean
pattern makes every dissimilarity depend on which other images are in the set), and trees come from
average linkage on 1 - rs, because single linkage on rows chains. Group norm is off in both.
"""

from __future__ import annotations

PRESETS: dict[str, dict] = {
    "paper": {"centre": True, "clip": True, "group_norm": False, "linkage": "paper"},
    "recommended": {"centre": False, "clip": False, "group_norm": False, "linkage": "average"},
}


def variants_of(choices: dict) -> dict[str, dict]:
    """Return the ways to make an RDM that a run compares with its own `choices`, by name.

    Each differs in one choice, or in both in which the two presets differ.
    """
    used = {key: choices[key] for key in ("centre", "clip", "group_norm")}
    changed = {
        "centring": ["centre"],
        "clipping": ["clip"],
        "centring and clipping": ["centre", "clip"],
        "group norm": ["group_norm"],
    }
    return {name: used | {key: not used[key] for key in keys} for name, keys in changed.items()}
