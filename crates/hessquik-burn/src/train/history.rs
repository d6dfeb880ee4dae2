//! The losses after each epoch: a table as hessQuik prints it, and a file of comma-separated values.
use crate::Error;
use std::fmt::Write as _;
use std::path::Path;

/// One epoch. Each list holds the loss, then its terms.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Row {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Seconds from the start of training to the end of this epoch, not counting earlier, interrupted runs.
    pub seconds: f64,
    /// Means over the epoch, while the weights were changing.
    pub running: Vec<f64>,
    /// Means over all points, after the epoch.
    pub train: Vec<f64>,
    /// Means over the validation points, after the epoch; empty without such points.
    pub valid: Vec<f64>,
}

const GROUPS: [&str; 3] = ["running", "train", "valid"];

/// The header of the table, three lines: groups, weights, names (the manual's `print_headers`).
pub fn header(names: &[&str], weights: &[f64]) -> String {
    let (mut groups, mut numbers, mut columns) = (blank(), blank(), format!("{:<15}{:<15}", "epoch", "time"));
    for (i, group) in GROUPS.iter().enumerate() {
        let _ = write!(groups, "| {group:<15}{}", " ".repeat(15 * names.len()));
        let _ = write!(numbers, "| {:<15}", if i == 0 { "weights" } else { "" });
        let _ = write!(columns, "| {:<15}", "loss");
        for (name, weight) in names.iter().zip(weights) {
            let _ = write!(numbers, "{:<15}", scientific(*weight, 2));
            let _ = write!(columns, "{name:<15}");
        }
    }
    format!("{}\n{}\n{}", groups.trim_end(), numbers.trim_end(), columns.trim_end())
}

fn blank() -> String {
    " ".repeat(30)
}

/// A number as C prints it: `1.25e-03`.
fn scientific(v: f64, digits: usize) -> String {
    let text = format!("{v:.digits$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |e| ("-", e));
            format!("{mantissa}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

/// A line of the table.
pub fn line(row: &Row) -> String {
    let mut text = format!("{:<15}{:<15.4}", row.epoch, row.seconds);
    for group in [&row.running, &row.train, &row.valid] {
        text += "| ";
        for v in group {
            let _ = write!(text, "{:<15}", scientific(*v, 4));
        }
    }
    text.trim_end_matches([' ', '|']).to_string()
}

/// Writes the history as comma-separated values, whole or not at all: `epoch,seconds,running_loss,...`.
///
/// # Errors
/// A folder that is not writable.
pub fn write_history(path: impl AsRef<Path>, names: &[&str], rows: &[Row]) -> Result<(), Error> {
    let mut text = String::from("epoch,seconds");
    let groups = if rows.iter().all(|r| r.valid.is_empty()) { &GROUPS[..2] } else { &GROUPS[..] };
    for group in groups {
        for name in std::iter::once(&"loss").chain(names) {
            let _ = write!(text, ",{group}_{name}");
        }
    }
    text += "\n";
    for row in rows {
        let _ = write!(text, "{},{:.6}", row.epoch, row.seconds);
        for v in [&row.running, &row.train, &row.valid].into_iter().flatten() {
            let _ = write!(text, ",{v:e}");
        }
        text += "\n";
    }
    Ok(hessquik::write_whole(path, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_hessquiks() {
        let head = header(&["loss_f", "loss_df"], &[1.0, 0.5]);
        let lines: Vec<&str> = head.lines().collect();
        assert_eq!(lines[0].find("| running"), Some(30));
        assert_eq!(lines[0].find("| train"), Some(30 + 2 + 45));
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>()[..4], ["|", "weights", "1.00e+00", "5.00e-01"]);
        assert!(
            lines[2].starts_with("epoch          time           | loss           loss_f         loss_df        | loss")
        );
        let row = Row { epoch: 3, seconds: 1.5, running: vec![0.125; 3], train: vec![1e-12; 3], valid: vec![] };
        assert!(line(&row).starts_with("3              1.5000         | 1.2500e-01     1.2500e-01"), "{}", line(&row));
        assert!(line(&row).ends_with("1.0000e-12"), "{}", line(&row));
    }
}
