//! The mixer of Dialroom: answers calls, asks for the PIN, mixes.
