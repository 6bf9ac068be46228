# A race: networks are fine-tuned by halves, until one is left, which is trained in full
# (`finetune: race`; the schedule is in scripts/taskrsa/transferability/race.py).

# What legs of one target's race are trained with.
RACE_PARAMS = {
    "weights": lambda wildcards, input: input.get("weights") or "null",
    "before": lambda wildcards, input: input.get("before") or "null",
    "row": lambda wildcards: as_json(PLAN.bank.networks.get(wildcards.network)),
    "tap": of_target(lambda target: target.config.tap),
    "head": lambda wildcards: as_json(PLAN.targets[wildcards.target].head(wildcards.network)),
    "recipe": of_target(lambda target: as_json(target.config.recipe)),
    "n_train": of_target(lambda target: as_json(target.config.n_train)),
    "seed": of_target(lambda target: CONFIG.seed + 4000 + target.config.seeds[0]),
    "share": of_target(lambda target: target.config.val_share),
    "split_seed": CONFIG.seed,
}
RACE_FLAGS = {
    "before": USER_MODULES,
    "wildcards": "model=network",
    "input": "data",
    "params": f"{' '.join(RACE_PARAMS)} leg",
}


rule race_leg:
    input:
        data=f"{RUN}/targets/{{target}}/data.h5",
        weights=asked(lambda wildcards: PLAN.start(wildcards.network)),
        beside=beside,
        before=lambda wildcards: PLAN.targets[wildcards.target].state_before(
            wildcards.network, int(wildcards.round)
        ),
    output:
        state=f"{RUN}/targets/{{target}}/race/{{network}}/round{{round}}/training.state",
        curve=f"{RUN}/targets/{{target}}/race/{{network}}/round{{round}}/learning_curve.csv",
        scores=f"{RUN}/targets/{{target}}/race/{{network}}/round{{round}}/scores.csv",
    benchmark:
        f"{RUN}/benchmarks/finetune_{{target}}_race_{{network}}_round{{round}}.tsv"
    wildcard_constraints:
        target=RACED,
    threads: FINETUNING_THREADS
    resources:
        **FINETUNING,
    params:
        **RACE_PARAMS,
        code=code_of("race_leg"),
        leg=lambda wildcards: as_json(
            PLAN.targets[wildcards.target].rounds[int(wildcards.round) - 1]
        ),
    message:
        "Fine-tuning {wildcards.network} on {wildcards.target}, round {wildcards.round} of the race"
    shell:
        command("race_leg", **RACE_FLAGS, output="state curve scores")


# Which networks go on is known when this has run.
checkpoint race_round:
    input:
        runs=lambda wildcards: legs_of(PLAN.targets[wildcards.target], int(wildcards.round)),
    output:
        table=f"{RUN}/targets/{{target}}/race/round{{round}}.csv",
    wildcard_constraints:
        target=RACED,
    params:
        code=code_of("race_round"),
        keep=lambda wildcards: PLAN.targets[wildcards.target].rounds[int(wildcards.round)].entrants,
    message:
        "Deciding round {wildcards.round} of the race for {wildcards.target}"
    shell:
        command("race_round", input="runs", params="keep", output="table")


# The last leg of the one that is left; in the place of any fine-tuned network.
rule race_winner:
    input:
        data=f"{RUN}/targets/{{target}}/data.h5",
        weights=asked(lambda wildcards: PLAN.start(wildcards.network)),
        beside=beside,
        before=lambda wildcards: PLAN.targets[wildcards.target].state_before(
            wildcards.network, len(PLAN.targets[wildcards.target].rounds)
        ),
    output:
        output_weights=f"{RUN}/targets/{{target}}/finetuned/{{tap}}/{{network}}/s{{seed}}/weights.safetensors",
        curve=f"{RUN}/targets/{{target}}/finetuned/{{tap}}/{{network}}/s{{seed}}/learning_curve.csv",
        scores=f"{RUN}/targets/{{target}}/finetuned/{{tap}}/{{network}}/s{{seed}}/scores.csv",
    benchmark:
        f"{RUN}/benchmarks/finetune_{{target}}_{{tap}}_{{network}}_s{{seed}}.tsv"
    wildcard_constraints:
        target=RACED,
    threads: FINETUNING_THREADS
    resources:
        **FINETUNING,
    params:
        **RACE_PARAMS,
        code=code_of("race_leg"),
        leg=of_target(lambda target: as_json(target.rounds[-1])),
    message:
        "Fine-tuning {wildcards.network}, which won the race for {wildcards.target}, to the end"
    shell:
        command("race_leg", **RACE_FLAGS, output="output_weights curve scores")


rule race_table:
    input:
        ranking=f"{RUN}/targets/{{target}}/ranking.csv",
        runs=f"{RUN}/targets/{{target}}/runs.csv",
        decisions=of_target(lambda target: target.decisions),
        curve=of_target(
            lambda target: runs_of(target, target.config.tap)[0].replace(
                "scores.csv", "learning_curve.csv"
            )
        ),
    output:
        table=table("targets/{target}/race", "Targets"),
        scores=table("targets/{target}/scores", "Targets"),
    wildcard_constraints:
        target=RACED,
    params:
        code=code_of("race_table"),
        rounds=of_target(lambda target: as_json(target.rounds)),
        networks=of_target(lambda target: as_json(target.labels)),
    message:
        "Collecting the rounds of the race for {wildcards.target}"
    shell:
        command(
            "race_table",
            input="ranking runs decisions curve",
            params="rounds networks",
            output="table scores",
        )
