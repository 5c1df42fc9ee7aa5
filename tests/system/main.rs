//! The actor system on fakes, in virtual time, from a seed.

mod flow;
mod helpers;
mod jobs;
mod journal;
mod limits;
mod packing;
mod publishing;
mod recovery;
mod store_trouble;
mod supervision;
mod watching;
