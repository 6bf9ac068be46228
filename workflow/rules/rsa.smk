# RDMs of networks, labels and pixels, and how similar they are.


rule network_rdms:
    input:
        code=code_of("network_rdms"),
        stimuli=f"{RUN}/data/stimuli.h5",
        weights=f"{RUN}/bank/{{model}}/weights.safetensors",
    output:
        rdms=f"{RUN}/rdms/{{bank}}/{{model}}.h5",
        variants=f"{RUN}/rdms/{{bank}}_variants/{{model}}.h5",
        measures=f"{RUN}/rdms/{{bank}}_measures/{{model}}.h5",
    log:
        f"{RUN}/logs/rdms_{{bank}}_{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/rdms_{{bank}}_{{model}}.tsv"
    wildcard_constraints:
        bank="trained|random",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=config["rsa"]["mem_mb"],
        runtime=60,
        gpu=config["training"]["gpu"],
    params:
        kind=lambda wildcards: TASKS[wildcards.model].input if wildcards.model in TASKS else "rgb",
        may_clip=lambda wildcards: json.dumps(
            TASKS[wildcards.model].clip if wildcards.model in TASKS else True
        ),
        choices=json.dumps(RDM_CHOICES),
        variants=json.dumps(variants_of(RDM_CHOICES)),
        constant_images=config["rsa"]["constant_images"],
        batch_size=config["rsa"]["batch_size"],
        precision=config["rsa"]["precision"],
        features_mb=json.dumps(config["rsa"]["features_mb"]),
        grams=lambda wildcards, input: (
            f"--grams {shlex.quote(GRAM_CACHE)} --code {input.code}" if GRAM_CACHE else ""
        ),
    message:
        "Making the RDMs of {wildcards.model}"
    shell:
        "python {input.code[0]} --log {log} --model {wildcards.model} --kind {params.kind}"
        " --may_clip {params.may_clip} --choices {params.choices:q}"
        " --constant_images {params.constant_images} --batch_size {params.batch_size}"
        " --precision {params.precision} --features_mb {params.features_mb} {params.grams}"
        " --stimuli {input.stimuli} --weights {input.weights} --rdms {output.rdms}"
        " --variants {params.variants:q} --variant_rdms {output.variants}"
        " --measures {output.measures} --threads {threads}"


rule label_rdms:
    input:
        code=code_of("label_rdms"),
        stimuli=f"{RUN}/data/stimuli.h5",
        labels=f"{RUN}/labels/{{task}}.h5",
    output:
        rdms=f"{RUN}/rdms/labels/{{task}}.h5",
    log:
        f"{RUN}/logs/rdms_labels_{{task}}.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=30,
    params:
        centre=json.dumps(RDM_CHOICES["centre"]),
        constant_images=config["rsa"]["constant_images"],
    message:
        "Making the RDM of the labels of {wildcards.task}"
    shell:
        "python {input.code[0]} --log {log} --task {wildcards.task} --centre {params.centre}"
        " --constant_images {params.constant_images} --stimuli {input.stimuli}"
        " --labels {input.labels} --rdms {output.rdms}"


rule pixel_rdm:
    input:
        code=code_of("pixel_rdm"),
        stimuli=f"{RUN}/data/stimuli.h5",
    output:
        rdms=f"{RUN}/rdms/pixels/pixels.h5",
    log:
        f"{RUN}/logs/rdms_pixels.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        centre=json.dumps(RDM_CHOICES["centre"]),
        constant_images=config["rsa"]["constant_images"],
    message:
        "Making the RDM of the pixels"
    shell:
        "python {input.code[0]} --log {log} --centre {params.centre}"
        " --constant_images {params.constant_images} --stimuli {input.stimuli} --rdms {output.rdms}"


rule layer_similarity:
    input:
        code=code_of("similarity"),
        rdms=rdms_of_layer,
    output:
        table=f"{RUN}/similarity/{{layer}}.csv",
    log:
        f"{RUN}/logs/similarity_{{layer}}.log",
    benchmark:
        f"{RUN}/benchmarks/similarity_{{layer}}.tsv"
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
        "Comparing the RDMs at {wildcards.layer}"
    shell:
        "python {input.code[0]} --log {log} --layer {wildcards.layer} --rdms {input.rdms}"
        " --resamples {params.resamples} --permutations {params.permutations}"
        " --seed {params.seed} --table {output.table}"


rule similarity:
    input:
        code=code_of("join_tables"),
        parts=expand(f"{RUN}/similarity/{{layer}}.csv", layer=COMPARED_LAYERS),
    output:
        table=report(
            f"{RUN}/tables/similarity.csv",
            caption="../report/similarity.rst",
            category="Similarity",
        ),
    log:
        f"{RUN}/logs/similarity.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    message:
        "Collecting the similarities of all layers"
    shell:
        "python {input.code[0]} --log {log} --parts {input.parts} --table {output.table}"


rule type_separation:
    input:
        code=code_of("type_separation"),
        trained=expand(f"{RUN}/rdms/trained/{{task}}.h5", task=TASK_IDS),
        random=expand(f"{RUN}/rdms/random/{{model}}.h5", model=RANDOM_IDS),
        pixels=f"{RUN}/rdms/pixels/pixels.h5",
        labels=LABEL_RDMS,
    output:
        table=report(
            f"{RUN}/tables/type_separation.csv",
            caption="../report/type_separation.rst",
            category="Taxonomy",
        ),
    log:
        f"{RUN}/logs/type_separation.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=30,
    params:
        layers=LAYERS,
        types=json.dumps({task: TASKS[task].type for task in TASK_IDS}),
        clusters=config["rsa"]["clusters"],
        permutations=config["rsa"]["type_permutations"],
        seed=config["seed"],
    message:
        "Testing whether tasks of one type are alike, layer by layer"
    shell:
        "python {input.code[0]} --log {log} --layers {params.layers} --types {params.types:q}"
        " --clusters {params.clusters} --permutations {params.permutations} --seed {params.seed}"
        " --trained {input.trained} --random {input.random} --pixels {input.pixels}"
        " --labels {input.labels} --table {output.table}"


rule label_agreement:
    input:
        code=code_of("label_agreement"),
        similarity=f"{RUN}/tables/similarity.csv",
    output:
        table=report(
            f"{RUN}/tables/label_agreement.csv",
            caption="../report/label_agreement.rst",
            category="Taxonomy",
        ),
    log:
        f"{RUN}/logs/label_agreement.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        permutations=config["rsa"]["type_permutations"],
        seed=config["seed"],
    message:
        "Comparing what networks share with what their labels share"
    shell:
        "python {input.code[0]} --log {log} --similarity {input.similarity}"
        " --permutations {params.permutations} --seed {params.seed} --table {output.table}"


rule presets:
    input:
        code=code_of("presets"),
        rdms=expand(f"{RUN}/rdms/trained/{{task}}.h5", task=TASK_IDS),
        variants=expand(f"{RUN}/rdms/trained_variants/{{task}}.h5", task=TASK_IDS),
    output:
        table=report(
            f"{RUN}/tables/presets.csv",
            caption="../report/presets.rst",
            category="Similarity",
        ),
    log:
        f"{RUN}/logs/presets.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        choices=json.dumps(RDM_CHOICES),
        variants=json.dumps(variants_of(RDM_CHOICES)),
    message:
        "Measuring how far the choices of method move the similarities"
    shell:
        "python {input.code[0]} --log {log} --rdms {input.rdms} --variant_rdms {input.variants}"
        " --choices {params.choices:q} --variants {params.variants:q} --table {output.table}"
