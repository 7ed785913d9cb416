"""Downloads one file over HTTP, going on where a broken connection stopped."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path

from ipt_jax.errors import InputError

_ATTEMPTS = 3
_CHUNK_BYTES = 1 << 16


def fetch(url: str, partial: Path, *, timeout: float, max_bytes: int) -> None:
    """Downloads a file to `partial`, going on where an earlier attempt or call stopped.

    Args:
      timeout: seconds without a byte after which a connection counts as broken.
      max_bytes: what the file cannot exceed; a server that sends more is not the one we look for.

    Raises:
      InputError: the server refuses or sends too much, or the download stopped three times; in the last case
        `partial` keeps what came.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            if _fetch_once(url, partial, timeout, max_bytes):
                return
            reason = "it ended early"
        except urllib.error.HTTPError as error:
            if error.code == 416 and partial.exists():
                # Nothing follows what we have, and whether that is all of this file nobody knows: start anew.
                partial.unlink()
            elif error.code < 500:
                raise InputError(f"{url}: the server answers {error.code} {error.reason}; check the address") from error
            reason = f"the server answers {error.code} {error.reason}"
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f"{url}: not an address ({error}); check --base_url") from error
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
        if attempt == _ATTEMPTS:
            size = partial.stat().st_size if partial.exists() else 0
            raise InputError(
                f"{url}: the download stopped after {size:,} bytes, {_ATTEMPTS} times in a row ({reason}); "
                "the same command goes on from there"
            )


def _fetch_once(url: str, partial: Path, timeout: float, max_bytes: int) -> bool:
    """One request, appended to `partial`; False where fewer bytes came than announced."""
    from ipt_jax.runtime.log import Progress

    start = partial.stat().st_size if partial.exists() else 0
    # Without "identity" a server may compress, and a range would count compressed bytes.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout) as response:
        if response.status != 206:
            start = 0  # The server sends the whole file whatever we asked for.
        announced = response.headers.get("Content-Length")
        total = start + int(announced) if announced else None
        with (
            partial.open("ab" if start else "wb") as file,
            Progress(desc=partial.stem, initial=start, total=total, unit="B", unit_scale=True) as progress,
        ):
            size = start
            while max(size, total or 0) <= max_bytes and (chunk := response.read(_CHUNK_BYTES)):
                size += file.write(chunk)
                progress.update(len(chunk))
    if max(size, total or 0) > max_bytes:
        partial.unlink()
        raise InputError(f"{url}: the server sends more than the {max_bytes:,} bytes that this file can have; refused")
    return total is None or size == total
