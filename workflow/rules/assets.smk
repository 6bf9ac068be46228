# Files of others: fetched once for all runs, checked, and unpacked (config/assets.tsv lists them).
#
# What has come stays: newer code and other settings of `assets` fetch and unpack nothing again. So
# the code is ancient here, and the settings are params that derive from others, which do not count.
# On a cluster files are fetched where Snakemake runs: compute nodes often have no network.


rule fetch_asset:
    input:
        code=ancient(if_accepted(code_of("fetch")[0])),
    output:
        file=f"{DOWNLOADS}/{{asset}}",
    log:
        f"{RUN}/logs/fetch_{{asset}}.log",
    retries: 2
    localrule: True
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=1440,
        downloads=1,
    params:
        asset=lambda wildcards, threads: asset_row(wildcards),
        settings=lambda wildcards, threads: json.dumps(FETCHING),
        # This one counts: another content in the table is fetched anew.
        content=lambda wildcards: json.loads(asset_row(wildcards))["hash"],
    message:
        "Fetching {wildcards.asset}"
    shell:
        "python {input.code} --log {log} --asset {params.asset:q} --settings {params.settings:q}"
        " --file {output.file}"


rule fetch_building:
    input:
        code=ancient(if_accepted(code_of("fetch")[0])),
    output:
        file=temp(f"{DOWNLOADS}/{{building}}_{{domain}}.tar"),
    log:
        f"{RUN}/logs/fetch_{{building}}_{{domain}}.log",
    retries: 2
    localrule: True
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=1440,
        downloads=1,
    params:
        asset=lambda wildcards, threads: asset_row(wildcards),
        settings=lambda wildcards, threads: json.dumps(FETCHING),
    message:
        "Fetching {wildcards.domain} of Taskonomy's building {wildcards.building}"
    shell:
        "python {input.code} --log {log} --asset {params.asset:q} --settings {params.settings:q}"
        " --file {output.file}"


rule extract_building:
    input:
        code=ancient(code_of("unpack")[0]),
        archive=f"{DOWNLOADS}/{{building}}_{{domain}}.tar",
    output:
        folder=directory(f"{DOWNLOADS}/taskonomy/{{building}}/{{domain}}"),
        manifest=f"{DOWNLOADS}/taskonomy/{{building}}/{{domain}}.csv",
    log:
        f"{RUN}/logs/extract_{{building}}_{{domain}}.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=120,
    message:
        "Unpacking {wildcards.domain} of Taskonomy's building {wildcards.building}"
    shell:
        "python {input.code} --log {log} --archive {input.archive} --folder {output.folder}"
        " --manifest {output.manifest} --wanted '*point_*_view_*_domain_*' --flatten true"


rule unpack_voc:
    input:
        code=ancient(code_of("unpack")[0]),
        archive=asset("voc2012"),
    output:
        folder=directory(f"{DOWNLOADS}/voc2012"),
        manifest=f"{DOWNLOADS}/voc2012.csv",
    log:
        f"{RUN}/logs/unpack_voc.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=120,
    message:
        "Unpacking Pascal VOC 2012"
    shell:
        "python {input.code} --log {log} --archive {input.archive} --folder {output.folder}"
        " --manifest {output.manifest} --wanted '*/JPEGImages/*' '*/SegmentationClass/*'"
        " '*/ImageSets/Segmentation/*'"


rule unpack_sbd:
    input:
        code=ancient(code_of("unpack")[0]),
        archive=asset("sbd"),
    output:
        folder=directory(f"{DOWNLOADS}/sbd"),
        manifest=f"{DOWNLOADS}/sbd.csv",
    log:
        f"{RUN}/logs/unpack_sbd.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=120,
    message:
        "Unpacking the Semantic Boundaries Dataset"
    shell:
        # VOC's devkit holds its photographs as well.
        "python {input.code} --log {log} --archive {input.archive} --folder {output.folder}"
        " --manifest {output.manifest} --wanted '*/dataset/cls/*.mat' '*/dataset/train.txt'"
        " '*/dataset/val.txt'"
