# A target of the user's own: which network of the bank to start from, and does fine-tuning agree?


rule prepare_own_target:
    input:
        code=code_of("prepare_own_target"),
        files=own_target_files() if IS_LABELLED else [],
    output:
        data=f"{RUN}/target/data.h5",
        table=report(
            f"{RUN}/target/images.csv",
            caption="../report/own_target_images.rst",
            category="Own target",
        ),
    log:
        f"{RUN}/logs/prepare_own_target.log",
    benchmark:
        f"{RUN}/benchmarks/prepare_own_target.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=config["target"]["mem_mb"],
        runtime=60,
    params:
        kind=OWN_TARGET,
        path=own_target_path() if IS_LABELLED else "",
        size=config["image_size"],
        val_share=config["target"]["val_share"],
        unknown=json.dumps(config["target"]["unknown"]),
        seed=config["seed"],
    message:
        "Reading the labelled images of the target"
    shell:
        "python {input.code[0]} --log {log} --kind {params.kind} --path {params.path:q}"
        " --size {params.size} --val_share {params.val_share} --unknown {params.unknown}"
        " --seed {params.seed} --data {output.data} --table {output.table}"


rule train_own_target:
    input:
        code=code_of("tune_target"),
        data=f"{RUN}/target/data.h5",
    output:
        weights=f"{RUN}/target/small/s{{seed}}/weights.safetensors",
        encoder=f"{RUN}/target/small/s{{seed}}/encoder.safetensors",
        curve=f"{RUN}/target/small/s{{seed}}/learning_curve.csv",
        scores=f"{RUN}/target/small/s{{seed}}/scores.csv",
    log:
        f"{RUN}/logs/train_own_target_s{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/train_own_target_s{{seed}}.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=config["target"]["mem_mb"],
        runtime=config["target"]["runtime"],
        gpu=config["training"]["gpu"],
    params:
        encoder=json.dumps(small_encoder(config["target"]["small"]["width"])),
        head=json.dumps(config["target"]["small"]["head"]),
        recipe=target_recipe(config["target"]["small"]["recipe"]),
        n_train=json.dumps(config["target"]["n_train"]),
        seed=lambda wildcards: config["seed"] + 5000 + int(wildcards.seed),
    message:
        "Training the small model of the target, seed {wildcards.seed}"
    shell:
        "python {input.code[0]} --log {log} --model 'small model' --data {input.data}"
        " --encoder {params.encoder:q} --head {params.head:q} --recipe {params.recipe:q}"
        " --seed {params.seed} --n_train {params.n_train} --output_weights {output.weights}"
        " --output_encoder {output.encoder} --curve {output.curve} --scores {output.scores}"
        " --threads {threads}"


rule own_target_rdms:
    input:
        code=code_of("small_rdms"),
        stimuli=f"{RUN}/data/stimuli.h5",
        weights=expand(f"{RUN}/target/small/s{{seed}}/encoder.safetensors", seed=OWN_SEEDS),
    output:
        rdms=expand(f"{RUN}/rdms/own_target/s{{seed}}.h5", seed=OWN_SEEDS),
    log:
        f"{RUN}/logs/own_target_rdms.log",
    benchmark:
        f"{RUN}/benchmarks/own_target_rdms.tsv"
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
        features_mb=json.dumps(config["rsa"]["features_mb"]),
        models=[f"target_s{seed}" for seed in OWN_SEEDS],
    message:
        "Making the RDMs of the small models of the target"
    shell:
        "python {input.code[0]} --log {log} --task target --kind rgb --may_clip false"
        " --choices {params.choices:q} --constant_images {params.constant_images}"
        " --batch_size {params.batch_size} --features_mb {params.features_mb}"
        " --stimuli {input.stimuli} --models {params.models} --weights {input.weights}"
        " --rdms {output.rdms} --threads {threads}"


# Which networks are the best three is known when this has run.
checkpoint rank_own_bank:
    input:
        code=code_of("rank_own_bank"),
        networks=OWN_TABLE,
        bank=expand(f"{RUN}/rdms/own/{{own}}.h5", own=RANKED),
        target=(
            f"{RUN}/rdms/own/{config['target']['network']}.h5"
            if OWN_TARGET == "network"
            else rules.own_target_rdms.output.rdms
        ),
    output:
        table=report(
            f"{RUN}/tables/target_ranking.csv",
            caption="../report/own_ranking.rst",
            category="Own target",
        ),
        by_images=report(
            f"{RUN}/tables/target_images.csv",
            caption="../report/own_ranking_images.rst",
            category="Own target",
        ),
    log:
        f"{RUN}/logs/rank_own_bank.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        layer=config["target"]["layer"],
        target_layer=config["target"]["layer"] if OWN_TARGET == "network" else "compressed",
        sizes=IMAGE_COUNTS,
        resamples=config["rsa"]["bootstraps"],
        permutations=config["rsa"]["type_permutations"],
        seed=config["seed"],
    message:
        "Ranking the user's own bank for the target"
    shell:
        "python {input.code[0]} --log {log} --networks {input.networks:q} --bank {input.bank}"
        " --layer {params.layer:q} --target {input.target} --target_layer {params.target_layer:q}"
        " --sizes {params.sizes} --resamples {params.resamples}"
        " --permutations {params.permutations} --seed {params.seed} --table {output.table}"
        " --by_images {output.by_images}"


rule tune_own_network:
    input:
        code=code_of("tune_target"),
        data=f"{RUN}/target/data.h5",
        network=lambda wildcards: own_weights(wildcards.own),
    output:
        weights=f"{RUN}/target/tuned/{{own}}/s{{seed}}/weights.safetensors",
        curve=f"{RUN}/target/tuned/{{own}}/s{{seed}}/learning_curve.csv",
        scores=f"{RUN}/target/tuned/{{own}}/s{{seed}}/scores.csv",
    log:
        f"{RUN}/logs/tune_own_{{own}}_s{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/tune_own_{{own}}_s{{seed}}.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=config["target"]["mem_mb"],
        runtime=config["target"]["runtime"],
        gpu=config["training"]["gpu"],
    params:
        row=lambda wildcards: json.dumps(OWN_ROWS[wildcards.own]),
        weights=lambda wildcards, input: (
            f"--weights {shlex.quote(str(input.network))}" if input.network else ""
        ),
        head=json.dumps(config["target"]["head"]),
        recipe=target_recipe(config["target"]["recipe"]),
        n_train=json.dumps(config["target"]["n_train"]),
        seed=lambda wildcards: config["seed"] + 6000 + int(wildcards.seed),
    message:
        "Fine-tuning {wildcards.own} on the target, seed {wildcards.seed}"
    shell:
        # Factories are the user's modules, beside the config or wherever Python finds them.
        "PYTHONPATH=.${{PYTHONPATH:+:$PYTHONPATH}} python {input.code[0]} --log {log}"
        " --model {wildcards.own} --row {params.row:q} {params.weights} --data {input.data}"
        " --head {params.head:q} --recipe {params.recipe:q} --seed {params.seed}"
        " --n_train {params.n_train} --output_weights {output.weights} --curve {output.curve}"
        " --scores {output.scores} --threads {threads}"


rule own_target_scores:
    input:
        code=code_of("target_scores"),
        ranking=f"{RUN}/tables/target_ranking.csv",
        small=expand(f"{RUN}/target/small/s{{seed}}/scores.csv", seed=OWN_SEEDS),
        tuned=lambda wildcards: expand(
            f"{RUN}/target/tuned/{{own}}/s{{seed}}/scores.csv",
            own=tuned_networks(),
            seed=config["target"]["seeds"],
        ),
    output:
        table=report(
            f"{RUN}/tables/target_scores.csv",
            caption="../report/own_scores.rst",
            category="Own target",
        ),
    log:
        f"{RUN}/logs/own_target_scores.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Setting what fine-tuning reached beside the ranking"
    shell:
        "python {input.code[0]} --log {log} --ranking {input.ranking}"
        " --scores {input.small} {input.tuned} --table {output.table}"


# Timings, so no table of results: they differ from run to run.
rule own_target_cost:
    input:
        code=code_of("target_cost"),
        networks=OWN_TABLE,
        data=f"{RUN}/target/data.h5",
        weights=[path for name in OWN_ROWS for path in [own_weights(name)] if path],
    output:
        table=f"{RUN}/target/cost.csv",
    log:
        f"{RUN}/logs/own_target_cost.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=config["target"]["mem_mb"],
        runtime=120,
        gpu=config["training"]["gpu"],
    params:
        weights=[own_weights(name) or "-" for name in OWN_ROWS],
        head=json.dumps(config["target"]["head"]),
        recipe=target_recipe(config["target"]["recipe"]),
        seeds=len(config["target"]["seeds"]),
        n_train=json.dumps(config["target"]["n_train"]),
    message:
        "Measuring what fine-tuning the whole bank would take"
    shell:
        "PYTHONPATH=.${{PYTHONPATH:+:$PYTHONPATH}} python {input.code[0]} --log {log}"
        " --networks {input.networks:q} --weights {params.weights:q} --data {input.data}"
        " --head {params.head:q} --recipe {params.recipe:q} --seeds {params.seeds}"
        " --n_train {params.n_train} --table {output.table} --threads {threads}"


rule figure_target_ranking:
    input:
        code=code_of("figure8"),
        rankings=f"{RUN}/tables/target_ranking.csv",
    output:
        **figure_files("target_ranking", "own_ranking.rst", "Own target"),
    log:
        f"{RUN}/logs/figure_target_ranking.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Drawing the ranking of the user's own bank"
    shell:
        "python {input.code[0]} --log {log} --rankings {input.rankings}"
        " --pdf {output.pdf} --png {output.png} --csv {output.csv}"
