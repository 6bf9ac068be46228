# Networks that are made here: trained for a task each, and untrained ones as a control.


rule train_encoder:
    input:
        train_images=f"{RUN}/data/train.h5",
        val_images=f"{RUN}/data/val.h5",
        labels=lambda wildcards: f"{RUN}/labels/{PLAN.bank.all[wildcards.network].task}.h5",
    output:
        weights=f"{RUN}/bank/{{network}}/weights.safetensors",
        curve=f"{RUN}/bank/{{network}}/learning_curve.csv",
        quality=f"{RUN}/bank/{{network}}/quality.csv",
    benchmark:
        f"{RUN}/benchmarks/train_encoder_{{network}}.tsv"
    wildcard_constraints:
        network=among(PLAN.bank.trained),
    resources:
        **needs(CONFIG.training),
    params:
        code=code_of("train_encoder"),
        task=lambda wildcards: as_json(TASKS[PLAN.bank.all[wildcards.network].task].definition()),
        encoder=as_json(CONFIG.encoder),
        training=as_json(CONFIG.training.recipe),
        steps_factor=lambda wildcards: PLAN.steps_factor(wildcards.network),
        seed=CONFIG.seed,
    message:
        "Training {wildcards.network}"
    shell:
        command(
            "train_encoder",
            wildcards="model=network",
            input="train_images val_images labels",
            params="task encoder training steps_factor seed",
            output="weights curve quality",
        )


if PLAN.bank.untrained:

    rule random_encoders:
        output:
            weights=[PLAN.bank.weights(name) for name in PLAN.bank.untrained],
        resources:
            mem_mb=2000,
        params:
            code=code_of("random_encoders"),
            encoder=as_json(CONFIG.encoder),
            seed=CONFIG.seed + 1000,
        message:
            "Making untrained encoders"
        shell:
            command("random_encoders", params="encoder seed", output="weights")
