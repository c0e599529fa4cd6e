//! What a process says of its work, for whoever collects figures.
//!
//! A [`Family`] is a metric with its name, kind, labels and meaning; a room keeps its families in one
//! constant table, which is what its documentation is compared with. A [`Page`] is what is shown when
//! somebody asks: text of Prometheus, version 0.0.4, which every collector reads. [`serve`] shows it.
//!
//! Absent on purpose: a registry, and counters. Those that count know best what counting may cost;
//! here is only what is done when somebody asks, every some seconds.

mod endpoint;
mod family;
mod page;
mod process;
mod read;

pub use endpoint::{CONTENT_TYPE, PATH, serve};
pub use family::{Family, Kind};
pub use page::{Number, Page, Samples};
pub use process::{PROCESS, Process};
pub use read::{ReadError, Sample, Series, read};
