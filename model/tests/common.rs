//! What all tests of the heart share.

mod checked;
mod names;
mod random;

pub use checked::Checked;
pub use names::{
    app, build_of, change, digest, drain, environment, manifest, registration, removal, service,
    web,
};
pub use random::Random;
