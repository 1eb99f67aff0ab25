"""Speech to judge a line with: recorded voices of a distribution's package, and synthetic ones.

Nothing of it is kept in the repository. Every voice becomes a list of clips, 8 kHz, 16 bits, mono, built as ITU-T P.862.3
section 7 wants them: utterances with natural pauses between them, three fifths of the time speech, silence at both ends.
"""

import io
import pathlib
import shutil
import subprocess
import wave

import numpy as np
from scipy.signal import resample_poly

RATE = 8000
# Debian's asterisk-core-sounds-*-wav: a folder for each voice.
RECORDED = pathlib.Path("/usr/share/asterisk/sounds")
# Tones, music and silence are no speech.
NO_SPEECH = ("beep", "tone", "silence", "ascending", "descending", "dialling", "ring", "moh", "whistle", "confbridge-j")
# Prompts shorter than this are cut off words.
PROMPT_SECONDS_MIN = 1.5
# P.862.3 section 7.2 asks for 40 to 80 percent.
ACTIVE_PART = 0.6
# Softer than this below the loudest 10 ms is a pause.
PAUSE_DB = 35

SYNTHETIC = {
    "espeak en-gb": (["-v", "en-gb", "-s", "150"], (
        "Good morning everybody, and thank you for joining. We have four points on the list today. "
        "The first is the budget for next year, the second is the new building, and then we talk about travel. "
        "Please say your name before you speak, so that those on the telephone know who it is.")),
    "espeak de": (["-v", "de", "-s", "140"], (
        "Guten Morgen zusammen, schön, dass ihr alle dabei seid. Heute stehen vier Punkte auf der Liste. "
        "Zuerst reden wir über den Haushalt, danach über das neue Gebäude und zum Schluss über die Reisen. "
        "Bitte nennt euren Namen, bevor ihr sprecht.")),
    "espeak fr female": (["-v", "fr+f3", "-s", "150"], (
        "Bonjour à tous et merci d'être venus. Nous avons quatre points à discuter aujourd'hui. "
        "Le premier est le budget, le deuxième est le nouveau bâtiment, ensuite nous parlerons des voyages. "
        "Dites votre nom avant de parler, s'il vous plaît.")),
    "espeak es female": (["-v", "es+f2", "-s", "150"], (
        "Buenos días a todos y gracias por venir. Hoy tenemos cuatro puntos en la lista. "
        "El primero es el presupuesto, el segundo es el nuevo edificio, y después hablaremos de los viajes. "
        "Por favor, digan su nombre antes de hablar.")),
}


def read(data):
    """Samples of a WAV file, at our rate."""
    with wave.open(io.BytesIO(data) if isinstance(data, bytes) else str(data)) as file:
        if file.getsampwidth() != 2 or file.getnchannels() != 1:
            return np.zeros(0)
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
    return samples if rate == RATE else resample_poly(samples, RATE, rate)


def trimmed(samples):
    """An utterance without what is before and after it, and the seconds of speech in it."""
    blocks = samples[: len(samples) // 80 * 80].reshape(-1, 80)
    levels = 20 * np.log10(np.sqrt(np.mean(blocks**2, axis=1)) + 1)
    active = levels > levels.max() - PAUSE_DB
    if not active.any():
        return np.zeros(0), 0.0
    first, last = np.flatnonzero(active)[[0, -1]]
    return samples[first * 80 : (last + 1) * 80], active.sum() / 100


def paused(utterances, seconds):
    """Utterances one after the other with pauses, until there are so many seconds; what is left over stays in the list."""
    clip, active = [np.zeros(RATE // 2)], 0.0
    while utterances and sum(map(len, clip)) < (seconds - 1) * RATE:
        samples, speech = trimmed(utterances.pop(0))
        active += speech
        pause = active / ACTIVE_PART - (sum(map(len, clip)) + len(samples)) / RATE
        clip += [samples, np.zeros(int(max(pause, 0.3) * RATE))]
    clip = np.concatenate(clip)[: seconds * RATE]
    return np.pad(clip, (0, seconds * RATE - len(clip))), active


def recorded(seconds, clips):
    """Voices of the installed packages: name to clips of so many seconds."""
    voices = {}
    for folder in sorted(path for path in RECORDED.glob("*") if path.is_dir()):
        prompts = []
        for path in sorted(folder.glob("*.wav")):
            if path.name.startswith(NO_SPEECH):
                continue
            samples = read(path)
            if len(samples) >= PROMPT_SECONDS_MIN * RATE and np.sqrt(np.mean(samples**2)) > 300:
                prompts.append(samples)
        # Spread over the alphabet, so that not one sentence comes in all its variants.
        step = next((step for step in (37, 41, 43) if prompts and len(prompts) % step), 1)
        order = [prompts[i * step % len(prompts)] for i in range(len(prompts))]
        found = []
        while order and len(found) < clips:
            clip, active = paused(order, seconds)
            if active >= seconds * 0.4:
                found.append(clip)
        if found:
            voices[folder.name] = found
    return voices


def synthetic(seconds):
    """Voices of espeak-ng."""
    if not shutil.which("espeak-ng"):
        return {}
    voices = {}
    for name, (options, text) in SYNTHETIC.items():
        wav = subprocess.run(["espeak-ng", *options, "--stdout", text], check=True, capture_output=True).stdout
        # It writes to a pipe, so its header does not know how long it is.
        samples = np.frombuffer(wav[44 : 44 + (len(wav) - 44) // 2 * 2], "<i2").astype(float)
        samples = resample_poly(samples, RATE, 22050)
        sentences = np.array_split(samples * (8000 / np.abs(samples).max()), 3)
        voices[name] = [paused(sentences, seconds)[0]]
    return voices
