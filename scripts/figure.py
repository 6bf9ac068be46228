"""Draw one of the registered figures: PDF, PNG and the numbers drawn as CSV."""

from importlib import import_module

from taskrsa.entry import run
from taskrsa.figures.files import save_data, save_figure
from taskrsa.figures.registry import registered
from taskrsa.io.files import atomic_path, read_table


def main(
    name: str,
    tables: dict,
    arguments: dict,
    pdf: str,
    png: str,
    csv: str,
    texts: list[str],
) -> None:
    """`tables` are files, or lists of files, by the arguments of the figure's function."""
    known = registered()[name]
    draw = getattr(import_module(known.module), known.function)
    frames = {
        argument: [read_table(path) for path in files]
        if isinstance(files, list)
        else read_table(files)
        for argument, files in tables.items()
    }
    drawn = draw(**frames, **arguments)
    save_figure(drawn.figure, pdf, png)
    save_data(drawn.numbers, csv)
    for end, path in zip(known.texts, texts, strict=True):
        with atomic_path(path) as temporary:
            temporary.write_text(drawn.texts[end])


if __name__ == "__main__":
    run(main)
