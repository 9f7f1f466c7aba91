"""The HTTP service: routes, and how a request becomes a task of the batcher.

Everything it reads from disk, the page and the model, it reads before it listens: no request can name a file or model.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from qa.errors import QAError, QueueFullError
from qa.inference.predictor import Predictor
from qa.serving.batcher import Batcher
from qa.serving.guard import Guard, Measures
from qa.serving.schema import (
    AnswerResponse,
    Health,
    Limits,
    ManyQuestions,
    OneQuestion,
    Options,
    Search,
    SearchResponse,
    describe_problems,
)
from qa.serving.tasks import AnswerTask, Results, SearchTask, Task, answer_tasks

_PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/docs.js": ("docs.js", "text/javascript"),
}
_SWAGGER = {"/swagger-ui.css": "text/css", "/swagger-ui-bundle.js": "text/javascript"}
_REFUSALS = describe_problems(
    {
        400: "The body is not encoded as JSON is.",
        408: "The request, or its answer, took longer than the service waits.",
        413: "The request has more bytes than the service takes.",
        422: "The body is not what is wanted; the detail says where.",
        500: "The model failed.",
        503: "Too many requests wait; try again.",
    }
)


@dataclass(frozen=True)
class _Service:
    """What the routes work with."""

    batcher: Batcher[Task, Results]
    limits: Limits

    async def results(self, task: Task) -> Results:
        """Wait for a task's results, as long as the limits allow."""
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await self.batcher.submit(task)
        except QueueFullError as error:
            raise HTTPException(503, "too many requests wait; try again", headers={"Retry-After": "1"}) from error
        except TimeoutError as error:
            raise HTTPException(408, f"no answer within {self.limits.seconds:g} s") from error
        except QAError as error:
            raise HTTPException(422, str(error)) from error


def build_app(predictor: Predictor, *, name: str, limits: Limits) -> FastAPI:
    """Make the service for one reader, which `name` names to clients."""
    registry = CollectorRegistry()
    together = Histogram("qa_batch_inputs", "Inputs run together.", registry=registry, buckets=(1, 2, 4, 8, 16, 32, 64))
    batcher: Batcher[Task, Results] = Batcher(
        partial(_answer_and_count, predictor, together), most_waiting=limits.waiting, most_together=limits.together
    )
    registry.register(_Waiting(batcher))
    app = FastAPI(
        title="Extractive question answering",
        description=f"Answers are spans of the texts that come with the questions. Model: {name}.",
        docs_url=None,
        redoc_url=None,
        lifespan=partial(_lifespan, batcher),
    )
    _add_routes(app, _Service(batcher, limits))
    _add_health(app, batcher, name, registry)
    paths = _add_page(app)
    app.add_exception_handler(RequestValidationError, _refuse)
    app.add_middleware(Guard, body_bytes=limits.body_bytes, seconds=limits.seconds)
    own = frozenset({"/answer", "/search", "/health", "/metrics", "/openapi.json", *paths})
    app.add_middleware(Measures, registry=registry, paths=own)
    return app


def _answer_and_count(predictor: Predictor, together: Histogram, tasks: Sequence[Task]) -> list[Results | Exception]:
    together.observe(sum(task.size for task in tasks))
    return answer_tasks(predictor, tasks)


class _Waiting(Collector):
    """The length of the queue when it is asked for."""

    def __init__(self, batcher: Batcher[Task, Results]) -> None:
        self._batcher = batcher

    def collect(self) -> list[GaugeMetricFamily]:
        return [GaugeMetricFamily("qa_waiting_inputs", "Inputs that wait for the model.", self._batcher.waiting)]


@contextlib.asynccontextmanager
async def _lifespan(batcher: Batcher[Task, Results], _: FastAPI) -> AsyncIterator[None]:
    """Run the batcher while the service runs; at its end, answer what still waits."""
    work = asyncio.create_task(batcher.work())
    yield
    batcher.close()
    await work


def _add_routes(app: FastAPI, service: _Service) -> None:
    @app.post("/answer", response_model=AnswerResponse, responses=_REFUSALS)
    async def answer(body: OneQuestion | ManyQuestions) -> dict[str, Results]:
        """Answer one question about a text, or many."""
        inputs = body.inputs if isinstance(body, ManyQuestions) else [body]
        rows = [{"question": one.question, "context": one.context} for one in inputs]
        return {"results": await service.results(AnswerTask(rows=rows, options=_options(body)))}

    @app.post("/search", response_model=SearchResponse, responses=_REFUSALS)
    async def search(body: Search) -> dict[str, Results]:
        """Find the best answers to one question over many passages."""
        task = SearchTask(question=body.question, contexts=body.contexts, options=_options(body))
        return {"results": await service.results(task)}


def _options(body: Options) -> Options:
    return Options(**{name: getattr(body, name) for name in Options.model_fields})


def _add_health(app: FastAPI, batcher: Batcher[Task, Results], name: str, registry: CollectorRegistry) -> None:
    @app.get("/health")
    async def health() -> Health:
        """Say that the service works."""
        return Health(status="ok", model=name, waiting=batcher.waiting)

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Counters and timings for Prometheus."""
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})


def _add_page(app: FastAPI) -> set[str]:
    """Serve the page, and the API's documentation where the package with Swagger's files is installed."""
    page = files("qa.serving") / "page"
    contents = {path: ((page / name).read_bytes(), kind) for path, (name, kind) in _PAGE.items()}
    swagger = find_spec("fastapi_offline")  # found, not imported: only its files are needed
    if swagger is None or swagger.origin is None:
        del contents["/docs"], contents["/docs.js"]
    else:
        static = Path(swagger.origin).parent / "static"
        contents |= {path: ((static / path[1:]).read_bytes(), kind) for path, kind in _SWAGGER.items()}
    for path, (content, kind) in contents.items():
        app.add_api_route(path, _fixed(content, kind), include_in_schema=False)
    return set(contents)


def _fixed(content: bytes, kind: str) -> Callable[[], Response]:
    def respond() -> Response:
        return Response(content, headers={"content-type": kind})

    return respond


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    """Say what is wrong with a body, without repeating it: it may be large, or no Unicode."""
    assert isinstance(error, RequestValidationError), "registered for it"
    found = ["{}: {}".format(".".join(str(part) for part in one["loc"]), one["msg"]) for one in error.errors()[:5]]
    plain = "; ".join(found).encode("ascii", "backslashreplace").decode("ascii")
    return JSONResponse({"detail": plain[:1000]}, 422)
