//! What follows from a change in a calendar: allocation of rooms and PINs, and the plan.
