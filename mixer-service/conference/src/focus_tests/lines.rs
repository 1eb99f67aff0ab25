//! How lines open, move and close for those inside and those who wait.

use super::*;

#[test]
fn warned_before_the_line_closes_and_then_ended() {
    let mut world = World::new(&[booking("a", 0)]);
    let (bernd, anna) = (world.call(BERND), world.call(ANNA));
    world.hear(bernd);
    world.hear(anna);
    world.to(42);
    assert!(!world.to_all().contains(&&Sentence::EndsInTwoMinutes));
    world.to(43);
    assert_eq!(world.to_all(), [&Sentence::JoinTone, &Sentence::EndsInTwoMinutes]);
    world.to(45);
    for leg in [bernd, anna] {
        assert_eq!((world.last_said(leg), world.hung_up(leg)), (&[Sentence::Ended][..], Some(EndReason::WindowClosed)));
        assert!(world.outputs.contains(&Output::Leave(leg)), "nobody is heard after the end");
    }
    assert_eq!(world.records.len(), 2);
    assert!(world.focus.is_idle());
}

#[test]
fn tones_tell_the_others() {
    let mut world = World::new(&[booking("a", 0)]);
    let (bernd, anna) = (world.call(BERND), world.call(ANNA));
    world.hear(bernd);
    assert!(world.to_all().is_empty(), "nobody else is there");
    world.hear(anna);
    world.pass(Duration::from_secs(1));
    world.handle(Input::HungUp(bernd));
    assert_eq!(world.to_all(), [&Sentence::JoinTone, &Sentence::LeaveTone]);
}

#[test]
fn a_changed_window_keeps_the_later_end() {
    for (start, end, closes) in [(0, 60, 75), (0, 15, 45), (-20, 20, 45), (120, 150, 45)] {
        let mut world = World::new(&[booking("a", 0)]);
        let leg = world.call(BERND);
        world.hear(leg);
        world.to(10);
        let mut changed = booking("a", 0);
        changed.windows = vec![date(0, start, end)];
        world.handle(Input::Booking(&changed));
        assert!(matches!(world.to_all()[..], [Sentence::OpenUntil { .. }]), "{:?}", world.to_all());
        changed.title = "renamed".to_owned();
        world.handle(Input::Booking(&changed));
        assert_eq!(world.to_all().len(), 1, "told once");
        let back = world.call(ANNA);
        assert_eq!(world.last_said(back).len() == 2, start < 120, "a window elsewhere is for others");
        world.handle(Input::HungUp(back));
        world.to(closes - 1);
        assert_eq!(world.hung_up(leg), None);
        world.to(closes);
        assert_eq!(world.hung_up(leg), Some(EndReason::WindowClosed), "{start}-{end}");
    }
}

#[test]
fn a_cancellation_ends_talk_and_waiting() {
    let mut world = World::new(&[booking("a", 0), in_room(booking("b", 15), "4712")]);
    let (talking, waiting) =
        (world.dial(Some(BERND), Trust::Asserted, "4711"), world.dial(Some(BERND), Trust::Asserted, "4712"));
    world.hear(talking);
    let mut cancelled = in_room(booking("b", 15), "4712");
    cancelled.windows[0].state = OccurrenceState::Cancelled;
    world.handle(Input::Withdrawn(&BookingId::parse("a").unwrap()));
    world.handle(Input::Booking(&cancelled));
    for leg in [talking, waiting] {
        assert_eq!(world.last_said(leg), [Sentence::Cancelled, Sentence::Goodbye]);
        assert_eq!(world.hung_up(leg), Some(EndReason::Cancelled));
    }
    assert!(world.focus.is_idle());
}

#[test]
fn who_waits_follows_a_moved_window() {
    let mut world = World::new(&[booking("a", 15)]);
    let leg = world.call(BERND);
    let mut earlier = booking("a", 15);
    earlier.windows = vec![date(15, 0, 30)];
    world.handle(Input::Booking(&earlier));
    world.hear(leg);
    assert_eq!(world.joined(leg), Some("a"));
    let mut world = World::new(&[booking("a", 15)]);
    let leg = world.call(BERND);
    let mut later = booking("a", 15);
    later.windows = vec![date(15, 120, 150)];
    world.handle(Input::Booking(&later));
    assert_eq!(world.last_said(leg), [opens(11, 50), Sentence::Goodbye]);
}

#[test]
fn who_waits_and_is_invited_no_more_keys_his_pin() {
    let mut world = World::new(&[booking("a", 13)]);
    let bernd = world.call(BERND);
    let mut without = booking("a", 13);
    without.revision = 2;
    without.callers.retain(|caller| !caller.person.starts_with("bernd"));
    world.handle(Input::Booking(&without));
    assert_eq!(world.last_said(bernd), [Sentence::AskRoom]);
    world.to(4);
    assert_eq!(world.joined(bernd), None, "his number opens nothing any more");
    assert_eq!(world.hung_up(bernd), Some(EndReason::NoEntry));
}

#[test]
fn shutdown_ends_every_call_with_a_record() {
    let mut world = World::new(&[booking("a", 0)]);
    let (talking, keying) = (world.call(BERND), world.stranger());
    world.hear(talking);
    world.handle(Input::Shutdown);
    assert_eq!(world.records.len(), 2);
    assert_eq!(world.hung_up(keying), Some(EndReason::Shutdown));
    let late = world.ring(Some(BERND), Trust::Asserted, "");
    assert_eq!(world.outputs.last(), Some(&Output::Refuse(late, Refusal::Overload)));
}
