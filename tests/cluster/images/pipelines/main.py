"""The stand-in for Pipelines: loads pipelines from a folder and answers as the real server does, with its checks."""

import importlib.util
import json
import os
import time
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, HTTPException, Request

KEY = os.environ["PIPELINES_API_KEY"]
FOLDER = os.environ["PIPELINES_DIR"]
LOADED = {}


def load(name):
    """A module of the folder; one that does not load is moved away, as the real server does."""
    path = os.path.join(FOLDER, name)
    stem = name[: -len(".py")]
    os.makedirs(os.path.join(FOLDER, stem), exist_ok=True)
    valves = os.path.join(FOLDER, stem, "valves.json")
    if not os.path.exists(valves):
        with open(valves, "w") as file:
            json.dump({}, file)
    try:
        spec = importlib.util.spec_from_file_location(stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        pipeline = module.Pipeline()
    except Exception as error:  # noqa: BLE001, as there
        print(f"Error loading module: {stem}: {error!r}", flush=True)
        os.makedirs(os.path.join(FOLDER, "failed"), exist_ok=True)
        os.rename(path, os.path.join(FOLDER, "failed", name))
        return
    if hasattr(pipeline, "valves"):
        with open(valves) as file:
            pipeline.valves = type(pipeline.valves)(**{**pipeline.valves.model_dump(), **json.load(file)})
    LOADED[getattr(pipeline, "id", stem)] = pipeline


@asynccontextmanager
async def lifespan(_app):
    for name in sorted(os.listdir(FOLDER)):
        if name.endswith(".py"):
            load(name)
    for pipeline in LOADED.values():
        await pipeline.on_startup()
    yield


app = FastAPI(lifespan=lifespan)


def keyed(request: Request):
    if request.headers.get("authorization") != f"Bearer {KEY}":
        raise HTTPException(401, "Invalid API key")


@app.get("/")
@app.get("/v1")
def status():
    return {"status": True}


@app.get("/models", dependencies=[Depends(keyed)])
@app.get("/v1/models", dependencies=[Depends(keyed)])
def models():
    def one(name, pipeline):
        kind = getattr(pipeline, "type", "pipe")
        about = {"type": kind, "valves": hasattr(pipeline, "valves")}
        if kind == "filter":
            about.update(pipelines=pipeline.valves.pipelines, priority=pipeline.valves.priority)
        title = getattr(pipeline, "name", name)
        return {"id": name, "name": title, "object": "model", "created": int(time.time()), "pipeline": about}

    return {"data": [one(*pair) for pair in LOADED.items()], "object": "list", "pipelines": True}


async def filtered(name, side, request):
    pipeline = LOADED.get(name)
    if pipeline is None:
        raise HTTPException(404, f"Filter {name} not found")
    form = await request.json()
    # One that is no filter lets everything pass.
    if not hasattr(pipeline, side):
        return form["body"]
    return await getattr(pipeline, side)(form["body"], form.get("user"))


@app.post("/{name}/filter/inlet")
@app.post("/v1/{name}/filter/inlet")
async def inlet(name: str, request: Request):
    return await filtered(name, "inlet", request)


@app.post("/{name}/filter/outlet")
@app.post("/v1/{name}/filter/outlet")
async def outlet(name: str, request: Request):
    return await filtered(name, "outlet", request)


@app.post("/chat/completions", dependencies=[Depends(keyed)])
@app.post("/v1/chat/completions", dependencies=[Depends(keyed)])
async def complete(request: Request):
    form = await request.json()
    pipeline = LOADED.get(form["model"])
    if pipeline is None or getattr(pipeline, "type", "pipe") == "filter":
        raise HTTPException(404, f"Pipeline {form['model']} not found")
    question = form["messages"][-1]["content"]
    answer = pipeline.pipe(user_message=question, model_id=form["model"], messages=form["messages"], body=form)
    choice = {"index": 0, "message": {"role": "assistant", "content": str(answer)}, "finish_reason": "stop"}
    return {"id": form["model"], "object": "chat.completion", "model": form["model"], "choices": [choice]}
