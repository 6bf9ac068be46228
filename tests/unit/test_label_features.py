"""Labels as representations, on maps small enough to check by hand."""

import numpy as np
from taskrsa.tasks.label_features import borders, label_features


def test_values_are_flattened_and_unknown_ones_take_the_mean():
    targets = np.array([[[[1.0, 2.0]]], [[[3.0, 9.0]]], [[[5.0, 4.0]]]])
    valid = np.array([[[True, True]], [[True, False]], [[True, True]]])
    features = label_features("image", targets, valid, 1)
    assert features.tolist() == [[1, 2], [3, 3], [5, 4]]


def test_class_maps_become_indicators():
    targets = np.array([[[0, 2]]], np.uint8)
    features = label_features("ids", targets, np.ones((1, 1, 2), bool), 3)
    assert features.reshape(3, 2).tolist() == [[1, 0], [0, 0], [0, 1]]


def test_colour_bins_become_their_colours():
    targets = np.array([[[1, 0]]], np.uint16)
    bins = np.array([[10.0, -20.0], [30.0, 40.0]])
    features = label_features("ids", targets, np.ones((1, 1, 2), bool), 2, bins)
    assert features.tolist() == [[30, 10, 40, -20]]


def test_segments_become_borders_whatever_their_ids():
    ids = np.array([[[1, 1, 2], [1, 1, 2], [3, 3, 3]]], np.uint8)
    borders = label_features("embedding", ids, np.ones((1, 3, 3), bool), 64)
    assert borders.reshape(2, 2).tolist() == [[0, 1], [1, 1]]
    renamed = np.array([0, 9, 4, 200], np.uint8)[ids]
    again = label_features("embedding", renamed, np.ones((1, 3, 3), bool), 64)
    assert (borders == again).all()


def test_an_image_without_a_class_adds_nothing():
    targets = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], np.float32)
    valid = np.array([True, True, False])
    assert label_features("class", targets, valid, 2)[2].tolist() == [0.5, 0.5]


def test_a_border_is_known_where_the_pixel_and_both_neighbours_are():
    ids = np.array([[[1, 1, 2], [1, 5, 2], [1, 1, 2]]], np.uint8)
    valid = np.ones((1, 3, 3), bool)
    valid[0, 1, 1] = False
    found, known = borders(ids, valid)
    assert known.tolist() == [[[True, False], [False, False]]]
    assert found[known].tolist() == [0]
    assert found.dtype == np.float32
