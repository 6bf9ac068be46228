# The bank, Taskonomy's own: the public encoders, checked and loaded strictly.


rule public_encoder:
    input:
        code=code_of("public_encoder"),
        checkpoint=public_checkpoint,
    output:
        weights=f"{RUN}/bank/{{task}}/weights.safetensors",
    log:
        f"{RUN}/logs/public_{{task}}.log",
    benchmark:
        f"{RUN}/benchmarks/public_{{task}}.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=15,
    params:
        name=lambda wildcards: TASKS[wildcards.task].bank_name,
        channels=lambda wildcards: TASKS[wildcards.task].input_channels,
    message:
        "Taking the public encoder of {wildcards.task} into the bank"
    shell:
        "python {input.code[0]} --log {log} --name {params.name} --input_channels {params.channels}"
        " --checkpoint {input.checkpoint:q} --weights {output.weights}"
