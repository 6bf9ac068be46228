# Images of every source, the stimuli, and the labels of every task.


rule prepare_split:
    input:
        code=code_of("prepare_images", *source_code(SOURCE)),
        # Asked for where they are needed, so that a run of the public bank alone needs none.
        files=lambda wildcards: source_files(SOURCE),
    output:
        pack=f"{RUN}/data/{{split}}.h5",
    log:
        f"{RUN}/logs/prepare_{{split}}.log",
    benchmark:
        f"{RUN}/benchmarks/prepare_{{split}}.tsv"
    wildcard_constraints:
        split="train|val",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 2
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        source=lambda wildcards: json.dumps(source_options(SOURCE)),
        n=lambda wildcards: json.dumps(config["images"][wildcards.split]),
    message:
        "Preparing the {wildcards.split} images"
    shell:
        # Each of the workers computes with one thread.
        "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python {input.code[0]} --log {log} --source {params.source:q} --split {wildcards.split}"
        " --n {params.n} --workers {threads} --pack {output.pack}"


rule prepare_stimuli:
    input:
        code=code_of("prepare_images", *source_code(STIMULI_SOURCE)),
        files=lambda wildcards: source_files(STIMULI_SOURCE, STIMULI_OPTIONS),
    output:
        pack=f"{RUN}/data/stimuli.h5",
        table=report(
            f"{RUN}/stimuli.csv",
            caption="../report/stimuli.rst",
            category="Data",
        ),
    log:
        f"{RUN}/logs/prepare_stimuli.log",
    benchmark:
        f"{RUN}/benchmarks/prepare_stimuli.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 2
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        source=lambda wildcards: json.dumps(source_options(STIMULI_SOURCE, STIMULI_OPTIONS)),
        n=config["stimuli"]["n"],
        seed=config["seed"],
    message:
        "Sampling {params.n} stimuli"
    shell:
        # Each of the workers computes with one thread.
        "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python {input.code[0]} --log {log} --source {params.source:q} --split train"
        " --n {params.n} --seed {params.seed} --workers {threads}"
        " --pack {output.pack} --table {output.table}"


rule derive_labels:
    input:
        code=code_of("derive_labels"),
        packs=expand(f"{RUN}/data/{{split}}.h5", split=LABELLED_SPLITS),
    output:
        labels=f"{RUN}/labels/{{task}}.h5",
    log:
        f"{RUN}/logs/labels_{{task}}.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        # All labels of the task are held at once, as in the training of a small model.
        mem_mb=config["small"]["mem_mb"],
        runtime=120,
    params:
        task=lambda wildcards: json.dumps(TASKS[wildcards.task].definition()),
        size=lambda wildcards: TASKS[wildcards.task].label_size(
            config["image_size"], config["label_size"]
        ),
        splits=LABELLED_SPLITS,
    message:
        "Deriving the labels of {wildcards.task}"
    shell:
        "python {input.code[0]} --log {log} --task {params.task:q} --size {params.size}"
        " --splits {params.splits} --packs {input.packs} --labels {output.labels}"


rule tasks_left_out:
    input:
        code=code_of("list_tasks"),
    output:
        table=f"{RUN}/tables/tasks.csv",
    log:
        f"{RUN}/logs/tasks.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        reasons=json.dumps(TASK_REASONS),
    message:
        "Listing the tasks of this run, and those its source cannot label"
    shell:
        "python {input.code[0]} --log {log} --reasons {params.reasons:q} --table {output.table}"
