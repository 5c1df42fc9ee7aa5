//! The routes over a real socket, with actors that only answer.

mod client;
mod fakes;
mod memory;
mod operations;
mod requests;
mod served;
mod streams;
