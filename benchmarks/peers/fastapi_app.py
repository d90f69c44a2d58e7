"""What one would write in an afternoon: FastAPI on uvicorn, the engine in the same process.

    uvicorn benchmarks.peers.fastapi_app:app --workers 2 --no-access-log

As its documentation has it: ``def`` endpoints, which FastAPI runs in its thread pool, for work that blocks;
``UploadFile`` for forms; ``uvicorn[standard]`` (uvloop, httptools); a worker for each core. The raw body
is read in an ``async def``, as a ``def`` endpoint cannot; the work goes to the pool by
``run_in_threadpool``.
``PEER_ENGINE`` is a speech engine, or empty for none: the answer then says only how long the clip is.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, UploadFile
from fastapi.concurrency import run_in_threadpool

from benchmarks.peers import bare_engine

app = FastAPI()

_ENGINE, _MODEL = os.environ.get("PEER_ENGINE", ""), os.environ.get("PEER_MODEL", "")
_hear = bare_engine.speech(_ENGINE, _MODEL) if _ENGINE else None


def _recognize(content: bytes) -> dict[str, Any]:
    samples = np.frombuffer(content, np.int16)
    text = _hear(samples) if _hear else "nothing was heard"
    return {"text": text, "audio_duration": len(samples) / 16_000}


@app.post("/raw")
async def raw(request: Request) -> dict[str, Any]:
    """Samples as the body."""
    return await run_in_threadpool(_recognize, await request.body())


@app.post("/multipart")
def multipart(file: UploadFile) -> dict[str, Any]:
    """Samples as a file in a form, as browsers and most clients send them."""
    return _recognize(file.file.read())


@app.get("/health")
def health() -> dict[str, str]:
    """Answers once the engine is loaded."""
    return {"status": "ok"}
