//! The names that settings give to things, and the lanes, flows and classes that work is sorted by.

use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as the settings wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a source in the settings.
    SourceName
);
name!(
    /// The name of a provider in the settings.
    ProviderName
);
name!(
    /// The name of an outlet in the settings.
    OutletName
);
name!(
    /// Whoever counts us: (provider, credential, model), or an outlet's account.
    ///
    /// Two providers that share credential and model share the lane; an outlet's lane is its
    /// name behind `outlet:`. Every limit belongs to a lane, never to a worker.
    Lane
);
name!(
    /// Who asks: a source, or a client; the unit of fairness.
    Flow
);

impl Lane {
    /// The lane of an outlet's account.
    pub fn of_outlet(name: &OutletName) -> Self {
        Self(format!("outlet:{name}").into())
    }
}

/// How urgent a piece of work is; the more urgent is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Somebody waits for the answer with an open connection.
    Interactive,
    /// Before the others.
    High,
    /// What says nothing of itself.
    Normal,
    /// When nothing else wants the capacity, and a little always.
    Low,
}

impl Class {
    /// Every class, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Interactive, Self::High, Self::Normal, Self::Low];

    /// The share of capacity that the class has against the others.
    pub const fn weight(self) -> u32 {
        match self {
            Self::Interactive => 16,
            Self::High => 8,
            Self::Normal => 4,
            Self::Low => 1,
        }
    }

    /// Whether work of this class may use the slots held back for urgent work.
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::Interactive | Self::High)
    }
}
