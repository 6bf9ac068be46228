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
