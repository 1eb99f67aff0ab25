"""Judges what a listener hears of speech over a bad line: PESQ (ITU-T P.862, narrowband) and STOI.

judge.py BAD_LINE [--voices N] [--seconds N] [--clips N] [--seeds N] [--losses 0,5,10,20] [--codec alaw] [--check]

BAD_LINE is the program of the same name (mixer-service/media/examples/bad_line). Each voice goes over the line once for each
loss and seed; `ours` is the whole path, caller to mixer to listener, `plain` a plain pitch repeater in its place. `libopus` for
the codec lets that library speak, as most telephones do; `opus` is our own encoder. With --check the bars are asserted: those of BARS for recorded voices, and so much above the plain repeater for synthetic ones.
"""

import argparse
import ctypes
import multiprocessing
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import speech
from pesq import pesq
from pystoi import stoi

# Percent lost: PESQ at least, STOI at least, and PESQ above the plain repeater.
BARS = {5: (3.6, 0.0, 0.05), 10: (3.15, 0.0, 0.05), 20: (2.6, 0.92, 0.1)}
# Opus with redundancy, as libopus sends it.
OPUS_BARS = {20: (3.2, 0.95, 0.0)}
# Undisturbed, the whole path may be so much worse than coding alone.
CONTROL_LESS = 0.1
# opus_defines.h: application for voice; bit rate, complexity, redundancy, expected loss.
OPUS_VOIP = 2048
OPUS_CONTROLS = [(4002, 24000), (4010, 8), (4012, 1), (4014, 20)]
# Samples that bad_line sends ahead and does not judge.
LEAD = 400 * 160
# The longest way through, in samples: what is heard is looked for so far back.
DELAY_MAX = 1600


def aligned(clean, heard):
    """What was heard, moved to where it belongs."""
    size = 1 << int(np.ceil(np.log2(len(clean) + len(heard))))
    likeness = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(clean, size)), size)
    delay = int(np.argmax(likeness[:DELAY_MAX]))
    heard = heard[delay : delay + len(clean)]
    return np.pad(heard, (0, len(clean) - len(heard))), delay


def judged(job):
    clean_path, heard_path = job
    clean = np.fromfile(clean_path, "<i2").astype(float)
    heard, delay = aligned(clean, np.fromfile(heard_path, "<i2").astype(float))
    quality = pesq(speech.RATE, clean.astype(np.int16), heard.astype(np.int16), "nb")
    return quality, stoi(clean, heard, speech.RATE), delay


def packets(clip, folder):
    """What libopus makes of a clip: 24 kbit/s narrowband with redundancy for one in five; and where that is, for bad_line."""
    whole = len(clip) // 160 * 160
    clip = np.concatenate([np.resize(clip[:whole], LEAD), clip[:whole]])
    clip = np.clip(np.round(clip), -32768, 32767).astype("<i2")
    library = ctypes.CDLL("libopus.so.0")
    library.opus_encoder_create.restype = ctypes.c_void_p
    encoder = ctypes.c_void_p(library.opus_encoder_create(speech.RATE, 1, OPUS_VOIP, None))
    for control, value in OPUS_CONTROLS:
        library.opus_encoder_ctl(encoder, control, ctypes.c_int(value))
    payload, path = ctypes.create_string_buffer(1275), folder / "clean.opus"
    with open(path, "wb") as file:
        for at in range(0, len(clip), 160):
            size = library.opus_encode(encoder, clip[at : at + 160].ctypes.data_as(ctypes.c_void_p), 160, payload, 1275)
            file.write(size.to_bytes(2, "little") + payload.raw[:size])
    library.opus_encoder_destroy(encoder)
    return f"opus={path}"


def sent(program, name, clip, options, folder):
    """Sends a clip over the lines; the pairs of files to be judged."""
    folder.mkdir()
    clean = folder / "clean.raw"
    whole = len(clip) // 160 * 160
    np.clip(np.round(clip[:whole]), -32768, 32767).astype("<i2").tofile(clean)
    codec = packets(clip, folder) if options.codec == "libopus" else options.codec
    subprocess.run(
        [program, clean, codec, options.losses, str(options.seeds), folder], check=True, stdout=subprocess.DEVNULL)
    return [(name, *path.stem.split("-")[:2], (clean, path)) for path in sorted(folder.glob("*-*-*.raw"))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    for name, default in [("--voices", 99), ("--seconds", 12), ("--clips", 1), ("--seeds", 10)]:
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--losses", default="0,5,10,20")
    parser.add_argument("--codec", default="alaw")
    parser.add_argument("--only", choices=["recorded", "synthetic"])
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()

    recorded = {} if options.only == "synthetic" else speech.recorded(options.seconds, options.clips)
    synthetic = {} if options.only == "recorded" else speech.synthetic(options.seconds)
    voices = [*recorded.items()][: options.voices] + [*synthetic.items()][: options.voices]
    with tempfile.TemporaryDirectory() as folder, multiprocessing.Pool() as pool:
        jobs, clips = [], 0
        for name, found in voices:
            for clip in found:
                clips += 1
                jobs += sent(options.program, name, clip, options, pathlib.Path(folder) / str(clips))
        results = pool.map(judged, [job for *_, job in jobs], chunksize=4)
    scores = {}
    for (name, receiver, loss, _), (quality, intelligible, _) in zip(jobs, results):
        for group in (name, "recorded" if name in recorded else "synthetic"):
            scores.setdefault((group, int(loss), receiver), []).append((quality, intelligible))
    means = {key: np.mean(values, axis=0) for key, values in scores.items()}
    delays = [delay for (_, receiver, loss, _), (_, _, delay) in zip(jobs, results) if (receiver, loss) == ("ours", "0")]
    late = f"; undisturbed heard {np.mean(delays) / 8:.1f} ms later" if delays else ""
    print(f"figure: {clips} clips of {options.codec}, {options.seeds} seeds{late}")
    for group in [name for name, _ in voices] + ["recorded", "synthetic"]:
        told = [f"{loss} %: {means[group, loss, 'ours'][0]:.2f}/{means[group, loss, 'ours'][1]:.3f}"
                + (f" (plain {means[group, loss, 'plain'][0]:.2f}/{means[group, loss, 'plain'][1]:.3f})"
                   if (group, loss, "plain") in means else "")
                for loss in map(int, options.losses.split(",")) if (group, loss, "ours") in means]
        if told:
            print(f"figure: {group:18} PESQ/STOI {'  '.join(told)}")
    if options.check:
        check(means, options.codec)


def check(means, codec):
    """Fails where a bar is not reached."""
    missed = []
    for group in ("recorded", "synthetic"):
        if (group, 0, "plain") in means and means[group, 0, "ours"][0] < means[group, 0, "plain"][0] - CONTROL_LESS:
            missed.append(f"{group} undisturbed: {means[group, 0, 'ours'][0]:.3f}, plain {means[group, 0, 'plain'][0]:.3f}")
    for loss, (quality, intelligible, above) in (OPUS_BARS if codec == "libopus" else BARS).items():
        if ("recorded", loss, "ours") in means:
            reached = means["recorded", loss, "ours"]
            if reached[0] < quality or reached[1] < intelligible:
                missed.append(f"recorded at {loss} %: {reached[0]:.3f}/{reached[1]:.3f}, not {quality}/{intelligible}")
        if ("synthetic", loss, "plain") in means:
            over = means["synthetic", loss, "ours"][0] - means["synthetic", loss, "plain"][0]
            if over < above:
                missed.append(f"synthetic at {loss} %: {over:+.3f} over the plain repeater, not {above:+}")
    if missed:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
