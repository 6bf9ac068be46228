# Images of every source, the stimuli, and the labels of every task.


rule prepare_split:
    input:
        # Asked for where they are needed, so that a run of public networks alone needs none.
        files=asked(lambda wildcards: PLAN.data.files(PLAN.data.source)),
    output:
        pack=f"{RUN}/data/{{split}}.h5",
    benchmark:
        f"{RUN}/benchmarks/prepare_{{split}}.tsv"
    wildcard_constraints:
        split="train|val",
    threads: 2
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        code=code_of("prepare_images", *PLAN.data.modules(PLAN.data.source)),
        source=asked(lambda wildcards: as_json(PLAN.data.options(PLAN.data.source))),
        n=lambda wildcards: as_json(getattr(CONFIG.images, wildcards.split)),
    message:
        "Preparing the {wildcards.split} images"
    shell:
        command("prepare_images", wildcards="split", params="source n", output="pack")


if PLAN.data.given:

    rule list_conditions:
        input:
            files=PLAN.data.given,
        output:
            pack=f"{RUN}/data/stimuli.h5",
            table=table("stimuli", "Data"),
        params:
            code=code_of("list_conditions"),
        message:
            "Listing the conditions of the RDMs"
        shell:
            command("list_conditions", input="files", output="pack table")

else:

    rule prepare_stimuli:
        input:
            files=asked(lambda wildcards: PLAN.data.files(PLAN.data.stimuli, of_stimuli=True)),
        output:
            pack=f"{RUN}/data/stimuli.h5",
            table=table("stimuli", "Data"),
        benchmark:
            f"{RUN}/benchmarks/prepare_stimuli.tsv"
        threads: 2
        resources:
            mem_mb=3000,
            runtime=60,
        params:
            code=code_of("prepare_images", *PLAN.data.modules(PLAN.data.stimuli)),
            source=asked(
                lambda wildcards: as_json(PLAN.data.options(PLAN.data.stimuli, of_stimuli=True))
            ),
            split="train",
            n=CONFIG.stimuli.n,
            seed=CONFIG.seed,
        message:
            "Sampling {params.n} stimuli"
        shell:
            command("prepare_images", params="source split n seed", output="pack table")


rule derive_labels:
    input:
        packs=expand(f"{RUN}/data/{{split}}.h5", split=PLAN.data.labelled_splits),
    output:
        labels=f"{RUN}/labels/{{task}}.h5",
    resources:
        # All labels of the task are held at once, as in the training of a small model.
        mem_mb=CONFIG.small.mem_mb,
        runtime=120,
    params:
        code=code_of("derive_labels"),
        task=lambda wildcards: as_json(TASKS[wildcards.task].definition()),
        size=lambda wildcards: TASKS[wildcards.task].label_size(
            CONFIG.image_size, CONFIG.label_size
        ),
        splits=PLAN.data.labelled_splits,
    message:
        "Deriving the labels of {wildcards.task}"
    shell:
        command("derive_labels", input="packs", params="task size splits", output="labels")


rule list_networks:
    output:
        table=f"{RUN}/tables/networks.csv",
    params:
        code=code_of("list_networks"),
        networks=as_json(PLAN.bank.labels()),
    message:
        "Listing the networks of this run"
    shell:
        command("list_networks", params="networks", output="table")


rule list_tasks:
    output:
        table=f"{RUN}/tables/tasks.csv",
    params:
        code=code_of("list_tasks"),
        reasons=as_json(PLAN.reasons),
    message:
        "Listing the tasks of this run, and those that it leaves out"
    shell:
        command("list_tasks", params="reasons", output="table")
