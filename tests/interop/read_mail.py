"""Reads mails with parsers that we did not write and says what is in them, one JSON object a file.

Usage: read_mail.py FILE.eml …   (needs `icalendar`)
"""

import email
import email.policy
import json
import sys

import icalendar


def describe_event(event):
    def instant(name):
        value = event.get(name)
        return value.dt.isoformat() if value is not None else None

    attendees = event.get("ATTENDEE", [])
    attendees = attendees if isinstance(attendees, list) else [attendees]
    return {
        "uid": str(event["UID"]),
        "sequence": int(event.get("SEQUENCE", 0)),
        "summary": str(event.get("SUMMARY", "")),
        "location": str(event.get("LOCATION", "")),
        "description": str(event.get("DESCRIPTION", "")),
        "conference": str(event.get("CONFERENCE", "")),
        "organizer": str(event.get("ORGANIZER", "")),
        "attendees": [str(attendee) for attendee in attendees],
        "dtstamp": instant("DTSTAMP"),
        "start": instant("DTSTART"),
        "end": instant("DTEND"),
    }


def describe_calendar(data):
    calendar = icalendar.Calendar.from_ical(data)
    return {
        "method": str(calendar.get("METHOD", "")),
        "zones": [str(zone["TZID"]) for zone in calendar.walk("VTIMEZONE")],
        "events": [describe_event(event) for event in calendar.walk("VEVENT")],
    }


def describe(path):
    with open(path, "rb") as file:
        mail = email.message_from_binary_file(file, policy=email.policy.default)
    parts, text, html, calendars = [], "", "", []
    for part in mail.walk():
        kind = part.get_content_type()
        parts.append(
            {
                "type": kind,
                "method": part.get_param("method"),
                "filename": part.get_filename(),
                "disposition": part.get_content_disposition(),
                "defects": [str(defect) for defect in part.defects],
            }
        )
        if kind == "text/plain":
            text = part.get_content()
        elif kind == "text/html":
            html = part.get_content()
        elif kind in ("text/calendar", "application/ics"):
            calendars.append(describe_calendar(part.get_payload(decode=True)))
    names = ["From", "To", "Reply-To", "Subject", "Message-ID", "Date", "Auto-Submitted"]
    return {
        "file": path,
        "headers": {name: str(mail[name]) for name in names if mail[name] is not None},
        "header_names": list(mail.keys()),
        "parts": parts,
        "text": text,
        "html": html,
        "calendars": calendars,
    }


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(json.dumps(describe(name), ensure_ascii=False))
