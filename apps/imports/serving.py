"""Runs that were asked for in the admin, carried out by whichever worker comes: it takes one up where it stands, works
on it for its slice of time, and leaves it to the next."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import structlog
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from apps.accounts.access import engine, rights
from apps.accounts.models import User
from apps.audit import recording as audit
from apps.imports import formats, models, undoing, working
from apps.kernel import context, errors, isolation, text, uploads, validation, wording
from apps.outbox.append import unit_of_work
from apps.tenants import modules, resolution, scope

log = structlog.get_logger(__name__)

LARGEST_FILE = 64 * 1024 * 1024
PIECE = 1024 * 1024
BATCH = 50
# A run that comes no further, because it fails or takes its worker down with it each time, is given up.
ATTEMPTS = 5
# Doubled with each attempt: how long the next one waits after a failure.
BACK_OFF = timedelta(seconds=10)
AT_WORK = (models.Status.QUEUED, models.Status.RUNNING, models.Status.UNDOING)
_OF_THE_FILE = ("format", "file_name", "file_digest", "file_size", "options")
# In bytes; and in signs what is kept of a longer name's end, as long as .xml.gz.
_LONGEST_ON_DISK, _ENDING = 255, 7
_GZIP_MAGIC = b"\x1f\x8b"
# What begins like this is no text, whatever its name says.
_OTHER = {
    b"PK\x03\x04": "a ZIP archive or a spreadsheet",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}


def ask(
    *,
    format: formats.Format,
    file: IO[bytes],
    name: str,
    options: Mapping[str, Any],
    is_dry_run: bool,
    by: User,
    now: datetime,
) -> models.Run:
    """Keep the file and have it imported afterwards, as whoever asks now; a worker is told once this is committed.

    Raises UploadRefused, ValidationFailed.
    """
    shown = uploads.shown_name(name)
    if not shown.lower().endswith(format.endings):
        endings = " / ".join(format.endings)
        raise uploads.UploadRefused(wording.say("The file's name must end with {endings}.", endings=endings))
    validation.parse(format.options, dict(options))
    acting = context.current()
    with unit_of_work():
        run = models.Run.objects.create(
            format=format.name,
            file_name=shown,
            file_digest="",
            file_size=0,
            options=dict(options),
            is_dry_run=is_dry_run,
            asked_by=by,
            actor=acting.actor,
            client_address=acting.client_address,
            correlation_id=acting.correlation_id,
            language=wording.best_language(acting.languages),
            created_at=now,
            worked_at=now,
            expires_at=now + working.KEPT,
        )
        run.file_digest, run.file_size = _keep(run, file)
        run.save(update_fields=["file_digest", "file_size"])
        _tell(run, "asked")
        transaction.on_commit(nudge, robust=True)
    return run


def repeat(run: models.Run, *, by: User, now: datetime) -> models.Run:
    """Import for good the file of a dry run. Raises CannotResume where it is kept no longer."""
    from apps.imports import services

    acting = context.current()
    with unit_of_work():
        pieces = models.Piece.objects.filter(run=run)
        if not pieces.exists():
            raise services.CannotResume(wording.say("The file of {run} is kept no longer; send it again.", run=run))
        again = models.Run.objects.create(
            **{name: getattr(run, name) for name in _OF_THE_FILE},
            asked_by=by,
            actor=acting.actor,
            client_address=acting.client_address,
            correlation_id=acting.correlation_id,
            language=wording.best_language(acting.languages),
            created_at=now,
            worked_at=now,
            expires_at=now + working.KEPT,
        )
        pieces.update(run=again)
        _tell(again, "asked")
        transaction.on_commit(nudge, robust=True)
    return again


def cancel(run: models.Run, *, now: datetime) -> None:
    """Stop it before its next batch; what it has done stays."""
    with unit_of_work():
        working.stop(run, reason=str(wording.say("cancelled")))
        _tell(run, "cancelled")


def resume(run: models.Run, *, now: datetime) -> None:
    """Let a run that was stopped go on. Raises CannotResume."""
    from apps.imports import services

    with unit_of_work():
        services.resume(run, path=None, now=now)
        _tell(run, "resumed")
        transaction.on_commit(nudge, robust=True)


def undo(run: models.Run, *, now: datetime) -> None:
    """Have it undone. Raises CannotUndo."""
    with unit_of_work():
        undoing.begin(run, now=now)
        _tell(run, "undo_asked")
        transaction.on_commit(nudge, robust=True)


@isolation.all_tenants(reason="carry out imports")
def advance(*, deadline: float) -> bool:
    """Work on what there is until the deadline; whether something is left."""
    passed_over = set[uuid.UUID]()
    while (run := _next(passed_over)) is not None:
        if time.monotonic() >= deadline:
            return True
        passed_over.add(run.id)
        _work_on(run, deadline)
    return _waiting().filter(id__in=passed_over).exists()


def _waiting() -> QuerySet[models.Run]:
    """Runs of commands are theirs; those that failed wait."""
    is_ready = Q(not_before__isnull=True) | Q(not_before__lte=timezone.now())
    return models.Run.objects.filter(is_ready, status__in=AT_WORK, asked_by__isnull=False)


def _next(passed_over: set[uuid.UUID]) -> models.Run | None:
    """The one that waits longest; those of tenants that are switched off are left."""
    waiting = _waiting().filter(tenant__is_active=True)
    return waiting.exclude(id__in=passed_over).order_by("worked_at", "id").first()


def _work_on(run: models.Run, deadline: float) -> None:
    known = resolution.find_by_name(str(run.tenant_id))
    if known is None or not known.is_active:
        return
    with scope.use(known.scope), _as_asked(run):
        try:
            if not _take_up(run, now=timezone.now()):
                return
            with audit.counting(run.tenant_id):
                if run.status == models.Status.UNDOING:
                    is_over = undoing.carry_out(run, now=timezone.now(), deadline=deadline)
                else:
                    is_over = _carry_out(run, deadline)
            if is_over:
                with transaction.atomic():
                    _tell(run, "undone" if run.status == models.Status.UNDONE else "finished")
        except working.Overtaken:
            return  # another worker has it, or somebody stopped it
        except errors.DomainError as refusal:
            if run.status == models.Status.UNDOING:
                _give_up(run, refusal.detail, timezone.now())
            else:
                working.stop(run, reason=wording.in_language(refusal.detail, run.language))
        except Exception:
            log.exception("imports.step_failed", run=str(run))
            _put_off(run, now=timezone.now())


def _put_off(run: models.Run, *, now: datetime) -> None:
    """Let it wait after a failure, or give it up after the last."""
    if run.attempts < ATTEMPTS:
        own = models.Run.objects.filter(id=run.id, status__in=AT_WORK)
        own.update(not_before=now + BACK_OFF * 2 ** (run.attempts - 1))
        return
    if run.status == models.Status.UNDOING:
        reason = wording.say(
            "Undoing it failed {count} times; ask whoever runs the installation: the log says why.", count=run.attempts
        )
    else:
        reason = wording.say(
            "It failed {count} times after row {row}. Leave out the rows that follow, or ask whoever runs the "
            "installation: the log says why.",
            count=run.attempts,
            row=run.done,
        )
    _give_up(run, reason, now)


def _give_up(run: models.Run, reason: str, now: datetime) -> None:
    """It stands still, which its page says why, until somebody has it go on."""
    said = text.storable(wording.in_language(reason, run.language))
    stopped = {"status": models.Status.STOPPED, "reason": said, "worked_at": now}
    models.Run.objects.filter(id=run.id, status__in=AT_WORK).update(**stopped)


def _take_up(run: models.Run, *, now: datetime) -> bool:
    """Go on with the rights that whoever asked has today; False where it must stop."""
    with transaction.atomic():
        stored = working.claim(run, *AT_WORK)
        format = formats.formats().get(stored.format)
        reason = ""
        if format is None or not _may(stored, format, now):
            reason = wording.say("Whoever asked for it may not do this any more.")
        elif stored.attempts >= ATTEMPTS:
            reason = wording.say("It stopped its worker {count} times at row {row}.", count=ATTEMPTS, row=stored.done)
        if reason:
            _give_up(stored, reason, now)
            return False
        status = stored.status if stored.status == models.Status.UNDOING else models.Status.RUNNING
        began = {"status": status, "started_at": stored.started_at or now, "not_before": None}
        models.Run.objects.filter(id=run.id).update(**began, attempts=F("attempts") + 1)
    run.refresh_from_db()
    return True


def may_import(user: Any, format: formats.Format, *, now: datetime) -> bool:
    """Whether they hold the permission without limits: a file names whatever it likes."""
    held = engine.rights_of(user, scope.current_id(), now=now)
    return rights.ANY in held.on(format.permission)


def _may(run: models.Run, format: formats.Format, now: datetime) -> bool:
    for module in format.modules:
        modules.require(module)
    return run.asked_by is not None and may_import(run.asked_by, format, now=now)


def _carry_out(run: models.Run, deadline: float) -> bool:
    with _file_of(run) as path:
        format = formats.formats()[run.format]
        importer = format.opened(path, validation.parse(format.options, run.options), run.found)
        run.total = importer.total
        models.Run.objects.filter(id=run.id).update(total=run.total)
        return working.carry_out(run, importer, batch_size=BATCH, deadline=deadline)


@contextmanager
def _file_of(run: models.Run) -> Iterator[Path]:
    """The file, for as long as it is worked on, under its own name: messages and external ids tell of it."""
    with TemporaryDirectory(prefix="import-") as folder:
        path = Path(folder) / _name_on_disk(run.file_name)
        with path.open("wb") as file:
            for index in models.Piece.objects.filter(run=run).values_list("index", flat=True):
                file.write(bytes(models.Piece.objects.get(run=run, index=index).content))
        yield path


def _name_on_disk(name: str) -> str:
    """The name, as long as a file system takes it, with its ending: letters may have several bytes each."""
    start, ending = name.replace("/", "_")[:-_ENDING], name[-_ENDING:].replace("/", "_")
    fitting = start.encode()[: _LONGEST_ON_DISK - len(ending.encode())]
    return fitting.decode(errors="ignore") + ending or "file"


def _keep(run: models.Run, file: IO[bytes]) -> tuple[str, int]:
    """Digest and size. Raises UploadRefused for a file that is too large, empty, or no text."""
    digest, size, index = hashlib.sha256(), 0, 0
    while content := file.read(PIECE):
        if index == 0:
            _check_start(content)
        size += len(content)
        if size > LARGEST_FILE:
            said = wording.say(
                "The file is larger than {limit} MiB; import it with the command.", limit=LARGEST_FILE >> 20
            )
            raise uploads.UploadRefused(said)
        digest.update(content)
        models.Piece.objects.create(run=run, index=index, content=content)
        index += 1
    if not size:
        raise uploads.UploadRefused(wording.say("The file is empty."))
    return digest.hexdigest(), size


def _check_start(content: bytes) -> None:
    other = next((name for mark, name in _OTHER.items() if content.startswith(mark)), "")
    is_text = (
        content.startswith((_GZIP_MAGIC, b"\xff\xfe", b"\xfe\xff"))
        or content[:4096].count(0) * 3 <= len(content[:4096]) * 2
    )
    if other or not is_text:
        raise uploads.UploadRefused(
            wording.say("The file is no text: its bytes are those of {kind}.", kind=other or "data")
        )


@contextmanager
def _as_asked(run: models.Run) -> Iterator[None]:
    with context.use(
        actor=run.actor,
        correlation_id=run.correlation_id,
        client_address=run.client_address,
        path=f"/admin/imports/run/{run}",
        languages=run.language,
    ):
        yield


def _tell(run: models.Run, verb: str) -> None:
    audit.record(
        action=f"imports.run.{verb}",
        tenant_id=scope.current_id(),
        object_type="imports.run",
        object_id=str(run),
        after={"format": run.format, "file": run.file_name, "done": run.done, "tally": run.tally or None},
    )


def nudge() -> None:
    """Ask a worker to go on with imports."""
    from apps.imports import tasks

    tasks.nudge()
