"""Results through a remote: pushed from one clone, pulled in another, nothing to do there in both tools.

A local folder is the remote of all other tests (tests/conftest.py). Here real servers on sockets of this
machine stand for S3 and SSH; the extras `s3` and `ssh` bring DVC's sides of them.
"""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checkout import assert_nothing_to_do, clone, copy_checkout, git_commit, succeed


def push_and_pull(original: Path, folder: Path, url: str, **settings: str) -> Path:
    """A clone that pulled from a remote at ``url`` what another one had pushed there."""
    here = copy_checkout(original, folder / "here")
    succeed(here, "dvc", "remote", "add", "--force", "--default", "shared", url)
    for name, value in settings.items():
        succeed(here, "dvc", "remote", "modify", "shared", name, value)
    git_commit(here)
    succeed(here, "dvc", "push")
    there = clone(here, folder / "there")
    assert (there / "reports/index.html").read_bytes() == (here / "reports/index.html").read_bytes()
    return there


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an S3 server with a bucket `results`."""
    pytest.importorskip("dvc_s3", reason="needs the extra s3")
    pytest.importorskip("moto", reason="needs moto[server]")
    import boto3
    from moto.server import ThreadedMotoServer

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    boto3.client("s3", endpoint_url=address, region_name="us-east-1").create_bucket(Bucket="results")
    yield address
    server.stop()


def test_s3(original: Path, tmp_path: Path, s3: str) -> None:
    there = push_and_pull(original, tmp_path, "s3://results/habits", endpointurl=s3)
    assert_nothing_to_do(there)


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Port of an SSH server with SFTP, and the private key that it lets in."""
    pytest.importorskip("dvc_ssh", reason="needs the extra ssh")
    import asyncssh

    own, user = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    user.write_private_key(tmp_path / "key")
    loop, ports = asyncio.new_event_loop(), []

    async def listen() -> None:
        keys = asyncssh.import_authorized_keys(user.export_public_key().decode())
        options: dict[str, Any] = {"server_host_keys": [own], "authorized_client_keys": keys}
        server = await asyncssh.listen("127.0.0.1", 0, sftp_factory=True, **options)
        ports.append(server.get_port())

    loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield ports[0], tmp_path / "key"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def test_ssh(original: Path, tmp_path: Path, ssh: tuple[int, Path]) -> None:
    port, key = ssh
    url = f"ssh://user@127.0.0.1:{port}{tmp_path}/remote"
    there = push_and_pull(original, tmp_path, url, keyfile=str(key))
    assert any((tmp_path / "remote/files/md5").iterdir())
    assert_nothing_to_do(there)
