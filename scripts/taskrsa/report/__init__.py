"""The report: one self-contained HTML page about a run, made from its tables and pictures.

`read` opens a run's files as `inputs`; `view` turns tables of numbers into what a reader sees and
`draw` makes inline SVG; `answer` has the sentences, `sections` fill what templates/page.yaml lists,
and `page` renders. The same inputs give the same bytes; only timings and sizes vary.
"""
