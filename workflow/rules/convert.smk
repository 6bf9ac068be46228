# Data sets that are published in formats of their own, turned into folders that the sources read.


rule convert_nyuv2:
    input:
        code=code_of("convert_nyuv2"),
        mat=nyuv2_file,
        tables=nyuv2_tables,
    output:
        **NYUV2_CLASSES,
        table=f"{NYUV2_FOLDER}/images.csv",
        camera=f"{NYUV2_FOLDER}/camera.json",
    log:
        f"{RUN}/logs/convert_nyuv2.log",
    benchmark:
        f"{RUN}/benchmarks/convert_nyuv2.tsv"
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        folder=subpath(output.table, parent=True),
        options=nyuv2_options,
    message:
        "Converting NYU Depth v2 to a folder of RGB-D images"
    shell:
        "python {input.code[0]} --log {log} --mat {input.mat:q} --folder {params.folder}"
        " --options {params.options:q}"
