//! Templates that people wrote, and the mistakes in them.

use super::*;

/// The problems of the shipped templates with `text` in the place of `file`.
fn problems(file: &str, text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    match Templates::load(Some(folder.path())) {
        Ok(_) => Vec::new(),
        Err(TemplateProblems(problems)) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn check(file: &str, text: &str, expected: &[&str]) {
    let found = problems(file, text);
    assert!(!found.is_empty(), "no problem in {text:?}");
    for expected in expected {
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected} is not in {found:?}");
    }
}

#[test]
fn the_shipped_templates_are_right() {
    Templates::load(None).unwrap();
}

#[test]
fn a_file_of_ones_own_takes_the_place_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("en")).unwrap();
    std::fs::write(folder.path().join("en/line-closed.txt"), "Gone: {{ title | upper }}\n").unwrap();
    let templates = Templates::load(Some(folder.path())).unwrap();
    let view = View { title: "a & b".to_owned(), ..View::default() };
    let texts = templates.letter(Language::En, Kind::LineClosed, &view, None, None).unwrap();
    assert_eq!(texts.plain, "Gone: A & B\n");
    assert!(texts.html.contains("a &amp; b"));
}

#[test]
fn mistakes_are_named_with_file_and_line() {
    check("en/line-closed.txt", "fine\n{{ titel }}", &["en/line-closed.txt:2: titel: no such value"]);
    check("de/changed.html", "\n\n{% if titel %}x{% endif %}", &["de/changed.html:3: titel"]);
    check("en/line-closed.txt", "a\nb\n{% if title %}", &["en/line-closed.txt:3:"]);
    check("en/line-closed.txt", "{% for row in dates %}{{ row.dat }}{% endfor %}", &["en/line-closed.txt", "row.dat"]);
    check("en/line-closd.txt", "x", &["en/line-closd.txt: no template has this name"]);
    check("en/block.txt", "{% include \"en/block.txt\" %}", &["en/block.txt:1: only block"]);
    check("en/refused.txt", "{% include \"en/refused.txt\" %}", &["en/refused.txt:1: only block"]);
}

#[test]
fn pins_are_not_to_be_had_everywhere() {
    check("en/invitation.subject.txt", "{{ title }} {{ pin }}", &["en/invitation.subject.txt:1: pin: no such value"]);
    check("de/ics-location.txt", "{{ pin }}", &["de/ics-location.txt:1: pin"]);
    check("de/ics-description.txt", "{{ moderator_pin }}", &["moderator_pin: no such value"]);
    // Without a question for whom, it would go to everybody or fail.
    check("en/invitation.txt", "{{ moderator_pin }}", &["en/invitation.txt", "moderator_pin"]);
}

#[test]
fn functions_are_off() {
    for call in ["get_env(name=\"HOME\")", "now()", "range(end=99999999)", "get_random(end=2)", "throw(message=\"x\")"]
    {
        check("en/refused.txt", &format!("{{{{ {call} }}}}"), &["functions are off"]);
    }
    assert!(without_functions().render_str("{{ get_env(name='PATH') }}", &Context::new()).is_err());
}

#[test]
fn what_grows_without_bound_is_stopped() {
    let grow = "{% for a in dates %}{{ a.date }}{% endfor %}".to_owned() + &"x".repeat(200 * 1024);
    assert!(problems("en/refused.txt", &grow).is_empty());
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("en")).unwrap();
    let text = "{% for a in text_lines %}".to_owned() + &"x".repeat(20 * 1024) + "{% endfor %}";
    std::fs::write(folder.path().join("en/refused.txt"), text).unwrap();
    let templates = Templates::load(Some(folder.path())).unwrap();
    let view = View { text_lines: vec![String::new(); 200], ..View::default() };
    let error = templates.letter(Language::En, Kind::Refused, &view, None, None).unwrap_err();
    assert!(error.problem.contains("longer than"), "{error}");
}
