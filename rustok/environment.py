"""Every setting of an installation, read once from the environment.

A setting is a field here and nowhere else: type, default, unit and meaning stand together, and
`manage.py docs_reference` turns them into `docs/reference/settings.md`.
"""

import difflib
import hmac
import ipaddress
import os
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from apps.kernel import failpoints, forwarding
from apps.kernel.limits.policies import Limits
from rustok import mailing, storing

CHECKOUT = Path(__file__).resolve().parent.parent
PREFIX = "RUSTOK_"
DEFAULT_SECRET_KEY = "development-only-this-key-protects-nothing-set-your-own"  # noqa: S105 - known to all, refused in production
SHORTEST_SECRET_KEY = 50
# A developer's tenants have whatever domains they like; a host without a tenant is 404 all the same.
DEVELOPMENT_HOSTS = ["*"]
NEEDED_IN_PRODUCTION = {
    "database_url": "the embedded PostgreSQL is for development and tests",
    "valkey_url": "the embedded Valkey is for development and tests",
    "mail_url": "invitations, resets and registrations go by mail",
    "mail_from": "say whom mails are from",
}


class EnvironmentInvalid(Exception):
    """The environment cannot be used; `problems` are complete sentences, one per mistake."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("The settings in the environment cannot be used:\n" + "\n".join(f"  - {p}" for p in problems))


class Profile(StrEnum):
    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


def _split_commas(value: Any) -> Any:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


CommaList = Annotated[list[str], NoDecode, BeforeValidator(_split_commas)]


def _unit(unit: str) -> dict[str, Any]:
    return {"unit": unit}


class Environment(BaseSettings):
    """The typed settings. Unset variables take the default; empty strings count as unset."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, populate_by_name=True, frozen=True, extra="forbid"
    )

    # Installation
    profile: Profile = Field(
        default=Profile.DEVELOPMENT,
        description="What this is for. `production` refuses unsafe defaults; `test` gives up durability for speed.",
    )
    process: Literal["command", "web", "worker", "beat"] = Field(
        default="command",
        description="What this process does, set by whatever starts it. `web` opens a database connection pool.",
    )
    debug: bool = Field(
        default=False,
        description="Django's debug pages. Keeps every query in memory and slows everything; refused in production.",
    )
    data_dir: Path = Field(
        default=CHECKOUT / ".rustok",
        description="Data, passwords and logs of the embedded servers. A relative path starts at the checkout.",
        json_schema_extra={"default_text": "`.rustok` in the checkout", **_unit("path")},
    )

    # Secrets and hosts
    secret_key: SecretStr = Field(
        default=SecretStr(DEFAULT_SECRET_KEY),
        description=f"Signs sessions and tokens. Production demands its own, {SHORTEST_SECRET_KEY} characters or more.",
        json_schema_extra={"default_text": "a known key, for development only"},
    )
    allowed_hosts: CommaList = Field(
        default_factory=list,
        description="Hosts of the installation itself, for its admin, API and docs; `.example.com` takes subdomains "
        "too. Domains of tenants are not listed here.",
        json_schema_extra={
            "default_text": f"{', '.join(f'`{host}`' for host in DEVELOPMENT_HOSTS)}; must be set in production",
            **_unit("comma-separated"),
        },
    )
    base_domains: CommaList = Field(
        default_factory=list,
        description="Every tenant is also at `<slug>.<base domain>`.",
        json_schema_extra={"default_text": "none", **_unit("comma-separated")},
    )
    trusted_proxies: CommaList = Field(
        default_factory=list,
        description="Addresses or networks (CIDR) of the proxies in front, `unix` for one on a socket. `Forwarded` and "
        "`X-Forwarded-…` of others are ignored; the proxies must set or remove all of them.",
        json_schema_extra={"default_text": "none", **_unit("comma-separated")},
    )
    break_glass_needs_approval: bool = Field(
        default=False,
        description="Whether emergency access of platform staff to a tenant waits for somebody else's approval.",
    )
    secret_key_fallbacks: Annotated[list[SecretStr], NoDecode, BeforeValidator(_split_commas)] = Field(
        default_factory=list,
        description="Former secret keys, still read while sessions and tokens signed with them last; nothing is signed "
        "with them.",
        json_schema_extra={"default_text": "none", **_unit("comma-separated")},
    )

    # Logins
    session_hours: int = Field(
        default=24 * 30,
        ge=1,
        le=24 * 366,
        description="How long after the login a session ends, however much it is used.",
        json_schema_extra=_unit("hours"),
    )
    session_idle_hours: int = Field(
        default=24 * 7,
        ge=1,
        le=24 * 366,
        description="How long a session lasts without being refreshed.",
        json_schema_extra=_unit("hours"),
    )
    account_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Page of your front end that takes the tokens of mails to those who work here, after a `#`.",
        json_schema_extra={"default_text": "mails carry the token without a link", **_unit("URL")},
    )
    password_hash_slots: int = Field(
        default=4,
        ge=1,
        le=256,
        description="Most passwords hashed at once by all processes that share the data directory; each takes 19 MiB.",
        json_schema_extra=_unit("hashes"),
    )

    # Web
    host: str = Field(default="127.0.0.1", description="Address the web server listens on.")
    port: int = Field(
        default=5150,
        ge=1,
        le=65535,
        description="Port the web server listens on. When it is not set, `make dev` takes the next free one.",
        json_schema_extra=_unit("TCP port"),
    )
    web_workers: int = Field(
        default=2, ge=1, le=256, description="Web server processes.", json_schema_extra=_unit("processes")
    )
    web_threads: int = Field(
        default=4,
        ge=1,
        le=256,
        description="Requests one web process works on at a time.",
        json_schema_extra=_unit("threads"),
    )
    largest_body_mib: int = Field(
        default=8,
        ge=1,
        le=1024,
        description="Most a request may bring in its body; each web thread may hold as much in memory.",
        json_schema_extra=_unit("MiB"),
    )
    largest_upload_mib: int = Field(
        default=32,
        ge=1,
        le=1024,
        description="Most a file that is sent may have; each web thread may hold as much in memory, images more.",
        json_schema_extra=_unit("MiB"),
    )
    worker_processes: int = Field(
        default=2, ge=1, le=256, description="Celery worker processes.", json_schema_extra=_unit("processes")
    )

    # Rate limits
    limits: Annotated[Limits, NoDecode, BeforeValidator(Limits.read_text)] = Field(
        default=Limits(),
        description="Limits that differ from the defaults, such as `anonymous=300,tenant=60000`; 0 is without bound.",
        json_schema_extra={
            "default_text": f"`{','.join(f'{name}={number}' for name, number in Limits())}`",
            **_unit("requests in any 60 seconds"),
        },
    )

    # What goes out
    outbound_inside: CommaList = Field(
        default_factory=list,
        description="Networks (CIDR) of your own that addresses given by tenants may lead to all the same; without "
        "them only public addresses are reached.",
        json_schema_extra={"default_text": "none", **_unit("comma-separated")},
    )

    # Logs
    log_format: Literal["console", "json"] | None = Field(
        default=None,
        description="`console` for people, `json` for machines: one object per line.",
        json_schema_extra={"default_text": "`json` in production, else `console`"},
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        default="INFO", description="The least important messages that are still written."
    )

    # Database and Valkey
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="`postgresql://user:password@host:port/name` of a PostgreSQL 18 in place of the embedded one, with "
        "the role of the application.",
        json_schema_extra={"default_text": "the embedded server; must be set in production"},
    )
    database_migrator_url: SecretStr | None = Field(
        default=None,
        validation_alias="DATABASE_MIGRATOR_URL",
        description="The same with the role that may change tables; only `manage.py migrate` needs it.",
        json_schema_extra={"default_text": "the embedded server"},
    )
    database_superuser_url: SecretStr | None = Field(
        default=None,
        validation_alias="DATABASE_SUPERUSER_URL",
        description="The same with a superuser; only `manage.py database_roles` and tests need it.",
        json_schema_extra={"default_text": "the embedded server"},
    )
    database_pool_size: int = Field(
        default=8,
        ge=1,
        le=1000,
        description="Most connections of one web process. All processes together must fit `max_connections`.",
        json_schema_extra=_unit("connections"),
    )
    database_statement_seconds: int = Field(
        default=30,
        ge=1,
        le=3600,
        description="How long one statement of a web process may take before the database gives it up. A pooler in "
        "between must let `options` pass.",
        json_schema_extra=_unit("seconds"),
    )
    export_seconds: int = Field(
        default=600,
        ge=1,
        le=86_400,
        description="How long an export may take, slow clients included: until then it holds a connection, and the "
        "database keeps what it has still to read.",
        json_schema_extra=_unit("seconds"),
    )
    valkey_url: SecretStr | None = Field(
        default=None,
        validation_alias="VALKEY_URL",
        description="`redis://`, `rediss://` or `unix://` URL of a Valkey or Redis in place of the embedded one.",
        json_schema_extra={"default_text": "the embedded server; must be set in production"},
    )
    valkey_database: int | None = Field(
        default=None,
        ge=0,
        description="Valkey database of bus and limits; the cache uses the next number and Celery the one after.",
        json_schema_extra={"default_text": "the number in `VALKEY_URL`, else 0", **_unit("database number")},
    )

    nats_url: SecretStr | None = Field(
        default=None,
        validation_alias="NATS_URL",
        description="`nats://` or `tls://` URL of a NATS 2.11 with JetStream in place of the embedded one. It may end "
        "with `?ca=…&cert=…&key=…&credentials=…` (files) and `&replicas=…`.",
        json_schema_extra={"default_text": "the embedded server; must be set in production where the bus is NATS"},
    )

    # Media
    media_storage: SecretStr | None = Field(
        default=None,
        description="`s3://key:secret@host/bucket?region=…` of a storage that speaks S3, in place of the folder "
        "`media` in the data directory; `&tls=no` for one beside this installation.",
        json_schema_extra={"default_text": "the folder `media` in the data directory"},
    )
    media_serving: Literal["stream", "accel", "redirect"] = Field(
        default="stream",
        description="How files are sent: `stream` by the web server itself, `accel` by the nginx in front "
        "(`X-Accel-Redirect`), `redirect` by the bucket, at signed addresses.",
    )
    media_quota_mib: int = Field(
        default=0,
        ge=0,
        description="Most that the files of a tenant may take, unless its plan says otherwise; 0 is without bound.",
        json_schema_extra=_unit("MiB"),
    )

    # Mail
    mail_url: SecretStr | None = Field(
        default=None,
        description="`smtp://user:password@host:587`, which is encrypted by STARTTLS, or `smtps://…:465`, by TLS from "
        "the start. `smtp://host:25?starttls=no` is for a relay beside this installation.",
        json_schema_extra={"default_text": "mails are printed; must be set in production"},
    )
    mail_from: str = Field(
        default="rustok@localhost",
        description="Whom mails are from: `shop@example.com` or `Shop <shop@example.com>`.",
        json_schema_extra={"default_text": "`rustok@localhost`; must be set in production"},
    )

    # Events
    events_transport: Literal["valkey", "nats", "memory"] = Field(
        default="valkey",
        description="The bus that carries positioned events to other processes: Valkey streams, NATS JetStream, or "
        "`memory`, which reaches this process only.",
    )
    events_relay_shards: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Streams of the bus, each with a share of the lanes; as many processes can then publish at once. "
        "The same in all processes.",
        json_schema_extra=_unit("streams"),
    )
    events_batch_size: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="Most events sequenced, relayed or consumed in one transaction.",
        json_schema_extra=_unit("events"),
    )
    events_time_slice_seconds: float = Field(
        default=10,
        gt=0,
        le=3600,
        description="How long one run of a drain task works before it makes room for others.",
        json_schema_extra=_unit("seconds"),
    )

    events_breaker_aggregates: int = Field(
        default=20,
        ge=1,
        description="Most aggregates a consumer parks within a minute; beyond it stops itself for an operator.",
        json_schema_extra=_unit("aggregates a minute"),
    )
    events_shards: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Parts a new generation of a projection is split into; as many workers can then share it.",
        json_schema_extra=_unit("shards"),
    )
    events_rollback_hours: float = Field(
        default=24,
        ge=0,
        description="How long the generation that was live before a rebuild follows on, to roll back to; 0 drops it.",
        json_schema_extra=_unit("hours"),
    )
    events_partition_size: int = Field(
        default=10_000_000,
        ge=1,
        description="Events in one partition of the log, the unit of archiving; it holds for new partitions.",
        json_schema_extra=_unit("events"),
    )
    events_hot_days: float | None = Field(
        default=None,
        ge=0,
        description="Age at which full partitions of the log are archived to files and dropped from the database.",
        json_schema_extra={"default_text": "events stay in the database for ever", **_unit("days")},
    )
    events_effect_days: float = Field(
        default=30,
        ge=0,
        description="How long the record of an effect that was done is kept.",
        json_schema_extra=_unit("days"),
    )
    events_archive_dir: Path | None = Field(
        default=None,
        description="Where archived events are; every process that reads the log needs it, and backups too.",
        json_schema_extra={"default_text": "`archive` in the data directory", **_unit("path")},
    )

    # Audit log
    audit_key: SecretStr | None = Field(
        default=None,
        description=f"Seals the audit log; keep it outside the database, {SHORTEST_SECRET_KEY} characters or more.",
        json_schema_extra={"default_text": "derived from `RUSTOK_SECRET_KEY`"},
    )
    audit_old_keys: Annotated[list[SecretStr], NoDecode, BeforeValidator(_split_commas)] = Field(
        default_factory=list,
        description="Keys that sealed before and are wanted to verify what they sealed. A secret key that was replaced "
        "counts as one.",
        json_schema_extra={"default_text": "none", **_unit("comma-separated")},
    )
    audit_checkpoint_dir: Path | None = Field(
        default=None,
        description="Where the newest seal of every tenant is written after sealing. Copy it to another machine: it "
        "shows when the end of the log was cut off.",
        json_schema_extra={"default_text": "`audit` in the data directory", **_unit("path")},
    )
    audit_keep_days: float | None = Field(
        default=None,
        ge=1,
        description="Age at which sealed entries of the audit log are dropped.",
        json_schema_extra={"default_text": "entries are kept for ever", **_unit("days")},
    )

    # Faults
    failpoint: str | None = Field(
        default=None,
        description="Kills a process at this named place of `apps/kernel/failpoints.py`. Only with the profile `test`.",
        json_schema_extra={"default_text": "none"},
    )

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return CHECKOUT / value.expanduser()

    @field_validator("events_archive_dir", "audit_checkpoint_dir")
    @classmethod
    def _absolute_if_set(cls, value: Path | None) -> Path | None:
        return CHECKOUT / value.expanduser() if value else None

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("failpoint")
    @classmethod
    def _is_failpoint(cls, value: str | None) -> str | None:
        if value and value not in failpoints.POINTS:
            nearest = difflib.get_close_matches(value, failpoints.POINTS, n=1, cutoff=0)[0]
            raise ValueError(f"there is no such place; did you mean {nearest}?")
        return value

    @field_validator("base_domains")
    @classmethod
    def _are_domains(cls, value: list[str]) -> list[str]:
        try:
            return [forwarding.host_name(domain.strip(".")) for domain in value]
        except forwarding.MalformedHost as error:
            raise ValueError(error.detail) from None

    @field_validator("outbound_inside")
    @classmethod
    def _are_plain_networks(cls, value: list[str]) -> list[str]:
        return [str(ipaddress.ip_network(network)) for network in value]

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: list[str]) -> list[str]:
        forwarding.networks(tuple(value))
        return value

    @field_validator("database_url", "database_migrator_url", "database_superuser_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return value

    @field_validator("valkey_url")
    @classmethod
    def _is_valkey(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return value

    @field_validator("nats_url")
    @classmethod
    def _is_nats(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("nats://", "tls://")):
            raise ValueError("must start with nats:// or tls://")
        return value

    @field_validator("mail_url")
    @classmethod
    def _is_mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            mailing.options(value.get_secret_value())
        return value

    @field_validator("media_storage")
    @classmethod
    def _is_bucket(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            storing.bucket(value.get_secret_value())
        return value

    @field_validator("mail_from")
    @classmethod
    def _is_address(cls, value: str) -> str:
        mailing.check_sender(value)
        return value

    @model_validator(mode="after")
    def _hosts_of_development(self) -> Self:
        if not self.allowed_hosts and self.profile is not Profile.PRODUCTION:
            self.allowed_hosts.extend(DEVELOPMENT_HOSTS)
        return self

    @property
    def chosen_archive_dir(self) -> Path:
        return self.events_archive_dir or self.data_dir / "archive"

    @property
    def chosen_audit_checkpoint_dir(self) -> Path:
        return self.audit_checkpoint_dir or self.data_dir / "audit"

    @property
    def audit_keys(self) -> list[bytes]:
        """The key that seals, then those that only verify; none is a secret used for something else."""
        secret_keys = [self.secret_key, *self.audit_old_keys]
        own = [key.get_secret_value().encode() for key in [self.audit_key, *self.audit_old_keys] if key is not None]
        derived = [hmac.digest(key.get_secret_value().encode(), b"rustok audit log", "sha256") for key in secret_keys]
        return own + derived if self.audit_key else derived + own

    @property
    def chosen_log_format(self) -> Literal["console", "json"]:
        return self.log_format or ("json" if self.profile is Profile.PRODUCTION else "console")


def variable_of(field_name: str) -> str:
    """The environment variable behind a field of `Environment`."""
    alias = Environment.model_fields[field_name].validation_alias
    return alias if isinstance(alias, str) else PREFIX + field_name.upper()


@cache
def current() -> Environment:
    """The settings of this process, read on first use. Raises EnvironmentInvalid."""
    return load()


def load() -> Environment:
    """Read and judge the whole environment; all mistakes are reported at once. Raises EnvironmentInvalid."""
    problems = _unknown_variables()
    try:
        environment = Environment()
    except ValidationError as error:
        raise EnvironmentInvalid(problems + _bad_values(error)) from None
    problems += _unsafe_in_production(environment)
    if environment.failpoint and environment.profile is not Profile.TEST:
        problems.append("RUSTOK_FAILPOINT kills processes and is for tests only: unset it, or set RUSTOK_PROFILE=test.")
    if problems:
        raise EnvironmentInvalid(problems)
    return environment


def _unknown_variables() -> list[str]:
    known = {variable_of(name) for name in Environment.model_fields}
    # Compared without the prefix, which would make any two names look alike.
    suffixes = [variable.removeprefix(PREFIX) for variable in sorted(known) if variable.startswith(PREFIX)]
    problems = []
    for variable in sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known):
        nearest = difflib.get_close_matches(variable.removeprefix(PREFIX), suffixes, n=1)
        hint = f"did you mean {PREFIX}{nearest[0]}?" if nearest else "see docs/reference/settings.md for all of them."
        problems.append(f"{variable} is not a setting; {hint}")
    return problems


def _bad_values(error: ValidationError) -> list[str]:
    problems = []
    for mistake in error.errors(include_url=False, include_context=False):
        location = str(mistake["loc"][0]) if mistake["loc"] else ""
        fields = [name for name in Environment.model_fields if location in (name, variable_of(name))]
        name = fields[0]
        annotation = Environment.model_fields[name].annotation
        is_secret = SecretStr in (annotation, *get_args(annotation))
        shown = "" if is_secret else f"={os.environ.get(variable_of(name), '')!r}"
        message = mistake["msg"].removeprefix("Value error, ")
        problems.append(f"{variable_of(name)}{shown}: {message[:1].lower()}{message[1:]}. Correct or unset it.")
    return problems


def _unsafe_in_production(environment: Environment) -> list[str]:
    if environment.profile is not Profile.PRODUCTION:
        return []
    problems = []
    secret_key = environment.secret_key.get_secret_value()
    if secret_key == DEFAULT_SECRET_KEY:
        problems.append("RUSTOK_SECRET_KEY is the known default: set a random value of your own.")
    elif len(secret_key) < SHORTEST_SECRET_KEY:
        problems.append(f"RUSTOK_SECRET_KEY is too short: use at least {SHORTEST_SECRET_KEY} random characters.")
    if environment.audit_key and len(environment.audit_key.get_secret_value()) < SHORTEST_SECRET_KEY:
        problems.append(f"RUSTOK_AUDIT_KEY is too short: use at least {SHORTEST_SECRET_KEY} random characters.")
    if not environment.allowed_hosts:
        problems.append("RUSTOK_ALLOWED_HOSTS is empty: list the host names this installation answers to.")
    if any(network.prefixlen == 0 for network in forwarding.networks(tuple(environment.trusted_proxies))):
        problems.append("RUSTOK_TRUSTED_PROXIES trusts every address: list the networks of your proxies only.")
    unset = NEEDED_IN_PRODUCTION.keys() - environment.model_fields_set
    problems += [f"{variable_of(name)} is not set: {NEEDED_IN_PRODUCTION[name]}." for name in sorted(unset)]
    if environment.debug:
        problems.append("RUSTOK_DEBUG is on: debug pages show secrets to visitors; unset it.")
    if environment.events_transport == "memory":
        problems.append("RUSTOK_EVENTS_TRANSPORT=memory reaches one process only: use valkey or nats.")
    if environment.media_serving == "redirect" and environment.media_storage is None:
        problems.append("RUSTOK_MEDIA_SERVING=redirect leads to a bucket: set RUSTOK_MEDIA_STORAGE, or use accel.")
    if environment.events_transport == "nats" and environment.nats_url is None:
        problems.append("NATS_URL is not set: the embedded NATS is for development and tests.")
    return problems
