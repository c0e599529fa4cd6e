//! Autoscalers under seeded load, in a model of frontends: what they cost and what they miss.
//!
//! [`load`] makes requests per second from a seed, [`frontend`] is a frontend as a queue, [`world`]
//! puts requests through ingresses to frontends and lets a [`scaler`] say how many there are, and
//! [`score`] counts minutes in which the goal was missed and hours of instances. A [`campaign`] lets
//! every [`contender`] meet every load, and [`report`] tells of it. Every figure is a function of the
//! seed, on every machine: no clock, no hash order, and no arithmetic that IEEE 754 does not fix.

pub mod campaign;
pub mod contender;
pub mod frontend;
pub mod load;
pub mod random;
pub mod report;
pub mod scaler;
pub mod score;
pub mod world;
