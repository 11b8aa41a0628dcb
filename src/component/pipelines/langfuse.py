"""
title: Langfuse
description: Sends every question and its answer to Langfuse as an OpenTelemetry trace.
"""

import base64
import json
import os
import secrets
import threading
import time
from typing import List, Optional

import requests
from pydantic import BaseModel

# A chat that never gets its answer is forgotten after this many others.
OPEN = 10000


def text(content):
    """The words of a message, which may be a list of parts."""
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content or ""


def attribute(key, value):
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": str(value)}}
    return {"key": key, "value": {"stringValue": str(value)}}


class Pipeline:
    class Valves(BaseModel):
        pipelines: List[str] = ["*"]
        priority: int = 0

    def __init__(self):
        self.type = "filter"
        self.name = "Langfuse"
        self.valves = self.Valves()
        self.host = os.environ["LANGFUSE_HOST"]
        keys = os.environ["LANGFUSE_PUBLIC_KEY"] + ":" + os.environ["LANGFUSE_SECRET_KEY"]
        self.headers = {"Authorization": "Basic " + base64.b64encode(keys.encode()).decode()}
        self.service = os.environ["LANGFUSE_PROJECT_NAME"]
        self.environment = os.environ["LANGFUSE_TRACING_ENVIRONMENT"]
        self.debug = os.environ["LANGFUSE_DEBUG"] == "true"
        self.began = {}

    async def on_startup(self):
        print(f"Langfuse: traces go to {self.host}", flush=True)

    async def on_shutdown(self):
        pass

    @staticmethod
    def ids(body):
        known = body.get("metadata") or {}
        chat = body.get("chat_id") or known.get("chat_id") or ""
        message = body.get("id") or known.get("message_id") or ""
        return chat, message

    def place(self, body, user):
        """What the question and its answer have in common; a request to the API is in no chat."""
        return self.ids(body)[0], (user or {}).get("id"), body.get("model")

    async def inlet(self, body: dict, user: Optional[dict] = None) -> dict:
        while len(self.began) > OPEN:
            self.began.pop(next(iter(self.began)), None)
        self.began[self.place(body, user)] = time.time_ns()
        return body

    async def outlet(self, body: dict, user: Optional[dict] = None) -> dict:
        threading.Thread(target=self.send, args=(self.trace(body, user or {}),), daemon=True).start()
        return body

    def trace(self, body, user):
        chat, message = self.ids(body)
        messages = body.get("messages") or [{}]
        answer = messages[-1]
        asked = [{"role": m.get("role"), "content": text(m.get("content"))} for m in messages[:-1]]
        output = text(answer.get("content"))
        usage = answer.get("usage") or {}
        ended = time.time_ns()
        attributes = [
            attribute("langfuse.trace.name", "chat"),
            attribute("langfuse.environment", self.environment),
            attribute("langfuse.session.id", chat),
            attribute("langfuse.user.id", user.get("email") or user.get("id") or ""),
            attribute("langfuse.trace.input", json.dumps(asked, ensure_ascii=False)),
            attribute("langfuse.trace.output", output),
            attribute("langfuse.trace.metadata.message_id", message),
            attribute("langfuse.observation.type", "generation"),
            attribute("langfuse.observation.input", json.dumps(asked, ensure_ascii=False)),
            attribute("langfuse.observation.output", output),
            attribute("langfuse.observation.model.name", body.get("model") or ""),
        ]
        counts = {
            "input": usage.get("prompt_eval_count") or usage.get("prompt_tokens"),
            "output": usage.get("eval_count") or usage.get("completion_tokens"),
        }
        counts = {name: count for name, count in counts.items() if isinstance(count, int)}
        if counts:
            attributes.append(attribute("langfuse.observation.usage_details", json.dumps(counts)))
        return {
            "resourceSpans": [
                {
                    "resource": {"attributes": [attribute("service.name", self.service)]},
                    "scopeSpans": [
                        {
                            "scope": {"name": "llm-operator"},
                            "spans": [
                                {
                                    "traceId": secrets.token_hex(16),
                                    "spanId": secrets.token_hex(8),
                                    "name": "chat",
                                    "kind": 1,
                                    "startTimeUnixNano": str(self.began.pop(self.place(body, user), ended)),
                                    "endTimeUnixNano": str(ended),
                                    "attributes": [a for a in attributes if a["value"] != {"stringValue": ""}],
                                }
                            ],
                        }
                    ],
                }
            ]
        }

    def send(self, trace):
        """Tried for half a minute: a question is never lost for a restart of Langfuse, nor kept for ever."""
        for pause in (1, 2, 4, 8, 16, None):
            try:
                answer = requests.post(
                    f"{self.host}/api/public/otel/v1/traces", json=trace, headers=self.headers, timeout=10
                )
                if answer.status_code < 500 and answer.status_code != 429:
                    if answer.status_code >= 400 or self.debug:
                        print(f"Langfuse: {answer.status_code} {answer.text[:200]}", flush=True)
                    return
                why = str(answer.status_code)
            except requests.RequestException as error:
                why = type(error).__name__
            if pause is None:
                print(f"Langfuse: a trace is lost: {why}", flush=True)
                return
            time.sleep(pause)
