# Third-party files: fetched once for all runs, checked, unpacked and converted (config/assets.tsv).
#
# What has come stays: newer code and other settings of `assets` fetch and unpack nothing again. So
# the code is no param here, and the settings are params that derive from others, which do not count.
# On a cluster files are fetched where Snakemake runs: compute nodes often have no network.


rule fetch_asset:
    input:
        licence=accepted_licence,
    output:
        file=f"{DOWNLOADS}/{{asset}}",
    # A server that is busy is asked again by the job (assets.tries); what is wrong stays wrong.
    retries: 0
    localrule: True
    resources:
        runtime=1440,
        downloads=1,
    params:
        asset=lambda wildcards, threads: as_json(wanted(wildcards)),
        settings=lambda wildcards, threads: as_json(PLAN.fetching.settings),
        # This one counts: another content in the table is fetched again.
        content=lambda wildcards: wanted(wildcards).hash,
    message:
        "Fetching {wildcards.asset}"
    shell:
        command("fetch", params="asset settings", output="file")


use rule fetch_asset as fetch_building with:
    input:
        licence=accepted_licence,
    output:
        file=temp(f"{DOWNLOADS}/{{building}}_{{domain}}.tar"),
    message:
        "Fetching {wildcards.domain} of Taskonomy's building {wildcards.building}"


rule unpack_building:
    input:
        archive=f"{DOWNLOADS}/{{building}}_{{domain}}.tar",
    output:
        folder=directory(f"{DOWNLOADS}/taskonomy/{{building}}/{{domain}}"),
        manifest=f"{DOWNLOADS}/taskonomy/{{building}}/{{domain}}.csv",
    resources:
        runtime=120,
    params:
        wanted=["*point_*_view_*_domain_*"],
        flatten="true",
    message:
        "Unpacking {wildcards.domain} of Taskonomy's building {wildcards.building}"
    shell:
        command("unpack", input="archive", params="wanted flatten", output="folder manifest")


use rule unpack_building as unpack_voc with:
    input:
        archive=PLAN.fetching.path("voc2012"),
    output:
        folder=directory(f"{DOWNLOADS}/voc2012"),
        manifest=f"{DOWNLOADS}/voc2012.csv",
    params:
        wanted=["*/JPEGImages/*", "*/SegmentationClass/*", "*/ImageSets/Segmentation/*"],
        flatten="false",
    message:
        "Unpacking Pascal VOC 2012"


use rule unpack_building as unpack_sbd with:
    input:
        archive=PLAN.fetching.path("sbd"),
    output:
        folder=directory(f"{DOWNLOADS}/sbd"),
        manifest=f"{DOWNLOADS}/sbd.csv",
    params:
        # VOC's devkit holds its photographs as well.
        wanted=["*/dataset/cls/*.mat", "*/dataset/train.txt", "*/dataset/val.txt"],
        flatten="false",
    message:
        "Unpacking the Semantic Boundaries Dataset"


rule convert_nyuv2:
    input:
        mat=asked(lambda wildcards: PLAN.data.nyuv2_file()),
        tables=asked(lambda wildcards: PLAN.data.nyuv2_tables()),
    output:
        **PLAN.data.nyuv2_classes,
        table=f"{PLAN.data.nyuv2_folder}/images.csv",
        camera=f"{PLAN.data.nyuv2_folder}/camera.json",
    benchmark:
        f"{RUN}/benchmarks/convert_nyuv2.tsv"
    resources:
        runtime=120,
    params:
        code=code_of("convert_nyuv2"),
        folder=subpath(output.table, parent=True),
        options=asked(lambda wildcards: as_json(PLAN.data.nyuv2_options())),
    message:
        "Converting NYU Depth v2 to a folder of RGB-D images"
    shell:
        command("convert_nyuv2", input="mat", params="folder options")
