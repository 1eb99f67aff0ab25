//! Calendars in, iCalendar out: appointments, recurrence, differences.
