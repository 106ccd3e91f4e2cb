"""What the debugger says about frames, variables and moves, as text and as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cwm_trace.debug.difference import aligned, different_variables, wrong_parts
from cwm_trace.debug.listing import name_of
from cwm_trace.debug.session import Arrival
from cwm_trace.debug.stops import surprise
from cwm_trace.debug.timeline import Timeline
from cwm_trace.debug.track import Track
from cwm_trace.records import Event, Frame, Slot
from cwm_trace.rendering.frames import frame_content
from cwm_trace.rendering.tables import cell_text
from cwm_trace.rendering.wording import printable, short_text


def _file_of(timeline: Timeline, frame: Frame) -> str:
    """The name of the file that a frame is in."""
    files = timeline.program.files
    return files[frame.file].name if frame.file < len(files) else "?"


def place_text(timeline: Timeline, index: int) -> str:
    """Where a frame is: `p.py:3 in f`."""
    frame = timeline.frames[index]
    return printable(f"{_file_of(timeline, frame)}:{frame.line} in {name_of(timeline, index)}")


def content_text(timeline: Timeline, index: int) -> str:
    """What a frame shows: its changed variables, or what is returned or raised."""
    frame = timeline.frames[index]
    if frame.event is Event.RETURN and frame.value is None:
        return "leaves by the exception"
    return cell_text(frame_content(frame, frame.changed if frame.event in (Event.CALL, Event.LINE) else None))


def arrival_text(arrival: Arrival) -> str:
    """A move, in a line for the place, one for the source and one for each thing to know."""
    track, timeline, index = arrival.track, arrival.track.timeline, arrival.index
    lines = [f"  log at frame {at}: {printable(said)}" for at, said in arrival.logs]
    frame = timeline.frames[index]
    lines.append(f"{track.name} {index}  {place_text(timeline, index)}  {frame.event.value}")
    lines.append(f"-> {printable(frame.source)}")
    content = content_text(timeline, index)
    if content:
        lines.append(f"   {content}")
    lines += [f"   {note}" for note in notes(track, index)]
    if arrival.text:
        lines.append(f"   {arrival.text}")
    return "\n".join(lines)


def notes(track: Track, index: int) -> list[str]:
    """What must be known of a frame: how it differs from the truth, how likely it is, what was edited."""
    found = []
    timeline = track.timeline
    if track.truth is not None:
        wrong = wrong_parts(timeline, track.truth.timeline, index)
        if wrong:
            found.append(f"not so in truth: {difference_text(track, index)}")
    if timeline.frames[index].logprobs:
        found.append(f"probability {math.exp(-surprise(timeline.frames[index])):.3g}")
    leap = getattr(timeline, "leaps", {}).get(index)
    if leap is not None:
        found.append(f"leapt to ({leap.style})")
    if track.edit is not None and index == track.edit.index:
        found.append(f"what if: {printable(str(track.edit))}")
    return found


def difference_text(track: Track, index: int) -> str:
    """How a predicted frame differs from the real one."""
    assert track.truth is not None
    at = aligned(track.timeline, track.truth.timeline, index)
    if at is None:
        return "the real execution has ended"
    true = track.truth.timeline
    wrong = wrong_parts(track.timeline, true, index)
    if "event" in wrong or "line" in wrong:
        frame = true.frames[at]
        return f"{frame.event.value} at line {frame.line}: {printable(frame.source.strip())}"
    if "value" in wrong:
        value = true.frames[at].value
        return "no value" if value is None else short_text(value.text)
    pairs = different_variables(track.timeline, true, index)
    parts = [f"{name} is {_text(real)}" for name, (real, _) in pairs.items()]
    return ", ".join(parts) or "the real execution goes on"


def _text(slot: Slot | None) -> str:
    return "not bound" if slot is None else short_text(slot.text)


def arrival_data(arrival: Arrival) -> dict[str, Any]:
    """A move as plain data."""
    data = frame_data(arrival.track, arrival.index)
    data["reason"] = arrival.reason
    if arrival.text:
        data["text"] = arrival.text
    if arrival.rules:
        data["stops"] = [rule.number for rule in arrival.rules]
    if arrival.logs:
        data["logs"] = [{"frame": at, "text": text} for at, text in arrival.logs]
    return data


def frame_data(track: Track, index: int) -> dict[str, Any]:
    """A frame as plain data."""
    timeline = track.timeline
    frame = timeline.frames[index]
    data: dict[str, Any] = {
        "track": track.name,
        "frame": index,
        "event": frame.event.value,
        "file": _file_of(timeline, frame),
        "line": frame.line,
        "function": name_of(timeline, index),
        "depth": frame.depth,
        "source": frame.source,
    }
    if frame.changed:
        data["changed"] = slots_data(frame.changed)
    if frame.value is not None:
        data["value"] = frame.value.text
    if frame.logprobs:
        data["surprise"] = surprise(frame)
    if track.truth is not None:
        data["wrong"] = wrong_parts(timeline, track.truth.timeline, index)
    return data


def slots_data(slots: Mapping[str, Slot | None]) -> dict[str, str | None]:
    """Variables as plain data: their texts; None: not bound."""
    return {name: None if slot is None else slot.text for name, slot in slots.items()}
