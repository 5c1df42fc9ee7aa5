//! The actor system on fakes, in virtual time, from a seed.

mod budget;
mod checks;
mod edits;
mod figures;
mod flow;
mod glossary;
mod helpers;
mod jobs;
mod journal;
mod known;
mod limits;
mod media;
mod money;
mod outlet_rules;
mod packing;
mod pauses;
mod publishing;
mod recovery;
mod remembered;
mod routing;
mod scheduled;
mod silence;
mod store_trouble;
mod supervision;
mod threads;
mod watching;
