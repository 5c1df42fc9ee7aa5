//! The routes over a real socket, with actors that only answer.

mod fakes;
mod operations;
mod requests;
mod streams;
