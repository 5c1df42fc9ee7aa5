//! What calls cost.

use crate::domain::Tokens;

/// What a call costs in a job, as a share of what it costs alone.
pub const IN_A_JOB: f64 = 0.5;

/// What tokens cost in US dollars, at these prices for a million, in and out.
pub fn usd(tokens: Tokens, (input, output): (f64, f64)) -> f64 {
    (tokens.input as f64 * input + tokens.output as f64 * output) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_has_a_price_of_its_own() {
        let tokens = Tokens {
            input: 2_000,
            output: 500,
        };
        assert!((usd(tokens, (1.0, 4.0)) - 0.004).abs() < 1e-12);
    }
}
