"""Titles and captions of figures, until they are registered where they are drawn."""

PICTURES = {
    "figure4": (
        "Figure 4",
        "",
        "Matrix of similarities of all networks, and their tree.",
        "Taxonomy",
    ),
    "figure5": (
        "Figure 5",
        "",
        "Six matrices of similarities, from block 1 to the labels.",
        "Taxonomy",
    ),
    "type_separation": (
        "Types by depth",
        "",
        "Lines of mean similarity within and between task types against depth.",
        "Taxonomy",
    ),
    "label_agreement": (
        "Labels against networks",
        "",
        "Similarity of networks against similarity of their labels, one point a pair of tasks.",
        "Taxonomy",
    ),
    "figure6": ("Figure 6", "", "Two trees of tasks, ours and that of transfer.", "Taxonomy"),
    "figure6_published": (
        "Figure 6, published affinities",
        "",
        "Two trees of tasks, ours and Taskonomy's own.",
        "Taxonomy",
    ),
    "figure7": (
        "Figure 7",
        "",
        "Bars of similarity to every network, two small models beside two big.",
        "Small models",
    ),
    "figureS1": (
        "Figure S1",
        "",
        "Bars of similarity to every network, for each small model.",
        "Small models",
    ),
    "figureS3": (
        "Figure S3",
        "",
        "Two matrices of similarities, of small models and of the bank.",
        "Small models",
    ),
    "affinity": ("Transfer affinities", "", "Matrix of sources and targets.", "Transfer"),
    "selection": (
        "Similarity against transfer",
        "",
        "Correlation with transfer for each target and each measure of similarity.",
        "Transfer",
    ),
    "ranking": (
        "Figure 8",
        "",
        "Bars of every network's similarity to the new task's small model.",
        "Target",
    ),
    "scores": (
        "Table 2, drawn",
        "",
        "Fine-tuned mIoU against similarity, one point a network.",
        "Target",
    ),
    "choice": (
        "What choosing gains",
        "",
        "mIoU of the first choice beside other ways to choose.",
        "Target",
    ),
    "robustness_images": (
        "By number of images",
        "",
        "Correlation of rankings against number of images.",
        "Robustness",
    ),
    "robustness_width": (
        "By size of the small model",
        "",
        "Correlation of rankings against width.",
        "Robustness",
    ),
    "robustness_stage": (
        "By stage of training",
        "",
        "Correlation of rankings against share of the steps.",
        "Robustness",
    ),
    "robustness_seed": ("By seed", "", "Correlation of rankings between seeds.", "Robustness"),
    "presets": (
        "Choices of method",
        "",
        "Change of the similarities by each choice of method.",
        "Similarity",
    ),
    "quality": (
        "What the bank learnt",
        "",
        "Share of the constant predictor's error removed, by task.",
        "Bank",
    ),
    "learning_curves": (
        "Learning curves",
        "",
        "Training and validation loss by step, for each task.",
        "Bank",
    ),
}


def described(name: str) -> dict[str, str]:
    """Return title, caption, alt and category of a figure."""
    title = name.replace("_", " ")
    known = PICTURES.get(name, (title, "", "A figure of the run.", ""))
    return dict(zip(("title", "caption", "alt", "category"), known, strict=True))
