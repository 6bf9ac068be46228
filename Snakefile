# What people run; the workflow itself is in workflow/.
include: "workflow/Snakefile"


workflow.default_target = "all"
