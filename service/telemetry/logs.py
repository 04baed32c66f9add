"""The log: one line per record, with its fields and the request's id; never a client's text."""

import json
import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from service.telemetry.log_writer import LogWriter

current_request: ContextVar[bytes] = ContextVar("current_request", default=b"")

PLAIN_VALUE = re.compile(r"[A-Za-z0-9._:/+=@-]+")
# Fields of every record; all others were passed as `extra`.
PLAIN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
SECONDS = 60.0  # between two lines of one kind
KINDS = 100  # kinds that are tracked; limited, since kinds may contain a server's words


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := current_request.get():
            line["request_id"] = request_id.decode()
        line.update(extra_fields(record))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """Formats a record as a readable line, with its fields after the message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own
        fields = extra_fields(record)
        if request_id := current_request.get():
            fields["request_id"] = request_id.decode()
        shown = (f" {name}={shown_value(value)}" for name, value in fields.items())
        return super().formatMessage(record) + "".join(shown)


def extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Returns what was passed as `extra`, without private fields that libraries add."""
    return {
        k: v for k, v in vars(record).items() if k not in PLAIN_FIELDS and not k.startswith("_")
    }


def shown_value(value: Any) -> str:
    """Quotes a value unless it is plain, since a path is client input."""
    text = str(value)
    return text if PLAIN_VALUE.fullmatch(text) else json.dumps(text)


def configure_logs(level: str, json_lines: bool) -> logging.Handler:
    """Directs the process's log to standard error; returns the handler, to flush at the end."""
    handler = LogWriter()
    handler.setFormatter(JsonFormatter() if json_lines else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for library in ("httpx", "httpx2", "openai", "mcp"):  # they log every request
        logging.getLogger(library).setLevel(logging.WARNING)
    return handler


class RareLog:
    """Logs the first warning of a kind; then one per period, with the number of those between."""

    def __init__(self, logger: logging.Logger, seconds: float = SECONDS) -> None:
        self.logger = logger
        self.seconds = seconds
        self.logged: dict[str, float] = {}  # kind → monotonic
        self.left_out: dict[str, int] = {}

    def warning(self, kind: str, message: str, *arguments: object) -> None:
        """Logs a warning, unless one of that kind was logged recently."""
        now = monotonic()
        if kind in self.logged and now - self.logged[kind] < self.seconds:
            self.left_out[kind] = self.left_out.get(kind, 0) + 1
            return
        if kind not in self.logged and len(self.logged) >= KINDS:
            self.logged.clear()
            self.left_out.clear()
        self.logged[kind] = now
        left_out = self.left_out.pop(kind, 0)
        more = f" (and {left_out:,} similar ones since the last line)" if left_out else ""
        self.logger.warning(message + more.replace("%", "%%"), *arguments)
