//! The ingress as its neighbours see it: real sockets, a frontend and a control of our own.

mod bytes;
mod control;
mod frontend;
mod life;
mod raw;
mod retries;
mod routing;
mod streams;
mod swaps;
mod tls;
mod world;
