"""Claims and report of a run: in a real browser without a network, in Snakemake's own report."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import Project
from taskrsa.figures.registry import registered

SMOKE = ("--configfile", "config/smoke.yaml")

pytestmark = pytest.mark.workflow


def page_of(smoke: Project) -> Path:
    return smoke.path / "results/smoke/report.html"


def test_claims_are_judged_in_every_run(smoke):
    claims = pd.read_csv(smoke.path / "results/smoke/claims.csv")
    first = ["claim", "statement", "published", "ours", "ci_low", "ci_high", "verdict", "note"]
    assert list(claims)[: len(first)] == first
    assert list(dict.fromkeys(claims["claim"])) == [f"C{n}" for n in range(1, 13)]
    assert set(claims["verdict"]) <= {"holds", "does not", "not comparable"}
    # All is there: images, labels, affinities, a target. Only networks that learnt nothing, as such
    # small ones may, leave numbers that no verdict is made of, and some claims without a number.
    others = claims[claims["claim"] != "C12"]
    open_ones = others[others["verdict"] == "not comparable"]
    why = open_ones["note"].str.startswith(("nothing was learnt", "the published value and chance"))
    assert why.all(), open_ones.loc[~why, "note"].tolist()
    assert set(others[others["ours"].isna()]["claim"]) <= {"C5", "C7", "C9", "C10"}
    # Timings are not the same in every run, and so not in a table: the page has them.
    cost = claims.loc[claims["claim"] == "C12"]
    assert cost["ours"].isna().all()
    assert cost["note"].str.contains("timings differ from run to run").all()
    c6 = claims[claims["claim"] == "C6"].iloc[0]
    table = pd.read_csv(smoke.path / "results/smoke/tables/small_agreement.csv")
    assert c6["ours"] == table.set_index("seeds").loc["mean", "pearson"]


def test_the_page_says_what_jobs_took(smoke):
    """A server runs the jobs here, of which Snakemake's benchmarks see next to nothing."""
    for path in (smoke.path / "results/smoke/benchmarks").rglob("*.tsv"):
        taken = pd.read_csv(path, sep="\t")
        taken.assign(cpu_time=taken["s"]).to_csv(path, sep="\t", index=False)
    smoke.snakemake(*SMOKE, "--force", "results/smoke/report.html")
    said = re.findall(
        r"CPU-seconds [\d.]+ (?:against|for \d+ networks)", page_of(smoke).read_text()
    )
    assert len(said) >= 2
    assert smoke.planned(*SMOKE) == set()


def test_the_page_repeats_itself_and_goes_stale_with_its_template(smoke):
    # It says how large the folder is, to which other tests may have added.
    smoke.snakemake(*SMOKE, "--force", "results/smoke/report.html")
    before = page_of(smoke).read_bytes()
    smoke.snakemake(*SMOKE, "--force", "results/smoke/report.html")
    assert page_of(smoke).read_bytes() == before
    template = smoke.path / "scripts/taskrsa/report/templates/page.css"
    text = template.read_text()
    try:
        template.write_text(text + "\n/* other */\n")
        assert smoke.planned(*SMOKE) == {"report_page"}
    finally:
        template.write_text(text)
    assert smoke.planned(*SMOKE) == set()


def test_the_page_says_what_it_was_made_from(smoke):
    import h5py

    text = page_of(smoke).read_text()
    with h5py.File(smoke.path / "results/smoke/rdms/bank/edge2d.h5") as file:
        digest = file["descriptors"].attrs["stimuli_digest"]
    assert digest in text
    assert "type_permutations: 99" in text
    assert "snakemake" in text
    assert "fine-tuning on the targets" in text


def test_a_run_without_a_target_has_a_page(smoke):
    """Last of those that read the page: it is written again, and put back."""
    kept = {name: (smoke.path / f"results/smoke/{name}").read_bytes() for name in KEPT}
    less = smoke.path / "config/less.yaml"
    config = yaml.safe_load((smoke.path / "config/smoke.yaml").read_text())
    less.write_text(yaml.safe_dump({k: v for k, v in config.items() if k != "targets"}))
    try:
        smoke.snakemake(
            "--configfile",
            "config/less.yaml",
            "--",
            "results/smoke/report.html",
        )
        claims = pd.read_csv(smoke.path / "results/smoke/claims.csv").set_index("claim")
        assert claims.loc[["C9", "C10"], "note"].str.contains("the paper's target").all()
        assert set(claims.loc[["C9", "C10"], "verdict"]) == {"not comparable"}
        assert "This run has no target" in page_of(smoke).read_text()
    finally:
        less.unlink()
        smoke.snakemake(*SMOKE)
    assert {name: (smoke.path / f"results/smoke/{name}").read_bytes() for name in KEPT} == kept


KEPT = ("claims.csv", "report.html")


def test_snakemake_s_own_report_has_captions_and_categories(smoke):
    archive = smoke.path / "report.zip"
    smoke.snakemake(*SMOKE, "--report", "report.zip")
    with zipfile.ZipFile(archive) as found:
        names = found.namelist()
        text = "".join(
            found.read(name).decode() for name in names if name.endswith((".html", ".js"))
        )
    assert any(name.endswith("claims.csv") for name in names)
    assert any(name.endswith("figure4.png") for name in names)
    for category in ("Claims", "Taxonomy", "Small models", "Transfer", "Target", "Robustness"):
        assert category in text, category
    assert registered()["figure4"].caption.split(".")[0] in " ".join(text.split())


# --- a real browser ---


@pytest.fixture
def opened(browser, smoke):
    """Return the page as a browser shows it, with what it asked for and complained of."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    page.complaints, page.requests = [], []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(page_of(smoke).as_uri())
    yield page
    context.close()


def test_browser_no_error_no_request_and_every_image(opened, smoke):
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [
        page_of(smoke).as_uri()
    ]
    widths = opened.evaluate("[...document.images].map((i) => i.complete && i.naturalWidth)")
    assert len(widths) >= 20
    assert all(width > 0 for width in widths)


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_browser_nothing_is_wider_than_the_screen(opened, width):
    opened.set_viewport_size({"width": width, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    # Tables scroll inside their own boxes instead.
    wide = opened.evaluate(
        "[...document.querySelectorAll('.scroll')].some((b) => b.scrollWidth > b.clientWidth)"
    )
    assert wide or width > 360
    top = opened.evaluate("document.querySelector('#answer h2').getBoundingClientRect().top")
    assert 0 < top < 300


def test_browser_tables_sort_by_click_and_by_key(opened):
    def column() -> list[float]:
        cells = opened.locator("#answer tbody tr td:nth-child(3)").all_inner_texts()
        return [float(cell.split()[0].replace("\N{MINUS SIGN}", "-")) for cell in cells]

    heads = opened.locator("#answer thead th")
    assert heads.nth(2).inner_text().strip() == "mean rank"
    before = column()
    assert len(set(before)) > 1
    heads.nth(2).locator("button").click()
    assert heads.nth(2).get_attribute("aria-sort") == "ascending"
    assert column() == sorted(before)
    heads.nth(2).locator("button").focus()
    opened.keyboard.press("Enter")
    assert heads.nth(2).get_attribute("aria-sort") == "descending"
    assert column() == sorted(before, reverse=True)
    heads.nth(0).locator("button").click()
    assert heads.nth(2).get_attribute("aria-sort") is None
    assert opened.complaints == []


def test_browser_layers_change_with_the_arrow_keys(opened):
    shown = opened.locator(".layer:visible .scroll")
    assert shown.get_attribute("aria-label") == "Similarity matrix, compressed encoder output"
    opened.locator("#layer-compressed").focus()
    opened.keyboard.press("ArrowLeft")
    assert shown.get_attribute("aria-label") == "Similarity matrix, block 4"
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("ArrowRight")
    assert shown.get_attribute("aria-label") == "Similarity matrix, labels"


def test_browser_dark_and_light_are_readable(opened):
    def contrast() -> float:
        return opened.evaluate(
            """() => {
              const light = (colour) => {
                const part = colour.match(/[\\d.]+/g).slice(0, 3).map((x) => x / 255)
                  .map((x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
                return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
              };
              const paper = light(getComputedStyle(document.body).backgroundColor);
              return Math.min(...[...document.querySelectorAll(
                "p, td, th, li, h1, h2, h3, a, figcaption, .verdict, text")].map((element) => {
                const style = getComputedStyle(element);
                const ink = light(element.tagName === "text" ? style.fill : style.color);
                const [high, low] = [Math.max(ink, paper), Math.min(ink, paper)];
                return (high + 0.05) / (low + 0.05);
              }));
            }"""
        )

    for scheme in ("light", "dark"):
        opened.emulate_media(color_scheme=scheme)
        assert contrast() >= 4.5, scheme


def test_browser_prints(opened, tmp_path):
    opened.pdf(path=tmp_path / "page.pdf", format="A4")
    assert (tmp_path / "page.pdf").read_bytes()[:5] == b"%PDF-"
    assert (tmp_path / "page.pdf").stat().st_size > 100_000
    opened.emulate_media(media="print")
    opened.set_viewport_size({"width": 720, "height": 1000})
    assert opened.locator("nav").is_hidden()
