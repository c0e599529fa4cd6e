//! What is printed, and how: text for people, JSON for programs.

mod console;
mod escape;
mod json;
mod sparkline;
mod table;
mod time;

pub(crate) use console::Console;
pub(crate) use escape::{escape, escape_lines};
pub(crate) use json::to_json;
pub use sparkline::sparkline;
pub(crate) use table::{Align, Block, Columns, Plain};
pub(crate) use time::{ago, elapsed, rfc3339, stamp, to_the_second};
