"""The HTTP service: routes, and how a request becomes a task of the desk.

Everything it reads from disk, the page and the model, it reads before it listens: no request can name a file or model.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from qa.errors import QAError, QueueFullError
from qa.inference.grounding import Grounding
from qa.inference.predictor import Predictor
from qa.serving.desk import Desk
from qa.serving.evidence import EvidenceTask, GroundTask, add_evidence
from qa.serving.guard import Guard
from qa.serving.measures import Measures
from qa.serving.media import JsonOnly
from qa.serving.page import add_page
from qa.serving.prefix import Prefix
from qa.serving.problems import describe
from qa.serving.schema import (
    AnswerResponse,
    Asking,
    Health,
    Limits,
    ManyQuestions,
    Options,
    Questions,
    Readiness,
    Search,
    SearchResponse,
    describe_problems,
)
from qa.serving.settings import ServiceSettings
from qa.serving.tasks import AnswerTask, Results, SearchTask, Task
from qa.serving.turns import Turns

log = logging.getLogger(__name__)

_Kind = TypeVar("_Kind", bound=Options)
_AnyTask = Task | EvidenceTask | GroundTask
_AnyResults = Results | list[Grounding]
_STUCK_SECONDS = 60.0
"""Of one forward pass, which takes a second or two of a large model: after that it will not end."""
_TOGETHER = 32  # windows of several requests that an accelerator gets at once
_REFUSALS = describe_problems(
    {
        400: "The body cannot be read as JSON.",
        408: "The request, or its answer, took longer than the service waits.",
        413: "The request has more bytes than the service takes.",
        415: "The body is not said to be JSON, or is compressed.",
        422: "The body is not what is wanted; the detail says where.",
        500: "The model, or the service, failed; its log says why.",
        503: "Too many requests wait; try again.",
    }
)


@dataclass
class _Service:
    """What the routes work with; the model is loaded when the service starts, by the process that serves."""

    load: Callable[[], Predictor]
    name: str
    limits: Limits
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    desk: Desk[_AnyTask, _AnyResults] = field(init=False)
    turns: Turns = field(init=False)

    def start(self) -> None:
        predictor = self.load()
        reader = predictor.reader
        windows = Histogram(
            "qa_pass_windows", "Windows of a pass.", registry=self.registry, buckets=(1, 2, 4, 8, 16, 32)
        )
        seconds = Histogram("qa_pass_seconds", "Seconds of a forward pass.", registry=self.registry)

        def watch(rows: int, took: float) -> None:
            windows.observe(rows)
            seconds.observe(took)

        self.turns = Turns(reader.run, together=0 if reader.device.type == "cpu" else _TOGETHER, watch=watch)
        shared = Predictor(replace(reader, model=self.turns))
        self.desk = Desk(lambda task: task.answer(shared), self.turns, most_waiting=self.limits.waiting)
        self.registry.register(_Waiting(self.desk))
        self.desk.open()

    async def results(self, task: _AnyTask) -> _AnyResults:
        """Wait for a task's results, as long as the limits allow."""
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await self.desk.submit(task)
        except QueueFullError as error:
            raise HTTPException(503, "too many requests wait; try again", headers={"Retry-After": "1"}) from error
        except TimeoutError as error:
            raise HTTPException(408, f"no answer within {self.limits.seconds:g} s") from error
        except QAError as error:
            raise HTTPException(422, str(error)) from error
        except Exception as error:  # here, where the answer still gets the headers that all have
            log.exception("the model failed")
            raise HTTPException(500, "the model failed on this text; the log of the service says why") from error


class _Waiting(Collector):
    """The length of the queue when it is asked for."""

    def __init__(self, desk: Desk[_AnyTask, _AnyResults]) -> None:
        self._desk = desk

    def collect(self) -> list[GaugeMetricFamily]:
        return [GaugeMetricFamily("qa_waiting_inputs", "Inputs that are not done with yet.", self._desk.waiting)]


def build_app(
    load: Callable[[], Predictor], *, name: str, limits: Limits, root_path: str = "", cors_origins: tuple[str, ...] = ()
) -> FastAPI:
    """Make the service for one reader.

    Args:
        load: called once, when the service starts: a model that was loaded before its process was forked would hang.
        name: of the model, for clients.
        limits: what requests may take.
        root_path: path prefix under which a proxy serves it, whether the proxy cuts it off or not.
        cors_origins: pages elsewhere whose scripts may ask; `*` for all.

    """
    service = _Service(load, name, limits)
    app = FastAPI(
        title="Extractive question answering",
        description=f"Answers are spans of the texts that come with the questions. Model: {name}.",
        docs_url=None,
        redoc_url=None,
        lifespan=partial(_lifespan, service),
    )
    _add_routes(app, service)
    _add_health(app, service)
    evidence = add_evidence(app, service.results, _REFUSALS)
    asking = ("/answer", "/search", *evidence)
    paths = frozenset({*asking, "/health", "/ready", "/metrics", "/openapi.json", *add_page(app)})
    app.add_exception_handler(RequestValidationError, _refuse)
    app.add_exception_handler(400, _refuse_unread)
    app.add_exception_handler(Exception, _fail)
    app.add_middleware(JsonOnly, paths=asking)
    app.add_middleware(
        Guard, body_bytes=limits.body_bytes, all_bytes=max(limits.all_bytes, limits.body_bytes), seconds=limits.seconds
    )
    if cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=cors_origins, allow_methods=["GET", "POST"], allow_headers=["content-type"]
        )
    app.add_middleware(Measures, registry=service.registry, paths=paths)
    app.add_middleware(Prefix, root_path=root_path)
    return app


def app_of(settings: ServiceSettings, load: Callable[[], Predictor]) -> FastAPI:
    """Make the service that settings describe."""
    # The last part of a path: clients need not know where on this machine a model is.
    name = settings.model.rstrip("/").rpartition("/")[2]
    return build_app(
        load, name=name, limits=settings.limits, root_path=settings.root_path, cors_origins=settings.cors_origins
    )


@contextlib.asynccontextmanager
async def _lifespan(service: _Service, _: FastAPI) -> AsyncIterator[None]:
    """Load the model; at the end, answer what still waits."""
    service.start()
    yield
    await asyncio.to_thread(service.desk.close)


def _add_routes(app: FastAPI, service: _Service) -> None:
    @app.post("/answer", response_model=AnswerResponse, responses=_REFUSALS)
    async def answer(body: Questions) -> _AnyResults:
        """Answer one question about a text, or many."""
        inputs = body.inputs if isinstance(body, ManyQuestions) else [body]
        rows = [{"question": one.question, "context": one.context} for one in inputs]
        return await service.results(AnswerTask(rows=rows, options=_options(body, Asking)))

    # What is known of documents is there for those alone.
    @app.post("/search", response_model=SearchResponse, responses=_REFUSALS, response_model_exclude_unset=True)
    async def search(body: Search) -> _AnyResults:
        """Find the best answers to one question over many passages."""
        task = SearchTask(
            question=body.question,
            contexts=body.contexts,
            options=_options(body, Options),
            lexical_weight=body.lexical_weight,
            prefilter=body.prefilter,
        )
        return await service.results(task)


def _options(body: Options, kind: type[_Kind]) -> _Kind:
    """Return what a body says of how to answer, and no more."""
    return kind(**body.model_dump(include=set(kind.model_fields), exclude_unset=True))


def _add_health(app: FastAPI, service: _Service) -> None:
    @app.get("/health", responses={503: {"model": Health, "description": "The model is stuck: restart the service."}})
    async def health(response: Response) -> Health:
        """Say whether the service lives: its model runs, or waits for work."""
        lives = service.desk.works and service.turns.seconds_in_pass < _STUCK_SECONDS
        response.status_code = 200 if lives else 503
        return Health(status="ok" if lives else "stuck", model=service.name, waiting=service.desk.waiting)

    @app.get("/ready", responses={503: {"model": Readiness, "description": "Send requests elsewhere for now."}})
    async def ready(response: Response) -> Readiness:
        """Say whether a request would be taken now."""
        response.status_code = 200 if service.desk.is_open else 503
        return Readiness(status="ready" if service.desk.is_open else "busy")

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Counters and timings for Prometheus."""
        return Response(generate_latest(service.registry), headers={"content-type": CONTENT_TYPE_LATEST})


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError), "registered for it"
    return JSONResponse({"detail": describe(error.errors())[:1000]}, 422)


async def _refuse_unread(_: Request, __: Exception) -> JSONResponse:
    wanted = "UTF-8, numbers of less than 4,300 digits, and lists and objects less than 1,000 deep"
    return JSONResponse({"detail": f"the body cannot be read as JSON; wanted {wanted}"}, 400)


async def _fail(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({"detail": "the service failed on this request; its log says why"}, 500)
