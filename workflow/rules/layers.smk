# Targets that are a row of the table, such as brain data: how similar every layer is to them.


rule target_layers:
    input:
        bank=of_target(lambda target: target.bank.rdms(target.ranked)),
        target=of_target(lambda target: target.rdms),
    output:
        table=table("targets/{target}/layers", "Targets"),
    wildcard_constraints:
        target=among(name for name, one in PLAN.targets.items() if one.is_row),
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        code=code_of("target_layers"),
        networks=of_target(lambda target: as_json(target.labels)),
        layers=list(PLAN.bank.layers),
        target_layer=PLAN.bank.layer,
        subjects=of_target(lambda target: list(target.config.subjects)),
        compare=CONFIG.rsa.compare,
        resamples=CONFIG.rsa.bootstraps,
        seed=CONFIG.seed,
    message:
        "Comparing every layer with {wildcards.target}"
    shell:
        command(
            "target_layers",
            input="bank target",
            params="networks layers target_layer subjects compare resamples seed",
            output="table",
        )
