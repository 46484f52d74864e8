"""How fast a Shopify export is imported, against ceilings measured in the same run. `make benchmark` runs it.

Prints rows per second and peak memory of `import_shopify` on a file (one is generated when none is given), the rate at
which the same rows can be parsed and copied into one table (the ceiling), and what reading them back costs.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PRODUCTS, VARIANTS = 2080, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="a Shopify export, .csv or .csv.gz")
    file = parser.parse_args().file
    with tempfile.TemporaryDirectory(prefix="rk-") as folder:
        Path(folder).chmod(0o755)
        file = file.resolve() if file else generate(Path(folder) / "export.csv")
        with installation(Path(folder) / "data"):
            measure(file)


@contextmanager
def installation(data_dir: Path) -> Iterator[None]:
    """Servers and an empty database of the benchmark's own."""
    os.environ["RUSTOK_DATA_DIR"] = str(data_dir)
    manage("migrate", "--verbosity", "0")
    manage("create_tenant", "bench", "--currency", "USD")
    try:
        yield
    finally:
        manage("services", "stop")
        shutil.rmtree(data_dir, ignore_errors=True)


def measure(file: Path) -> None:
    ceiling = copy_ceiling(file)
    began = time.monotonic()
    output = manage("import_shopify", str(file), "--tenant", "bench")
    wall = time.monotonic() - began
    peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    rows = count_rows(file)
    rate = float(re.search(r"([\d,.]+) rows/s", output)[1].replace(",", ""))  # type: ignore[index]
    began = time.monotonic()
    manage("events_run", "--once")
    drained = time.monotonic() - began
    head = json.loads(manage("events_status", "--json"))["head"]
    again = manage("import_shopify", str(file), "--tenant", "bench")
    rate_again = float(re.search(r"([\d,.]+) rows/s", again)[1].replace(",", ""))  # type: ignore[index]
    manage("events_verify")
    print(f"file                      {file.name}, {rows:,} rows")
    print(f"import                    {rate:,.0f} rows/s ({wall:.1f} s with the start of the command)")
    print(f"largest process           {peak_mib:,.0f} MiB")
    print(f"ceiling: parse and COPY   {ceiling:,.0f} rows/s; the import reaches {rate / ceiling:.1%} of it")
    print(f"import again, unchanged   {rate_again:,.0f} rows/s ({rate_again / rate:.1f} times as fast)")
    print(f"drain                     {head:,} events in {drained:.1f} s, then everything verified")


def copy_ceiling(file: Path) -> float:
    """Rows per second when each row is only parsed and copied as text into one table."""
    script = (
        "import csv, gzip, sys, time\n"
        "from django.db import connection\n"
        "opened = gzip.open if sys.argv[-1].endswith('.gz') else open\n"
        "began, rows = time.monotonic(), 0\n"
        "with connection.cursor() as cursor:\n"
        "    cursor.execute('CREATE TEMPORARY TABLE rows (cells text[])')\n"
        "    with opened(PATH, 'rt', encoding='utf-8-sig', newline='') as file:\n"
        "        with cursor.copy('COPY rows FROM STDIN') as copy:\n"
        "            for row in csv.reader(file):\n"
        "                copy.write_row([row])\n"
        "                rows += 1\n"
        "print(rows / (time.monotonic() - began))\n"
    ).replace("PATH", repr(str(file)))
    script = script.replace("sys.argv[-1]", repr(str(file)))
    return float(manage("shell", "--verbosity", "0", "--command", script).strip().splitlines()[-1])


def count_rows(file: Path) -> int:
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8-sig", newline="") as text:
        return sum(1 for _ in csv.reader(text)) - 1


def generate(path: Path) -> Path:
    with path.open("w", newline="") as file:
        columns = ["Handle", "Title", "Body (HTML)", "Vendor", "Type", "Tags", "Published", "Option1 Name"]
        columns += ["Option1 Value", "Variant SKU", "Variant Inventory Tracker", "Variant Inventory Qty"]
        columns += ["Variant Inventory Policy", "Variant Price", "Variant Compare At Price", "Image Src", "Status"]
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for number in range(PRODUCTS):
            for variant in range(VARIANTS):
                row = {"Handle": f"product-{number}", "Option1 Value": f"Size {variant}", "Variant Price": "19.90"}
                row |= {"Variant SKU": f"SKU-{number}-{variant}", "Variant Inventory Tracker": "shopify"}
                row |= {
                    "Variant Inventory Qty": "7",
                    "Variant Inventory Policy": "deny",
                    "Variant Compare At Price": "25",
                }
                row["Image Src"] = f"https://images.example.com/{number}-{variant}.jpg"
                if variant == 0:
                    row |= {"Title": f"Product {number}", "Body (HTML)": "<p>" + "Useful words. " * 40 + "</p>"}
                    row |= {
                        "Vendor": f"Vendor {number % 9}",
                        "Type": "Thing",
                        "Tags": "new, useful",
                        "Published": "true",
                    }
                    row |= {"Option1 Name": "Size", "Status": "active"}
                writer.writerow(row)
            writer.writerow({"Handle": f"product-{number}", "Image Src": f"https://images.example.com/{number}-x.jpg"})
    return path


def manage(*arguments: str) -> str:
    command = [sys.executable, str(CHECKOUT / "manage.py"), *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode not in {0, 3}:
        sys.exit(f"{' '.join(arguments)} failed:\n{finished.stdout}{finished.stderr}")
    return finished.stdout + finished.stderr


if __name__ == "__main__":
    main()
