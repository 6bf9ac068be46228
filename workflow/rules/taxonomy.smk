# Trees of tasks, ours and Taskonomy's own.


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


rule download_affinities:
    input:
        code=code_of("download"),
    output:
        ensure(
            protected(DOWNLOADED_AFFINITIES),
            sha256=config["affinities"]["sha256"],
        ),
    log:
        f"{RUN}/logs/download_affinities.log",
    retries: 2
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        url=config["affinities"]["url"],
        sha256=config["affinities"]["sha256"],
    message:
        "Downloading Taskonomy's published affinities"
    shell:
        "python {input.code[0]} --log {log} --url {params.url} --sha256 {params.sha256}"
        " --file {output}"


rule taxonomy_agreement:
    input:
        code=code_of("taxonomy_agreement"),
        affinities=affinities_file,
        rdms=expand(f"{RUN}/rdms/trained/{{task}}.h5", task=AFFINITY_TASKS),
    output:
        agreement=report(
            f"{RUN}/tables/taxonomy_agreement.csv",
            caption="../report/figure6.rst",
            category="Taxonomy",
        ),
        affinity=f"{RUN}/tables/affinity_published.csv",
        similarity=f"{RUN}/tables/taskonomy_similarity.csv",
    log:
        f"{RUN}/logs/taxonomy_agreement.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        sha256=config["affinities"]["sha256"],
        resamples=config["rsa"]["bootstraps"],
        permutations=config["rsa"]["type_permutations"],
        seed=config["seed"],
    message:
        "Comparing our taxonomy with Taskonomy's"
    shell:
        "python {input.code[0]} --log {log} --affinities {input.affinities}"
        " --sha256 {params.sha256} --rdms {input.rdms} --resamples {params.resamples}"
        " --permutations {params.permutations} --seed {params.seed}"
        " --agreement {output.agreement} --affinity {output.affinity}"
        " --similarity {output.similarity}"
