"""The loop that people write before they want anything in parallel: the openai SDK, one request after another.

``python loop_sdk.py INPUT OUT``: an OpenAI Batch file in, one line for each answer out. Key and address come from the
environment, as the SDK has it.
"""

from __future__ import annotations

import json
import sys

from openai import OpenAI


def main(source: str, target: str) -> None:
    client = OpenAI()
    with open(source) as tasks, open(target, "w") as results:  # noqa: PTH123 - as such a script has it
        for line in tasks:
            task = json.loads(line)
            answer = client.chat.completions.create(**task["body"])
            results.write(json.dumps({"custom_id": task["custom_id"], "response": answer.model_dump()}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
