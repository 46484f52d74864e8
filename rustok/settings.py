"""Django's settings. What differs between installations comes from `rustok.environment`; the rest is decided here."""

from typing import Any

import django_stubs_ext
from django.utils.csp import CSP

from rustok import environment as environments
from rustok import logs, mailing, servers, storing
from rustok.environment import CHECKOUT, Profile

# Lets code write `ModelAdmin[Product]` at run time as it does for the type checker.
django_stubs_ext.monkeypatch()

ENVIRONMENT = environments.current()
CONNECTIONS = servers.connection_facts(ENVIRONMENT)
IS_PRODUCTION = ENVIRONMENT.profile is Profile.PRODUCTION

# --- Core ---------------------------------------------------------------------------------------------------

DEBUG = ENVIRONMENT.debug
SECRET_KEY = ENVIRONMENT.secret_key.get_secret_value()
SECRET_KEY_FALLBACKS = [key.get_secret_value() for key in ENVIRONMENT.secret_key_fallbacks]
# Any well-formed host passes Django: TenantMiddleware lets in the hosts of tenants, and these.
ALLOWED_HOSTS = ["*"]
PLATFORM_HOSTS = ENVIRONMENT.allowed_hosts
BASE_DOMAINS = ENVIRONMENT.base_domains
TRUSTED_PROXIES = tuple(ENVIRONMENT.trusted_proxies)

ROOT_URLCONF = "rustok.urls"
WSGI_APPLICATION = "rustok.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "corsheaders",
    "guardian",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_prometheus",
    "apps.kernel",
    "apps.events",
    "apps.outbox",
    "apps.consumers",
    "apps.audit",
    "apps.tenants",
    "apps.accounts",
    # After the apps whose templates stand in the place of its own.
    "apps.accounts.access.site_config.AccessAdminConfig",
    "apps.jobs",
    "apps.media",
    "apps.imports",
    "apps.content",
    "apps.commerce",
    "apps.readmodels",
    "rustok",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    # Outside of all that can refuse: an error page needs the headers as much as any.
    "apps.kernel.headers.HeadersMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "apps.kernel.middleware.CorrelationMiddleware",
    # Before anything asks for host, scheme or address.
    "apps.kernel.client.ClientMiddleware",
    "apps.kernel.sizes.SizeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    # Before the tenant is looked for: a preflight does not name it.
    "corsheaders.middleware.CorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Around what finds the tenant, so that unknown hosts count too; who asks is known further inside.
    "apps.accounts.rate_limits.LimitMiddleware",
    # Before the session is read: an unknown host costs no query of ours.
    "apps.tenants.middleware.TenantMiddleware",
    "apps.tenants.middleware.ModuleMiddleware",
    "apps.accounts.middleware.AccessMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.tenants.middleware.PlatformAdminMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

TIME_ZONE = "UTC"
USE_TZ = True
LANGUAGE_CODE = "en"
# Errors are told in these; see apps/kernel/wording.py.
LANGUAGES = [
    ("en", "English"),
    ("de", "Deutsch"),
    ("es", "español"),
    ("fr", "français"),
    ("ru", "русский"),
    ("zh-hans", "简体中文"),
]
LOCALE_PATHS = [CHECKOUT / "rustok" / "locale"]
USE_I18N = True
FORMAT_MODULE_PATH = ["rustok.formats"]

# --- Database, Valkey, cache --------------------------------------------------------------------------------

_database_options: dict[str, Any] = {
    "application_name": f"rustok-{ENVIRONMENT.process}",
    **CONNECTIONS.database.options,
}
if ENVIRONMENT.process == "web":
    # What takes longer holds a thread and a connection from everybody else; commands and tasks may take their time.
    limit = f"-c statement_timeout={ENVIRONMENT.database_statement_seconds}s"
    _database_options["options"] = f"{_database_options.get('options', '')} {limit}".strip()
    # Opened at the first query, hence after granian has forked; a busy pool answers 503 rather than wait for ever.
    _database_options["pool"] = {"min_size": 1, "max_size": ENVIRONMENT.database_pool_size, "timeout": 10}

DATABASES = {
    "default": {
        "ENGINE": "apps.kernel.database",
        "HOST": CONNECTIONS.database.host,
        "PORT": CONNECTIONS.database.port,
        "NAME": CONNECTIONS.database.name,
        "USER": CONNECTIONS.database.user,
        "PASSWORD": CONNECTIONS.database.password,
        "MIGRATOR": CONNECTIONS.migrator
        and {"USER": CONNECTIONS.migrator.user, "PASSWORD": CONNECTIONS.migrator.password},
        "OPTIONS": _database_options,
        # The pool keeps connections itself; commands and Celery keep theirs for a minute.
        "CONN_MAX_AGE": 0 if ENVIRONMENT.process == "web" else 60,
        # A restarted server costs one check and not one failed request per connection.
        "CONN_HEALTH_CHECKS": True,
    }
}

VALKEY_URL = CONNECTIONS.valkey_url
NATS_URL = CONNECTIONS.nats_url

# A database of its own, because clearing a Django cache empties the whole database.
CACHE_URL = CONNECTIONS.valkey_url_of(CONNECTIONS.valkey_database + 1)

CACHES = {
    "default": {
        "BACKEND": "rustok.cache.ValkeyCache",
        "LOCATION": CACHE_URL,
        "KEY_PREFIX": "rustok",
        # A cache is worth waiting for less long than its source takes.
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5, "retry": None},
    }
}

# --- Rate limits --------------------------------------------------------------------------------------------

LIMITS = ENVIRONMENT.limits
# While Valkey is away each web process admits its share.
WEB_PROCESSES = ENVIRONMENT.web_workers

# --- Users and access ---------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "apps.accounts.backends.GuardedBackend",
]
PASSWORD_HASHERS = [
    "apps.accounts.hashing.SlottedArgon2Hasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
if ENVIRONMENT.profile is Profile.TEST:
    # Argon2 is slow on purpose, which tests that only need somebody logged in would pay for.
    PASSWORD_HASHERS.insert(0, "django.contrib.auth.hashers.MD5PasswordHasher")
# Shared by the processes of one machine, whose memory is what the slots protect.
PASSWORD_HASH_DIR = ENVIRONMENT.data_dir / "hashing"
PASSWORD_HASH_SLOTS = ENVIRONMENT.password_hash_slots
# Length and what is not common, and no rules of composition: OWASP ASVS 5.0, 6.2. More than 128 characters add nothing
# to a hash of 256 bits, and cost.
PASSWORD_LENGTH = (10, 128)
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": PASSWORD_LENGTH[0]},
    },
    {"NAME": "apps.accounts.services.passwords.MaximumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Guardian would create an anonymous user by itself; anonymous visitors have no object permissions here.
ANONYMOUS_USER_NAME = None
BREAK_GLASS_NEEDS_APPROVAL = ENVIRONMENT.break_glass_needs_approval
ACCOUNT_URL = ENVIRONMENT.account_url
# Where mails lead to a page of ours: in production the port is that of the scheme.
OWN_PORT = "" if IS_PRODUCTION else f":{ENVIRONMENT.port}"
SESSION_HOURS = ENVIRONMENT.session_hours
SESSION_IDLE_HOURS = ENVIRONMENT.session_idle_hours

RATELIMIT_IP_META_KEY = "apps.kernel.client.rate_key"

SILENCED_SYSTEM_CHECKS = [
    # django-ratelimit knows a fixed list of shared caches, and Django's own Redis cache is not on it.
    "django_ratelimit.W001",
    # Guardian's own backend would ask its tables at every has_perm; what is shared is asked for one object only.
    "guardian.W001",
    # Browsers' lists of HTTPS hosts are joined by the owner of a domain, who then cannot leave for months; not by us.
    "security.W021",
]

# --- What browsers are told, docs/explanation/edge.md --------------------------------------------------------

CSP_REPORT_PATH = "/csp-reports"
SECURE_CSP: dict[str, list[str]] = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.NONCE],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
    # The second is for browsers that know the Reporting API, which then pass over the first.
    "report-uri": [CSP_REPORT_PATH],
    "report-to": ["csp"],
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
# The admin needs no script that reads the token; Swagger UI has it in its page.
CSRF_COOKIE_HTTPONLY = True
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
if IS_PRODUCTION:
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True  # of hosts of the installation; HeadersMiddleware leaves it out of tenants'
    SECURE_SSL_REDIRECT = True
    # Probes and scrapers come by address, from inside.
    SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    # A browser takes these from this very host only, over HTTPS.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"

# Whose pages may read the API is asked of apps.tenants.origins, never of a list here; cookies never count.
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_CREDENTIALS = False
CORS_ALLOW_HEADERS = [
    "accept", "accept-language", "authorization", "content-type", "idempotency-key", "if-match", "if-none-match",
    "x-api-key", "x-correlation-id", "x-tenant",
]  # fmt: skip
CORS_EXPOSE_HEADERS = [
    "content-disposition", "deprecation", "etag", "link", "location", "ratelimit", "ratelimit-policy", "retry-after",
    "sunset", "x-correlation-id", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset",
]  # fmt: skip
CORS_PREFLIGHT_MAX_AGE = 3600
ORIGIN_SCHEMES = ["https"] if IS_PRODUCTION else ["https", "http"]
ORIGIN_ANY_PORT = not IS_PRODUCTION  # front ends of developers

# --- What goes out, apps/kernel/outbound.py -----------------------------------------------------------------

OUTBOUND_SCHEMES = ["https"] if IS_PRODUCTION else ["https", "http"]
OUTBOUND_INSIDE = ENVIRONMENT.outbound_inside

# --- API ----------------------------------------------------------------------------------------------------

# A product of 200 variants, with prices, stock and all, is one form of the admin.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
LARGEST_BODY = ENVIRONMENT.largest_body_mib * 2**20
# Where forms with files come, which may be larger than other bodies.
LARGEST_UPLOAD = ENVIRONMENT.largest_upload_mib * 2**20
UPLOAD_PATHS = frozenset({"/api/v1/admin/assets", "/admin/media/asset/upload/", "/admin/imports/run/upload/"})
EXPORT_SECONDS = ENVIRONMENT.export_seconds
API_DOCUMENT = CHECKOUT / "rustok/openapi/openapi.json"
API_EXAMPLES = CHECKOUT / "rustok/openapi/examples.json"

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["apps.kernel.rendering.OrjsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.kernel.parsing.OrjsonParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.accounts.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apps.accounts.permissions.TenantPermission"],
    "DEFAULT_SCHEMA_CLASS": "apps.kernel.openapi.OperationSchema",
    "EXCEPTION_HANDLER": "apps.kernel.api.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "RusToK",
    "DESCRIPTION": "Multi-tenant headless content and commerce.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # Without the last, which has a host of others judge our document, on all hosts but localhost.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "displayRequestDuration": True, "filter": True, "validatorUrl": None},
    "REDOC_DIST": "SIDECAR",
    "POSTPROCESSING_HOOKS": [],
}

# --- Static files, media, mail, logs ------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = CHECKOUT / "staticfiles"
# Outside production files are served from where they are, so that nothing has to be collected first.
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not IS_PRODUCTION
MEDIA_URL = "/media/"
MEDIA_ROOT = ENVIRONMENT.data_dir / "media"
MEDIA_SERVING = ENVIRONMENT.media_serving
MEDIA_QUOTA_MIB = ENVIRONMENT.media_quota_mib
_media_storage = ENVIRONMENT.media_storage.get_secret_value() if ENVIRONMENT.media_storage else None
if _media_storage and MEDIA_SERVING == "redirect":
    SECURE_CSP["img-src"].append(storing.origin(_media_storage))  # thumbnails of the admin are led there
STORAGES = {
    "default": storing.storage(_media_storage),
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if IS_PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
MAILERS = {"default": mailing.mailer(ENVIRONMENT.mail_url.get_secret_value() if ENVIRONMENT.mail_url else None)}
DEFAULT_FROM_EMAIL = SERVER_EMAIL = ENVIRONMENT.mail_from
LOGGING = logs.configure(
    log_format=ENVIRONMENT.chosen_log_format, level=ENVIRONMENT.log_level, process=ENVIRONMENT.process
)

# --- Events -------------------------------------------------------------------------------------------------

EVENTS_TRANSPORT = ENVIRONMENT.events_transport
EVENTS_RELAY_SHARDS = ENVIRONMENT.events_relay_shards
EVENTS_BATCH_SIZE = ENVIRONMENT.events_batch_size
EVENTS_TIME_SLICE_SECONDS = ENVIRONMENT.events_time_slice_seconds
EVENTS_BREAKER_AGGREGATES = ENVIRONMENT.events_breaker_aggregates
EVENTS_SHARDS = ENVIRONMENT.events_shards
EVENTS_ROLLBACK_HOURS = ENVIRONMENT.events_rollback_hours
EVENTS_PARTITION_SIZE = ENVIRONMENT.events_partition_size
EVENTS_HOT_DAYS = ENVIRONMENT.events_hot_days
EVENTS_EFFECT_DAYS = ENVIRONMENT.events_effect_days
EVENTS_ARCHIVE_DIR = ENVIRONMENT.chosen_archive_dir

# --- Audit log ----------------------------------------------------------------------------------------------

# The first seals; all of them verify.
AUDIT_KEYS = ENVIRONMENT.audit_keys
AUDIT_CHECKPOINT_DIR = ENVIRONMENT.chosen_audit_checkpoint_dir
AUDIT_KEEP_DAYS = ENVIRONMENT.audit_keep_days

FAILPOINT = ENVIRONMENT.failpoint

# --- Celery -------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = CONNECTIONS.celery_broker_url
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "rustok"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = ENVIRONMENT.worker_processes
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker waits for Valkey as long as it takes
# A task is a nudge: when the broker is down, the request that sends one must not wait for it.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 0.5,
    "socket_timeout": 5,
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}
# Nothing worth remembering: every entry is due again within seconds.
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"
CELERY_BEAT_SCHEDULE = {
    name: {"task": name, "schedule": every_seconds, "options": {"expires": expires_seconds}}
    for name, every_seconds, expires_seconds in (
        ("outbox.advance", 1.0, 5.0),
        ("outbox.ensure_partitions", 600.0, 600.0),
        ("outbox.keep", 900.0, 900.0),
        ("consumers.advance", 1.0, 5.0),
        ("consumers.send_effects", 1.0, 5.0),
        ("consumers.build", 5.0, 5.0),
        ("consumers.retire", 600.0, 600.0),
        ("consumers.forget_effects", 900.0, 900.0),
        ("audit.seal", 60.0, 60.0),
        ("audit.prune", 3600.0, 3600.0),
        ("commerce.expire_reservations", 30.0, 30.0),
        ("accounts.send_mails", 5.0, 5.0),
        ("accounts.forget", 3600.0, 3600.0),
        ("jobs.advance", 5.0, 5.0),
        ("jobs.forget", 600.0, 600.0),
        ("media.sweep", 21_600.0, 21_600.0),
        ("imports.advance", 5.0, 5.0),
        ("imports.forget", 3600.0, 3600.0),
        ("tenants.forget_idempotency_keys", 600.0, 600.0),
    )
}
