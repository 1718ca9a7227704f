"""Asks a served archive whatever its own description allows, and a good deal that it does not, with schemathesis.

    openapi_fuzz.py URL TOKEN [EXAMPLES] [SEED] [PHASES]

PHASES are schemathesis's: `fuzzing` draws so many examples for each operation; `coverage` tries each bound and each
kind of malformed input of each parameter, some four thousand requests. URL is the base of the API, such as http://127.0.0.1:8080/teamchatapi/. The description is read from the server. What
names something there - a channel, a person, a file, a time - is drawn from what the server itself lists, and from
nowhere as well. Prints one line of JSON: how many operations were tried, with how many requests, and how they were
answered. Exits 1, with what was found, when any answer is a fault of the server's (5xx) or is not as it is described.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urljoin

import requests

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
]


def known(url, token):
    """What is there, by the name of the parameter that asks for it."""
    session = requests.Session()
    session.trust_env = False

    def ask(method, **arguments):
        reply = session.post(urljoin(url, method), data={"token": token, **arguments}, timeout=60).json()
        assert reply["ok"], (method, reply)
        return reply

    channels = [one["id"] for one in ask("channels.list")["channels"]] + [one["id"] for one in ask("im.list")["ims"]]
    files = [one["id"] for one in ask("files.list")["files"]]
    people = [one["id"] for one in ask("users.list")["members"]]
    messages = ask("channels.history", channel=channels[0], count=20)["messages"]
    times = [one["ts"] for one in messages]
    assert channels and files and people and times
    words = sorted({word for one in messages for word in one.get("text", "").split() if word.isalpha()})[:20]
    return {"channel": channels, "file": files, "user": people, "ts": times, "latest": times, "oldest": times, "query": words}


def named(schema, values):
    """Says of parameters that they may be one of what is there."""
    if isinstance(schema, list):
        for one in schema:
            named(one, values)
    elif isinstance(schema, dict):
        if schema.get("in") == "query" and schema.get("name") in values:
            schema["schema"] = {"anyOf": [{"enum": values[schema["name"]]}, schema["schema"]]}
        elif schema.get("type") == "object" and "properties" in schema:
            for name in values.keys() & schema["properties"].keys():
                schema["properties"][name] = {"anyOf": [{"enum": values[name]}, schema["properties"][name]]}
        for one in schema.values():
            named(one, values)


def main(url, token, examples="10", seed="20261129", phases="coverage,fuzzing"):
    session = requests.Session()
    session.trust_env = False
    description = session.get(urljoin(url, "/openapi.json"), timeout=60).json()
    named(description["paths"], known(url, token))
    with tempfile.TemporaryDirectory() as folder:
        schema, report = Path(folder) / "openapi.json", Path(folder) / "report.ndjson"
        schema.write_text(json.dumps(description))
        command = [
            str(Path(sys.executable).with_name("st")), "run", str(schema), "--url", urljoin(url, "/"),
            "--header", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS),
            "--phases", phases, "--max-examples", examples, "--seed", seed,
            "--generation-database", "none", "--suppress-health-check", "all", "--continue-on-failure",
            "--report", "ndjson", "--report-ndjson-path", str(report), "--no-color", "--warnings", "off",
        ]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            # The token is the test's own, and goes with its archive.
            sys.exit(f"schemathesis found something ({run.returncode}):\n{run.stdout[-20000:]}\n{run.stderr[-2000:]}")
        operations, answers = set(), {}
        for line in report.read_text().splitlines():
            # An event is an object with its name as the only member.
            for scenario in json.loads(line).values():
                recorder = scenario.get("recorder") or {}
                for interaction in (recorder.get("interactions") or {}).values():
                    response, asked = interaction.get("response") or {}, interaction["request"]
                    status = str(response.get("status_code", "none"))
                    answers[status] = answers.get(status, 0) + 1
                    operations.add((asked["method"], asked["uri"].split("?")[0]))
    operations = {one for one in operations if one[0] in ("GET", "POST")}
    print(json.dumps({"operations": len(operations), "requests": sum(answers.values()), "answers": answers}))


if __name__ == "__main__":
    main(*sys.argv[1:])
