# Advice for a target: measures of transfer on its labelled images, and what they say together.


rule target_cells:
    input:
        data=f"{RUN}/targets/{{target}}/data.h5",
    output:
        cells=f"{RUN}/targets/{{target}}/cells.h5",
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code_of("target_cells"),
        n_images=of_target(lambda target: target.config.advice.n_images),
        grid=of_target(lambda target: target.config.advice.grid),
        cells_per_image=of_target(lambda target: target.config.advice.cells),
        n_train=of_target(lambda target: as_json(target.config.n_train)),
        seed=CONFIG.seed,
    message:
        "Choosing the labelled places of {wildcards.target} that networks are measured at"
    shell:
        command(
            "target_cells",
            input="data",
            params="n_images grid cells_per_image n_train seed",
            output="cells",
        )


rule target_features:
    input:
        data=f"{RUN}/targets/{{target}}/data.h5",
        cells=f"{RUN}/targets/{{target}}/cells.h5",
        weights=asked(lambda wildcards: PLAN.start(wildcards.network)),
        beside=beside,
    output:
        features=f"{RUN}/targets/{{target}}/features/{{network}}.h5",
    benchmark:
        f"{RUN}/benchmarks/target_features_{{target}}_{{network}}.tsv"
    resources:
        **FINETUNING,
    params:
        code=code_of("target_features"),
        row=lambda wildcards: as_json(PLAN.bank.networks[wildcards.network]),
        weights=lambda wildcards, input: input.get("weights") or "null",
        tap=of_target(lambda target: target.config.tap),
        side=of_target(lambda target: target.side),
        n_train=of_target(lambda target: as_json(target.config.n_train)),
    message:
        "Showing {wildcards.network} the images of {wildcards.target}"
    shell:
        command(
            "target_features",
            USER_MODULES,
            input="data cells",
            params="row weights tap side n_train",
            output="features",
        )


rule measures:
    input:
        cells=f"{RUN}/targets/{{target}}/cells.h5",
        features=of_network(lambda target, network: target.features(network)),
        rdms=of_network(lambda target, network: target.compared_rdms(network, "rdms")[0]),
        target_rdms=of_network(lambda target, network: target.compared_rdms(network, "rdms")[1]),
        bank_rdms=of_network(lambda target, network: target.compared_rdms(network, "bank_rdms")[0]),
        bank_target_rdms=of_network(
            lambda target, network: target.compared_rdms(network, "bank_rdms")[1]
        ),
    output:
        table=f"{RUN}/targets/{{target}}/measures/{{network}}.csv",
        draws=f"{RUN}/targets/{{target}}/draws/{{network}}.h5",
        # Timings, so no table of results: they differ from run to run.
        seconds=f"{RUN}/targets/{{target}}/seconds/{{network}}.csv",
    benchmark:
        f"{RUN}/benchmarks/measures_{{target}}_{{network}}.tsv"
    resources:
        mem_mb=2500,
        runtime=120,
    params:
        code=code_of("target_measures"),
        features=lambda wildcards, input: input.get("features") or "null",
        measures=of_target(lambda target: target.measures),
        drawn=of_target(lambda target: target.config.advice.measures),
        layers=of_target(lambda target: target.measured_layers),
        resamples=of_target(lambda target: target.config.advice.resamples),
        seed=CONFIG.seed,
        layer=PLAN.bank.layer,
        target_layer=of_target(lambda target: target.layer),
        prior=lambda wildcards: as_json(PLAN.bank.networks[wildcards.network].prior),
    message:
        "Measuring how well {wildcards.network} suits {wildcards.target}"
    shell:
        command(
            "target_measures",
            wildcards="model=network",
            input="cells rdms target_rdms bank_rdms bank_target_rdms",
            params="features measures drawn layers resamples seed layer target_layer prior",
            output="table draws seconds",
        )


# Which networks are the best three, or enter a race, is known when this has run.
checkpoint advice:
    input:
        scores=f"{RUN}/targets/{{target}}/measures.csv",
        draws=of_target(lambda target: target.measured("draws.h5")),
    output:
        table=table("targets/{target}/advice", "Targets"),
    params:
        code=code_of("target_advice"),
        networks=of_target(lambda target: as_json(target.advised)),
        measures=of_target(lambda target: target.config.advice.measures),
        layer=of_target(lambda target: target.config.advice.layer),
    message:
        "Advising which network to take for {wildcards.target}"
    shell:
        command(
            "target_advice",
            input="scores draws",
            params="networks measures layer",
            output="table",
        )
