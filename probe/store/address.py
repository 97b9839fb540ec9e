"""Is the store a folder or a URL, what may be shown of that URL, and where do this machine's copies lie?

A URL may hold a password (sftp://user:password@host) or a token (?token=...): only `shown` is ever printed or logged.
"""

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/(/*)(.*)")  # two letters at least: c:/ is a disk
HIDDEN = "***"


def as_url(text: str) -> str | None:
    """The URL meant, without an end slash; None for a folder. `Path` makes s3:/b of s3://b: both are read."""
    found = _URL.fullmatch(text)
    if found is None:
        return None
    protocol, _, rest = found.groups()
    rest = rest.strip("/")
    return f"{protocol}:///{rest}" if protocol in ("file", "local") else f"{protocol}://{rest}"


def cache_of(url: str) -> Path:
    """Where this machine keeps its copies: $PROBE_CACHE, else the user's cache folder; one folder a URL."""
    ground = os.environ.get("PROBE_CACHE")
    if not ground:
        ground = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "probe")
    return Path(ground) / hashlib.sha256(url.encode()).hexdigest()[:16]


def shown(url: str) -> str:
    """The URL without what is secret in it: its password, and every value behind a question mark."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    user = f"{user.partition(':')[0]}:{HIDDEN}" if ":" in user else user
    query = "&".join(f"{name}={HIDDEN}" for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit((parts.scheme, f"{user}{at}{host}", parts.path, query, ""))


def without_secrets(text: str, url: str) -> str:
    """What a library said, without what is secret in the URL."""
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def has_secrets(url: str) -> bool:
    """Whether anything in the URL must not be shown."""
    return bool(_secrets(url))


def _secrets(url: str) -> set[str]:
    parts = urlsplit(url)
    password = parts.netloc.rpartition("@")[0].partition(":")[2]
    values = [value for _, value in parse_qsl(parts.query)] + [parts.query, password, parts.fragment]
    return {form for value in values for form in (value, unquote(value)) if form}
