# A new task, semantic segmentation of other images: its ranking of the bank, and whether that predicts
# what fine-tuning reaches (section 6.3, Figure 8 and Table 2).


rule prepare_target:
    input:
        code=code_of("prepare_target"),
        files=lambda wildcards: target_files(),
    output:
        **({"folder": directory(TARGET_FOLDER)} if TARGET_IS_MADE else {}),
        table=report(
            f"{RUN}/pascal/images.csv",
            caption="../report/target_images.rst",
            category="New task",
        ),
    log:
        f"{RUN}/logs/prepare_target.log",
    benchmark:
        f"{RUN}/benchmarks/prepare_target.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        source=lambda wildcards: json.dumps(target_options()),
        folder=f"--folder {TARGET_FOLDER}" if TARGET_IS_MADE else "",
    message:
        "Preparing the images of the new task"
    shell:
        # Each of the workers computes with one thread.
        "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python {input.code[0]} --log {log}"
        " --source {params.source:q} {params.folder} --workers {threads} --table {output.table}"


rule train_target_model:
    input:
        code=code_of("finetune"),
        images=f"{RUN}/pascal/images.csv",
    output:
        weights=f"{RUN}/pascal/small/s{{seed}}/weights.safetensors",
        encoder=f"{RUN}/pascal/small/s{{seed}}/encoder.safetensors",
        curve=f"{RUN}/pascal/small/s{{seed}}/learning_curve.csv",
        scores=f"{RUN}/pascal/small/s{{seed}}/scores.csv",
    log:
        f"{RUN}/logs/train_target_model_s{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/train_target_model_s{{seed}}.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=config["pascal"]["mem_mb"],
        runtime=config["pascal"]["runtime"],
        gpu=config["training"]["gpu"],
    params:
        data=TARGET_FOLDER,
        lists=TARGET_LISTS,
        encoder=json.dumps(small_encoder(config["pascal"]["small"]["width"])),
        head=json.dumps(config["pascal"]["small"]["head"]),
        recipe=json.dumps(config["pascal"]["small"]["recipe"]),
        n_train=json.dumps(config["pascal"]["n_train"]),
        seed=lambda wildcards: config["seed"] + 3000 + int(wildcards.seed),
    message:
        "Training the small model of the new task, seed {wildcards.seed}"
    shell:
        "python {input.code[0]} --log {log} --model small --data {params.data:q} {params.lists}"
        " --encoder {params.encoder:q} --tap compressed --head {params.head:q}"
        " --recipe {params.recipe:q} --seed {params.seed} --n_train {params.n_train}"
        " --output_weights {output.weights} --output_encoder {output.encoder}"
        " --curve {output.curve} --scores {output.scores} --threads {threads}"


rule target_rdms:
    input:
        code=code_of("small_rdms"),
        stimuli=f"{RUN}/data/stimuli.h5",
        weights=expand(f"{RUN}/pascal/small/s{{seed}}/encoder.safetensors", seed=TARGET_SEEDS),
    output:
        rdms=expand(f"{RUN}/rdms/target/s{{seed}}.h5", seed=TARGET_SEEDS),
    log:
        f"{RUN}/logs/target_rdms.log",
    benchmark:
        f"{RUN}/benchmarks/rdms_target.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=config["rsa"]["mem_mb"],
        runtime=60,
        gpu=config["training"]["gpu"],
    params:
        choices=json.dumps(RDM_CHOICES),
        constant_images=config["rsa"]["constant_images"],
        batch_size=config["rsa"]["batch_size"],
        precision=config["rsa"]["precision"],
        features_mb=json.dumps(config["rsa"]["features_mb"]),
        models=[f"target_s{seed}" for seed in TARGET_SEEDS],
    message:
        "Making the RDMs of the small models of the new task"
    shell:
        "python {input.code[0]} --log {log} --task target --kind rgb --may_clip false"
        " --choices {params.choices:q} --constant_images {params.constant_images}"
        " --batch_size {params.batch_size} --precision {params.precision}"
        " --features_mb {params.features_mb} --stimuli {input.stimuli} --models {params.models}"
        " --weights {input.weights} --rdms {output.rdms} --threads {threads}"


rule target_ranking:
    input:
        code=code_of("target_ranking"),
        bank=BANK_RDMS,
        target=expand(f"{RUN}/rdms/target/s{{seed}}.h5", seed=TARGET_SEEDS),
    output:
        table=report(
            f"{RUN}/tables/figure8.csv",
            caption="../report/figure8.rst",
            category="New task",
        ),
    log:
        f"{RUN}/logs/target_ranking.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        resamples=config["rsa"]["bootstraps"],
        permutations=config["rsa"]["type_permutations"],
        seed=config["seed"],
    message:
        "Ranking the bank for the new task"
    shell:
        "python {input.code[0]} --log {log} --bank {input.bank} --target {input.target}"
        " --resamples {params.resamples} --permutations {params.permutations}"
        " --seed {params.seed} --table {output.table}"


rule finetune:
    input:
        code=code_of("finetune"),
        images=f"{RUN}/pascal/images.csv",
        weights=lambda wildcards: (
            f"{RUN}/bank/{wildcards.init}/weights.safetensors" if wildcards.init in TASKS else []
        ),
    output:
        weights=f"{RUN}/pascal/{{tap}}/{{init}}/s{{seed}}/weights.safetensors",
        curve=f"{RUN}/pascal/{{tap}}/{{init}}/s{{seed}}/learning_curve.csv",
        scores=f"{RUN}/pascal/{{tap}}/{{init}}/s{{seed}}/scores.csv",
    log:
        f"{RUN}/logs/finetune_{{tap}}_{{init}}_s{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/finetune_{{tap}}_{{init}}_s{{seed}}.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=config["pascal"]["mem_mb"],
        runtime=config["pascal"]["runtime"],
        gpu=config["training"]["gpu"],
    params:
        data=TARGET_FOLDER,
        lists=TARGET_LISTS,
        start=lambda wildcards, input: start_of(wildcards.init, input.weights),
        # The small encoder has no blocks: its code is what there is to tap.
        tap=lambda wildcards: "compressed" if wildcards.init == "random_small" else wildcards.tap,
        head=json.dumps(config["pascal"]["head"]),
        recipe=json.dumps(config["pascal"]["recipe"]),
        n_train=json.dumps(config["pascal"]["n_train"]),
        seed=lambda wildcards: config["seed"] + 4000 + int(wildcards.seed),
    message:
        "Fine-tuning {wildcards.init} at {wildcards.tap}, seed {wildcards.seed}"
    shell:
        "python {input.code[0]} --log {log} --model {wildcards.init} --data {params.data:q}"
        " {params.lists} {params.start} --tap {params.tap} --head {params.head:q}"
        " --recipe {params.recipe:q} --seed {params.seed} --n_train {params.n_train}"
        " --output_weights {output.weights} --curve {output.curve} --scores {output.scores}"
        " --threads {threads}"


rule target_scores:
    input:
        code=code_of("join_tables"),
        parts=lambda wildcards: finetuned(wildcards.tap, inits_at(wildcards.tap)),
    output:
        table=f"{RUN}/pascal/{{tap}}/scores.csv",
    log:
        f"{RUN}/logs/target_scores_{{tap}}.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        constants=lambda wildcards: json.dumps({"tap": wildcards.tap}),
    message:
        "Collecting what fine-tuning at {wildcards.tap} reached"
    shell:
        "python {input.code[0]} --log {log} --parts {input.parts}"
        " --constants {params.constants:q} --table {output.table}"


rule table2:
    input:
        code=code_of("table2"),
        rankings=f"{RUN}/tables/figure8.csv",
        scores=f"{RUN}/pascal/{TAP}/scores.csv",
        bank=BANK_RDMS,
        target=expand(f"{RUN}/rdms/target/s{{seed}}.h5", seed=TARGET_SEEDS),
    output:
        table=report(
            f"{RUN}/tables/table2.csv",
            caption="../report/table2.rst",
            category="New task",
        ),
        prediction=report(
            f"{RUN}/tables/table2_prediction.csv",
            caption="../report/table2_prediction.rst",
            category="New task",
        ),
        choice=report(
            f"{RUN}/tables/table2_choice.csv",
            caption="../report/table2_choice.rst",
            category="New task",
        ),
    log:
        f"{RUN}/logs/table2.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        own=config["pascal"]["own_task"],
        resamples=config["rsa"]["bootstraps"],
        permutations=config["rsa"]["type_permutations"],
        seed=config["seed"],
    message:
        "Making table 2: does the ranking predict what fine-tuning reaches?"
    shell:
        "python {input.code[0]} --log {log} --rankings {input.rankings} --scores {input.scores}"
        " --bank {input.bank} --target {input.target} --own {params.own}"
        " --resamples {params.resamples} --permutations {params.permutations}"
        " --seed {params.seed} --table {output.table} --prediction {output.prediction}"
        " --choice {output.choice}"


rule compare_taps:
    input:
        code=code_of("join_tables"),
        parts=expand(f"{RUN}/pascal/{{tap}}/scores.csv", tap=["block4", "compressed"]),
    output:
        table=f"{RUN}/tables/taps.csv",
    log:
        f"{RUN}/logs/compare_taps.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    message:
        "Setting the two taps of the encoders side by side"
    shell:
        "python {input.code[0]} --log {log} --parts {input.parts}"
        " --columns tap model seed miou n_val --table {output.table}"


rule submission:
    input:
        code=code_of("submission"),
        weights=f"{RUN}/pascal/{{tap}}/{{init}}/s{{seed}}/weights.safetensors",
    output:
        archive=f"{RUN}/pascal/{{tap}}/{{init}}/s{{seed}}/submission.tar",
    log:
        f"{RUN}/logs/submission_{{tap}}_{{init}}_s{{seed}}.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=config["pascal"]["mem_mb"],
        runtime=120,
        gpu=config["training"]["gpu"],
    params:
        data=TARGET_FOLDER,
        images=config["pascal"]["voc"]["test"],
    message:
        "Predicting the {params.images} images for the organisers' server"
    shell:
        "python {input.code[0]} --log {log} --weights {input.weights} --data {params.data:q}"
        " --images {params.images} --archive {output.archive} --threads {threads}"


rule figure8:
    input:
        code=code_of("figure8"),
        rankings=f"{RUN}/tables/figure8.csv",
    output:
        **figure_files("figure8", "figure8.rst", "New task"),
    log:
        f"{RUN}/logs/figure8.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Drawing figure 8: the bank ranked for the new task"
    shell:
        "python {input.code[0]} --log {log} --rankings {input.rankings}"
        " --pdf {output.pdf} --png {output.png} --csv {output.csv}"


rule figure_table2:
    input:
        code=code_of("figure_table2"),
        table=f"{RUN}/tables/table2.csv",
        prediction=f"{RUN}/tables/table2_prediction.csv",
    output:
        **figure_files("table2", "table2.rst", "New task"),
    log:
        f"{RUN}/logs/figure_table2.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Drawing table 2: similarity against fine-tuned mIoU"
    shell:
        "python {input.code[0]} --log {log} --table {input.table} --prediction {input.prediction}"
        " --pdf {output.pdf} --png {output.png} --csv {output.csv}"


rule figure_choice:
    input:
        code=code_of("figure_choice"),
        choice=f"{RUN}/tables/table2_choice.csv",
    output:
        **figure_files("choice", "table2_choice.rst", "New task"),
    log:
        f"{RUN}/logs/figure_choice.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Drawing what choosing by similarity gains"
    shell:
        "python {input.code[0]} --log {log} --choice {input.choice}"
        " --pdf {output.pdf} --png {output.png} --csv {output.csv}"
