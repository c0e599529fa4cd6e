//! What all tests of the heart share.

mod checked;
mod names;
mod random;

pub use checked::Checked;
pub use names::{app, digest, environment, manifest, registration, release_of, service, web};
pub use random::Random;
