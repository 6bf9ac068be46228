# Transfer affinities, measured or published, and how well similarity predicts them (sections 4.3, 6.3).


rule probe_source:
    input:
        code=code_of("probe_source"),
        train=f"{RUN}/data/train.h5",
        val=f"{RUN}/data/val.h5",
        labels=expand(f"{RUN}/labels/{{target}}.h5", target=TASK_IDS),
        weights=f"{RUN}/bank/{{task}}/weights.safetensors",
    output:
        table=f"{RUN}/affinity/{{task}}.csv",
    log:
        f"{RUN}/logs/probe_{{task}}.log",
    benchmark:
        f"{RUN}/benchmarks/probe_{{task}}.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=config["affinities"]["probe"]["mem_mb"],
        runtime=120,
        gpu=config["training"]["gpu"],
    params:
        kind=lambda wildcards: TASKS[wildcards.task].input,
        targets=json.dumps({task: TASKS[task].definition() for task in TASK_IDS}),
        neighbourhood=config["affinities"]["probe"]["neighbourhood"],
        n_train=json.dumps(config["affinities"]["probe"]["n_train"]),
        seed=config["seed"],
        batch_size=config["rsa"]["batch_size"],
    message:
        "Measuring how {wildcards.task} transfers to every task"
    shell:
        "python {input.code[0]} --log {log} --source {wildcards.task} --kind {params.kind}"
        " --targets {params.targets:q} --neighbourhood {params.neighbourhood}"
        " --n_train {params.n_train} --seed {params.seed} --batch_size {params.batch_size}"
        " --train_images {input.train} --val_images {input.val} --weights {input.weights}"
        " --labels {input.labels} --table {output.table} --threads {threads}"


rule measured_affinity:
    input:
        code=code_of("join_tables"),
        parts=expand(f"{RUN}/affinity/{{task}}.csv", task=TASK_IDS),
    output:
        table=report(
            f"{RUN}/tables/affinity_measured.csv",
            caption="../report/affinity.rst",
            category="Transfer",
        ),
    log:
        f"{RUN}/logs/measured_affinity.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    message:
        "Collecting the measured affinities"
    shell:
        "python {input.code[0]} --log {log} --parts {input.parts} --table {output.table}"


rule published_affinity:
    input:
        code=code_of("published_affinity"),
        affinities=affinities_file,
    output:
        table=f"{RUN}/tables/affinity_published.csv",
    log:
        f"{RUN}/logs/published_affinity.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        sha256=ASSETS["affinities"].hash.removeprefix("sha256:"),
        tasks=AFFINITY_TASKS,
    message:
        "Reading Taskonomy's published affinities"
    shell:
        "python {input.code[0]} --log {log} --affinities {input.affinities}"
        " --sha256 {params.sha256} --tasks {params.tasks} --table {output.table}"


rule affinity:
    input:
        code=code_of("join_tables"),
        part=f"{RUN}/tables/affinity_{AFFINITY_KIND}.csv",
    output:
        table=f"{RUN}/tables/affinity.csv",
    log:
        f"{RUN}/logs/affinity.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    message:
        "Choosing the affinities that belong to the bank"
    shell:
        "python {input.code[0]} --log {log} --parts {input.part}"
        " --columns source target affinity --table {output.table}"


rule model_selection:
    input:
        code=code_of("model_selection"),
        affinity=f"{RUN}/tables/affinity.csv",
        quality=BANK_QUALITY,
        measures=expand(f"{RUN}/rdms/trained_measures/{{task}}.h5", task=TASK_IDS),
        bank=BANK_RDMS,
        small=small_rdm_files(SMALL_IDS, SEED_VARIANTS),
    output:
        selection=report(
            f"{RUN}/tables/selection.csv",
            caption="../report/selection.rst",
            category="Transfer",
        ),
    log:
        f"{RUN}/logs/model_selection.log",
    benchmark:
        f"{RUN}/benchmarks/model_selection.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        kind=AFFINITY_KIND,
        # Nobody published what Taskonomy's encoders had learnt in these terms.
        quality=f"--quality {BANK_QUALITY[0]}" if BANK_QUALITY else "",
        tasks=SMALL_IDS,
        n_seeds=len(SEED_VARIANTS),
        resamples=config["rsa"]["bootstraps"],
        seed=config["seed"],
    message:
        "Asking whether similarity predicts transfer, and beside it the baselines"
    shell:
        "python {input.code[0]} --log {log} --affinity {input.affinity} --kind {params.kind}"
        " {params.quality} --measures {input.measures} --bank {input.bank}"
        " --small {input.small} --tasks {params.tasks} --n_seeds {params.n_seeds}"
        " --resamples {params.resamples} --seed {params.seed}"
        " --selection {output.selection}"


rule table1:
    input:
        code=code_of("table1"),
        selection=f"{RUN}/tables/selection.csv",
    output:
        table=report(
            f"{RUN}/tables/table1.csv",
            caption="../report/table1.rst",
            category="Transfer",
        ),
    log:
        f"{RUN}/logs/table1.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    message:
        "Making table 1: how often the first choice is among the best"
    shell:
        "python {input.code[0]} --log {log} --selection {input.selection} --table {output.table}"
