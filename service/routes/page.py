"""The web page at `/`, the reference at `/docs`, and their files; not in the OpenAPI document.

Everyone may read them, since they contain no data: the page requests data itself, with a key if
keys are required.
"""

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.console.files import PAGE, REFERENCE, File, files
from service.http.exchange import EncodedResponse
from service.routes.dependencies import ANYONE, PathName

page = APIRouter(include_in_schema=False)
reference = APIRouter(include_in_schema=False)


@page.get("/", dependencies=[ANYONE])
async def get_page(request: Request) -> Response:
    return file_response(files()[PAGE], request)


@reference.get("/docs", dependencies=[ANYONE])
async def get_reference(request: Request) -> Response:
    return file_response(files()[REFERENCE], request)


@reference.get("/page/{name}", dependencies=[ANYONE])
async def get_file(name: PathName, request: Request) -> Response:
    found = files().get(name)
    if found is None:
        raise HTTPException(404, "Not Found")
    return file_response(found, request)


def file_response(file: File, request: Request) -> Response:
    """Answers with the file, or with 304 if the browser has it."""
    known = request.headers.get("if-none-match", "").split(",")
    # A proxy that compresses the file marks its tag with W/.
    if any(tag.strip().removeprefix("W/") in (file.tag, "*") for tag in known):
        return Response(status_code=304, headers={"etag": file.tag})
    return EncodedResponse(file.content, file.headers, file.kind.encode())
