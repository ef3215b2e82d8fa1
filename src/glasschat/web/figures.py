"""Numbers as people read them, with units."""

from glasschat.engine import FinishReason, Snapshot, State


def figures(snapshot: Snapshot) -> str:
    """The line under a finished reply."""
    usage, timings = snapshot.usage, snapshot.timings
    count = usage.completion_tokens
    parts = [f"{count:,} token" + ("" if count == 1 else "s")]
    if timings.decode_tps is not None:
        parts.append(f"{timings.decode_tps:,.0f} tokens/s")
    if timings.ttft_s is not None:
        parts.append(f"first after {timings.ttft_s:.2f} s")
    parts.append(f"cached {usage.cached_tokens:,} of {usage.prompt_tokens:,} prompt tokens")
    if snapshot.finish_reason is FinishReason.CANCELLED:
        parts.append("stopped")
    elif snapshot.finish_reason is FinishReason.LENGTH:
        parts.append("ended at the length limit")
    return " · ".join(parts)


def progress(snapshot: Snapshot) -> str:
    """What is going on while a reply is on its way."""
    if snapshot.state is State.QUEUED:
        place = max(1, snapshot.queue_position)
        return "next in the queue" if place == 1 else f"{ordinal(place)} in the queue"
    if snapshot.state is State.PREFILLING:
        total = snapshot.usage.prompt_tokens
        share = snapshot.prefilled / total if total else 1.0
        return f"reading the prompt {share:.0%} of {total:,} tokens"
    if snapshot.state is State.PAUSED:
        return "paused"
    return "writing"


def sentence(message: str) -> str:
    """An error's one line as a sentence of its own."""
    message = message.strip()
    return message[:1].upper() + message[1:] + ("" if message.endswith((".", "!", "?")) else ".")


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, …"""
    suffix = (
        "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    )
    return f"{number}{suffix}"
