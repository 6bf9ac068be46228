"""The page: the answer for each target, then the sections, in one self-contained HTML file."""

from __future__ import annotations

import jinja2
from markupsafe import Markup

from taskrsa.errors import DataError
from taskrsa.report import draw, view
from taskrsa.report.answer import bank_answer, said_once, target_answer
from taskrsa.report.inputs import Inputs
from taskrsa.report.sections import TEMPLATES, all_sections, first_choices, first_ranks


def render(inputs: Inputs) -> str:
    """Return the page of a run as HTML.

    Raises DataError if a picture cannot be read or a table lacks a column.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        layers = list(inputs.table("similarity")["layer"])
        notes, answers = said_once([target_answer(inputs, target) for target in inputs.ranked])
        answers = [(answer, first_ranks(inputs, answer.target)) for answer in answers]
        return environment.get_template("page.html.j2").render(
            run=inputs.config.run,
            answers=answers or [(bank_answer(inputs), None)],
            summary=first_choices(inputs) if len(answers) > 1 else None,
            notes=notes,
            sections=all_sections(inputs),
            shown_layer=inputs.layer if inputs.layer in layers else layers[0],
            types=inputs.marks,
            scale=draw.scale(),
            view=view,
            css=Markup(_text("page.css") + draw.type_css(inputs.marks.values())),
            script=Markup(_text("page.js")),
        )
    except KeyError as error:
        raise DataError(f"a table of the report has no column {error}; make it again") from None


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
