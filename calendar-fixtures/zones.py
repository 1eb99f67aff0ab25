#!/usr/bin/env python3
"""Every Windows time zone over twenty years, reckoned by Python's zoneinfo and the icalendar package, held against ours.

    pip install icalendar tzdata
    python3 calendar-fixtures/zones.py windowsZones.xml     # of Unicode CLDR, common/supplemental

For each zone and year a series meets every week at nine in the morning there, and whole days begin on days around every
change of the clocks. The connector reads them as Graph would tell them and writes its calendar object; then each DTSTART,
by the VTIMEZONE that stands beside it, must be the instant we asked for, and each day must begin at midnight there.
"""

import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from zoneinfo import ZoneInfo

import icalendar

YEARS = range(2026, 2046)
UTC = dt.timezone.utc


def zones(path):
    """Windows names and their IANA zone for territory 001."""
    for entry in ET.parse(path).iter("mapZone"):
        if entry.get("territory") == "001":
            yield entry.get("other"), entry.get("type")


def days_around_changes(zone, year):
    """Every day on which the offset at noon is another than a day before, with its neighbours; and the first of each month."""
    days, before = set(), None
    day = dt.date(year, 1, 1)
    while day.year == year:
        offset = dt.datetime(day.year, day.month, day.day, 12, tzinfo=zone).utcoffset()
        if before is not None and offset != before:
            days |= {day - dt.timedelta(1), day, day + dt.timedelta(1)}
        if day.day == 1:
            days.add(day)
        before, day = offset, day + dt.timedelta(1)
    return sorted(days)


def instant(day, hour, zone):
    """The instant of a wall clock reading, of one that never comes an hour later, of one that comes twice the first."""
    wanted = dt.datetime(day.year, day.month, day.day, hour)
    at = wanted.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) != wanted:
        at = (wanted + dt.timedelta(hours=1)).replace(tzinfo=zone, fold=0).astimezone(UTC)
    return at


def text(at):
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def main():
    asked = []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "questions")
        with open(path, "w") as out:
            for windows, iana in zones(sys.argv[1]):
                zone = ZoneInfo(iana)
                for year in YEARS:
                    weeks = [dt.date(year, 1, 1) + dt.timedelta(7 * week) for week in range(52)]
                    starts = [instant(day, 9, zone) for day in weeks]
                    days = days_around_changes(zone, year)
                    asked.append((windows, iana, year, starts, days))
                    question = {"zone": windows, "starts": [text(at) for at in starts], "days": [str(d) for d in days]}
                    out.write(json.dumps(question) + "\n")
        command = ["cargo", "test", "-q", "-p", "connector-calendar", "--test", "zones"]
        subprocess.run(command, check=True, env={**os.environ, "DIALROOM_ZONES": path}, stdout=sys.stderr)
        with open(path + ".answers") as answers:
            told = [json.loads(line) for line in answers]
    dates = wrong = 0
    for (windows, iana, year, starts, days), answer in zip(asked, told, strict=True):
        problems = compare(iana, starts, days, answer)
        dates += len(starts) + len(days)
        wrong += len(problems)
        for problem in problems[:2]:
            print(f"{windows} ({iana}, ours {answer['tz']}) {year}: {problem}")
    print(f"{len(asked)} zones and years, {dates} times, {wrong} wrong")
    sys.exit(wrong > 0)


def compare(iana, starts, days, answer):
    zone, problems = ZoneInfo(iana), []
    calendar = icalendar.Calendar.from_ical(answer["ics"])
    own = {str(one["TZID"]): one.to_tz(lookup_tzid=False) for one in calendar.walk("VTIMEZONE")}
    found = []
    for event in calendar.walk("VEVENT"):
        start = event["DTSTART"]
        name = start.params.get("TZID")
        wall = start.dt.replace(tzinfo=None)
        found.append(wall.replace(tzinfo=own[name]).astimezone(UTC) if name else wall.replace(tzinfo=UTC))
    problems += [f"asked {text(a)}, written {text(b)}" for a, b in zip(starts, sorted(found)) if a != b]
    if len(found) != len(starts):
        problems.append(f"{len(found)} of {len(starts)} dates written")
    for day, midnight in zip(days, answer["midnights"], strict=True):
        expected = text(instant(day, 0, zone))
        if expected != midnight:
            problems.append(f"{day} begins at {expected}, ours {midnight}")
    return problems


if __name__ == "__main__":
    main()
