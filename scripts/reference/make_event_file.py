#!/usr/bin/env python3
"""Writes tests/fixtures/app/events.tfevents with TensorBoard's own record writer and protobuf classes.

Command: python scripts/reference/make_event_file.py
Made with tensorboard 2.21.0, protobuf 7.36.2; no random numbers. The same events are written by event_file_test.cpp,
which compares the bytes.
"""

import pathlib

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/fixtures/app/events.tfevents"
Value = summary_pb2.Summary.Value


def scalars(wall_time, step, pairs):
    values = [Value(tag=tag, simple_value=number) for tag, number in pairs]
    return event_pb2.Event(wall_time=wall_time, step=step, summary=summary_pb2.Summary(value=values))


def text(wall_time, step, tag, content):
    metadata = summary_pb2.SummaryMetadata(plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="text"))
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING,
        tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=1)]),
        string_val=[content.encode()],
    )
    value = Value(tag=tag, metadata=metadata, tensor=tensor)
    return event_pb2.Event(wall_time=wall_time, step=step, summary=summary_pb2.Summary(value=[value]))


EVENTS = [
    event_pb2.Event(wall_time=1700000000.25, file_version="brain.Event:2"),
    event_pb2.Event(wall_time=1700000000.5, step=2, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START)),
    text(1700000001.0, 0, "config", "train:\n  learning_rate: 3e-05\n" + "é" * 100),
    scalars(1700000002.5, 1, [("train/loss", 2.75), ("train/learning_rate", 3e-5)]),
    scalars(1700000003.5, 300, [("train/loss", 0.0), ("eval/rougeL", -1.5)]),
    scalars(1700000004.5, 123456789012, [("train/loss", float("inf"))]),
]

with open(OUT, "wb") as file:
    writer = RecordWriter(file)
    for event in EVENTS:
        writer.write(event.SerializeToString())
