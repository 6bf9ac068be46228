# Networks of the user's own (a table, config/banks/*.tsv), shown the run's stimuli and compared.


rule bank_rdms:
    input:
        code=code_of("bank_rdms"),
        stimuli=f"{RUN}/data/stimuli.h5",
        weights=lambda wildcards: own_weights(wildcards.own),
    output:
        rdms=f"{RUN}/rdms/own/{{own}}.h5",
    log:
        f"{RUN}/logs/rdms_own_{{own}}.log",
    benchmark:
        f"{RUN}/benchmarks/rdms_own_{{own}}.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=config["rsa"]["mem_mb"],
        runtime=60,
    params:
        # Cells as text: a changed row is made again, the others are not.
        row=lambda wildcards: json.dumps(OWN_ROWS[wildcards.own]),
        weights=lambda wildcards, input: (
            f"--weights {shlex.quote(str(input.weights))}" if input.weights else ""
        ),
        centre=json.dumps(RDM_CHOICES["centre"]),
        constant_images=config["rsa"]["constant_images"],
        batch_size=config["rsa"]["batch_size"],
        features_mb=json.dumps(config["rsa"]["features_mb"]),
    message:
        "Making the RDMs of {wildcards.own}, of the user's own bank"
    shell:
        # Factories are the user's modules, beside the config or wherever Python finds them.
        "PYTHONPATH=.${{PYTHONPATH:+:$PYTHONPATH}} python {input.code[0]} --log {log}"
        " --row {params.row:q} {params.weights} --centre {params.centre}"
        " --constant_images {params.constant_images} --batch_size {params.batch_size}"
        " --features_mb {params.features_mb} --stimuli {input.stimuli} --rdms {output.rdms}"
        " --threads {threads}"


rule own_similarity:
    input:
        code=code_of("similarity"),
        rdms=expand(f"{RUN}/rdms/own/{{own}}.h5", own=OWN_ROWS),
    output:
        table=report(
            f"{RUN}/tables/own_similarity_{{own_layer}}.csv",
            caption="../report/similarity.rst",
            category="Own bank",
        ),
    log:
        f"{RUN}/logs/own_similarity_{{own_layer}}.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        resamples=config["rsa"]["bootstraps"],
        permutations=config["rsa"]["permutations"],
        seed=config["seed"],
    message:
        "Comparing the user's own networks at {wildcards.own_layer}"
    shell:
        "python {input.code[0]} --log {log} --layer {wildcards.own_layer:q} --rdms {input.rdms}"
        " --resamples {params.resamples} --permutations {params.permutations}"
        " --seed {params.seed} --table {output.table}"


rule own_report:
    input:
        code=code_of("own_report"),
        templates=sorted(
            map(os.path.relpath, (SCRIPTS / "taskrsa/report/templates").glob("page.*"))
        ),
        networks=OWN_TABLE,
        similarity=expand(f"{RUN}/tables/own_similarity_{{own_layer}}.csv", own_layer=OWN_LAYERS),
        tables=[
            *expand(
                f"{RUN}/tables/{{name}}.csv",
                name=["target_ranking", "target_images"] * bool(OWN_TARGET)
                + ["target_scores"] * IS_LABELLED,
            ),
            *[f"{RUN}/target/cost.csv"] * IS_LABELLED,
        ],
        curves=lambda wildcards: own_curves() if IS_LABELLED else [],
        pictures=[f"{RUN}/figures/target_ranking.png"] * bool(OWN_TARGET),
        captions=[os.path.relpath(BASE / "workflow/report/own_ranking.rst")],
        stimuli=f"{RUN}/stimuli.csv",
        labelled=[f"{RUN}/target/images.csv"] * IS_LABELLED,
    output:
        page=f"{RUN}/own_report.html",
    log:
        f"{RUN}/logs/own_report.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        layer=config["target"]["layer"],
        target=f"--target_name {config['target']['network']}" if OWN_TARGET == "network" else "",
        results=subpath(output.page, parent=True),
        # Not inputs: timings are no results. What they are of has run before the tables above.
        benchmarks=f"{RUN}/benchmarks",
        settings=json.dumps(config),
        packages=REPORTED_PACKAGES,
    message:
        "Writing the report, {output.page}"
    shell:
        "python {input.code[0]} --log {log} --networks {input.networks:q}"
        " --similarity {input.similarity} --tables {input.tables} --curves {input.curves}"
        " --pictures {input.pictures} --captions {input.captions} --stimuli {input.stimuli}"
        " --labelled {input.labelled} --layer {params.layer:q}"
        " {params.target} --results {params.results}"
        " --benchmarks {params.benchmarks} --settings {params.settings:q}"
        " --packages {params.packages} --page {output.page}"
