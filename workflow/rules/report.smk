# The claims of the paper, judged by this run's tables, and one page that shows all of it.


rule claims:
    input:
        code=code_of("claims"),
        tables=[
            f"{RUN}/tables/similarity.csv",
            f"{RUN}/tables/type_separation.csv",
            *expand(f"{RUN}/tables/{{name}}.csv", name=["label_agreement"] * HAVE_LABELS),
            f"{RUN}/tables/figure7.csv",
            f"{RUN}/tables/small_vs_bank.csv",
            f"{RUN}/tables/small_agreement.csv",
            *expand(
                f"{RUN}/tables/{{name}}.csv",
                name=["taxonomy_agreement", "selection", "table1"] * bool(AFFINITY_KINDS),
            ),
            *expand(f"{RUN}/tables/{{name}}.csv", name=NEW_TASK_TABLES),
            *expand(
                f"{RUN}/tables/robustness_{{factor}}.csv", factor=["images", "width", "stage"]
            ),
        ],
    output:
        claims=report(f"{RUN}/claims.csv", caption="../report/claims.rst", category="Claims"),
    log:
        f"{RUN}/logs/claims.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        # No timings: tables are the same bytes in every run. The page has a section on cost.
        own=config["pascal"]["own_task"],
        bank=BANK,
    message:
        "Judging the paper's claims"
    shell:
        "python {input.code[0]} --log {log} --tables {input.tables}"
        " --own {params.own} --bank {params.bank}"
        " --claims {output.claims}"


rule report_page:
    input:
        code=code_of("report_page"),
        templates=sorted(
            map(os.path.relpath, (SCRIPTS / "taskrsa/report/templates").glob("page.*"))
        ),
        tables=[
            *rules.claims.input.tables,
            f"{RUN}/tables/tasks.csv",
            f"{RUN}/tables/presets.csv",
            *expand(f"{RUN}/tables/robustness_{{factor}}.csv", factor=["seed"] * (len(SEEDS) > 1)),
        ],
        bank_quality=BANK_QUALITY,
        small_quality=f"{RUN}/small/quality.csv",
        claims=f"{RUN}/claims.csv",
        # In the order of the paper.
        pictures=expand(
            f"{RUN}/figures/{{name}}.png",
            name=[
                "figure4",
                "figure5",
                "type_separation",
                *["label_agreement"] * HAVE_LABELS,
                *["figure6"] * bool(AFFINITY_KINDS),
                *["figure6_published"] * (len(AFFINITY_KINDS) == 2),
                "figure7",
                "figureS1",
                "figureS3",
                *["affinity", "selection"] * bool(AFFINITY_KINDS),
                *NEW_TASK_FIGURES,
                "robustness_images",
                "robustness_width",
                "robustness_stage",
                *["robustness_seed"] * (len(SEEDS) > 1),
                "presets",
                *BANK_FIGURES,
            ],
        ),
        captions=sorted(map(os.path.relpath, (BASE / "workflow/report").glob("*.rst"))),
        linkage=f"{RUN}/trees/compressed_{RSA['linkage']}.csv",
        stimuli=f"{RUN}/stimuli.csv",
        target=[f"{RUN}/pascal/images.csv"] * NEW_TASK,
    output:
        page=f"{RUN}/report.html",
    log:
        f"{RUN}/logs/report_page.log",
    conda:
        "../../envs/taskrsa.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        results=subpath(output.page, parent=True),
        # Not inputs: timings are no results. What they are of has run before the tables above.
        benchmarks=f"{RUN}/benchmarks",
        gpu=json.dumps(config["training"]["gpu"] > 0),
        settings=json.dumps(config),
        hashes=json.dumps(
            {
                name: ASSETS[name].hash.removeprefix("sha256:")
                for name in [
                    *["affinities"] * ("published" in AFFINITY_KINDS),
                    *[f"encoder/{task}" for task in TASK_IDS if BANK == "taskonomy"],
                ]
            }
        ),
        packages=REPORTED_PACKAGES,
    message:
        "Writing the report, {output.page}"
    shell:
        "python {input.code[0]} --log {log} --tables {input.tables}"
        " --bank_quality {input.bank_quality} --small_quality {input.small_quality}"
        " --claims {input.claims} --pictures {input.pictures} --captions {input.captions}"
        " --linkage {input.linkage} --stimuli {input.stimuli} --target {input.target}"
        " --results {params.results} --benchmarks {params.benchmarks}"
        " --gpu {params.gpu} --settings {params.settings:q} --hashes {params.hashes:q} --packages {params.packages}"
        " --page {output.page}"
