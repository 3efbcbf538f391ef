"""The same loop as ``loop_sdk`` with nothing but the standard library, and one connection that is kept: the least that
such a script can cost.

``python loop_stdlib.py INPUT OUT``: an OpenAI Batch file in, one line for each answer out.
"""

from __future__ import annotations

import json
import os
import sys
from http.client import HTTPConnection


def main(source: str, target: str) -> None:
    host, _, path = os.environ["OPENAI_BASE_URL"].removeprefix("http://").partition("/")
    headers = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}", "Content-Type": "application/json"}
    connection = HTTPConnection(host)
    with open(source) as tasks, open(target, "w") as results:  # noqa: PTH123 - as such a script has it
        for line in tasks:
            task = json.loads(line)
            connection.request("POST", f"/{path}/chat/completions", json.dumps(task["body"]), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
            if response.status != 200:
                raise SystemExit(f"{response.status}: {answer}")
            results.write(json.dumps({"custom_id": task["custom_id"], "response": answer}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
