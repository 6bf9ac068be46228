# The study: which measure of transfer chooses well, judged by fine-tuning all networks on several targets.


# Sets of every kind from the folder of section rgbd. Targets read them, so they are made beforehand.
rule derive_targets:
    input:
        files=asked(lambda wildcards: PLAN.data.files("rgbd")),
    output:
        objects=f"{RUN}/derived/objects.csv",
        values=expand(f"{RUN}/derived/{{name}}.csv", name=["distance", "clutter"]),
    params:
        code=code_of("derive_targets", "data/rgbd"),
        source=asked(lambda wildcards: as_json(PLAN.data.options("rgbd"))),
        seed=CONFIG.seed,
    message:
        "Deriving labelled sets from photographs with depth and classes"
    shell:
        command("derive_targets", params="source seed", output="objects values")


rule study:
    input:
        runs=of_study("runs"),
        measures=of_study("measures"),
        advice=of_study("advice"),
    output:
        by_target=table("tables/study_measures", "Study"),
        summary=table("tables/study_summary", "Study"),
        choice=table("tables/study_choice", "Study"),
        # Timings, so no table of results: they differ from run to run.
        cost=f"{RUN}/tables/study_cost.csv",
    params:
        code=code_of("study"),
        targets=PLAN.study,
        # Not inputs: their jobs ran before the tables above.
        seconds=[
            f"{PLAN.targets[target].folder}/seconds/{network}.csv"
            for target in PLAN.study
            for network in PLAN.targets[target].ranked
        ],
        benchmarks=f"{RUN}/benchmarks",
    message:
        "Judging measures of transfer by what fine-tuning reached"
    shell:
        command(
            "study",
            input="runs measures advice",
            params="targets seconds benchmarks",
            output="by_target summary choice cost",
        )
