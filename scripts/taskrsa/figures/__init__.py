"""The figures: one function per figure, tables in, Matplotlib figure out.

`taxonomy` draws the paper's Figures 4, 5 and 6 and what stands behind them, `bank` how well the
networks learnt, `save` writes a figure and the numbers drawn in it, `style` holds fonts, sizes,
colours and the order of the models. Nothing here reads a file or computes a statistic.
"""
