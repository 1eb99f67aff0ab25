use super::*;

#[test]
fn the_next_night_is_ahead() {
    let at = |hour, minute| DateTime::<Utc>::UNIX_EPOCH + TimeDelta::hours(hour) + TimeDelta::minutes(minute);
    assert_eq!(next_night(at(1, 0)), at(2, 30));
    assert_eq!(next_night(at(2, 30)), at(26, 30));
    assert_eq!(next_night(at(23, 0)), at(26, 30));
}
