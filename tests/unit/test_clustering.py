import numpy as np
import pytest
from scipy.cluster.hierarchy import cophenet, leaves_list
from scipy.spatial.distance import squareform
from taskrsa.errors import RepresentationError
from taskrsa.rsa.clustering import (
    average_linkage,
    cut,
    paper_linkage,
    require_similarity,
    to_newick,
)

# Tasks 0 and 1 alike, 2 and 3 alike.
BLOCKS = np.array([[1, 0.9, 0.1, 0.2], [0.9, 1, 0.2, 0.1], [0.1, 0.2, 1, 0.7], [0.2, 0.1, 0.7, 1]])


def some_similarity(m, seed):
    values = np.random.default_rng(seed).uniform(0, 1, m * (m - 1) // 2)
    return squareform(values) + np.eye(m)


def test_average_linkage_by_hand():
    tree = average_linkage(BLOCKS)
    # 1 - .9, 1 - .7, and the mean of 1 - (.1, .2, .2, .1).
    np.testing.assert_allclose(tree[:, 2], [0.1, 0.3, 0.85])
    assert set(map(frozenset, [leaves_list(tree)[:2], leaves_list(tree)[2:]])) == {
        frozenset({0, 1}),
        frozenset({2, 3}),
    }


def test_paper_linkage_by_hand():
    # Distances between rows: 0-1 sqrt(4 x .01), 2-3 sqrt(2 x .01 + 2 x .09), then the nearest two.
    tree = paper_linkage(BLOCKS)
    rows = [np.linalg.norm(BLOCKS[i] - BLOCKS[j]) for i in (0, 1) for j in (2, 3)]
    np.testing.assert_allclose(tree[:, 2], [0.2, 0.2**0.5, min(rows)])


@pytest.mark.parametrize("linkage", [paper_linkage, average_linkage])
def test_order_of_tasks_does_not_change_the_tree(linkage):
    similarity = some_similarity(9, 3)
    order = np.random.default_rng(0).permutation(9)
    direct = squareform(cophenet(linkage(similarity)))
    moved = squareform(cophenet(linkage(similarity[np.ix_(order, order)])))
    np.testing.assert_allclose(moved, direct[np.ix_(order, order)], atol=1e-12)


def test_leaves_are_in_optimal_order():
    # A chain: each task is most like its neighbours, and the leaves come out as the chain.
    place = np.array([3, 0, 4, 1, 2])
    similarity = 1 - np.abs(place[:, None] - place[None, :]) / 5
    found = place[leaves_list(average_linkage(similarity))].tolist()
    assert found in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0])


def test_cut():
    labels = cut(average_linkage(BLOCKS), 2)
    assert labels[0] == labels[1] != labels[2] == labels[3]
    assert len(set(cut(average_linkage(BLOCKS), 1))) == 1
    assert len(set(cut(average_linkage(BLOCKS), 4))) == 4


def test_newick_by_hand():
    tree = np.array([[0, 1, 0.25, 2], [2, 3, 0.5, 2], [4, 5, 1.0, 4]])
    names = ["edges", "class_1000", "2D edges", "it's (odd):\n;"]
    assert to_newick(tree, names) == (
        "((edges:0.25,'class_1000':0.25):0.75,('2D edges':0.5,'it''s (odd): ;':0.5):0.5);"
    )


def parse_newick(text):
    """Return the depth of each leaf and, for each two leaves, the depth of their ancestor."""
    place = 0

    def node(depth):
        nonlocal place
        children, name = [], ""
        if text[place] == "(":
            while text[place] in "(,":
                place += 1
                children.append(node(None))
            place += 1
        elif text[place] == "'":
            end = text.index("'", place + 1)
            name, place = text[place + 1 : end], end + 1
        else:
            end = min(text.index(c, place) for c in ":,)" if c in text[place:])
            name, place = text[place:end], end
        length = 0.0
        if text[place] == ":":
            end = min(text.index(c, place) for c in ",)" if c in text[place:])
            length, place = float(text[place + 1 : end]), end
        return name, children, length

    return node(None)


@pytest.mark.parametrize("linkage", [paper_linkage, average_linkage])
def test_newick_holds_the_whole_tree(linkage):
    tree = linkage(some_similarity(7, 1))
    heights = squareform(cophenet(tree))
    names = [f"task_{i}" for i in range(7)]
    order, found = [], np.zeros((7, 7))

    def walk(node):
        name, children, length = node
        if not children:
            order.append(names.index(name))
            return [(order[-1], length)]
        below = [walk(child) for child in children]
        for i, a in below[0]:
            for j, b in below[1]:
                assert a == pytest.approx(b)
                found[i, j] = found[j, i] = a
        return [(i, a + length) for group in below for i, a in group]

    walk(parse_newick(to_newick(tree, names)))
    np.testing.assert_allclose(found, heights, atol=1e-12)
    assert order == leaves_list(tree).tolist()


def test_refused_matrices_name_the_pair():
    bad = BLOCKS.copy()
    bad[1, 3] = bad[3, 1] = np.nan
    for linkage in (paper_linkage, average_linkage):
        with pytest.raises(RepresentationError, match="similarity of 1 and 3 is not a number"):
            linkage(bad)
    bad = BLOCKS.copy()
    bad[0, 2] += 0.01
    with pytest.raises(RepresentationError, match="of 0 and 2 differs"):
        average_linkage(bad)
    with pytest.raises(RepresentationError, match=r"shape \(3, 4\)"):
        require_similarity(BLOCKS[:3])


def test_rounding_beyond_one_is_no_negative_distance():
    similarity = np.ones((3, 3)) + 1e-9
    assert (average_linkage(similarity)[:, 2] == 0).all()
