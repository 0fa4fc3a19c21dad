"""The fields of a profile and of the device that it wears."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from semg.domain import Device, Profile, Sensor
from semg.languages import DEFAULT_LANGUAGE, LANGUAGES
from semg.pictures import data_uri, placement_svg
from semg.store.checks import HANDEDNESS
from ui.text import markup, md, shown


@dataclass(frozen=True, slots=True)
class Preset:
    """A common sensor; its values fill the form."""

    label: str
    device: Device


def _numbered(n_channels: int) -> tuple[str, ...]:
    return tuple(f"a{index}" for index in range(n_channels))


PRESETS = (
    Preset("ESP32 or UNO R4 with raw EMG sensors (4 channels, 200 Hz)", Device(0, _numbered(4), 200.0, "raw", 0, 4095)),
    Preset(
        "Simulated device: testing/udpsim.py (8 channels, 200 Hz, text)",
        Device(0, _numbered(8), 200.0, "raw", 0, 4095, allow_v1=True),
    ),
    Preset("Armband like the Myo (8 channels, 200 Hz)", Device(0, _numbered(8), 200.0, "raw", -128, 127)),
    Preset("Envelope sensor board (4 channels, 200 Hz)", Device(0, _numbered(4), 200.0, "envelope", 0, 4095, 0)),
    Preset("ESP32 with raw EMG sensors, fast (4 channels, 1000 Hz)", Device(0, _numbered(4), 1000.0, "raw", 0, 4095)),
    Preset("Other", Device(0, _numbered(1), 200.0, "raw", 0, 1023)),
)
_SENSORS: dict[Sensor, str] = {"raw": "Raw EMG", "envelope": "Envelope (rectified and smoothed by the sensor)"}
_MAINS = {50.0: "50 Hz", 60.0: "60 Hz", 0.0: "None"}
MAINS_HELP = (
    "50 Hz in Europe, Africa and most of Asia, 60 Hz in most of the Americas; none for a battery or an envelope."
)
V1_WARNING = (
    "The plain text format (v1) has no signature: anyone on this network can send samples as this profile. "
    "Allow it only on a network you trust."
)


@dataclass(frozen=True, slots=True)
class PersonFields:
    """What was entered about the person."""

    name: str
    handedness: str | None
    language: str
    notes: str


def person_fields(profile: Profile | None, key: str) -> PersonFields:
    """Draw the fields about the person and give what stands in them."""
    left, right, reads = st.columns([2.6, 1, 1])
    name = left.text_input("Name or code", profile.name if profile else "", max_chars=200, key=f"{key}-name")
    hands = [None, *HANDEDNESS]
    handedness = right.selectbox(
        "Handedness",
        hands,
        index=hands.index(profile.handedness) if profile else 0,
        format_func=lambda one: "not given" if one is None else shown(one),
        key=f"{key}-hand",
    )
    codes = list(LANGUAGES)
    language = reads.selectbox(
        "Language",
        codes,
        index=codes.index(profile.language if profile else DEFAULT_LANGUAGE),
        format_func=lambda code: shown(LANGUAGES[code]),
        key=f"{key}-language",
        help="Of what the participant reads: prompts, consent, the plain live view.",
    )
    notes = st.text_area("Notes", profile.notes if profile else "", height=80, key=f"{key}-notes")
    return PersonFields(name, handedness, language, notes)


def show_placement(device: Device) -> None:
    """Show where on the forearm the electrodes of a device go."""
    st.html(
        markup(
            '<img alt="{alt}" src="{uri}" style="width:100%;max-width:700px">',
            alt="Forearm from both sides and in a cut, with the electrodes by channel, the muscles and the reference",
            uri=data_uri(placement_svg(device.sensor, device.channels)),
        )
    )


def device_fields(device: Device, key: str) -> Device:
    """Draw the fields of a device and give it as it stands in them; the store checks the values."""
    names, rate = st.columns([2, 1])
    text = names.text_input(
        "Channels, in the order the device sends them",
        ", ".join(device.channels),
        help="1 to 16 names, separated by commas. You may name them after positions on the arm.",
        key=f"{key}-channels",
    )
    rate_hz = rate.number_input(
        "Sampling rate (samples per second)", value=float(device.rate_hz), step=50.0, format="%g", key=f"{key}-rate"
    )
    kind, low, high, power = st.columns([1.4, 0.8, 0.8, 1.2])
    sensors = list(_SENSORS)
    sensor = kind.selectbox(
        "Sensor", sensors, sensors.index(device.sensor), format_func=_SENSORS.__getitem__, key=f"{key}-sensor"
    )
    adc_min = low.number_input("Lowest value", value=float(device.adc_min), format="%g", key=f"{key}-min")
    adc_max = high.number_input("Highest value", value=float(device.adc_max), format="%g", key=f"{key}-max")
    mains = list(_MAINS)
    mains_hz = power.selectbox(
        "Mains frequency",
        mains,
        mains.index(device.mains_hz),
        format_func=_MAINS.__getitem__,
        key=f"{key}-mains",
        help=MAINS_HELP,
    )
    allow_v1 = st.checkbox("Accept the plain text format (v1)", device.allow_v1, help=V1_WARNING, key=f"{key}-v1")
    if device.allow_v1:
        st.caption(md(":material/warning: {warning}", warning=V1_WARNING))
    channels = tuple(part.strip() for part in text.split(",") if part.strip())
    return Device(device.user_id, channels, rate_hz, sensor, adc_min, adc_max, mains_hz, allow_v1)
