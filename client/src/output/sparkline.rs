//! A row of numbers as a row of bars, one character high.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One bar for each value, from the lowest for 0 to the highest for `most`; a gap where there is no
/// value. What is not finite or below 0 is no value.
#[must_use]
pub fn sparkline(values: &[Option<f64>], most: f64) -> String {
    values.iter().map(|value| bar(*value, most)).collect()
}

fn bar(value: Option<f64>, most: f64) -> char {
    let Some(value) = value.filter(|value| value.is_finite() && *value >= 0.0) else {
        return ' ';
    };
    let full = BARS.len() - 1;
    // Where all is 0 there is nothing to be a share of.
    let share = if most > 0.0 { value / most } else { 0.0 };
    // A share of 0 to 1 of 7 steps fits; the cast saturates.
    let step = (share * full as f64).round() as usize;
    BARS[step.min(full)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_shares_of_the_most() {
        let values = [0.0, 1.0, 3.5, 7.0].map(Some);
        assert_eq!(sparkline(&values, 7.0), "▁▂▅█");
        assert_eq!(sparkline(&[Some(1.0), None, Some(2.0)], 2.0), "▅ █");
        assert_eq!(sparkline(&[Some(0.0), Some(0.0)], 0.0), "▁▁");
        assert_eq!(sparkline(&[], 1.0), "");
        let odd = [f64::NAN, f64::INFINITY, -1.0].map(Some);
        assert_eq!(sparkline(&odd, 1.0), "   ");
        assert_eq!(sparkline(&[Some(9.0)], 1.0), "█");
    }
}
