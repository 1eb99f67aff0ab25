//! Calls over a network that loses, repeats and overtakes, over many seeds: they come up, end, and leave nothing.

use std::time::Duration;

use super::world::{Link, OURS, THEIRS, World, media};
use crate::event::{Order, SipEvent};

/// Plays one call; who hangs up, and whether it rings first, comes from the seed. True if it was established.
fn play(seed: u64, lost_percent: u64) -> bool {
    let mut world = World::new(seed);
    world.link = Link {
        lost_percent,
        doubled_percent: 5,
        delay: (Duration::from_millis(5), Duration::from_millis(if seed.is_multiple_of(3) { 400 } else { 40 })),
    };
    let placed = world.place();
    let until = world.now + Duration::from_secs(400);
    let mut up = [false; 2];
    let mut ended = [false; 2];
    let mut hung_up = false;
    while ended != [true, true] && world.step(until) {
        for side in [OURS, THEIRS] {
            while let Some(event) = world.sides[side].events.pop_front() {
                match event {
                    SipEvent::Incoming { call, .. } => {
                        if seed.is_multiple_of(2) {
                            world.order(side, Order::Ring(call));
                        }
                        world.order(side, Order::Answer(call, media(20_000)));
                    }
                    SipEvent::Established { call, .. } => {
                        assert!(!std::mem::replace(&mut up[side], true), "seed {seed}: established twice");
                        if side == OURS && seed.is_multiple_of(5) {
                            world.order(OURS, Order::HangUp(call, "ours".to_owned()));
                            hung_up = true;
                        }
                    }
                    SipEvent::Ended { .. } => {
                        assert!(!std::mem::replace(&mut ended[side], true), "seed {seed}: ended twice");
                    }
                    SipEvent::Ringing { .. } => {}
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
        }
        if up == [true, true] && !std::mem::replace(&mut hung_up, true) {
            world.order(THEIRS, Order::HangUp(placed, "theirs".to_owned()));
        }
    }
    // An INVITE that never arrived leaves nobody at our side who could end.
    assert!(ended[THEIRS] && (ended[OURS] || !up[OURS]), "seed {seed}: {up:?} {ended:?}");
    world.link.lost_percent = 0;
    world.assert_empty();
    up == [true, true]
}

/// Orders of every kind at any moment, also senseless ones, over a bad network: no panic, and in the end nothing is left.
#[test]
fn any_order_at_any_moment_leaves_nothing() {
    for seed in 1..=150_u64 {
        let mut world = World::new(seed);
        world.link = Link {
            lost_percent: seed % 20,
            doubled_percent: 5,
            delay: (Duration::from_millis(1), Duration::from_millis(300)),
        };
        let mut known = [Vec::new(), Vec::new()];
        let mut dice = seed;
        for _ in 0..60 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let roll = usize::try_from(dice >> 40).unwrap();
            let side = roll % 2;
            let call = known[side].get(roll / 7 % known[side].len().max(1)).copied();
            match (roll / 16 % 10, call) {
                (0 | 1, _) => {
                    let invite = world.invite();
                    known[side].push(invite.call);
                    world.order(side, Order::Place(invite));
                }
                (2, Some(call)) => world.order(side, Order::Ring(call)),
                (3 | 4, Some(call)) => world.order(side, Order::Answer(call, media(20_000))),
                (5, Some(call)) => world.order(side, Order::Hold(call, roll.is_multiple_of(3))),
                (6, Some(call)) => world.order(side, Order::Probe(call)),
                (7, Some(call)) => world.order(side, Order::Press(call, crate::types::Digit('1'))),
                (8, Some(call)) => world.order(side, Order::HangUp(call, String::new())),
                (9, Some(call)) => world.order(side, Order::Refuse(call, 486, String::new())),
                _ => {}
            }
            world.pass(Duration::from_millis(u64::try_from(roll % 700).unwrap()));
            for side in [OURS, THEIRS] {
                while let Some(event) = world.sides[side].events.pop_front() {
                    if let SipEvent::Incoming { call, .. } = event {
                        known[side].push(call);
                    }
                }
            }
        }
        for side in [OURS, THEIRS] {
            world.order(side, Order::Shutdown(String::new()));
        }
        world.assert_empty();
    }
}

#[test]
fn without_loss_every_call_comes_up() {
    assert!((1..=60).all(|seed| play(seed, 0)));
}

#[test]
fn at_ten_percent_loss_every_call_comes_up() {
    assert!((1..=200).all(|seed| play(seed, 10)));
}

#[test]
fn at_thirty_percent_loss_nearly_every_call_comes_up_and_nothing_is_left() {
    let up = (1..=300).filter(|seed| play(*seed, 30)).count();
    assert!(up >= 285, "{up} of 300");
}

#[test]
fn calls_that_are_given_up_at_any_moment_leave_nothing() {
    for seed in 1..=200_u64 {
        let mut world = World::new(seed);
        world.link = Link {
            lost_percent: 15,
            doubled_percent: 10,
            delay: (Duration::from_millis(10), Duration::from_millis(200)),
        };
        let placed = world.place();
        world.pass(Duration::from_millis(seed * 7));
        if let Some(SipEvent::Incoming { call, .. }) = world.sides[OURS].events.pop_front() {
            if seed.is_multiple_of(3) {
                world.order(OURS, Order::Ring(call));
                world.pass(Duration::from_millis(seed % 90));
            }
            if seed.is_multiple_of(2) {
                world.order(OURS, Order::Answer(call, media(20_000)));
                world.pass(Duration::from_millis(seed % 70));
            }
            if seed.is_multiple_of(7) {
                world.order(OURS, Order::HangUp(call, "crossing".to_owned()));
            }
        }
        world.order(THEIRS, Order::HangUp(placed, "enough".to_owned()));
        // What arrives only now is answered late: nobody is there any more.
        world.pass_s(100);
        while let Some(event) = world.sides[OURS].events.pop_front() {
            if let SipEvent::Incoming { call, .. } = event {
                world.order(OURS, Order::Refuse(call, 480, String::new()));
            }
        }
        world.link.lost_percent = 0;
        world.assert_empty();
    }
}
