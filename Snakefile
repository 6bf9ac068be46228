# taskrsa: which pretrained network should I fine-tune?
# Regenerates the tables and figures of Dwivedi & Roig (CVPR 2019) for the run named in the config.

from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/bank.smk"
include: "workflow/rules/rsa.smk"
include: "workflow/rules/taxonomy.smk"
include: "workflow/rules/figures.smk"


rule all:
    default_target: True
    input:
        f"{RUN}/stimuli.csv",
        f"{RUN}/tables/tasks.csv",
        # What each network of the bank has learnt.
        f"{RUN}/bank/quality.csv",
        rules.figure_quality.output,
        rules.figure_learning_curves.output,
        # Section 6.1: similarity and tree at the compressed output, by depth, beside Taskonomy's.
        rules.figure4.output,
        rules.figure5.output,
        rules.figure6.output if AFFINITIES else [],
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
