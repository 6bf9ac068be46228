# Transfer affinities, measured or published, and how well similarity predicts them (sections 4.3, 6.3).


rule probe_source:
    input:
        train_images=f"{RUN}/data/train.h5",
        val_images=f"{RUN}/data/val.h5",
        labels=expand(f"{RUN}/labels/{{task}}.h5", task=PLAN.tasks),
        weights=asked(lambda wildcards: PLAN.weights(wildcards.network)),
    output:
        table=f"{RUN}/affinity/{{network}}.csv",
    benchmark:
        f"{RUN}/benchmarks/probe_{{network}}.tsv"
    resources:
        **needs(CONFIG.affinities.probe),
    params:
        code=code_of("probe_source"),
        row=lambda wildcards: as_json(PLAN.bank.all[wildcards.network]),
        targets=as_json({task: TASKS[task].definition() for task in PLAN.tasks}),
        neighbourhood=CONFIG.affinities.probe.neighbourhood,
        n_train=as_json(CONFIG.affinities.probe.n_train),
        seed=CONFIG.seed,
        batch_size=CONFIG.rsa.batch_size,
    message:
        "Measuring how {wildcards.network} transfers to every task"
    shell:
        command(
            "probe_source",
            input="train_images val_images labels weights",
            params="row targets neighbourhood n_train seed batch_size",
            output="table",
        )


rule published_affinity:
    input:
        affinities=asked(lambda wildcards: PLAN.required_affinities()),
    output:
        table=f"{RUN}/tables/affinity_published.csv",
    params:
        code=code_of("published_affinity"),
        sha256=PLAN.fetching.assets["affinities"].hash.removeprefix("sha256:"),
        tasks=[task for task in PLAN.task_networks if TASKS[task].affinity_name],
    message:
        "Reading Taskonomy's published affinities"
    shell:
        command("published_affinity", input="affinities", params="sha256 tasks", output="table")


use rule published_affinity as published_win_rates with:
    input:
        affinities=PLAN.win_rates or [],
    output:
        table=f"{RUN}/tables/win_rates.csv",
    params:
        code=code_of("published_affinity"),
        sha256=PLAN.fetching.assets["winrates"].hash.removeprefix("sha256:"),
        tasks=[task for task in PLAN.task_networks if TASKS[task].affinity_name],
    message:
        "Reading Taskonomy's published win rates"


rule taxonomy_agreement:
    input:
        affinities=expand(f"{RUN}/tables/affinity_{{kind}}.csv", kind=PLAN.affinity_kinds),
        rdms=PLAN.task_rdms,
    output:
        agreement=table("tables/taxonomy_agreement", "Taxonomy"),
        similarities=expand(
            f"{RUN}/tables/transfer_similarity_{{kind}}.csv", kind=PLAN.affinity_kinds
        ),
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        code=code_of("taxonomy_agreement"),
        kinds=PLAN.affinity_kinds,
        resamples=CONFIG.rsa.bootstraps,
        permutations=CONFIG.rsa.type_permutations,
        seed=CONFIG.seed,
        layer=PLAN.bank.layer,
    message:
        "Comparing our taxonomy with that of transfer"
    shell:
        command(
            "taxonomy_agreement",
            input="affinities rdms",
            params="kinds resamples permutations seed layer",
            output="agreement similarities",
        )


rule model_selection:
    input:
        **({"quality": f"{RUN}/bank/quality.csv"} if PLAN.have_quality else {}),
        affinity=expand(f"{RUN}/tables/{{truth}}.csv", truth=PLAN.truths),
        matrices=PLAN.matrices,
        targets=[
            f"{target.folder}/selection.csv"
            for target in PLAN.targets.values()
            if target.is_given and target.has_scores
        ],
        # Nobody published what Taskonomy's encoders have learnt in these terms.
        measures=PLAN.bank.rdms(PLAN.tasks, "bank_measures"),
        bank=PLAN.task_rdms,
        small=PLAN.small.rdms(PLAN.small.tasks, PLAN.small.by_seed),
    output:
        selection=table("tables/selection", "Transfer"),
    benchmark:
        f"{RUN}/benchmarks/model_selection.tsv"
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        code=code_of("model_selection"),
        kinds=[CONFIG.affinities.use, "win rates"][: len(PLAN.truths)],
        where=as_json(CONFIG.affinities.matrices.where),
        tasks=PLAN.small.tasks,
        resamples=CONFIG.rsa.bootstraps,
        seed=CONFIG.seed,
        layer=PLAN.bank.layer,
    message:
        "Asking whether similarity predicts transfer, and beside it the baselines"
    shell:
        command(
            "model_selection",
            input="affinity measures bank small matrices targets" + " quality" * PLAN.have_quality,
            params="kinds where tasks resamples seed layer",
            output="selection",
        )


rule table1:
    input:
        selection=f"{RUN}/tables/selection.csv",
    output:
        table=table("tables/table1", "Transfer"),
    params:
        code=code_of("table1"),
    message:
        "Making table 1: how often the first choice is among the best"
    shell:
        command("table1", input="selection", output="table")
