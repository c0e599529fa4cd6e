//! The ingress as its neighbours see it: real sockets, a frontend and a control of our own.

mod abuse;
mod access;
mod bytes;
mod control;
mod corpus;
mod frontend;
mod http2;
mod life;
mod observed;
mod owing;
mod raw;
mod reports;
mod retries;
mod routing;
mod sticky;
mod streams;
mod swaps;
mod tls;
mod tunnels;
mod world;
