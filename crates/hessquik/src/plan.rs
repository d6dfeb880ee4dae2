//! Plans.
use std::fmt;
/// Where tangents start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {}

/// What a plan costs, beside its alternatives; `Display` prints a table.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Explanation {}
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "")
    }
}
