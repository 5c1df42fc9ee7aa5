//! The actor system on fakes, in virtual time, from a seed.

mod flow;
