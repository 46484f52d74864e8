import subprocess
import sys

import psutil
import pytest

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
        child = psutil.Process(int(parent.stdout.readline()))
        assert processes.wait_until(lambda: child.name() == "sleep", timeout_seconds=10)

        parent.kill()

        assert processes.wait_until(lambda: not processes.is_alive(child), timeout_seconds=10)
