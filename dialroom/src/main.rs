//! The command of Dialroom.
fn main() {}
