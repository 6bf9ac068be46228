# The study: which measure of transfer chooses well, judged by fine-tuning all networks on several targets.


def of_study(name: str):
    """Return an input function: a table of every target of the study."""
    return [f"{PLAN.targets[target].folder}/{name}.csv" for target in PLAN.study]


rule study:
    input:
        code=code_of("study"),
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
