# taskrsa: which pretrained network should I fine-tune?
# Regenerates the tables and figures of Dwivedi & Roig (CVPR 2019) for the run named in the config.

from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/assets.smk"
include: "workflow/rules/convert.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/bank.smk"
include: f"workflow/rules/bank_{BANK}.smk"
include: "workflow/rules/rsa.smk"
include: "workflow/rules/small.smk"
include: "workflow/rules/transfer.smk"
include: "workflow/rules/taxonomy.smk"
include: "workflow/rules/figures.smk"


if NEW_TASK:

    include: "workflow/rules/pascal.smk"


if OWN_BANK:

    include: "workflow/rules/own_bank.smk"


if OWN_TARGET:

    include: "workflow/rules/own_target.smk"


include: "workflow/rules/report.smk"


localrules:
    all,
    rsa,


rule all:
    default_target: True
    input:
        f"{RUN}/stimuli.csv",
        f"{RUN}/tables/tasks.csv",
        # What each network of a bank that is trained here has learnt.
        BANK_QUALITY,
        [rules.figure_quality.output, rules.figure_learning_curves.output] if BANK_QUALITY else [],
        # Section 6.1: similarity and tree at the compressed output, by depth, beside Taskonomy's.
        rules.figure4.output,
        rules.figure5.output,
        rules.figure6.output if AFFINITY_KINDS else [],
        rules.figure6_published.output if len(AFFINITY_KINDS) == 2 else [],
        f"{RUN}/tables/similarity.csv",
        expand(
            f"{RUN}/trees/{{layer}}_{{linkage}}.nwk",
            layer=COMPARED_LAYERS,
            linkage=["paper", "average"],
        ),
        # How much of it is type, how much the labels, how much the method.
        rules.figure_separation.output,
        rules.figure_label_agreement.output if HAVE_LABELS else [],
        rules.figure_presets.output,
        # Section 6.2, supplement S1 and S3: small models rank the bank as its own networks do.
        f"{RUN}/small/quality.csv",
        rules.figure7.output,
        rules.figureS1.output,
        rules.figureS3.output,
        # Section 6.3: similarity predicts transfer.
        [rules.figure_affinity.output, rules.figure_selection.output, rules.table1.output]
        if AFFINITY_KINDS
        else [],
        # Section 6.3, Figure 8 and Table 2: a new task ranks the bank, and fine-tuning judges the ranking.
        [rules.figure8.output, rules.figure_table2.output, rules.figure_choice.output]
        if NEW_TASK
        else [],
        rules.compare_taps.output if COMPARED_INITS else [],
        # Supplement S3: what the rankings hang on.
        expand(
            rules.figure_robustness.output,
            factor=["images", "width", "stage"] + ["seed"] * (len(SEEDS) > 1),
        ),
        # All of it on one page, the paper's claims judged.
        [rules.claims.output, rules.report_page.output],


# The cheap part of the paper: the bank, the stimuli, Figures 4-6. Nothing is trained for a public bank.
rule rsa:
    input:
        rules.figure4.output,
        rules.figure5.output,
        rules.figure6.output if AFFINITY_KINDS else [],
        f"{RUN}/tables/similarity.csv",
        f"{RUN}/trees/compressed_paper.nwk",
        f"{RUN}/trees/compressed_average.nwk",


if OWN_BANK:

    # The networks of the table, shown the stimuli and compared.
    rule own_bank:
        input:
            expand(rules.own_similarity.output, own_layer=OWN_LAYERS),
            [] if OWN_TARGET else rules.own_report.output,
        localrule: True


if OWN_TARGET:

    # Which of them to fine-tune for the user's own target.
    rule own_target:
        input:
            rules.own_bank.input,
            rules.figure_target_ranking.output,
            checkpoints.rank_own_bank.rule.output,
            [rules.own_target_scores.output, rules.own_target_cost.output] if IS_LABELLED else [],
            rules.own_report.output,
        localrule: True


grow_memory()


onstart:
    stop_for_twins()
