//! What a check of a trunk found out, for people and for scripts.

use std::fmt;

use serde::Serialize;

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// It works.
    Passed,
    /// It does not, and the call would not either.
    Failed,
    /// It was not tried; the step says why.
    Skipped,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    /// What, in a word or two.
    pub(crate) step: &'static str,
    pub(crate) outcome: Outcome,
    /// What came of it, or why it was not tried.
    pub(crate) told: String,
    /// What to do about it; notes of steps that passed stand here too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) remedies: Vec<String>,
}

impl Step {
    pub(crate) fn passed(step: &'static str, told: impl Into<String>) -> Self {
        Self { step, outcome: Outcome::Passed, told: told.into(), remedies: Vec::new() }
    }

    pub(crate) fn failed(step: &'static str, told: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { step, outcome: Outcome::Failed, told: told.into(), remedies: vec![remedy.into()] }
    }

    pub(crate) fn skipped(step: &'static str, why: impl Into<String>) -> Self {
        Self { step, outcome: Outcome::Skipped, told: why.into(), remedies: Vec::new() }
    }

    /// The step with one thing more to do or to know.
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }
}

/// All that was tried with one trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    pub(crate) trunk: String,
    pub(crate) steps: Vec<Step>,
    /// The sentence that says who gets in without a PIN.
    pub(crate) callers: String,
}

impl Report {
    /// Whether no step failed.
    pub(crate) fn holds(&self) -> bool {
        self.steps.iter().all(|step| step.outcome != Outcome::Failed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "trunk {:?}", self.trunk)?;
        for Step { step, outcome, told, remedies } in &self.steps {
            let outcome = match outcome {
                Outcome::Passed => "passed",
                Outcome::Failed => "FAILED",
                Outcome::Skipped => "skipped",
            };
            writeln!(f, "  {outcome:8} {step:13} {told}")?;
            for remedy in remedies {
                writeln!(f, "  {:8} {:13} {remedy}", "", "")?;
            }
        }
        writeln!(f, "  {:8} {:13} {}", "", "without PIN", self.callers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let steps = vec![
            Step::passed("DNS", "192.0.2.10 is an address"),
            Step::failed("OPTIONS", "no answer within 32 s", "open UDP port 5060"),
            Step::skipped("registration", "register = false"),
        ];
        Report { trunk: "pbx".to_owned(), steps, callers: "nobody".to_owned() }
    }

    #[test]
    fn people_read_a_line_a_step_and_the_remedy_below_it() {
        assert_eq!(
            report().to_string(),
            "trunk \"pbx\"\n\
             \x20 passed   DNS           192.0.2.10 is an address\n\
             \x20 FAILED   OPTIONS       no answer within 32 s\n\
             \x20                        open UDP port 5060\n\
             \x20 skipped  registration  register = false\n\
             \x20          without PIN   nobody\n"
        );
        assert!(!report().holds());
    }

    #[test]
    fn scripts_read_names_that_stay() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["steps"][1]["outcome"], "failed");
        assert_eq!(json["steps"][1]["remedies"][0], "open UDP port 5060");
        assert!(json["steps"][0].get("remedies").is_none());
    }
}
