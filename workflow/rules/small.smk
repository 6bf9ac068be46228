# Small models on little data, their rankings of the bank, and how robust these are (sections 4.2, 6.2).


rule train_small:
    input:
        train_images=f"{RUN}/data/train.h5",
        val_images=f"{RUN}/data/val.h5",
        labels=f"{RUN}/labels/{{task}}.h5",
    output:
        weights=f"{RUN}/small/{{task}}/w{{width}}_s{{seed}}/weights.safetensors",
        curve=f"{RUN}/small/{{task}}/w{{width}}_s{{seed}}/learning_curve.csv",
        quality=f"{RUN}/small/{{task}}/w{{width}}_s{{seed}}/quality.csv",
        stages=expand(
            f"{RUN}/small/{{{{task}}}}/w{{{{width}}}}_s{{{{seed}}}}/stage_{{percent}}.safetensors",
            percent=PLAN.small.stages,
        ),
    benchmark:
        f"{RUN}/benchmarks/train_small_{{task}}_w{{width}}_s{{seed}}.tsv"
    resources:
        **needs(CONFIG.small),
    params:
        code=code_of("train_encoder"),
        model="{task}_w{width}_s{seed}",
        task=lambda wildcards: as_json(TASKS[wildcards.task].definition()),
        encoder=lambda wildcards: as_json(small_encoder(CONFIG.encoder, int(wildcards.width))),
        training=as_json(CONFIG.small.recipe),
        steps_factor=lambda wildcards: CONFIG.small.steps_factor.get(wildcards.task, 1),
        n_train=as_json(CONFIG.small.n_train),
        stage_percents=PLAN.small.stages,
        # Other weights and batches than the bank's, which start from the run's own seed.
        seed=lambda wildcards: CONFIG.seed + 2000 + int(wildcards.seed),
    message:
        "Training the small model of {wildcards.task}, {wildcards.width} channels, seed {wildcards.seed}"
    shell:
        command(
            "train_encoder",
            input="train_images val_images labels",
            params="model task encoder training steps_factor n_train stage_percents seed",
            output="weights curve quality stages",
        )


# Several in one job: each takes less time than a job's start.
use rule other_rdms as small_rdms with:
    input:
        stimuli=f"{RUN}/data/stimuli.h5",
        weights=lambda wildcards: PLAN.small.weights(wildcards.task, PLAN.small.by_seed),
    output:
        rdms=expand(f"{RUN}/rdms/small_{{variant}}/{{{{task}}}}.h5", variant=PLAN.small.by_seed),
    benchmark:
        f"{RUN}/benchmarks/rdms_small_{{task}}.tsv"
    params:
        code=code_of("network_rdms"),
        rows=lambda wildcards: PLAN.small.rows(wildcards.task, PLAN.small.by_seed),
    message:
        "Making the RDMs of the small models of {wildcards.task}"


use rule other_rdms as small_variant_rdms with:
    input:
        stimuli=f"{RUN}/data/stimuli.h5",
        weights=lambda wildcards: PLAN.small.weights(wildcards.task, PLAN.small.others),
    output:
        rdms=expand(f"{RUN}/rdms/small_{{variant}}/{{{{task}}}}.h5", variant=PLAN.small.others),
    benchmark:
        f"{RUN}/benchmarks/rdms_small_variants_{{task}}.tsv"
    params:
        code=code_of("network_rdms"),
        rows=lambda wildcards: PLAN.small.rows(wildcards.task, PLAN.small.others),
    message:
        "Making the RDMs of {wildcards.task} at other widths and stages"


rule small_vs_bank:
    input:
        bank=PLAN.task_rdms,
        small=PLAN.small.rdms(PLAN.small.tasks, PLAN.small.by_seed),
        random=PLAN.bank.rdms(PLAN.bank.controls(PLAN.bank.layer), "random"),
    output:
        rankings=table("tables/figure7", "Small models"),
        agreement=table("tables/small_vs_bank", "Small models"),
        pairs=f"{RUN}/tables/small_pairs.csv",
        matrices=table("tables/small_agreement", "Small models"),
    benchmark:
        f"{RUN}/benchmarks/small_vs_bank.tsv"
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        code=code_of("small_vs_bank"),
        tasks=PLAN.small.tasks,
        resamples=CONFIG.rsa.bootstraps,
        permutations=CONFIG.rsa.permutations,
        seed=CONFIG.seed,
        layer=PLAN.bank.layer,
    message:
        "Comparing the rankings of small models with those of the bank's networks"
    shell:
        command(
            "small_vs_bank",
            input="bank small random",
            params="tasks resamples permutations seed layer",
            output="rankings agreement pairs matrices",
        )


rule robustness_images:
    input:
        bank=PLAN.task_rdms,
        queries=PLAN.queries["rdms"],
    output:
        table=table("tables/robustness_images", "Robustness"),
    benchmark:
        f"{RUN}/benchmarks/robustness_images.tsv"
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        code=code_of("robustness_images"),
        tasks=PLAN.queries["tasks"],
        sizes=PLAN.image_counts,
        subsets=CONFIG.robustness.subsets,
        seed=CONFIG.seed,
        layer=PLAN.bank.layer,
        query_layer="compressed" if PLAN.small.tasks else PLAN.bank.layer,
    message:
        "Ranking the bank from fewer images"
    shell:
        command(
            "robustness_images",
            input="bank queries",
            params="tasks sizes subsets seed layer query_layer",
            output="table",
        )


rule robustness_models:
    input:
        bank=PLAN.task_rdms,
        small=lambda wildcards: PLAN.small.factors[wildcards.factor].rdms,
    output:
        table=table("tables/robustness_{factor}", "Robustness"),
    wildcard_constraints:
        factor="width|stage|seed",
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        code=code_of("robustness_models"),
        tasks=lambda wildcards: PLAN.small.factors[wildcards.factor].tasks,
        values=lambda wildcards: PLAN.small.factors[wildcards.factor].values,
        default=lambda wildcards: PLAN.small.factors[wildcards.factor].default,
        layer=PLAN.bank.layer,
    message:
        "Ranking the bank by small models that differ in {wildcards.factor}"
    shell:
        command(
            "robustness_models",
            wildcards="factor",
            input="bank small",
            params="tasks values default layer",
            output="table",
        )
