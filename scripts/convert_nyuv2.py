"""Convert NYU Depth v2's labelled frames to a folder of RGB-D images.

Reads `mat`, nyu_depth_v2_labeled.mat. Writes images.csv, camera.json, rgb/, depth/, and with
classes semantic/ and classes.txt, to `folder`. `options` are those of
`taskrsa.data.nyuv2.ConversionConfig`.
"""

from taskrsa.data.nyuv2 import ConversionConfig, convert
from taskrsa.entry import run


def main(mat: str, folder: str, options: dict) -> None:
    convert(mat, folder, ConversionConfig(**options))


if __name__ == "__main__":
    run(main)
