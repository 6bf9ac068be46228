# Trees of tasks, and their agreement with the tree of transfer affinities (section 6.1).


rule tree:
    input:
        code=code_of("tree"),
        similarity=f"{RUN}/similarity/{{layer}}.csv",
    output:
        newick=f"{RUN}/trees/{{layer}}_{{linkage}}.nwk",
        linkage=f"{RUN}/trees/{{layer}}_{{linkage}}.csv",
    log:
        f"{RUN}/logs/tree_{{layer}}_{{linkage}}.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    message:
        "Building the tree of {wildcards.layer} by the linkage {wildcards.linkage}"
    shell:
        "python {input.code[0]} --log {log} --similarity {input.similarity}"
        " --method {wildcards.linkage} --newick {output.newick} --linkage {output.linkage}"


rule taxonomy_agreement:
    input:
        code=code_of("taxonomy_agreement"),
        affinities=expand(f"{RUN}/tables/affinity_{{kind}}.csv", kind=AFFINITY_KINDS),
        rdms=BANK_RDMS,
    output:
        agreement=report(
            f"{RUN}/tables/taxonomy_agreement.csv",
            caption="../report/figure6.rst",
            category="Taxonomy",
        ),
        similarities=expand(f"{RUN}/tables/transfer_similarity_{{kind}}.csv", kind=AFFINITY_KINDS),
    log:
        f"{RUN}/logs/taxonomy_agreement.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        kinds=AFFINITY_KINDS,
        resamples=config["rsa"]["bootstraps"],
        permutations=config["rsa"]["type_permutations"],
        seed=config["seed"],
    message:
        "Comparing our taxonomy with that of transfer"
    shell:
        "python {input.code[0]} --log {log} --kinds {params.kinds} --affinities {input.affinities}"
        " --rdms {input.rdms} --resamples {params.resamples}"
        " --permutations {params.permutations} --seed {params.seed}"
        " --agreement {output.agreement} --similarities {output.similarities}"
