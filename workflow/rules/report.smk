# The paper's claims, judged by this run's tables; the page that shows all of it; what git keeps.
REPORTED_PACKAGES = (
    "snakemake torch numpy scipy pandas scikit-image h5py safetensors pillow matplotlib"
).split()


rule claims:
    input:
        tables=outputs.claims_tables(PLAN),
        quality=[f"{RUN}/bank/quality.csv"] * ("trained networks" in PLAN.has),
        small_quality=[f"{RUN}/small/quality.csv"] * bool(PLAN.small.tasks),
    output:
        claims=table("claims", "Claims"),
    params:
        code=code_of("claims"),
        # No timings: tables are the same bytes in every run. The page has a section on cost.
        same_task=PLAN.same_task or "none",
        bank="taskonomy" if PLAN.is_taskonomy else "trained",
    message:
        "Judging the paper's claims"
    shell:
        command(
            "claims",
            input="tables quality small_quality",
            params="same_task bank",
            output="claims",
        )


rule report_page:
    input:
        templates=sorted(map(here, (SCRIPTS / "taskrsa/report/templates").glob("page.*"))),
        networks=f"{RUN}/tables/networks.csv",
        tables=outputs.bank_tables(PLAN),
        target_tables=[*outputs.target_tables(PLAN), *outputs.small_scores(PLAN)],
        curves=lambda wildcards: outputs.curves(PLAN, runs_of),
        claims=[f"{RUN}/claims.csv"] * PLAN.have_claims,
        pictures=outputs.pictures(PLAN),
        linkage=outputs.linkage(PLAN),
        stimuli=f"{RUN}/stimuli.csv",
    output:
        page=f"{RUN}/report.html",
    params:
        code=code_of("report_page"),
        layer=PLAN.bank.layer,
        results=subpath(output.page, parent=True),
        # Not inputs: timings are not results, and their jobs ran before the tables above.
        benchmarks=lambda wildcards, output: f"{Path(output.page).parent}/benchmarks",
        gpu=as_json(CONFIG.training.gpu > 0),
        settings=as_json(CONFIG.model_dump(mode="json") | PLAN.added),
        hashes=as_json(PLAN.hashes),
        left_out=lambda wildcards: outputs.lacking(PLAN),  # messages may hold braces
        paper_target=PLAN.paper_target,
        packages=REPORTED_PACKAGES,
    message:
        "Writing the report, {output.page}"
    shell:
        command(
            "report_page",
            input="networks tables target_tables curves claims pictures linkage stimuli",
            params="layer results benchmarks gpu settings hashes left_out packages"
            + " paper_target" * bool(PLAN.paper_target),
            output="page",
        )


rule reference:
    input:
        tables=outputs.kept_tables(PLAN),
        pictures=outputs.kept_pictures(PLAN),
    output:
        folder=directory(f"results/reference/{CONFIG.run}"),
    params:
        code=code_of("reference"),
    message:
        "Copying what git keeps of this run"
    shell:
        command("reference", input="tables pictures", output="folder")
