//! A source and an outlet on one account behind the built program.

use crate::harness::{AT_ONCE, Program, UNCHECKED, until};
use crate::patient::Patient;
use crate::simulators::mastodon::{Keys, Mastodon, NAME, TOKEN};

/// Waits until the account was read so many times more.
fn polls(account: &Mastodon, n_polls: usize) {
    let n_read = || {
        let requests = account.requests();
        let is_poll =
            |path: &str| path.starts_with("/api/v1/accounts/") && path.ends_with("/statuses");
        requests.iter().filter(|it| is_poll(&it.path)).count()
    };
    let wanted = n_read() + n_polls;
    until("the account is read", || (n_read() >= wanted).then_some(()));
}

#[test]
fn an_account_that_publishes_its_own_translations_does_not_translate_them_again() {
    let patient = Patient::start(0, 0);
    let account = Mastodon::start(Keys::Kept);
    for text in ["One", "Two", "Three"] {
        account.post_elsewhere(text);
    }
    let base_url = account.base_url();
    let mut program = Program::new(&format!(
        "{UNCHECKED}{}[[source]]\nname = \"own\"\nkind = \"mastodon\"\n\
         base_url = \"{base_url}\"\naccount = \"{NAME}\"\nlanguage = \"en\"\nevery = \"1s\"\n\
         backfill = \"all\"\n[[outlet]]\nname = \"es\"\nkind = \"mastodon\"\nlanguage = \"es\"\n\
         token_env = \"ACCOUNT\"\nbase_url = \"{base_url}\"\n{AT_ONCE}",
        patient.settings()
    ));
    program.set("ACCOUNT", TOKEN);
    program.start();
    let is_out = |text: &str| (account.n_standing(text) == 1).then_some(());
    for text in ["[es] One", "[es] Two", "[es] Three"] {
        until("a translation is out", || is_out(text));
    }
    polls(&account, 3);
    assert_eq!(account.statuses().len(), 6);

    program.kill();
    account.post_elsewhere("Four");
    program.start();
    until("a translation is out", || is_out("[es] Four"));
    polls(&account, 3);
    let texts: Vec<String> = account.statuses().into_iter().map(|it| it.text).collect();
    assert_eq!(texts.len(), 8, "{texts:?}");
}
