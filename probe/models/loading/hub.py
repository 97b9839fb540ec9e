"""Where on this disk is a checkpoint of the Hugging Face hub, and which commit is it?

From the hub's cache, filled over the network only where that is allowed; without a network the cache is enough. Only
what a checkpoint is read from is fetched: safetensors, JSON, templates and vocabularies of the top folder, never code
or pickles; or exactly the files that were asked for. The commit, not the revision's name, says which weights were
measured.
"""

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError

from probe.errors import BadInput

FETCHED = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]
LEFT = ["*/*", "consolidated*"]  # other formats and subfolders hold the same weights again
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


@dataclass(frozen=True)
class Fetched:
    """A snapshot in the hub's cache; its files are links into the cache's store of blobs."""

    folder: Path
    commit: str


def fetch(
    hub_id: str,
    revision: str | None = None,
    *,
    offline: bool | None = None,
    cache: Path | None = None,
    files: Sequence[str] = (),
) -> Fetched:
    """The snapshot of `hub_id` ("org/name") at a branch, tag or commit (None: main); with `files`, those and no other.

    `offline` None follows HF_HUB_OFFLINE; `cache` None follows HF_HUB_CACHE and HF_HOME. BadInput where there is none.
    """
    revision = revision or "main"
    if not ID.fullmatch(hub_id) or not REVISION.fullmatch(revision):
        do = "give ORG/NAME and a branch, tag or commit"
        raise BadInput(f"no checkpoint of the hub can be called {hub_id}@{revision}", do=do)
    offline = constants.is_offline_mode() if offline is None else offline
    try:
        folder = huggingface_hub.snapshot_download(
            hub_id,
            revision=revision,
            cache_dir=cache,
            local_files_only=offline,
            allow_patterns=[glob.escape(file) for file in files] or FETCHED,
            ignore_patterns=None if files else LEFT,
        )
    except GatedRepoError as err:
        do = f"accept its terms at https://huggingface.co/{hub_id}, then `hf auth login`"
        raise BadInput(f"{hub_id} is behind a form", where=f"{hub_id}@{revision}", do=do) from err
    except LocalEntryNotFoundError as err:
        raise _absent(hub_id, revision, offline, Path(cache or constants.HF_HUB_CACHE), str(err), files) from err
    except (OSError, ValueError) as err:
        raise BadInput(f"cannot fetch it: {err}", where=f"{hub_id}@{revision}", do="check its name") from err
    lost = [file for file in files if not (Path(folder) / file).is_file()]
    if lost:  # a cache that another download began is taken for whole
        what = f"it lacks {', '.join(lost)}"
        raise _absent(hub_id, revision, offline, Path(cache or constants.HF_HUB_CACHE), what, files)
    return Fetched(Path(folder), Path(folder).name)


def _absent(hub_id: str, revision: str, offline: bool, cache: Path, err: str, files: Sequence[str]) -> BadInput:
    why = f"{'offline' if offline else 'the hub cannot be reached'}, and it is not whole in the cache {cache}"
    command = " ".join(["hf download", hub_id, *files, "--revision", revision])
    do = f"with a network: `{command}`; or copy the cache of a machine that has it"
    return BadInput(f"{hub_id} at {revision}: {why} ({err})", where=f"{hub_id}@{revision}", do=do)
