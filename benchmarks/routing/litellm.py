"""LiteLLM's complexity router, with its defaults, on the rows of the part ``mmlu``: what is simple goes to the cheap
model. Its score gives the order for APGR. It learns nothing, so all rows are new to it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.routing.mmlu import FILE, table

PATIENCE_S = 300.0
__all__ = ["FILE", "run"]


def run(data: Path) -> dict[str, Any]:
    from laneway.learning.routing import Ranked, triaged

    if (why := peers.missing()) is not None:
        return {"skipped": why}
    whole = table(data)
    said = peers.run("litellm_complexity", {"prompts": list(whole.texts)}, PATIENCE_S)
    strong, weak = whole.strongest, 1 - whole.strongest
    found = Ranked(np.array(said["scores"]), whole.quality[:, strong] - whole.quality[:, weak]).recovered()
    sent = np.where(np.array(said["tiers"]) == "SIMPLE", weak, strong)
    figures = triaged(whole.quality, whole.costs, strong, sent)
    quality = whole.quality[np.arange(len(sent)), sent].mean()
    return {
        "version": peers.versions("litellm")["litellm"],
        "rows": len(whole),
        "apgr": round(found.apgr, 4),
        "cpt50": round(found.cpt50, 4),
        "undertriage": round(figures.under, 4),
        "overtriage": round(figures.over, 4),
        "quality_kept": round(float(quality / whole.means[strong]), 4),
        "cheap_share": round(float((sent == weak).mean()), 4),
        "tiers": dict(Counter(said["tiers"])),
    }
