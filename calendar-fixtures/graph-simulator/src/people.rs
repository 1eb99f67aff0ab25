//! Who works in the simulated tenant.

/// A user of the tenant, with a mailbox.
#[derive(Clone, Debug)]
pub struct Person {
    /// Mail address and user principal name.
    pub address: String,
    /// What the directory calls him.
    pub name: String,
    /// At most one, free text as administrators type it.
    pub business_phone: Option<String>,
    /// Free text as well.
    pub mobile_phone: Option<String>,
    /// Language tag of the mailbox, `de-DE`.
    pub language: String,
    /// Windows or IANA name of the mailbox' zone.
    pub time_zone: String,
}

impl Person {
    fn of_contoso(first: &str, last: &str, phones: (Option<&str>, Option<&str>), language: &str) -> Self {
        Self {
            address: format!("{}@contoso.example", first.to_lowercase()),
            name: format!("{first} {last}"),
            business_phone: phones.0.map(str::to_owned),
            mobile_phone: phones.1.map(str::to_owned),
            language: language.to_owned(),
            time_zone: "W. Europe Standard Time".to_owned(),
        }
    }
}

/// The five people of the demo and the resource mailbox `conference@contoso.example`. Their
/// numbers are spelled as differently as real directories do; all lie in the range that is kept free for fiction.
#[must_use]
pub fn demo_people() -> Vec<Person> {
    vec![
        Person::of_contoso("Anna", "Albrecht", (Some("+49 30 23125 001"), None), "de-DE"),
        Person::of_contoso("Bernd", "Brandt", (Some("+49 (30) 23125-002"), None), "en-US"),
        Person::of_contoso("Clara", "Claussen", (Some("030/23125-003"), None), "de-DE"),
        Person::of_contoso("David", "Decker", (None, Some("+493023125004")), "en-GB"),
        Person::of_contoso("Emil", "Ebert", (Some("0049 30 23125005"), None), "en-US"),
        Person::of_contoso("Conference", "Line", (None, None), "en-US"),
    ]
}
