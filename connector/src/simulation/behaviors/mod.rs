//! One test for each numbered behaviour of the simulated tenant, against the connector as it is.

mod access;
mod add_in;
mod delta;
mod directory;
mod load;
mod notifications;
mod reading;
mod series;
mod tokens;
mod writing;

use super::truth::problems;
use super::world::World;

/// The bookings are what the calendars say.
async fn assert_right(world: &World) {
    let problems = problems(world).await;
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// When the one booking's first window opens for talk.
fn start(world: &World) -> chrono::DateTime<chrono::Utc> {
    world.booking().occurrences.values().map(|date| date.window.start()).min().unwrap()
}
