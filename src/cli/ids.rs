//! What an id on the command line is the id of.

use babelfeed_actors::domain::RequestId;

use super::options::ExitError;

/// What an id is the id of, as its last two bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request.
    Request,
    /// A task.
    Task,
    /// A publication.
    Publication,
}

/// What the id is the id of.
pub(super) fn kind(id: &str) -> anyhow::Result<Kind> {
    let parsed: RequestId = id
        .parse()
        .map_err(|error: babelfeed_actors::domain::IdError| ExitError::usage(error.to_string()))?;
    Ok(match parsed.as_bytes() {
        [.., 0, 0] => Kind::Request,
        [.., 0] => Kind::Task,
        _ => Kind::Publication,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_what_it_is_of() {
        let cases = [
            ("0000", Kind::Request),
            ("0100", Kind::Task),
            ("0102", Kind::Publication),
        ];
        for (end, wanted) in cases {
            let id = format!("019aa5c3-1c5e-7000-8000-00000000{end}");
            assert_eq!(kind(&id).expect("an id"), wanted);
        }
        assert!(kind("seven").is_err());
    }
}
