//! The rules: plain functions and structs that are told the time and the chance.

pub mod answers;
pub mod backoff;
pub mod brake;
pub mod breaker;
pub mod budget;
pub mod checks;
pub mod compose;
pub mod estimate;
pub mod filter;
pub mod fit;
pub mod glossary;
pub mod hashtags;
pub mod hedge;
pub mod hex;
pub mod known;
pub mod landing;
pub mod lifecycle;
mod links;
pub mod pack;
pub mod policy;
pub mod price;
pub mod queue;
pub mod quota;
pub mod routing;
pub mod shelf;
pub mod spans;
pub mod x_text;
