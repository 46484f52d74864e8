import os
import signal
import subprocess
import sys

import psutil
import pytest

from rustok import child
from rustok.environment import CHECKOUT
from rustok.servers import processes

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "rustok.child", "SIGKILL", "sleep", "100"])
print(child.pid, flush=True)
time.sleep(100)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_a_child_dies_with_its_killed_parent():
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        started = psutil.Process(int(parent.stdout.readline()))
        assert processes.wait_until(lambda: started.name() == "sleep", timeout_seconds=10)

        parent.kill()

        assert processes.wait_until(lambda: not processes.is_alive(started), timeout_seconds=10)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_what_a_program_starts_dies_with_it_even_if_it_is_told_too_late() -> None:
    late = [sys.executable, "-c", "from rustok import child; child.die_with_program(); print('alive')"]

    def end(program: int) -> subprocess.CompletedProcess[bytes]:
        environment = os.environ | {child.PROGRAM_PID: str(program)}
        return subprocess.run(late, cwd=CHECKOUT, env=environment, capture_output=True, check=False)

    assert end(os.getpid()).stdout == b"alive\n"
    assert end(os.getppid()).returncode == -signal.SIGKILL


def test_a_program_knows_its_own_pid() -> None:
    told = [sys.executable, "-m", "rustok.child", "SIGKILL", "sh", "-c", f"echo $$ ${child.PROGRAM_PID}"]

    own, handed_down = subprocess.run(told, cwd=CHECKOUT, capture_output=True, check=True).stdout.split()

    assert own == handed_down
