# RDMs of networks, labels and pixels, how similar they are, and what that says of types of networks.

# What the RDMs of every network are made with.
RDM_PARAMS = {
    "weights": lambda wildcards, input: input.get("weights") or "-",
    "choices": as_json(PLAN.rdm_choices),
    "constant_images": CONFIG.rsa.constant_images,
    "batch_size": CONFIG.rsa.batch_size,
    "precision": CONFIG.rsa.precision,
    "features_mb": as_json(CONFIG.rsa.features_mb),
} | ({"grams": PLAN.gram_cache} if PLAN.gram_cache else {})
RDM_FLAGS = {
    "input": "stimuli",
    # What is kept of features is of use as long as the code is the same.
    "params": " ".join(["rows", *RDM_PARAMS, *["code"] * bool(PLAN.gram_cache)]),
}


rule network_rdms:
    input:
        stimuli=f"{RUN}/data/stimuli.h5",
        weights=asked(lambda wildcards: PLAN.weights(wildcards.network)),
        beside=beside,
    output:
        rdms=f"{RUN}/rdms/bank/{{network}}.h5",
        variant_rdms=f"{RUN}/rdms/bank_variants/{{network}}.h5",
        measures=f"{RUN}/rdms/bank_measures/{{network}}.h5",
    benchmark:
        f"{RUN}/benchmarks/rdms_bank_{{network}}.tsv"
    wildcard_constraints:
        network=among(PLAN.bank.with_features),
    resources:
        **needs(CONFIG.rsa),
    params:
        **RDM_PARAMS,
        code=code_of("network_rdms", "rsa/measures"),
        rows=lambda wildcards: [as_json(PLAN.bank.all[wildcards.network])],
        variants=as_json(PLAN.variants),
        layer=PLAN.bank.layer,
    message:
        "Making the RDMs of {wildcards.network}"
    shell:
        command(
            "network_rdms",
            USER_MODULES,
            input=RDM_FLAGS["input"],
            params=f"{RDM_FLAGS['params']} variants layer",
            output="rdms variant_rdms measures",
        )


if PLAN.bank.given:

    rule given_rdms:
        input:
            stimuli=f"{RUN}/data/stimuli.h5",
            weights=asked(lambda wildcards: list(map(PLAN.weights, PLAN.bank.given))),
        output:
            rdms=PLAN.bank.rdms(PLAN.bank.given),
        resources:
            mem_mb=CONFIG.rsa.mem_mb,
            runtime=60,
        params:
            code=code_of("given_rdms"),
            rows=[as_json(PLAN.bank.networks[name]) for name in PLAN.bank.given],
            centre=as_json(PLAN.rdm_choices["centre"]),
            constant_images=CONFIG.rsa.constant_images,
        message:
            "Taking the RDMs that were made elsewhere"
        shell:
            command(
                "given_rdms",
                input="stimuli weights",
                params="rows centre constant_images",
                output="rdms",
            )


# Untrained controls, for which there is nothing to vary.
rule other_rdms:
    input:
        stimuli=f"{RUN}/data/stimuli.h5",
        weights=asked(lambda wildcards: PLAN.weights(wildcards.network)),
        beside=beside,
    output:
        rdms=f"{RUN}/rdms/{{kind}}/{{network}}.h5",
    benchmark:
        f"{RUN}/benchmarks/rdms_{{kind}}_{{network}}.tsv"
    wildcard_constraints:
        kind="random",
        network=among(PLAN.bank.random),
    resources:
        **needs(CONFIG.rsa),
    params:
        **RDM_PARAMS,
        code=code_of("network_rdms"),
        rows=lambda wildcards: [as_json(PLAN.bank.all[wildcards.network])],
    message:
        "Making the RDMs of {wildcards.network}"
    shell:
        command("network_rdms", **RDM_FLAGS, output="rdms")


rule label_rdms:
    input:
        stimuli=f"{RUN}/data/stimuli.h5",
        labels=f"{RUN}/labels/{{task}}.h5",
    output:
        rdms=f"{RUN}/rdms/labels/{{task}}.h5",
    resources:
        mem_mb=3000,
        runtime=30,
    params:
        code=code_of("label_rdms"),
        centre=as_json(PLAN.rdm_choices["centre"]),
        constant_images=CONFIG.rsa.constant_images,
    message:
        "Making the RDM of the labels of {wildcards.task}"
    shell:
        command(
            "label_rdms",
            wildcards="task",
            input="stimuli labels",
            params="centre constant_images",
            output="rdms",
        )


rule pixel_rdm:
    input:
        stimuli=f"{RUN}/data/stimuli.h5",
    output:
        rdms=f"{RUN}/rdms/pixels/pixels.h5",
    resources:
        mem_mb=2000,
    params:
        code=code_of("pixel_rdm"),
        centre=as_json(PLAN.rdm_choices["centre"]),
        constant_images=CONFIG.rsa.constant_images,
    message:
        "Making the RDM of the pixels"
    shell:
        command("pixel_rdm", input="stimuli", params="centre constant_images", output="rdms")


rule layer_similarity:
    input:
        rdms=lambda wildcards: PLAN.rdms_at(wildcards.layer),
        random=lambda wildcards: PLAN.bank.rdms(PLAN.bank.controls(wildcards.layer), "random"),
    output:
        table=f"{RUN}/similarity/{{layer}}.csv",
    benchmark:
        f"{RUN}/benchmarks/similarity_{{layer}}.tsv"
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        code=code_of("similarity"),
        compare=CONFIG.rsa.compare,
        untrained=as_json(PLAN.bank.untrained_of),
        resamples=CONFIG.rsa.bootstraps,
        permutations=CONFIG.rsa.permutations,
        seed=CONFIG.seed,
    message:
        "Comparing the RDMs at {wildcards.layer}"
    shell:
        command(
            "similarity",
            wildcards="layer",
            input="rdms random",
            params="compare untrained resamples permutations seed",
            output="table",
        )


rule tree:
    input:
        similarity=f"{RUN}/similarity/{{layer}}.csv",
    output:
        newick=f"{RUN}/trees/{{layer}}_{{linkage}}.nwk",
        linkage=f"{RUN}/trees/{{layer}}_{{linkage}}.csv",
    params:
        code=code_of("tree"),
    message:
        "Building the tree of {wildcards.layer} by the linkage {wildcards.linkage}"
    shell:
        command("tree", wildcards="method=linkage", input="similarity", output="newick linkage")


rule type_separation:
    input:
        **({} if PLAN.data.given else {"pixels": f"{RUN}/rdms/pixels/pixels.h5"}),
        bank=PLAN.bank.rdms(),
        random=PLAN.bank.rdms(PLAN.bank.random, "random"),
        labels=PLAN.label_rdms,
    output:
        table=table("tables/type_separation", "Taxonomy"),
    resources:
        mem_mb=3000,
        runtime=30,
    params:
        code=code_of("type_separation"),
        layers=PLAN.layers,
        types=as_json(PLAN.types),
        clusters=CONFIG.rsa.clusters,
        permutations=CONFIG.rsa.type_permutations,
        seed=CONFIG.seed,
    message:
        "Testing whether networks of one type are alike, layer by layer"
    shell:
        command(
            "type_separation",
            input="bank random labels" + " pixels" * (not PLAN.data.given),
            params="layers types clusters permutations seed",
            output="table",
        )


rule label_agreement:
    input:
        similarity=f"{RUN}/tables/similarity.csv",
    output:
        table=table("tables/label_agreement", "Taxonomy"),
    params:
        code=code_of("label_agreement"),
        permutations=CONFIG.rsa.type_permutations,
        seed=CONFIG.seed,
    message:
        "Comparing what networks share with what their labels share"
    shell:
        command(
            "label_agreement",
            input="similarity",
            params="permutations seed",
            output="table",
        )


rule presets:
    input:
        rdms=PLAN.bank.rdms(PLAN.bank.with_features),
        variant_rdms=PLAN.bank.rdms(PLAN.bank.with_features, "bank_variants"),
    output:
        table=table("tables/presets", "Similarity"),
    resources:
        mem_mb=2000,
    params:
        code=code_of("presets"),
        choices=as_json(PLAN.rdm_choices),
        variants=as_json(PLAN.variants),
        layer=PLAN.bank.layer,
    message:
        "Measuring how far the choices of method move the similarities"
    shell:
        command(
            "presets",
            input="rdms variant_rdms",
            params="choices variants layer",
            output="table",
        )
