"""Sources of images. One module per source; `open_source` finds it by name."""
