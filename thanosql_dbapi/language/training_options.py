"""The options of BUILD, FIT, PREDICT, EVALUATE and FUNCTION compute.…; see ``grammar``."""

from __future__ import annotations

from .option_specs import choice, flag, integer, number, text, value

LABEL_COL = text("label_col", "label")
BASE_MODEL = text("base_model", None, "the model of the table's vectors, or the only one")
PREPARED_COL = text("emb_col", None, "the vectors of the model that the rows have")
TRAINED_IMAGE_COL = text("image_col", None, "`'image_path'`, or `'image'`", older=("image_column",))
TRAINED_TEXT_COL = text("text_col", None, "none")
MAX_EPOCHS = integer(
    "max_epochs",
    None,
    "until nothing improves; of a CLIP 30, in a FIT 20 or 10, or what `max_minutes` allows",
    minimum=1,
    older=("epochs",),
)
LEARNING_RATE = number("learning_rate", None, "what suits the model", minimum=0)
INPUT_SIZE = value("input_size", "the model's own")
COLOR = value("color", "the model's own")
MODEL_SIZE = choice("size", ("tiny", "small", "base"), "small")
METHOD = choice("method", ("head", "lora", "full"), "head")
MAX_MINUTES = number("max_minutes", None, "none", minimum=0)
VALIDATE = number("validate", 0.1, minimum=0)
TRAINING_SEED = integer("seed", 0, minimum=0)

PREDICTED_COL = text("result_col", "predict_result", older=("column_name",))
SCORE_COL = text("score_col", None, "none")
BEST_LABELS = integer("top_k", None, "1", minimum=1)
LABELS = value("labels", "the classifier's, or those of `label_col`")
TEMPLATES = value("templates", "`['{}']`")
LABELS_OF = text("label_col", None, "none")
LABEL_TABLE = text("label_table", None, "the query's rows")

RECALL_AT = value("k", "`[1, 5, 10]`")
BY_LABEL = flag("by_label")
INTERVAL = number("interval", None, "none")

COMPUTED_EMB_COL = text("emb_col", None, "the vectors of the query, or `'convert_result'`")
MEAN_COL = text("result_col", "emb_mean_result", older=("column_name",))
MEAN = (LABEL_COL, COMPUTED_EMB_COL, MEAN_COL)
SRC_TABLE = text("src_table", None, "must be given")
SRC_EMB_COL = text("src_emb_col", None, "the same name as `emb_col`")
SRC_LABEL_COL = text("src_label_col", "label")
LABEL_COUNT = integer("top_k", 1, minimum=1)
SIMILARITY_LABEL_COL = text("result_col", "similarity_result", older=("column_name",))
SIMILARITY = (
    COMPUTED_EMB_COL, SRC_TABLE, SRC_EMB_COL, SRC_LABEL_COL, LABEL_COUNT, SIMILARITY_LABEL_COL,
    SCORE_COL,
)  # fmt: skip
KEY_COL = text("key_col", None, "none: no row is left out")
SRC_KEY_COL = text("src_key_col", None, "the row id")
NEIGHBOR_COUNT = integer("top_k", 5, minimum=1)
NEIGHBOR_COL = text("result_col", "nearest", older=("column_name",))
NEIGHBOR_SCORE_COL = text("score_col", "nearest_similarity")
NEIGHBOR_RANK_COL = text("rank_col", "nearest_rank")
NEAREST = (
    COMPUTED_EMB_COL, SRC_TABLE, SRC_EMB_COL, KEY_COL, SRC_KEY_COL, NEIGHBOR_COUNT, NEIGHBOR_COL,
    NEIGHBOR_SCORE_COL, NEIGHBOR_RANK_COL,
)  # fmt: skip
ALIKE = number("threshold", 0.95)
GROUP_COL = text("result_col", "duplicate_group", older=("column_name",))
NEIGHBORS = integer("neighbors", 5, minimum=1)
MOST_UNLIKE = integer("top_k", None, "all", minimum=1)
OUTLIER_COL = text("result_col", "outlier_score", older=("column_name",))
