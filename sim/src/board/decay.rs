//! Exponential and logarithm from additions and multiplications only.
//!
//! The platform's own `exp` and `ln` differ in the last bit from one C library to the next, and a
//! crossing time that moves by a tick would make two machines disagree about a trace.

const LN_2: f64 = std::f64::consts::LN_2;

/// `e` to the power `x`, for any `x` that is not positive.
pub fn exp(x: f64) -> f64 {
    debug_assert!(x <= 0.0, "exp({x}) of a decay");
    if x < -700.0 {
        return 0.0;
    }
    let halvings = (x / LN_2 - 0.5) as i32;
    let rest = x - f64::from(halvings) * LN_2;
    let mut sum = 1.0;
    for degree in (1..=16).rev() {
        sum = 1.0 + sum * rest / f64::from(degree);
    }
    sum * f64::from_bits(((1023 + i64::from(halvings)) as u64) << 52)
}

/// The natural logarithm of a positive, normal `x`.
pub fn ln(x: f64) -> f64 {
    debug_assert!(x.is_normal() && x > 0.0, "ln({x})");
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i32 - 1023;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    // ln m = 2 artanh((m - 1) / (m + 1)), |argument| < 0.172: 11 odd terms reach the last bits.
    let root = (mantissa - 1.0) / (mantissa + 1.0);
    let square = root * root;
    let mut sum = 0.0;
    for odd in (0..11).rev() {
        sum = sum * square + 1.0 / f64::from(2 * odd + 1);
    }
    2.0 * root * sum + f64::from(exponent) * LN_2
}

#[cfg(test)]
mod tests {
    use super::{exp, ln};

    #[test]
    fn agrees_with_the_platform_to_twelve_digits() {
        for step in 0..4_000 {
            let x = -f64::from(step) * 0.017_3;
            assert!((exp(x) - x.exp()).abs() <= 1e-12 * x.exp(), "exp({x})");
            let y = 1e-6 * 1.01_f64.powi(step);
            assert!(
                (ln(y) - y.ln()).abs() <= 1e-12 * y.ln().abs().max(1.0),
                "ln({y})"
            );
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e9), 0.0);
        assert_eq!(ln(1.0), 0.0);
    }
}
