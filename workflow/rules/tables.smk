# Tables that are others joined, one below the other: rule, table, parts, columns that are kept.
JOINED = [
    (
        "bank_quality",
        table("bank/quality", "Bank"),
        [f"{RUN}/bank/{name}/quality.csv" for name in PLAN.bank.trained],
        [],
    ),
    (
        "similarity",
        table("tables/similarity", "Similarity"),
        expand(f"{RUN}/similarity/{{layer}}.csv", layer=PLAN.compared),
        [],
    ),
    (
        "small_quality",
        table("small/quality", "Small models"),
        PLAN.small.files("quality.csv"),
        [],
    ),
    (
        "measured_affinity",
        table("tables/affinity_measured", "Transfer"),
        expand(f"{RUN}/affinity/{{network}}.csv", network=PLAN.tasks),
        [],
    ),
    (
        "affinity",
        f"{RUN}/tables/affinity.csv",
        f"{RUN}/tables/affinity_{CONFIG.affinities.use}.csv",
        ["source", "target", "affinity"],
    ),
    (
        "target_runs",
        f"{RUN}/targets/{{target}}/runs.csv",
        of_target(lambda target: [*runs_of(target, target.config.tap), *target.small_scores]),
        [],
    ),
    (
        "target_measures",
        table("targets/{target}/measures", "Targets"),
        of_target(lambda target: target.measured("measures.csv")),
        [],
    ),
    (
        "compare_taps",
        f"{RUN}/targets/{{target}}/taps.csv",
        of_target(lambda target: [*runs_of(target, "block4"), *runs_of(target, "compressed")]),
        ["tap", "model", "seed", "score", "n_val"],
    ),
]

for rule_name, joined, parts, columns in JOINED:

    rule:
        name:
            rule_name
        input:
            parts=parts,
        output:
            table=joined,
        params:
            code=code_of("join_tables"),
            columns=columns,
        message:
            "Collecting {output.table}"
        shell:
            command("join_tables", input="parts", params="columns", output="table")
