//! The table of every key a manifest may have (surface.md B.4).
//!
//! It is read four times: to check a manifest, to name the nearest key to one that is misspelt, to
//! write the list of keys in `docs/manifest.md`, and to write the schema editors complete from. So
//! what is documented is what is checked.

mod checks;
mod parts;
mod scale;
mod service;
mod top;

use std::ops::RangeInclusive;

pub(super) use self::top::TOP;

/// One key of a mapping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// For people; empty where nothing is as good as any default.
    pub(super) default: &'static str,
    pub(super) required: bool,
    /// A value, as it would stand behind the key on one line.
    pub(super) example: &'static str,
    /// What it means, as one sentence without a full stop.
    pub(super) says: &'static str,
    pub(super) effect: Effect,
}

/// What comes of it when a key is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// What it says.
    Works,
    /// Nothing yet, and nothing is lost by that: the app runs as it would without.
    Ignored,
    /// The release is refused when it is loaded or promoted, since without what the key asks for
    /// the app would not be what its manifest promises.
    Refused,
}

/// What may stand behind a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    Flag,
    /// A whole number within bounds.
    Whole(u32, u32),
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A line for the shell, or a list of words.
    Run,
    Port,
    /// A path on the frontend itself.
    Path,
    /// `N` or `A-B`.
    Count,
    /// Host names, as a list or parted by commas.
    Domains,
    /// Networks, likewise.
    Networks,
    /// A list of `NAME`, `NAME=default` or `*`.
    Environment,
    Texts,
    /// Names with texts.
    Labels,
    /// Whatever it is, nobody looks into it.
    Anything,
    /// A mapping with these keys.
    Section(&'static [Key]),
    /// A short form, or a mapping with these keys.
    Or(&'static Kind, &'static [Key]),
    /// Names, each with a mapping with these keys.
    Each(&'static [Key]),
    /// A list of mappings with these keys.
    Items(&'static [Key]),
}

const fn key(name: &'static str, kind: Kind, example: &'static str, says: &'static str) -> Key {
    Key {
        name,
        kind,
        default: "",
        required: false,
        example,
        says,
        effect: Effect::Works,
    }
}

impl Key {
    const fn or(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }

    const fn ignored(self) -> Self {
        Self {
            effect: Effect::Ignored,
            ..self
        }
    }

    const fn refused(self) -> Self {
        Self {
            effect: Effect::Refused,
            ..self
        }
    }
}

impl Kind {
    /// The keys of a mapping that may stand here.
    pub(super) fn keys(&self) -> &'static [Key] {
        match self {
            Self::Section(keys) | Self::Or(_, keys) | Self::Each(keys) | Self::Items(keys) => keys,
            _ => &[],
        }
    }
}

/// Frontends of one service: ten times the largest fleet this is built for (design section 1).
pub(super) const COUNT: RangeInclusive<u32> = 0..=10_000;

/// Seconds an interval, timeout or grace may take; an hour is beyond any use.
const HOUR: u32 = 3600;

/// The known key that `name` was most likely meant to be.
pub(super) fn nearest(name: &str, known: &[Key]) -> Option<&'static str> {
    // Of the right word in another case nothing is wrong but the case.
    if let Some(same) = known.iter().find(|key| key.name.eq_ignore_ascii_case(name)) {
        return Some(same.name);
    }
    let scored = known
        .iter()
        .map(|key| (strsim::jaro_winkler(name, key.name), key.name));
    let (score, best) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    // Below this, suggestions are worse than none ("ports" for "pots", nothing for "foo").
    (score > 0.8).then_some(best)
}
