# The bank, trained here: one encoder a task, and what each has learnt.


rule train_encoder:
    input:
        code=code_of("train_encoder"),
        train=f"{RUN}/data/train.h5",
        val=f"{RUN}/data/val.h5",
        labels=f"{RUN}/labels/{{task}}.h5",
    output:
        weights=f"{RUN}/bank/{{task}}/weights.safetensors",
        curve=f"{RUN}/bank/{{task}}/learning_curve.csv",
        quality=f"{RUN}/bank/{{task}}/quality.csv",
    log:
        f"{RUN}/logs/train_{{task}}.log",
    benchmark:
        f"{RUN}/benchmarks/train_{{task}}.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=config["training"]["mem_mb"],
        runtime=config["training"]["runtime"],
        gpu=config["training"]["gpu"],
    params:
        task=lambda wildcards: json.dumps(TASKS[wildcards.task].definition()),
        encoder=json.dumps(config["encoder"]),
        training=json.dumps(config["training"]["recipe"]),
        steps_factor=lambda wildcards: config["training"]["steps_factor"].get(wildcards.task, 1),
        seed=config["seed"],
    message:
        "Training the encoder of {wildcards.task}"
    shell:
        "python {input.code[0]} --log {log} --model {wildcards.task} --task {params.task:q}"
        " --encoder {params.encoder:q} --training {params.training:q} --steps_factor {params.steps_factor} --seed {params.seed}"
        " --train_images {input.train} --val_images {input.val} --labels {input.labels}"
        " --weights {output.weights} --curve {output.curve} --quality {output.quality}"
        " --threads {threads}"


rule bank_quality:
    input:
        code=code_of("join_tables"),
        parts=expand(f"{RUN}/bank/{{task}}/quality.csv", task=TASK_IDS),
    output:
        table=report(
            f"{RUN}/bank/quality.csv",
            caption="../report/quality.rst",
            category="Bank",
        ),
    log:
        f"{RUN}/logs/bank_quality.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    message:
        "Collecting what each network has learnt"
    shell:
        "python {input.code[0]} --log {log} --parts {input.parts} --table {output.table}"


rule figure_quality:
    input:
        code=code_of("figure_quality"),
        quality=f"{RUN}/bank/quality.csv",
    output:
        **figure_files("quality", "quality.rst", "Bank"),
    log:
        f"{RUN}/logs/figure_quality.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Drawing what each network has learnt"
    shell:
        "python {input.code[0]} --log {log} --quality {input.quality}"
        " --pdf {output.pdf} --png {output.png} --csv {output.csv}"


rule figure_learning_curves:
    input:
        code=code_of("figure_learning_curves"),
        quality=f"{RUN}/bank/quality.csv",
        curves=expand(f"{RUN}/bank/{{task}}/learning_curve.csv", task=TASK_IDS),
    output:
        **figure_files("learning_curves", "learning_curves.rst", "Bank"),
    log:
        f"{RUN}/logs/figure_learning_curves.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        tasks=TASK_IDS,
    message:
        "Drawing the learning curves of the bank"
    shell:
        "python {input.code[0]} --log {log} --quality {input.quality} --tasks {params.tasks}"
        " --curves {input.curves} --pdf {output.pdf} --png {output.png} --csv {output.csv}"
