"""The command line: messages, logs, presets; and the fingerprint of the code behind each step."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from habits import cli, jobs, sources
from habits.artifacts import ArtifactError
from habits.params import load

LAPTOP = cli.PRESETS / "laptop.yaml"


def habits(
    *words: str | Path, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "habits.cli", *map(str, words)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
    )


def test_a_bad_setting_is_one_message_on_console_and_log(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(LAPTOP.read_text().replace("algorithm: ppo", "algorithm: pppo"))
    run = habits("problems", "--out", "problems", "--log", "logs/problems.log", cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.startswith("error: params.yaml: rl.algorithm is 'pppo'; choose 'ppo'")
    assert "Traceback" not in run.stderr
    assert (tmp_path / "logs/problems.log").read_text() == run.stderr


def test_a_step_runs_by_hand_and_takes_its_settings_from_the_workflow_if_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text((cli.PRESETS / "smoke.yaml").read_text())
    run = habits("problems", "--out", "problems", cwd=tmp_path, env={jobs.PARAMS_FILE: "other.yaml"})
    assert run.returncode == 0, run.stderr
    assert {path.name for path in (tmp_path / "problems").glob("*.parquet")} == {
        "train.parquet",
        "validation.parquet",
        "test.parquet",
    }


def test_a_missing_option_is_told_by_name(tmp_path: Path) -> None:
    run = habits("rl", cwd=tmp_path)
    assert run.returncode == 2 or run.returncode == 1
    assert "--run" in run.stdout + run.stderr


def test_errors_of_ours_are_messages_and_bugs_are_tracebacks(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, jobs.reported(None):
        raise ArtifactError("x.parquet does not exist; make it")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: x.parquet does not exist; make it\n"
    with pytest.raises(SystemExit) as ended, jobs.reported(None):
        raise KeyError("bug")
    assert ended.value.code == 1
    assert "Traceback" in capsys.readouterr().err


def test_every_rule_has_a_command_of_its_name() -> None:
    rules = {path.stem for path in (cli.PACKAGE.parent / "rules").glob("*.smk")} - {"common"}
    assert rules <= set(cli.app.resolved_commands())


def test_a_preset_is_written_as_it_stands(tmp_path: Path) -> None:
    target = tmp_path / "params.yaml"
    cli.preset("laptop", params=target)
    cli.preset("smoke", params=target)
    assert target.read_bytes() == (cli.PRESETS / "smoke.yaml").read_bytes()


def test_settings_of_the_user_are_never_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "params.yaml"
    own = LAPTOP.read_text() + "# mine\n"
    target.write_text(own)
    with pytest.raises(SystemExit):
        cli.preset("smoke", params=target)
    assert "--force" in capsys.readouterr().err
    assert target.read_text() == own
    for number in (1, 2):
        target.write_text(own)
        cli.preset("smoke", params=target, force=True)
        assert (tmp_path / f"params.yaml.{number}.bak").read_text() == own
    assert load(target).preset == "smoke"


def test_an_unknown_preset_is_told_with_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.preset("desktop")
    assert (
        "preset 'desktop' does not exist; choose laptop, paper, single_gpu, smoke" in capsys.readouterr().err
    )


def test_a_step_ends_soon_after_the_workflow_that_started_it(tmp_path: Path) -> None:
    workflow = subprocess.Popen(["sleep", "60"])
    code = (
        "import time\nfrom habits import jobs\nwith jobs.reported(None): print(1, flush=True); time.sleep(60)"
    )
    env = {**os.environ, jobs.WORKFLOW_PID: f"{workflow.pid}@{socket.gethostname()}"}
    step = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE)
    try:
        assert step.stdout is not None and step.stdout.readline() == b"1\n"
        time.sleep(1)
        assert step.poll() is None, "it runs while the workflow lives"
        workflow.send_signal(signal.SIGKILL)
        workflow.wait()
        assert step.wait(timeout=10) != 0
    finally:
        workflow.kill()
        step.kill()
        step.communicate()


def test_a_step_on_another_machine_does_not_look_for_the_workflow_there(tmp_path: Path) -> None:
    """The number of the workflow's process means nothing on the node of a cluster."""
    nobody = 2**22 + 1  # above any pid
    env = {jobs.WORKFLOW_PID: f"{nobody}@elsewhere"}
    assert habits("preset", "smoke", cwd=tmp_path, env=env).returncode == 0
    env = {jobs.WORKFLOW_PID: f"{nobody}@{socket.gethostname()}"}
    run = habits("preset", "smoke", cwd=tmp_path, env=env)
    assert run.returncode == 1 and "the workflow that started this step" in run.stderr


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with modules a -> b.c -> b (and its table), and d, which nobody imports."""
    files = {
        "__init__.py": "",
        "params.py": "X = 1\n",
        "a.py": '"""Docstring."""\nfrom habits.b.c import f\nfrom habits.params import X\n',
        "b/__init__.py": "",
        "b/table.csv": "1,2\n",
        "b/c.py": "def f() -> int:\n    return 1\n",
        "d.py": "Y = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sources, "PACKAGE", tmp_path)
    return tmp_path


def fresh_fingerprint(module: str) -> str:
    for cached in (sources._files, sources._parts, sources._tree, sources._imports, sources._content):
        cached.cache_clear()
    return sources.fingerprint(module)


@pytest.mark.parametrize(
    ("file", "text", "stale"),
    [
        ("b/c.py", "def f() -> int:\n    return 2\n", True),
        ("b/c.py", "def f() -> int:\n    # why\n    '''What.'''\n\n    return (1)\n", False),
        ("b/table.csv", "1,3\n", True),
        ("b/__init__.py", "Z = 1\n", True),
        ("a.py", "from habits.params import X\n", True),
        ("params.py", "X = 2\n", False),
        ("d.py", "Y = 2\n", False),
    ],
)
def test_a_fingerprint_changes_with_the_code_that_is_reached(
    package: Path, file: str, text: str, stale: bool
) -> None:
    before = fresh_fingerprint("a")
    (package / file).write_text(text)
    assert (fresh_fingerprint("a") != before) is stale


def test_a_package_stands_for_all_its_files(package: Path) -> None:
    before = fresh_fingerprint("b")
    (package / "b" / "new.py").write_text("N = 1\n")
    assert fresh_fingerprint("b") != before


def test_an_unknown_module_is_told(package: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"habits\.nothing: no such module"):
        fresh_fingerprint("nothing")
