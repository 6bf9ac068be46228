"""The report: one self-contained HTML page about a run, made from its tables and pictures.

`view` turns tables of numbers into what a reader sees, `draw` makes inline SVG, `answer` says what
a user came for, `page` puts the sections in the paper's order and renders the templates. The same
inputs give the same bytes; only timings of jobs and the disk they used belong to the machine.
"""
