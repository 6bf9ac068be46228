# Targets: small models of each rank the bank, and fine-tuning shows what a ranking is worth
# (section 6.3, Figure 8 and Table 2).

from itertools import chain

# The resources of jobs that train on a target.
FINETUNING = {
    "mem_mb": lambda wildcards, attempt: attempt * PLAN.targets[wildcards.target].config.mem_mb,
    "runtime": lambda wildcards: PLAN.targets[wildcards.target].config.runtime,
    "gpu": CONFIG.training.gpu,
}
# Where a card computes, they read and crop the images of the next batches.
FINETUNING_THREADS = 8 if CONFIG.training.gpu else 1

# Other rules make what a race fine-tunes (race.smk).
RACED = among(name for name, target in PLAN.targets.items() if target.is_raced)
NOT_RACED = among(name for name, target in PLAN.targets.items() if not target.is_raced)


rule prepare_target:
    input:
        files=of_target(lambda target: target.files()),
    output:
        data=f"{RUN}/targets/{{target}}/data.h5",
        table=table("targets/{target}/images", "Targets"),
    benchmark:
        f"{RUN}/benchmarks/prepare_target_{{target}}.tsv"
    threads: 2
    resources:
        mem_mb=3500,
        runtime=120,
    params:
        code=code_of("prepare_target"),
        target=of_target(lambda target: as_json(target.data())),
        seed=CONFIG.seed,
    message:
        "Reading the labelled images of {wildcards.target}"
    shell:
        command("prepare_target", params="target seed", output="data table")


rule train_target_model:
    input:
        data=f"{RUN}/targets/{{target}}/data.h5",
    output:
        output_weights=f"{RUN}/targets/{{target}}/small/s{{seed}}/weights.safetensors",
        output_encoder=f"{RUN}/targets/{{target}}/small/s{{seed}}/encoder.safetensors",
        curve=f"{RUN}/targets/{{target}}/small/s{{seed}}/learning_curve.csv",
        scores=f"{RUN}/targets/{{target}}/small/s{{seed}}/scores.csv",
    benchmark:
        f"{RUN}/benchmarks/train_target_{{target}}_s{{seed}}.tsv"
    threads: FINETUNING_THREADS
    resources:
        **FINETUNING,
    params:
        code=code_of("finetune"),
        model="small",
        encoder=of_target(lambda target: as_json(target.small_encoder)),
        head=of_target(lambda target: as_json(target.config.small.head)),
        recipe=of_target(lambda target: as_json(target.config.small.recipe)),
        n_train=of_target(lambda target: as_json(target.config.n_train)),
        seed=lambda wildcards: CONFIG.seed + 3000 + int(wildcards.seed),
    message:
        "Training the small model of {wildcards.target}, seed {wildcards.seed}"
    shell:
        command(
            "finetune",
            input="data",
            params="model encoder head recipe n_train seed",
            output="output_weights output_encoder curve scores",
        )


use rule other_rdms as target_rdms with:
    input:
        stimuli=f"{RUN}/data/stimuli.h5",
        weights=f"{RUN}/targets/{{target}}/small/s{{seed}}/encoder.safetensors",
    output:
        rdms=f"{RUN}/rdms/target_{{target}}/s{{seed}}.h5",
    benchmark:
        f"{RUN}/benchmarks/rdms_target_{{target}}_s{{seed}}.tsv"
    params:
        code=code_of("network_rdms"),
        rows=lambda wildcards: as_json(PLAN.targets[wildcards.target].small_row(wildcards.seed)),
    message:
        "Making the RDMs of the small model of {wildcards.target}, seed {wildcards.seed}"


# Of its training images, as networks are shown them for RSA.
rule target_stimuli:
    input:
        data=f"{RUN}/targets/{{target}}/data.h5",
    output:
        pack=f"{RUN}/targets/{{target}}/stimuli.h5",
        table=table("targets/{target}/stimuli", "Targets"),
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code_of("target_stimuli"),
        n=of_target(lambda target: target.config.n_stimuli),
        n_train=of_target(lambda target: as_json(target.config.n_train)),
        side=CONFIG.image_size,
        seed=CONFIG.seed,
    message:
        "Taking images of {wildcards.target} to rank networks on"
    shell:
        command(
            "target_stimuli",
            wildcards="target",
            input="data",
            params="n n_train side seed",
            output="pack table",
        )


rule own_rdms:
    input:
        stimuli=f"{RUN}/targets/{{target}}/stimuli.h5",
        weights=asked(lambda wildcards: PLAN.weights(wildcards.network)),
        beside=beside,
    output:
        rdms=f"{RUN}/targets/{{target}}/rdms/{{network}}.h5",
    benchmark:
        f"{RUN}/benchmarks/rdms_own_{{target}}.{{network}}.tsv"
    wildcard_constraints:
        network=among(PLAN.bank.all),
    resources:
        **needs(CONFIG.rsa),
    params:
        **RDM_PARAMS,
        code=code_of("network_rdms"),
        rows=lambda wildcards: [as_json(PLAN.bank.all[wildcards.network])],
    message:
        "Making the RDMs of {wildcards.network} on images of {wildcards.target}"
    shell:
        command("network_rdms", USER_MODULES, **RDM_FLAGS, output="rdms")


use rule target_rdms as own_target_rdms with:
    input:
        stimuli=f"{RUN}/targets/{{target}}/stimuli.h5",
        weights=f"{RUN}/targets/{{target}}/small/s{{seed}}/encoder.safetensors",
    output:
        rdms=f"{RUN}/targets/{{target}}/small/s{{seed}}/rdms.h5",
    benchmark:
        f"{RUN}/benchmarks/rdms_own_{{target}}.small.s{{seed}}.tsv"
    message:
        "Making the RDMs of the small model of {wildcards.target}, seed {wildcards.seed}, on its images"


# Where both are at hand, the run's stimuli stand beside the target's own images, which decide.
rule rank_networks:
    input:
        bank=of_target(lambda target: target.compared(target.stimuli[0])[0]),
        target=of_target(lambda target: target.rdms),
        random=of_target(lambda target: target.control_rdms),
        bank_beside=of_target(lambda target: target.beside[0]),
        target_beside=of_target(lambda target: target.beside[1]),
    output:
        table=table("targets/{target}/ranking", "Targets"),
        by_images=table("targets/{target}/ranking_images", "Targets"),
    benchmark:
        f"{RUN}/benchmarks/rank_networks_{{target}}.tsv"
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        code=code_of("rank_networks"),
        networks=of_target(lambda target: as_json(target.labels)),
        untrained=of_target(lambda target: as_json(target.untrained)),
        layer=PLAN.bank.layer,
        target_layer=of_target(lambda target: target.layer),
        sizes=of_target(lambda target: target.image_counts(PLAN.image_counts)),
        resamples=CONFIG.rsa.bootstraps,
        permutations=CONFIG.rsa.type_permutations,
        seed=CONFIG.seed,
        published=of_target(lambda target: as_json(target.is_pascal)),
    message:
        "Ranking the networks for {wildcards.target}"
    shell:
        command(
            "rank_networks",
            input="bank target random bank_beside target_beside",
            params="networks untrained layer target_layer sizes resamples permutations seed published",
            output="table by_images",
        )


rule finetune:
    input:
        data=f"{RUN}/targets/{{target}}/data.h5",
        weights=asked(lambda wildcards: PLAN.start(wildcards.network)),
        beside=beside,
    output:
        output_weights=f"{RUN}/targets/{{target}}/finetuned/{{tap}}/{{network}}/s{{seed}}/weights.safetensors",
        curve=f"{RUN}/targets/{{target}}/finetuned/{{tap}}/{{network}}/s{{seed}}/learning_curve.csv",
        scores=f"{RUN}/targets/{{target}}/finetuned/{{tap}}/{{network}}/s{{seed}}/scores.csv",
    benchmark:
        f"{RUN}/benchmarks/finetune_{{target}}_{{tap}}_{{network}}_s{{seed}}.tsv"
    wildcard_constraints:
        target=NOT_RACED,
    threads: FINETUNING_THREADS
    resources:
        **FINETUNING,
    params:
        code=code_of("finetune"),
        weights=lambda wildcards, input: input.get("weights") or "null",
        row=lambda wildcards: as_json(PLAN.bank.networks.get(wildcards.network)),
        encoder=lambda wildcards: as_json(PLAN.targets[wildcards.target].encoder(wildcards.network)),
        # The small encoder has no blocks: its compressed output is all that there is to tap.
        tap=lambda wildcards: "compressed" if wildcards.network == "random_small" else wildcards.tap,
        head=lambda wildcards: as_json(PLAN.targets[wildcards.target].head(wildcards.network)),
        recipe=of_target(lambda target: as_json(target.config.recipe)),
        n_train=of_target(lambda target: as_json(target.config.n_train)),
        seed=lambda wildcards: CONFIG.seed + 4000 + int(wildcards.seed),
    message:
        "Fine-tuning {wildcards.network} on {wildcards.target} at {wildcards.tap}, seed {wildcards.seed}"
    shell:
        command(
            "finetune",
            USER_MODULES,
            wildcards="model=network",
            input="data",
            params="weights row encoder tap head recipe n_train seed",
            output="output_weights curve scores",
        )


rule target_scores:
    input:
        ranking=f"{RUN}/targets/{{target}}/ranking.csv",
        runs=f"{RUN}/targets/{{target}}/runs.csv",
        bank=of_target(lambda target: target.compared(target.stimuli[0])[0]),
        target=of_target(lambda target: target.rdms),
        bank_beside=of_target(lambda target: target.beside[0]),
        target_beside=of_target(lambda target: target.beside[1]),
    output:
        table=table("targets/{target}/scores", "Targets"),
        prediction=table("targets/{target}/prediction", "Targets"),
        choice=table("targets/{target}/choice", "Targets"),
    wildcard_constraints:
        target=NOT_RACED,
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code_of("target_scores"),
        layer=PLAN.bank.layer,
        target_layer=of_target(lambda target: target.layer),
        same_task=of_target(lambda target: target.same_task or "null"),
        resamples=CONFIG.rsa.bootstraps,
        permutations=CONFIG.rsa.type_permutations,
        seed=CONFIG.seed,
        published=of_target(lambda target: as_json(target.is_pascal)),
    message:
        "Setting what fine-tuning on {wildcards.target} reached beside the ranking"
    shell:
        command(
            "target_scores",
            input="ranking runs bank target bank_beside target_beside",
            params="layer target_layer same_task resamples permutations seed published",
            output="table prediction choice",
        )


# Timings, so no table of results: they differ from run to run.
rule target_cost:
    input:
        data=f"{RUN}/targets/{{target}}/data.h5",
        files=of_target(lambda target: list(filter(None, map(PLAN.weights, target.trainable)))),
        beside=of_target(lambda target: [*chain(*map(PLAN.bank.beside, target.trainable))]),
    output:
        table=f"{RUN}/targets/{{target}}/cost.csv",
    threads: FINETUNING_THREADS
    resources:
        **FINETUNING,
    params:
        code=code_of("target_cost"),
        rows=of_target(lambda target: as_json(target.rows)),
        weights=of_target(lambda target: [PLAN.weights(name) or "-" for name in target.trainable]),
        tap=of_target(lambda target: target.config.tap),
        head=of_target(lambda target: as_json(target.config.head)),
        recipe=of_target(lambda target: as_json(target.config.recipe)),
        seeds=of_target(lambda target: len(target.config.seeds)),
        n_train=of_target(lambda target: as_json(target.config.n_train)),
    message:
        "Measuring what fine-tuning the whole bank on {wildcards.target} would take"
    shell:
        command(
            "target_cost",
            USER_MODULES,
            input="data",
            params="rows weights tap head recipe seeds n_train",
            output="table",
        )


rule submission:
    input:
        weights=f"{RUN}/targets/{{target}}/finetuned/{{tap}}/{{network}}/s{{seed}}/weights.safetensors",
        start=asked(lambda wildcards: PLAN.start(wildcards.network)),
    output:
        archive=f"{RUN}/targets/{{target}}/finetuned/{{tap}}/{{network}}/s{{seed}}/submission.tar",
    resources:
        **FINETUNING,
    params:
        code=code_of("submission"),
        devkit=of_target(lambda target: target.data().path),
        images=of_target(lambda target: target.config.test_list),
        # A network of another design is made again from its row and weights.
        row=lambda wildcards: as_json(PLAN.bank.networks.get(wildcards.network)),
        start=lambda wildcards, input: input.get("start") or "null",
    message:
        "Predicting the {params.images} images for the organisers' server"
    shell:
        command(
            "submission",
            USER_MODULES,
            input="weights",
            params="devkit images row start",
            output="archive",
        )
