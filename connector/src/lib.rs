//! The connector of Dialroom: watches calendars, allocates rooms, invites, hands over.
