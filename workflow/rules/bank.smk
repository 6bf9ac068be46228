# The control bank: encoders of the same architecture with random weights.


rule random_encoders:
    input:
        code=code_of("random_encoders"),
    output:
        weights=expand(f"{RUN}/bank/{{model}}/weights.safetensors", model=RANDOM_IDS),
    log:
        f"{RUN}/logs/random_encoders.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        encoder=json.dumps(config["encoder"]),
        seed=config["seed"] + 1000,
    message:
        "Making the control bank of random-weight encoders"
    shell:
        "python {input.code[0]} --log {log} --encoder {params.encoder:q} --seed {params.seed}"
        " --weights {output.weights}"
