//! One type per name and per id, so that an app is never handed over where a service is meant.

use std::{fmt, sync::Arc};

/// Why a name was refused; the sentence is ready to print.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} name {name:?} {problem}")]
pub struct InvalidName {
    pub kind: &'static str,
    pub name: String,
    pub problem: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $longest:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks and takes a name; see [`InvalidName`] for what can be wrong with it.
            pub fn parse(name: &str) -> Result<Self, InvalidName> {
                match problem(name, $longest) {
                    None => Ok(Self(name.into())),
                    Some(problem) => Err(InvalidName { kind: $kind, name: name.to_owned(), problem }),
                }
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name!(
    /// An app: a lowercase DNS label, because it becomes part of host names.
    AppName, "app", 63
);
name!(
    /// An environment of an app. At most 31 characters (surface.md D), and further rules that keep
    /// it apart from verbs and git names stand in [`crate::environment::check_name`].
    EnvironmentName, "environment", 31
);
name!(
    /// A service of a manifest.
    ServiceName, "service", 31
);

fn problem(name: &str, longest: usize) -> Option<&'static str> {
    let tail = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match name.chars().next() {
        None => Some("is empty"),
        Some(first) if !first.is_ascii_lowercase() => Some("must begin with a lowercase letter"),
        Some(_) if !name.chars().all(tail) => {
            Some("may hold only lowercase letters, digits and dashes")
        }
        Some(_) if name.ends_with('-') => Some("must not end with a dash"),
        Some(_) if name.len() > longest => Some("is too long"),
        Some(_) => None,
    }
}

macro_rules! letters {
    ($(#[$doc:meta])* $type:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The id of what the command at log index `index` creates. An index is used once, so
            /// the id is never given twice.
            #[must_use]
            pub fn from_index(index: u64) -> Self {
                Self(spell($prefix, index).into())
            }

            /// Orders before every id; the start of a range.
            #[must_use]
            pub fn lowest() -> Self {
                Self($prefix.to_string().into())
            }

            /// Takes an id as stored or typed: the prefix and 6 or more uppercase letters.
            #[must_use]
            pub fn parse(id: &str) -> Option<Self> {
                let letters = id.strip_prefix($prefix)?;
                let fits = (6..=16).contains(&letters.len())
                    && letters.bytes().all(|b| b.is_ascii_uppercase());
                fits.then(|| Self(id.into()))
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

letters!(
    /// A release: `R` and 10 letters.
    ReleaseId, 'R'
);
letters!(
    /// A build: `B` and 10 letters.
    BuildId, 'B'
);

/// 26^10, the number of ids of ten letters.
const SPELLINGS: u128 = 141_167_095_653_376;
/// Odd and not a multiple of 13, hence coprime to 26^10: multiplying by it is a bijection, so that
/// neighbours in the log do not look alike and no two indexes below 26^10 share an id.
const SCATTER: u128 = 87_244_560_871_353;

fn spell(prefix: char, index: u64) -> String {
    let mut rest = u128::from(index) * SCATTER % SPELLINGS;
    let mut letters = ['A'; 10];
    for letter in letters.iter_mut().rev() {
        *letter = char::from(b'A' + (rest % 26) as u8);
        rest /= 26;
    }
    std::iter::once(prefix).chain(letters).collect()
}

macro_rules! number {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub u64);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A node. Taken from the log index of its registration and never reused: reusing one can split
    /// a raft cluster (docs/consensus.md).
    NodeId
);
number!(
    /// A frontend, unique for ever: a replacement in the same slot is another frontend.
    FrontendId
);
number!(
    /// A rollout: the log index of the command that began it.
    RolloutId
);

/// What a client calls one intention, so that a retry takes effect once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub Arc<str>);

/// An environment of an app.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvironmentKey {
    pub app: AppName,
    pub name: EnvironmentName,
}

impl fmt::Display for EnvironmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.name)
    }
}

impl fmt::Debug for EnvironmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A release loaded into an environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoadedKey {
    pub environment: EnvironmentKey,
    pub release: ReleaseId,
}

/// The sha256 of an artefact, as 64 lowercase hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);

impl Digest {
    #[must_use]
    pub fn parse(hex: &str) -> Option<Self> {
        let fits = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| Self(hex.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_neighbours_differ_and_are_spelled_in_ten_letters() {
        let ids: std::collections::BTreeSet<_> = (0..50_000).map(ReleaseId::from_index).collect();
        assert_eq!(ids.len(), 50_000);
        assert!(ids.iter().all(|id| ReleaseId::parse(id.as_str()).is_some()));
        assert!(ids.iter().all(|id| id.as_str().len() == 11));
        // Coprime to 26^10, which is what makes the spelling a bijection.
        const { assert!(!SCATTER.is_multiple_of(2) && !SCATTER.is_multiple_of(13)) };
        assert_eq!(SPELLINGS, 26_u128.pow(10));
    }

    #[test]
    fn names_that_could_not_be_host_labels_are_refused() {
        for bad in ["", "Shop", "1shop", "sh op", "shop-", "../x", "shöp", "a.b"] {
            assert!(AppName::parse(bad).is_err(), "{bad:?} was taken");
        }
        assert!(AppName::parse(&"a".repeat(64)).is_err());
        assert_eq!(AppName::parse("shop-2").unwrap().as_str(), "shop-2");
    }
}
