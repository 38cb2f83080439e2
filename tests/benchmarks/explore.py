"""How long the page takes from the click to the table: 8 queries, all blocks, the embedded model.

python -m tests.benchmarks.explore --clicks 9
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from signal import SIGINT

from playwright.sync_api import sync_playwright

QUERIES = "Spain Germany Greece Portugal Turkey China Russia Norway".split()
MINUTE = 60_000  # ms
PAUSE = 3_000  # ms; what comes after the table is not to slow the next click


def clicks(count: int) -> list[float]:
    """Seconds from each click to a table of all queries, beside the complaint that ends the run."""
    command = [sys.executable, "-m", "icl_vectors", "explore", "--no-browser"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    found = []
    try:
        address = server.stderr.readline().split()[0]  # type: ignore[union-attr]
        with sync_playwright() as started:
            browser = started.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = browser.new_page()
            page.set_default_timeout(5 * MINUTE)
            page.goto(address)
            page.wait_for_selector("#prompt mark")
            page.fill("#queries textarea", "\n".join(QUERIES))
            for _ in range(count):
                page.evaluate("document.querySelector('#complaint [data-number]')?.remove()")
                start = time.perf_counter()
                page.click("#go")
                page.wait_for_selector("#complaint [data-number]", state="attached")
                assert page.locator("#table tbody tr").count() == len(QUERIES)
                found.append(time.perf_counter() - start)
                page.wait_for_timeout(PAUSE)
    finally:
        server.send_signal(SIGINT)
        server.communicate(timeout=60)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clicks", type=int, default=9)
    seconds = clicks(parser.parse_args().clicks)
    print(*(f"{one:.2f}" for one in seconds), "s")
    print(f"fastest {min(seconds):.2f} s, median {statistics.median(seconds):.2f} s")
