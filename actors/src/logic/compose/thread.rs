//! Splits a text into the parts of a thread, with their numbers.

use super::shorten::linked;
use super::tail::{below, with_tail};
use super::{Link, Origin, Style, Unfit};
use crate::logic::fit::{Limit, TooLong, fit, fit_beside};
use crate::logic::links::leads_to;

impl Style {
    /// The parts of a text that is too long for one; its beginning where they are more than go out.
    pub(super) fn thread(
        &self,
        text: &str,
        limit: Limit,
        first_tail: &str,
        origin: Origin<'_>,
    ) -> Result<Vec<String>, Unfit> {
        let later_tail = origin.url.filter(|_| self.link == Link::Always);
        let later_tail = later_tail.unwrap_or_default();
        let parted = |later_tail| -> Result<Vec<String>, TooLong> {
            let tails = (first_tail, later_tail);
            let bodies = self.bodies(text, limit, tails)?;
            Ok(self.numbered(&bodies, tails))
        };
        // Where one of the others has no room for its line, the first still has.
        let parts = parted(later_tail).or_else(|error| parted("").map_err(|_| error));
        let parts = match parts {
            Ok(parts) if !is_torn_by(text, limit, first_tail) => parts,
            // The lines may have room by themselves.
            Ok(_) => fit(&with_tail(text.trim(), first_tail), limit)?,
            Err(error) => fit(&with_tail(text.trim(), first_tail), limit).map_err(|_| error)?,
        };
        let most = self.max_parts.unwrap_or(usize::MAX).min(limit.max_parts());
        match (parts.len(), origin.url) {
            (n_parts, _) if n_parts <= most => Ok(parts),
            (_, Some(_)) => Ok(vec![linked(text, limit, first_tail, origin)?]),
            (n_parts, None) => Err(Unfit::TooMany { n_parts, most }),
        }
    }

    /// The texts of the parts, which have room for their numbers and for the lines below the
    /// first of them and below the others.
    fn bodies(
        &self,
        text: &str,
        limit: Limit,
        (first_tail, later_tail): (&str, &str),
    ) -> Result<Vec<String>, TooLong> {
        let mut n_digits = 1;
        loop {
            let nines = "9".repeat(n_digits);
            let number = match self.numbers {
                true => format!(" {nines}/{nines}"),
                false => String::new(),
            };
            let behind = |tail: &str| format!("{number}{}", below(tail));
            let bodies = fit_beside(text, limit, [&behind(first_tail), &behind(later_tail)])?;
            let needed = bodies.len().to_string().len();
            if !self.numbers || needed <= n_digits {
                return Ok(bodies);
            }
            n_digits = needed;
        }
    }

    /// The parts with their numbers, and the lines below them where they are not in them already.
    fn numbered(&self, bodies: &[String], (first_tail, later_tail): (&str, &str)) -> Vec<String> {
        let n_parts = bodies.len();
        let parts = (1..).zip(bodies).map(|(place, body)| {
            let tail = if place == 1 { first_tail } else { later_tail };
            let tail = if leads_to(body, tail) { "" } else { tail };
            if self.numbers && n_parts > 1 {
                with_tail(&format!("{body} {place}/{n_parts}"), tail)
            } else {
                with_tail(body, tail)
            }
        });
        parts.collect()
    }
}

/// Whether a text has room in one part, and would be taken apart because lines below it leave none
/// for something in it.
fn is_torn_by(text: &str, limit: Limit, tail: &str) -> bool {
    let tail = below(tail);
    limit.fits(text.trim()) && fit_beside(text, limit, [&tail, &tail]).is_err()
}
