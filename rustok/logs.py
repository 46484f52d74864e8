"""Logs of our code and of all libraries, in one shape: structlog in front, the standard library behind."""

import logging
import re
import sys
from typing import Any, Literal, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from apps.audit import redacting

_PERSON = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")


def configure(*, log_format: Literal["console", "json"], level: str, process: str) -> dict[str, Any]:
    """Configure structlog and return Django's LOGGING."""

    def add_process(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event.setdefault("process", process)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    ending: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, cover_named]
    if log_format == "json":
        ending += [
            add_process,
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ]
    else:
        ending += [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    # What comes after a renderer gets its text.
    ending.append(cast(Processor, cover_written))

    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": ending,
            }
        },
        "filters": {"first_line": {"()": FirstLine}, "refusals": {"()": Refusals, "level": level}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django attaches handlers of its own to these; ours at the root is enough.
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            "django.request": {"filters": ["refusals"]},
            # Every beat of the safety net would be a line.
            "celery.beat": {"level": "WARNING", "filters": ["first_line"]},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
        },
    }


def cover_named(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Covers what stands under a name that nobody is to read."""
    for name in event:
        if redacting.is_secret(name):
            event[name] = redacting.REDACTED
    return event


def cover_written(logger: WrappedLogger, method: str, line: str) -> str:
    """Covers tokens, passwords in addresses and people's addresses wherever they got into the line: tracebacks too."""
    covered = redacting.cover_secrets(line)
    return _PERSON.sub(redacting.PERSONAL, covered) if "@" in covered else covered


class FirstLine(logging.Filter):
    """Shortens beat's complaint while Valkey is away: three tracebacks every second tell no more than one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = record.getMessage().partition("\n")[0], None
        record.exc_info = record.exc_text = None
        return True


class Refusals(logging.Filter):
    """Tells of refused requests as information, a 404 being nothing for whoever is on call. Faults stay errors."""

    def __init__(self, level: str) -> None:
        super().__init__()
        self.level = logging.getLevelNamesMapping()[level]

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno == logging.WARNING:
            record.levelno, record.levelname = logging.INFO, "INFO"
        return record.levelno >= self.level
