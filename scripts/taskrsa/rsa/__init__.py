"""Representation similarity analysis: RDMs, their similarity, inference and what follows.

Arrays in, arrays out; NumPy, SciPy, h5py and pandas only. A set of m RDMs over n images is an
(m, n (n - 1) / 2) matrix of condensed upper triangles in the order of
`scipy.spatial.distance.squareform`.
"""
