"""The application: routes, error bodies and the lifespan of what they need."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from service.answers import error_response, failure_response
from service.classifier import Classifier
from service.classify_route import ClassifyRoute
from service.engine import Engine
from service.errors import SHOWN_CHARACTERS, RequestError
from service.gateway import Gateway
from service.health import Health
from service.info import Info, Status, describe_engine
from service.messages import ErrorDetail
from service.openapi import DESCRIPTION, classify_path, component_schemas, error_responses
from service.settings import Settings
from service.statuses import CODE_OF_STATUS


class Application(FastAPI):
    """FastAPI, whose document also holds the routes that bypass it."""

    engine: Engine

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document["paths"] = {"/classify": classify_path(self.engine), **document["paths"]}
        document.setdefault("components", {}).setdefault("schemas", {}).update(component_schemas())
        return document


def create_app(engine: Engine, settings: Settings) -> ASGIApp:
    """Builds the service around an engine that is loaded and has passed its first inference."""
    classifier = Classifier(engine)
    health = Health(
        lambda: classifier.run(engine.probe),
        settings.probe_seconds,
        settings.probe_timeout_seconds,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await health.check()
        yield
        classifier.close()

    app = Application(
        title=f"Understudy: {engine.manifest.name}",
        version=engine.model_version,
        description=DESCRIPTION.strip(),
        lifespan=lifespan,
        redirect_slashes=False,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        exception_handlers={
            HTTPException: answer_routing_error,
            Exception: answer_failure,
        },
    )
    app.engine = engine
    classify = ClassifyRoute(classifier)
    app.router.routes.append(Route("/classify", classify, methods=["POST"]))
    add_operations(app, health)
    return Gateway(app, settings.max_body_bytes, direct={("POST", "/classify"): classify})


def add_operations(app: Application, health: Health) -> None:
    """Health and description; small, so plain FastAPI."""

    @app.get("/health/live", tags=["operations"], summary="Whether the process is up")
    async def live() -> Status:
        return Status(status="ok")

    @app.get(
        "/health/ready",
        tags=["operations"],
        summary="Whether a real inference passed lately",
        responses=error_responses(503),
    )
    async def ready() -> Status:
        await health.check()
        return Status(status="ok")

    @app.get("/info", tags=["operations"], summary="What is being served")
    async def info() -> Info:
        return describe_engine(app.engine)


async def answer_failure(_: Request, error: Exception) -> Response:
    """Answers; the exception then goes on to the gateway, which logs it."""
    return failure_response(error)


async def answer_routing_error(request: Request, error: Any) -> Response:
    """Unknown paths and wrong methods, in the same body as every other error."""
    message = f"{request.method} {request.url.path[:SHOWN_CHARACTERS]}: {error.detail}; see /docs"
    detail = ErrorDetail(CODE_OF_STATUS.get(error.status_code, RequestError.code), message)
    return error_response(error.status_code, detail, error.headers)
