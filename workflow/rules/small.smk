# Small models on little data, their rankings of the bank, and how robust these are (sections 4.2, 6.2).


rule train_small:
    input:
        code=code_of("train_encoder"),
        train=f"{RUN}/data/train.h5",
        val=f"{RUN}/data/val.h5",
        labels=f"{RUN}/labels/{{task}}.h5",
    output:
        weights=f"{RUN}/small/{{task}}/w{{width}}_s{{seed}}/weights.safetensors",
        curve=f"{RUN}/small/{{task}}/w{{width}}_s{{seed}}/learning_curve.csv",
        quality=f"{RUN}/small/{{task}}/w{{width}}_s{{seed}}/quality.csv",
        stages=expand(
            f"{RUN}/small/{{{{task}}}}/w{{{{width}}}}_s{{{{seed}}}}/stage_{{percent}}.safetensors",
            percent=STAGES,
        ),
    log:
        f"{RUN}/logs/train_small_{{task}}_w{{width}}_s{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/train_small_{{task}}_w{{width}}_s{{seed}}.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=config["small"]["mem_mb"],
        runtime=config["small"]["runtime"],
        gpu=config["training"]["gpu"],
    params:
        task=lambda wildcards: json.dumps(TASKS[wildcards.task].definition()),
        encoder=lambda wildcards: json.dumps(small_encoder(int(wildcards.width))),
        training=json.dumps(config["small"]["recipe"]),
        steps_factor=lambda wildcards: config["small"]["steps_factor"].get(wildcards.task, 1),
        n_train=json.dumps(config["small"]["n_train"]),
        percents=STAGES,
        # Other weights and batches than the bank's, which start from the run's own seed.
        seed=lambda wildcards: config["seed"] + 2000 + int(wildcards.seed),
    message:
        "Training the small model of {wildcards.task}, {wildcards.width} channels, seed {wildcards.seed}"
    shell:
        "python {input.code[0]} --log {log} --model {wildcards.task}_w{wildcards.width}_s{wildcards.seed}"
        " --task {params.task:q} --encoder {params.encoder:q} --training {params.training:q}"
        " --steps_factor {params.steps_factor} --seed {params.seed} --n_train {params.n_train}"
        " --train_images {input.train} --val_images {input.val} --labels {input.labels}"
        " --weights {output.weights} --curve {output.curve} --quality {output.quality}"
        " --stages {output.stages} --stage_percents {params.percents} --threads {threads}"


rule small_quality:
    input:
        code=code_of("join_tables"),
        parts=expand(
            f"{RUN}/small/{{task}}/{{variant}}/quality.csv",
            task=SMALL_IDS,
            variant=SEED_VARIANTS,
        ),
    output:
        table=report(
            f"{RUN}/small/quality.csv",
            caption="../report/small_quality.rst",
            category="Small models",
        ),
    log:
        f"{RUN}/logs/small_quality.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    message:
        "Collecting what each small model has learnt"
    shell:
        "python {input.code[0]} --log {log} --parts {input.parts} --table {output.table}"


rule small_rdms:
    input:
        code=code_of("small_rdms"),
        stimuli=f"{RUN}/data/stimuli.h5",
        weights=lambda wildcards: small_weights(wildcards.task, SEED_VARIANTS),
    output:
        rdms=expand(f"{RUN}/rdms/small_{{variant}}/{{{{task}}}}.h5", variant=SEED_VARIANTS),
    log:
        f"{RUN}/logs/small_rdms_{{task}}.log",
    benchmark:
        f"{RUN}/benchmarks/rdms_small_{{task}}.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=config["rsa"]["mem_mb"],
        runtime=60,
        gpu=config["training"]["gpu"],
    params:
        kind=lambda wildcards: TASKS[wildcards.task].input,
        may_clip=lambda wildcards: json.dumps(TASKS[wildcards.task].clip),
        choices=json.dumps(RDM_CHOICES),
        constant_images=config["rsa"]["constant_images"],
        batch_size=config["rsa"]["batch_size"],
        precision=config["rsa"]["precision"],
        features_mb=json.dumps(config["rsa"]["features_mb"]),
        models=lambda wildcards: [f"{wildcards.task}_{variant}" for variant in SEED_VARIANTS],
    message:
        "Making the RDMs of the small models of {wildcards.task}"
    shell:
        "python {input.code[0]} --log {log} --task {wildcards.task} --kind {params.kind}"
        " --may_clip {params.may_clip} --choices {params.choices:q}"
        " --constant_images {params.constant_images} --batch_size {params.batch_size}"
        " --precision {params.precision} --features_mb {params.features_mb}"
        " --stimuli {input.stimuli} --models {params.models} --weights {input.weights}"
        " --rdms {output.rdms} --threads {threads}"


use rule small_rdms as small_variant_rdms with:
    input:
        code=code_of("small_rdms"),
        stimuli=f"{RUN}/data/stimuli.h5",
        weights=lambda wildcards: small_weights(wildcards.task, OTHER_VARIANTS),
    output:
        rdms=expand(f"{RUN}/rdms/small_{{variant}}/{{{{task}}}}.h5", variant=OTHER_VARIANTS),
    log:
        f"{RUN}/logs/small_variant_rdms_{{task}}.log",
    benchmark:
        f"{RUN}/benchmarks/rdms_small_variants_{{task}}.tsv"
    params:
        kind=lambda wildcards: TASKS[wildcards.task].input,
        may_clip=lambda wildcards: json.dumps(TASKS[wildcards.task].clip),
        choices=json.dumps(RDM_CHOICES),
        constant_images=config["rsa"]["constant_images"],
        batch_size=config["rsa"]["batch_size"],
        precision=config["rsa"]["precision"],
        features_mb=json.dumps(config["rsa"]["features_mb"]),
        models=lambda wildcards: [f"{wildcards.task}_{variant}" for variant in OTHER_VARIANTS],
    message:
        "Making the RDMs of {wildcards.task} at other widths and stages"


rule small_vs_bank:
    input:
        code=code_of("small_vs_bank"),
        bank=BANK_RDMS,
        small=small_rdm_files(SMALL_IDS, SEED_VARIANTS),
    output:
        rankings=report(
            f"{RUN}/tables/figure7.csv",
            caption="../report/rankings.rst",
            category="Small models",
        ),
        agreement=report(
            f"{RUN}/tables/small_vs_bank.csv",
            caption="../report/small_vs_bank.rst",
            category="Small models",
        ),
        pairs=f"{RUN}/tables/small_pairs.csv",
        matrices=report(
            f"{RUN}/tables/small_agreement.csv",
            caption="../report/figureS3.rst",
            category="Small models",
        ),
    log:
        f"{RUN}/logs/small_vs_bank.log",
    benchmark:
        f"{RUN}/benchmarks/small_vs_bank.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        tasks=SMALL_IDS,
        n_seeds=len(SEED_VARIANTS),
        resamples=config["rsa"]["bootstraps"],
        permutations=config["rsa"]["permutations"],
        seed=config["seed"],
    message:
        "Comparing the rankings of small models with those of the bank's"
    shell:
        "python {input.code[0]} --log {log} --bank {input.bank} --small {input.small}"
        " --tasks {params.tasks} --n_seeds {params.n_seeds}"
        " --resamples {params.resamples} --permutations {params.permutations} --seed {params.seed}"
        " --rankings {output.rankings} --agreement {output.agreement} --pairs {output.pairs}"
        " --matrices {output.matrices}"


rule robustness_images:
    input:
        code=code_of("robustness_images"),
        bank=BANK_RDMS,
        small=small_rdm_files(SMALL_IDS, SEED_VARIANTS[:1]),
    output:
        table=report(
            f"{RUN}/tables/robustness_images.csv",
            caption="../report/robustness.rst",
            category="Robustness",
        ),
    log:
        f"{RUN}/logs/robustness_images.log",
    benchmark:
        f"{RUN}/benchmarks/robustness_images.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        tasks=SMALL_IDS,
        sizes=IMAGE_COUNTS,
        subsets=config["robustness"]["subsets"],
        seed=config["seed"],
    message:
        "Ranking the bank from fewer images"
    shell:
        "python {input.code[0]} --log {log} --bank {input.bank} --small {input.small}"
        " --tasks {params.tasks} --sizes {params.sizes} --subsets {params.subsets}"
        " --seed {params.seed} --table {output.table}"


rule robustness_models:
    input:
        code=code_of("robustness_models"),
        bank=BANK_RDMS,
        small=lambda wildcards: small_rdm_files(*FACTORS[wildcards.factor][:2]),
    output:
        table=report(
            f"{RUN}/tables/robustness_{{factor}}.csv",
            caption="../report/robustness.rst",
            category="Robustness",
        ),
    log:
        f"{RUN}/logs/robustness_{{factor}}.log",
    wildcard_constraints:
        factor="width|stage|seed",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        tasks=lambda wildcards: FACTORS[wildcards.factor][0],
        values=lambda wildcards: FACTORS[wildcards.factor][2],
        default=lambda wildcards: FACTORS[wildcards.factor][3],
    message:
        "Ranking the bank by small models that differ in {wildcards.factor}"
    shell:
        "python {input.code[0]} --log {log} --factor {wildcards.factor} --values {params.values}"
        " --default {params.default} --bank {input.bank} --small {input.small}"
        " --tasks {params.tasks} --table {output.table}"
