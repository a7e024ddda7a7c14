"""A demo of two tiny services: what the command line owes every project's demo can be seen on it."""

from pathlib import Path

from rich.console import Console
from tidemark_cli.demo import DemoOutcome, DemoRequest
from tidemark_cli.platform import Platform, ProcessSpec

HABITS = {"broken": ("crash",)}


async def live(request: DemoRequest, console: Console) -> DemoOutcome:
    if request.speed == 13:
        raise ValueError("13 is no speed to live at")
    console.print("living")
    outcome = DemoOutcome({"lived": str(request.live_to)}, promises_kept=request.speed != 7)
    environment = {"PYTHONPATH": str(Path(__file__).parent.parent), "DIARY": str(request.folder / "diary")}
    habits = ("crash",) if request.speed == 5 else ()
    request.folder.mkdir(parents=True, exist_ok=True)
    async with Platform(request.folder / "logs", environment) as platform:
        await platform.start_all([ProcessSpec(name, "tiny_service", habits) for name in ("a", "b")])
        console.print("lived")
        if request.hold:
            await request.hold(
                outcome, {"WHERE": "over there", "METRICS": platform.processes["a"].metrics_url}
            )
    return outcome
