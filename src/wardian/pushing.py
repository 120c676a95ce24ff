"""Cases to where people keep them: object stores, registries, and the Hugging Face Hub with a model card."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardian.archive import ArchiveReader
from wardian.archive.remote.filesystems import file_system, missing
from wardian.archive.remote.hub import HubFile, parse_hub_url
from wardian.archive.remote.urls import is_url, redact, scheme_of, shown, stem_of
from wardian.errors import NotACaseError, RemoteError
from wardian.inspection.model_cards import MADE_BY, model_card
from wardian.inspection.summary import Summary
from wardian.loading.case import Case
from wardian.reading.arriving import Arriving
from wardian.reading.opening import open_archive
from wardian.reading.storage_checks import StorageChecks

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["push"]

_CASE = "model.case"
_WEIGHTS = "model.safetensors"
_CARD = "README.md"


def push(
    source: Any,
    url: str,
    *,
    weights: bool = False,
    private: bool | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> str:
    """Put a case where others open it by its URL.

    On the Hugging Face Hub it is one commit, with a model card that says what is in the file, unless the
    repository has a card of its own. On an object store it is one object, which is there when all of it is.
    In an OCI registry it is an artifact of ModelPack with one layer, beside the images of containers.

    Args:
        source: An open `Case`, the path or URL of one, or an object, which is packed first.
        url: `hf://user/repository[/path]`, `s3://bucket/path`, `oci://registry/name:tag`, or what else fsspec
            writes to.
        weights: On the Hub, write `model.safetensors` beside the case, for tools that know no cases.
        private: On the Hub, whether a repository that is made now is private; None for the user's setting.
        revision: On the Hub, the branch, which is made if there is none; `main` without it.
        commit_message: On the Hub, of the commit.
        storage_options: As for `wardian.open`.
        **options: As for `wardian.pack`, if an object is packed.

    Returns:
        The URL by which `wardian.open` opens it; on the Hub with the commit, and of a registry with the
        digest, so that it stays the same.

    Raises:
        PackError: if an object cannot be packed.
        CaseError, OSError: if the file is no case, damaged, or cannot be read.
        PermissionError: if the token does not allow it.
        RemoteError: if it cannot be written.

    >>> import torch, wardian
    >>> wardian.push(torch.nn.Linear(2, 1), "memory://models/linear.case", prove=False)
    'memory://models/linear.case'
    """
    _require_place(url, weights=weights, private=private, revision=revision, commit_message=commit_message)
    with _archive_of(source, options, storage_options if is_url(source) else None) as archive:
        if scheme_of(url) == "hf":
            return _push_to_hub(
                archive, url, weights, private, revision, commit_message, storage_options or {}
            )
        if scheme_of(url) == "oci":
            return _push_to_registry(archive, url, storage_options or {})
        return _push_to_store(archive, url, storage_options or {})


def _require_place(url: str, **of_hub: Any) -> None:
    """Refuse what cannot be written, and options that mean nothing there, before anything is packed."""
    if not is_url(url):
        raise TypeError(f"{url!r:.80} is no URL; a case is a file, so that it can be copied")
    if scheme_of(url) in ("http", "https"):
        raise RemoteError(
            f"{shown(url)} cannot be written: HTTP servers have no common way to take files", path=shown(url)
        )
    wrong = [name for name, value in of_hub.items() if value]
    if wrong and scheme_of(url) != "hf":
        raise TypeError(f"{', '.join(wrong)}: only for hf:// URLs")


@contextmanager
def _archive_of(
    source: Any, options: Mapping[str, Any], storage_options: Mapping[str, Any] | None
) -> Iterator[ArchiveReader]:
    """Open what is pushed as a case that is all here."""
    with ExitStack() as stack:
        if isinstance(source, Case):
            found = source.mount.archive
            if not isinstance(found, ArchiveReader):
                raise NotACaseError(f"{found.label} is a folder, and a case is a file", path=found.label)
            archive = found
        else:
            if not isinstance(source, str | os.PathLike):
                from wardian.packing.pack import pack

                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="wardian-push-"))
                path = Path(folder, _CASE)
                pack(source, path, **options)
                source, options = path, {}
            archive = stack.enter_context(open_archive(source, storage_options=storage_options))
        if options:
            raise TypeError(f"{', '.join(sorted(options))}: only for an object that is packed now")
        if archive.kind != "case":
            raise NotACaseError(
                f"{archive.label} is an archive of torch.package, and no case; load and pack it",
                path=archive.label,
            )
        # Whoever opens it there would be told of damage, and could do nothing about it.
        StorageChecks(archive).check_whole(archive.label)
        yield archive


@contextmanager
def _file_of(archive: ArchiveReader) -> Iterator[str]:
    """Return a path of the very bytes that are open."""
    place = archive.find_place()
    if place is not None:
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="wardian-push-") as folder:
        path = Path(folder, _CASE)
        path.write_bytes(archive.whole())
        yield str(path)


def _push_to_store(archive: ArchiveReader, url: str, options: Mapping[str, Any]) -> str:
    if url.endswith("/"):
        url += f"{archive.stem}.case"
    fs, target = file_system(url, options)
    problem: Exception | None = None
    with _file_of(archive) as path:
        try:
            fs.put_file(path, target)
            fs.invalidate_cache()
            found = fs.info(target)["size"]
        except PermissionError as error:
            problem = PermissionError(
                13, f"the server refuses: {redact(str(error), url, options)}", shown(url)
            )
        except Exception as error:  # noqa: BLE001  whatever a file system raises
            words = redact(str(error) or type(error).__name__, url, options)
            problem = RemoteError(f"{shown(url)} cannot be written: {words}", path=shown(url))
    if problem is not None:
        raise problem
    if found != len(archive):
        raise RemoteError(
            f"{shown(url)} has {found:,} bytes after it was written, and the case has {len(archive):,}",
            path=shown(url),
        )
    return url


def _push_to_registry(archive: ArchiveReader, url: str, options: Mapping[str, Any]) -> str:
    from wardian.archive.remote.oci.modelpack import PackFacts
    from wardian.archive.remote.oci.uploading import upload

    name = stem_of(url)
    summary = Summary.of(archive, archive.label)
    facts = PackFacts(
        name=name,
        parameters=summary.parameters,
        dtypes=[weights.dtype for weights in summary.weights],
        licences=[licence.expression for licence in summary.licences if licence.expression],
    )
    with _file_of(archive) as path:
        return upload(path, url, facts, options, Arriving(name))


def _push_to_hub(
    archive: ArchiveReader,
    url: str,
    weights: bool,
    private: bool | None,
    revision: str | None,
    commit_message: str | None,
    options: Mapping[str, Any],
) -> str:
    place = parse_hub_url(url)
    path = place.path or _CASE
    revision = revision or place.revision
    try:
        from huggingface_hub import CommitOperationAdd, HfApi
    except ImportError as error:
        raise missing(url, error) from None
    api = HfApi(endpoint=options.get("endpoint"), token=options.get("token"), library_name="wardian")
    problem: Exception
    with ExitStack() as stack:
        add = [CommitOperationAdd(path, stack.enter_context(_file_of(archive)))]
        if weights:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="wardian-push-"))
            weights_path = Path(folder, _WEIGHTS)
            with Case.open(add[0].path_or_fileobj) as case:
                case.export_safetensors(weights_path)
            add.append(CommitOperationAdd(_WEIGHTS, weights_path))
        try:
            api.create_repo(place.repo, repo_type=place.kind, private=private, exist_ok=True)
            if revision is not None:
                api.create_branch(place.repo, branch=revision, repo_type=place.kind, exist_ok=True)
            if not _has_own_card(api, place, revision):
                card = model_card(Summary.of(archive, path), f"hf://{place.repo}/{path}")
                add.append(CommitOperationAdd(_CARD, card.encode()))
            commit = api.create_commit(
                place.repo,
                add,
                commit_message=commit_message or f"Push {path} ({archive.fingerprint[:12]})",
                repo_type=place.kind,
                revision=revision,
            )
            kind = "" if place.kind is None else f"{place.kind}s/"
            return f"hf://{kind}{place.repo}@{commit.oid}/{path}"
        except Exception as error:  # noqa: BLE001  whatever the client and its HTTP client raise
            causes = [str(found) or type(found).__name__ for found in (error, error.__cause__) if found]
            words = redact(" ".join(causes), url, options)
            status = getattr(getattr(error, "response", None), "status_code", None)
            if status in (401, 403):
                problem = PermissionError(
                    13, f"the Hub refuses; hf auth login, or a token that may: {words}", shown(url)
                )
            else:
                problem = RemoteError(f"{shown(url)} cannot be written: {words}", path=shown(url))
    raise problem


def _has_own_card(api: HfApi, place: HubFile, revision: str | None) -> bool:
    """Tell whether the repository has a card that somebody wrote."""
    if not api.file_exists(place.repo, _CARD, repo_type=place.kind, revision=revision):
        return False
    with tempfile.TemporaryDirectory(prefix="wardian-push-") as folder:
        found = api.hf_hub_download(
            place.repo, _CARD, repo_type=place.kind, revision=revision, local_dir=folder
        )
        return MADE_BY not in Path(found).read_text("utf-8", "replace")
