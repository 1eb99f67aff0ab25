//! Tests of the whole of Dialroom: stories, simulation, end to end, load.
