# The figures of the paper, and those that say how far to trust them. Each has its data beside it.


rule figure4:
    input:
        code=code_of("figure4"),
        similarity=f"{RUN}/similarity/compressed.csv",
        linkage=f"{RUN}/trees/compressed_{RSA['linkage']}.csv",
    output:
        **figure_files("figure4", "figure4.rst", "Taxonomy"),
    log:
        f"{RUN}/logs/figure4.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        method=RSA["linkage"],
    message:
        "Drawing figure 4: task similarity and tree"
    shell:
        "python {input.code[0]} --log {log} --similarity {input.similarity}"
        " --linkage {input.linkage} --method {params.method} --pdf {output.pdf} --png {output.png} --csv {output.csv}"


rule figure5:
    input:
        code=code_of("figure5"),
        similarity=f"{RUN}/tables/similarity.csv",
    output:
        **figure_files("figure5", "figure5.rst", "Taxonomy"),
    log:
        f"{RUN}/logs/figure5.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Drawing figure 5: task similarity by depth, and of the labels"
    shell:
        "python {input.code[0]} --log {log} --similarity {input.similarity}"
        " --pdf {output.pdf} --png {output.png} --csv {output.csv}"


rule figure6:
    input:
        code=code_of("figure6"),
        agreement=f"{RUN}/tables/taxonomy_agreement.csv",
        transfer=transfer_similarity(AFFINITY_KIND),
        similarity=f"{RUN}/similarity/compressed.csv",
    output:
        **figure_files("figure6", "figure6.rst", "Taxonomy"),
        ours_newick=f"{RUN}/figures/figure6_ours.nwk",
        transfer_newick=f"{RUN}/figures/figure6_transfer.nwk",
    log:
        f"{RUN}/logs/figure6.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        method="average",
        kind=AFFINITY_KIND,
        title=TRANSFER_TITLES[AFFINITY_KIND],
    message:
        "Drawing figure 6: our tree beside that of transfer"
    shell:
        "python {input.code[0]} --log {log} --agreement {input.agreement} --kind {params.kind}"
        " --transfer {input.transfer} --similarity {input.similarity} --method {params.method}"
        " --title {params.title:q} --pdf {output.pdf} --png {output.png} --csv {output.csv}"
        " --ours_newick {output.ours_newick} --transfer_newick {output.transfer_newick}"


use rule figure6 as figure6_published with:
    input:
        code=code_of("figure6"),
        agreement=f"{RUN}/tables/taxonomy_agreement.csv",
        transfer=transfer_similarity("published"),
        similarity=f"{RUN}/similarity/compressed.csv",
    output:
        **figure_files("figure6_published", "figure6_published.rst", "Taxonomy"),
        ours_newick=f"{RUN}/figures/figure6_published_ours.nwk",
        transfer_newick=f"{RUN}/figures/figure6_published_transfer.nwk",
    log:
        f"{RUN}/logs/figure6_published.log",
    params:
        method="average",
        kind="published",
        title=TRANSFER_TITLES["published"],
    message:
        "Drawing our tree beside that of Taskonomy's published affinities"


rule figure7:
    input:
        code=code_of("figure7"),
        rankings=f"{RUN}/tables/figure7.csv",
        agreement=f"{RUN}/tables/small_vs_bank.csv",
    output:
        **figure_files("figure7", "figure7.rst", "Small models"),
    log:
        f"{RUN}/logs/figure7.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        tasks=FIGURE7_IDS,
    message:
        "Drawing figure 7: rankings by small models beside the bank's"
    shell:
        "python {input.code[0]} --log {log} --rankings {input.rankings}"
        " --agreement {input.agreement} --tasks {params.tasks}"
        " --pdf {output.pdf} --png {output.png} --csv {output.csv}"


rule figureS1:
    input:
        code=code_of("figureS1"),
        rankings=f"{RUN}/tables/figure7.csv",
        agreement=f"{RUN}/tables/small_vs_bank.csv",
    output:
        **figure_files("figureS1", "figureS1.rst", "Small models"),
    log:
        f"{RUN}/logs/figureS1.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Drawing figure S1: the rankings of every small model"
    shell:
        "python {input.code[0]} --log {log} --rankings {input.rankings}"
        " --agreement {input.agreement}"
        " --pdf {output.pdf} --png {output.png} --csv {output.csv}"


rule figureS3:
    input:
        code=code_of("figureS3"),
        pairs=f"{RUN}/tables/small_pairs.csv",
        agreement=f"{RUN}/tables/small_agreement.csv",
    output:
        **figure_files("figureS3", "figureS3.rst", "Small models"),
    log:
        f"{RUN}/logs/figureS3.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Drawing figure S3: similarity among small models beside that in the bank"
    shell:
        "python {input.code[0]} --log {log} --pairs {input.pairs} --agreement {input.agreement}"
        " --pdf {output.pdf} --png {output.png} --csv {output.csv}"


rule figure_robustness:
    input:
        code=code_of("figure_robustness"),
        table=f"{RUN}/tables/robustness_{{factor}}.csv",
    output:
        **figure_files("robustness_{factor}", "robustness.rst", "Robustness"),
    log:
        f"{RUN}/logs/figure_robustness_{{factor}}.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Drawing how rankings depend on {wildcards.factor}"
    shell:
        "python {input.code[0]} --log {log} --table {input.table} --factor {wildcards.factor}"
        " --pdf {output.pdf} --png {output.png} --csv {output.csv}"


rule figure_affinity:
    input:
        code=code_of("figure_affinity"),
        affinity=f"{RUN}/tables/affinity.csv",
    output:
        **figure_files("affinity", "affinity.rst", "Transfer"),
    log:
        f"{RUN}/logs/figure_affinity.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Drawing the transfer affinities"
    shell:
        "python {input.code[0]} --log {log} --affinity {input.affinity}"
        " --pdf {output.pdf} --png {output.png} --csv {output.csv}"


rule figure_selection:
    input:
        code=code_of("figure_selection"),
        selection=f"{RUN}/tables/selection.csv",
    output:
        **figure_files("selection", "selection.rst", "Transfer"),
    log:
        f"{RUN}/logs/figure_selection.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Drawing how well similarity predicts transfer"
    shell:
        "python {input.code[0]} --log {log} --selection {input.selection}"
        " --pdf {output.pdf} --png {output.png} --csv {output.csv}"


rule figure_separation:
    input:
        code=code_of("figure_separation"),
        separation=f"{RUN}/tables/type_separation.csv",
    output:
        **figure_files("type_separation", "type_separation.rst", "Taxonomy"),
    log:
        f"{RUN}/logs/figure_separation.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Drawing how task types separate with depth"
    shell:
        "python {input.code[0]} --log {log} --separation {input.separation}"
        " --pdf {output.pdf} --png {output.png} --csv {output.csv}"


rule figure_label_agreement:
    input:
        code=code_of("figure_label_agreement"),
        agreement=f"{RUN}/tables/label_agreement.csv",
        similarity=f"{RUN}/tables/similarity.csv",
    output:
        **figure_files("label_agreement", "label_agreement.rst", "Taxonomy"),
    log:
        f"{RUN}/logs/figure_label_agreement.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Drawing how far labels explain the networks"
    shell:
        "python {input.code[0]} --log {log} --agreement {input.agreement}"
        " --similarity {input.similarity}"
        " --pdf {output.pdf} --png {output.png} --csv {output.csv}"


rule figure_presets:
    input:
        code=code_of("figure_presets"),
        presets=f"{RUN}/tables/presets.csv",
    output:
        **figure_files("presets", "presets.rst", "Similarity"),
    log:
        f"{RUN}/logs/figure_presets.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Drawing how far the choices of method move the similarities"
    shell:
        "python {input.code[0]} --log {log} --presets {input.presets}"
        " --pdf {output.pdf} --png {output.png} --csv {output.csv}"


rule reference:
    input:
        code=code_of("reference"),
        tables=[
            *BANK_QUALITY,
            f"{RUN}/tables/tasks.csv",
            f"{RUN}/tables/similarity.csv",
            f"{RUN}/tables/type_separation.csv",
            f"{RUN}/tables/label_agreement.csv",
            f"{RUN}/tables/taxonomy_agreement.csv",
            f"{RUN}/tables/presets.csv",
            f"{RUN}/small/quality.csv",
            f"{RUN}/tables/figure7.csv",
            f"{RUN}/tables/small_vs_bank.csv",
            f"{RUN}/tables/small_agreement.csv",
            f"{RUN}/tables/affinity_measured.csv",
            f"{RUN}/tables/selection.csv",
            f"{RUN}/tables/table1.csv",
            *expand(
                f"{RUN}/tables/robustness_{{factor}}.csv",
                factor=["images", "width", "stage", "seed"],
            ),
            *expand(
                f"{RUN}/tables/{{name}}.csv",
                name=NEW_TASK_TABLES,
            ),
            f"{RUN}/trees/compressed_paper.nwk",
            f"{RUN}/trees/compressed_average.nwk",
        ],
        pictures=[
            f"{RUN}/figures/{name}.png"
            for name in (
                "figure4",
                "figure5",
                "figure6",
                "figure6_published",
                "figure7",
                "figureS1",
                "figureS3",
                *NEW_TASK_FIGURES,
                "affinity",
                "selection",
                "robustness_images",
                "robustness_width",
                "robustness_stage",
                "robustness_seed",
                "type_separation",
                "label_agreement",
                "presets",
                *BANK_FIGURES,
            )
        ],
    output:
        directory(f"results/reference/{config['run']}"),
    log:
        f"{RUN}/logs/reference.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Copying what git keeps of this run"
    shell:
        "python {input.code[0]} --log {log} --tables {input.tables} --pictures {input.pictures}"
        " --folder {output}"
