"""The figures: one function each, tables in, a Matplotlib figure and the numbers drawn out.

`registry` says which there are; a module holds the functions of one family. `style` and `sheet` are
their common look and layout; `matrices`, `trees` and `marks` draw what several of them share,
`files` reads, checks and writes. Nothing else here reads a file or computes a statistic.
"""
