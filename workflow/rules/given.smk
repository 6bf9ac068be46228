# Targets of which the similarities to the networks were made elsewhere: nothing is trained.
GIVEN = [name for name, target in PLAN.targets.items() if target.is_given]
WITH_SCORES = [name for name in GIVEN if PLAN.targets[name].has_scores]


# Their rankings are not of RDMs.
ruleorder: rank_given > rank_networks
ruleorder: score_given > rank_networks
ruleorder: score_given > target_scores


rule rank_given:
    input:
        similarities=of_target(lambda target: target.files()),
    output:
        ranking=table("targets/{target}/ranking", "Targets"),
    wildcard_constraints:
        target=among([name for name in GIVEN if name not in WITH_SCORES]),
    params:
        code=code_of("rank_given"),
        arrays=of_target(lambda target: target.config.arrays),
        networks=of_target(lambda target: as_json(target.labels)),
        permutations=CONFIG.rsa.type_permutations,
        seed=CONFIG.seed,
    message:
        "Ranking the networks for {wildcards.target} by given similarities"
    shell:
        command(
            "rank_given",
            wildcards="target",
            input="similarities",
            params="arrays networks permutations seed",
            output="ranking",
        )


rule score_given:
    input:
        similarities=of_target(lambda target: target.files()),
    output:
        ranking=table("targets/{target}/ranking", "Targets"),
        table=table("targets/{target}/scores", "Targets"),
        prediction=table("targets/{target}/prediction", "Targets"),
        choice=table("targets/{target}/choice", "Targets"),
        selection=f"{RUN}/targets/{{target}}/selection.csv",
    wildcard_constraints:
        target=among(WITH_SCORES),
    params:
        code=code_of("rank_given"),
        arrays=of_target(lambda target: target.config.arrays),
        networks=of_target(lambda target: as_json(target.labels)),
        permutations=CONFIG.rsa.type_permutations,
        seed=CONFIG.seed,
        scores=of_target(lambda target: target.config.scores),
        same_task=of_target(lambda target: target.same_task or "null"),
    message:
        "Setting published scores beside the ranking for {wildcards.target}"
    shell:
        command(
            "rank_given",
            wildcards="target",
            input="similarities",
            params="arrays networks permutations seed scores same_task",
            output="ranking table prediction choice selection",
        )
