# Figures: one rule each, of what scripts/taskrsa/figures registers. Each has its numbers beside it.
for figure in registered().values():

    rule:
        name:
            figure.name if figure.name.startswith("figure") else f"figure_{figure.name}"
        input:
            **figure.inputs(RUN, PLAN.figure_settings),
            nothing=drawable(figure),
        output:
            **figure_files(figure),
        params:
            code=code_of("figure", figure.code),
            figure=figure.name,
            caption=figure.caption,
            tables=lambda wildcards, input: as_json(
                {key: files for key, files in input.items() if key != "nothing"}
            ),
            arguments=as_json(figure.arguments(PLAN.figure_settings)),
        message:
            f"Drawing {figure.title}"
        shell:
            command(
                "figure",
                params="name=figure tables arguments",
                output="pdf png csv texts",
            )
